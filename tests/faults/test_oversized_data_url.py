"""An oversized ``data:`` payload through the API: refused before its picture is decoded."""

import base64
import io

import pytest
from PIL import Image

from nted_step.image import MAX_BYTES
from pose_editor import formats
from tests.faults.test_96_megapixels import PNG_96_MEGAPIXELS
from tests.running import Refused

MOST_MORE = 200 * 2**20  # bytes of memory for carrying a request; the decoded picture alone would be 288 MB


def data_url(data: bytes) -> dict:
    return {"path": f"data:image/png;base64,{base64.b64encode(data).decode()}", "meta": {"_type": "gradio.FileData"}}


def asked(visitor, file, joints) -> Refused:
    with pytest.raises(Refused) as refused:
        visitor.generate(file, joints)
    return refused.value


def test_more_bytes_than_a_request_may_have(visitor, joints, works):
    assert asked(visitor, data_url(b"\0" * (3 * MAX_BYTES)), joints).status == 413
    works()


def test_a_picture_within_a_string(visitor, server, joints, works):
    works()
    before = server.memory()
    asked(visitor, data_url(PNG_96_MEGAPIXELS), joints)
    asked(visitor, data_url(b"\0" * (MAX_BYTES + 1)), joints)
    assert server.memory("VmHWM") - before < MOST_MORE
    works()


def test_the_photo_that_a_browser_keeps(visitor, standing, works):
    """The page sends it back after a reload, inside the settings."""
    large = "data:image/webp;base64," + base64.b64encode(b"\0" * 2_000_000).decode()
    bomb = io.BytesIO()
    Image.new("RGB", (9000, 9000)).save(bomb, "WEBP")
    small = "data:image/webp;base64," + base64.b64encode(bomb.getvalue()).decode()
    joints = formats.to_value(standing)["joints"]
    for kept in (large, small, "data:image/svg+xml;base64,AAAA", "file:///etc/passwd"):
        photo = {"name": "@1", "photo": kept, "fit": "auto", "pose": None}
        settings = {"seed": 0, "restore": {"person": "@1", "photos": [photo], "joints": joints}}
        try:
            message = visitor.call("restore", settings, None)[2]
        except Refused as refused:
            message = str(refused)
        assert "cannot be read" in message
    works()

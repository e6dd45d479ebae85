"""An upload over the limit: 413, and the next request works."""

import contextlib

import httpx
import pytest

from nted_step.image import MAX_BYTES
from pose_editor.serving.request_limits import BODY_BYTES
from tests.running import Refused


def test_upload_over_the_limit(visitor, works):
    with pytest.raises(Refused) as refused:
        visitor.upload(b"\0" * (MAX_BYTES + 1))
    assert refused.value.status == 413
    works()


def test_many_files_in_one_upload_do_not_get_around_it(visitor, works):
    half = b"\0" * (MAX_BYTES // 2)
    answer = visitor.http.post("gradio_api/upload", files=[("files", (f"{k}.png", half)) for k in range(3)])
    assert answer.status_code == 413
    works()


def test_a_body_of_unknown_length_is_cut_off(visitor, works):
    """Sent in pieces, without a header that tells how much there will be."""

    def pieces():
        for _ in range(BODY_BYTES // 2**20 + 40):
            yield b" " * 2**20

    with contextlib.suppress(httpx.WriteError, httpx.RemoteProtocolError):  # the server may close before all of it was sent
        assert visitor.http.post("gradio_api/queue/join", content=pieces(), headers={"content-type": "application/json"}).status_code == 413
    works()

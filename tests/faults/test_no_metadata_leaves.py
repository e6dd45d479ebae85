"""What is saved carries no EXIF, no place, nothing else of the photo's own metadata, and not its name."""

import base64
import io
import zipfile

import pytest
from PIL import Image, ImageCms

from nted_step.image import decode
from tests.faults.conftest import encoded, picture
from tests.running import Visitor

SECRET = "Kept-Secret-Camera"


def tagged() -> bytes:
    """A JPEG with a place, a camera, a comment, a colour profile and XMP."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x010E] = 1, SECRET, SECRET
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 17.0)})
    xmp = f"<x:xmpmeta xmlns:x='adobe:ns:meta/'>{SECRET}</x:xmpmeta>".encode()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = encoded(picture(), "JPEG", exif=exif, comment=SECRET.encode(), xmp=xmp, icc_profile=profile)
    assert SECRET.encode() in data and Image.open(io.BytesIO(data)).getexif().get_ifd(0x8825)
    return data


def assert_clean(data: bytes) -> None:
    assert SECRET.encode() not in data and b"Exif" not in data and b"eXIf" not in data and b"GPS" not in data
    image = Image.open(io.BytesIO(data))
    assert not image.getexif() and not image.getexif().get_ifd(0x8825)


def test_decoding_leaves_it_behind():
    image = decode(tagged())
    assert not image.getexif() and not image.info
    assert_clean(encoded(image, "JPEG"))


def test_endpoints(visitor, joints):
    file = visitor.upload(tagged())
    assert_clean(visitor.generate(file, joints))
    for each in visitor.call("steps", file, joints, 0, 4)[0]:
        assert_clean(visitor.fetch(each["image"]))


@pytest.mark.parametrize("kind", ["result", "step", "strip", "gif", "webp"])
def test_what_the_page_saves(visitor: Visitor, kind, standing):
    visitor.give(tagged(), f"{SECRET}.jpg")
    assert visitor.release(standing)["kind"] == "steps"
    assert_clean(saved(visitor, standing, kind))


def test_the_archive(visitor: Visitor, standing):
    visitor.give(tagged(), f"{SECRET}.jpg")
    visitor.release(standing)
    with zipfile.ZipFile(io.BytesIO(saved(visitor, standing, "zip"))) as archive:
        for name in archive.namelist():
            data = archive.read(name)
            assert SECRET.encode() not in data, name
            if not name.endswith((".json", ".mp4")):
                assert_clean(data)


def saved(visitor: Visitor, pose, kind: str) -> bytes:
    settings = {"seed": 0, "save": {"kind": kind, "step": 2}}
    answer = visitor.call("save", visitor.value(pose), None, None, settings)[0]
    return base64.b64decode(answer["url"].partition(",")[2])

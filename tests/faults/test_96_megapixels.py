"""96 megapixels: a clear error, and no more memory than the file needs. A phone's JPEG of 48 is read, smaller than it is."""

import zlib

import numpy as np
import pytest
from PIL import Image

from nted_step.image import MAX_JPEG_PIXELS, MAX_PIXELS, ImageError, decode
from tests.faults.conftest import encoded
from tests.running import Refused

WIDTH, HEIGHT = 12_000, 8_000
MOST_MORE = 60 * 2**20  # bytes; the decoded picture would be 288 MB
MOST_DECODED = 260 * 2**20  # bytes for a JPEG of 48 megapixels, and for a run on it; 195 MB decoded as it is
PHONE = (8064, 6048)


def png(width: int, height: int) -> bytes:
    """A black RGB picture, written row by row so that the test itself stays small."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    packed = zlib.compressobj(9)
    rows = b"".join(packed.compress(bytes(1 + 3 * width)) for _ in range(height)) + packed.flush()
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


PNG_96_MEGAPIXELS = png(WIDTH, HEIGHT)


def phone_jpeg(**options) -> bytes:
    """Red on the left, green on the right."""
    image = Image.new("RGB", PHONE, (200, 30, 30))
    image.paste((30, 160, 40), (PHONE[0] // 2, 0, *PHONE))
    return encoded(image, "JPEG", **options)


def with_size(jpeg: bytes, width: int, height: int) -> bytes:
    """The same JPEG, saying that it has another size."""
    at = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:at] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + jpeg[at + 4 :]


JPEG_48_MEGAPIXELS = phone_jpeg()


def test_a_phones_jpeg_is_read_at_half_its_size():
    image = decode(JPEG_48_MEGAPIXELS)
    assert image.size == (4032, 3024)
    for x, colour in ((500, (200, 30, 30)), (3500, (30, 160, 40))):
        assert np.abs(np.subtract(image.getpixel((x, 1500)), colour)).max() <= 3


def test_jpegs_that_are_too_large():
    with pytest.raises(ImageError, match=rf"12000x8000 is more than {MAX_JPEG_PIXELS // 10**6} megapixels; save it smaller"):
        decode(with_size(JPEG_48_MEGAPIXELS, 12_000, 8_000))
    with pytest.raises(ImageError, match=rf"20000x2500 is more than {MAX_PIXELS // 10**6} megapixels"):  # no side of it can be halved
        decode(with_size(JPEG_48_MEGAPIXELS, 20_000, 2_500))
    progressive = phone_jpeg(progressive=True)  # all of it is held in memory, however small it is decoded
    with pytest.raises(ImageError, match=rf"8064x6048 is more than {MAX_PIXELS // 10**6} megapixels"):
        decode(progressive)


def test_a_phones_jpeg_through_the_page(visitor, server, joints, works):
    works()
    before = server.memory("VmHWM")
    result = visitor.generate(visitor.upload(JPEG_48_MEGAPIXELS, "IMG_0001.JPG"), joints)
    assert result.startswith(b"\x89PNG")
    assert server.memory("VmHWM") - before < MOST_DECODED
    works()


def test_through_the_package():
    with pytest.raises(ImageError, match=rf"^big.png: 12000x8000 is more than {MAX_PIXELS // 10**6} megapixels"):
        decode(PNG_96_MEGAPIXELS, "big.png")


def test_through_the_page(visitor, server, joints, works):
    works()
    before = server.memory()
    for _ in range(3):
        with pytest.raises(Refused, match="more than 40 megapixels"):
            visitor.generate(visitor.upload(PNG_96_MEGAPIXELS, "big.png"), joints)
        assert "more than 40 megapixels" in visitor.give(PNG_96_MEGAPIXELS, "big.png")[2]
    assert server.memory() - before < MOST_MORE
    works()

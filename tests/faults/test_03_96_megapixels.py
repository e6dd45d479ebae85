"""3. A PNG of 96 megapixels: a clear error, and no more memory than its file needs."""

import zlib

import pytest

from nted_step.image import MAX_PIXELS, ImageError, decode
from tests.running import Refused

WIDTH, HEIGHT = 12_000, 8_000
MOST_MORE = 60 * 2**20  # bytes; the decoded picture would be 288 MB


def png(width: int, height: int) -> bytes:
    """A black RGB picture, written row by row so that the test itself stays small."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    packed = zlib.compressobj(9)
    rows = b"".join(packed.compress(bytes(1 + 3 * width)) for _ in range(height)) + packed.flush()
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


PNG_96_MEGAPIXELS = png(WIDTH, HEIGHT)


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

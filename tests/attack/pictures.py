"""Pictures that strangers send: small ones, large ones, and ones that say what they are not."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

MEGAPIXELS_39 = (5200, 7500)  # (width, height), just within the limit


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def small(seed: int = 0) -> bytes:
    return encoded(Image.fromarray(np.random.default_rng(seed).integers(0, 255, (64, 44, 3), dtype=np.uint8)))


def large() -> bytes:
    """39 megapixels with transparency, which take the most memory, in a few hundred kilobytes."""
    return encoded(Image.new("RGBA", MEGAPIXELS_39, (180, 160, 140, 200)), compress_level=1)


def chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")


def declared(width: int, height: int) -> bytes:
    """A PNG that declares a size and holds next to nothing."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(2**16))) + chunk(b"IEND", b"")


def long_metadata() -> bytes:
    """A WebP whose EXIF begins two hundred thousand times."""
    return encoded(Image.new("RGB", (44, 64)), "WEBP", exif=b"Exif\0\0" * 200_000)


def bursting_metadata() -> bytes:
    """A WebP whose EXIF names the same megabytes two thousand times."""
    entries = b"".join((1000 + k).to_bytes(2, "big") + b"\0\x01\0\x10\0\0\0\0\0\x08" for k in range(2000))
    return encoded(Image.new("RGB", (44, 64)), "WEBP", exif=b"Exif\0\0MM\0*\0\0\0\x08\x07\xd0" + entries + bytes(2**20))


def two_sizes() -> bytes:
    """A JPEG with another size before its own."""
    data = encoded(Image.new("RGB", (44, 64)), "JPEG")
    at = data.index(b"\xff\xc0")
    frame = data[at : at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")]
    return data[:2] + frame[:5] + struct.pack(">HH", 16, 16) + frame[9:] + data[2:]

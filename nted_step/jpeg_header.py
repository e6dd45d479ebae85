"""What stands before the pixels of a JPEG, read by the rules of the decoder (libjpeg), and reduced to what the decoder needs.

Pillow reads this part by rules of its own. Where the two disagree about a picture's size, it lets the decoder write beyond its memory
(GHSA-8g5g-8vmr-9782), and metadata that is made for it keeps it busy for hours (CVE-2026-96643). So it gets neither.
"""

from __future__ import annotations

from dataclasses import dataclass

START = b"\xff\xd8\xff"
MAX_SEGMENTS = 4096  # before the pixels; the depth map of a phone's photo takes some hundred
EXIF = b"Exif\0\0"
XMP = b"http://ns.adobe.com/xap/1.0/\0"
PROFILE = b"ICC_PROFILE\0"

_SCAN, _APPLICATION = 0xDA, range(0xE0, 0xF0)
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_TABLES = {0xC4, 0xCC, 0xDB, 0xDD}  # Huffman and arithmetic codes, quantisation, restarts
_LEFT_OUT = {0xDC, 0xFE, *_APPLICATION}  # comments, metadata, and a number of lines that no decoder uses
_SEQUENTIAL = {0xC0, 0xC1}


@dataclass(frozen=True)
class JpegHeader:
    """Attributes:
    size: (width, height).
    components: colours of a pixel.
    streamed: whether it is decoded row by row: not progressive, all colours in one scan. Of any other JPEG the decoder holds all
        coefficients, up to 8 bytes a pixel.
    exif, xmp: the first of either kind, without its name; empty if there is none.
    reduced: the whole file with nothing before its pixels that the decoder does not need, save the colour profile.
    """

    size: tuple[int, int]
    components: int
    streamed: bool
    exif: bytes
    xmp: bytes
    reduced: bytes


def read_header(data: bytes) -> JpegHeader:
    """The header of a JPEG, which begins with ``START``. Raises ValueError for one that the decoder would not read either."""
    kept, metadata, frame, at = [data[:2]], {EXIF: b"", XMP: b""}, None, 2
    for _ in range(MAX_SEGMENTS):
        marker, at = _next_marker(data, at)
        end = at + int.from_bytes(data[at : at + 2], "big")
        body = data[at + 2 : end]
        if end < at + 2 or end > len(data):
            raise ValueError("a part of its header is cut off")
        if marker == _SCAN and frame:
            kept.append(b"\xff\xda" + data[at:])
            streamed = frame[0] in _SEQUENTIAL and body[:1] == frame[1][5:6]
            height, width = int.from_bytes(frame[1][1:3], "big"), int.from_bytes(frame[1][3:5], "big")
            return JpegHeader((width, height), frame[1][5], streamed, metadata[EXIF], metadata[XMP], b"".join(kept))
        if marker in _FRAMES and not frame and len(body) > 5:
            frame = (marker, body)
        elif marker not in _TABLES | _LEFT_OUT:
            raise ValueError("its header is out of order")
        if marker not in _LEFT_OUT or _is_needed(marker, body):
            kept.append(b"\xff" + bytes([marker]) + data[at:end])
        for name in metadata:
            if marker == 0xE1 and body.startswith(name) and not metadata[name]:
                metadata[name] = body[len(name) :]
        at = end
    raise ValueError(f"more than {MAX_SEGMENTS} parts before its pixels")


def _next_marker(data: bytes, at: int) -> tuple[int, int]:
    """(the next marker, where its body begins). What stands before a marker is skipped, as the decoder does."""
    while (at := data.find(b"\xff", at)) >= 0:
        while data[at : at + 1] == b"\xff":
            at += 1
        if data[at : at + 1] not in (b"\0", b""):
            return data[at], at + 1
    raise ValueError("it ends before its pixels")


def _is_needed(marker: int, body: bytes) -> bool:
    """Whether a part for applications tells of colours: JFIF's, Adobe's, or a colour profile."""
    return marker in (0xE0, 0xEE) or (marker == 0xE2 and body.startswith(PROFILE))

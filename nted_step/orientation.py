"""Which way is up in a picture, out of its metadata, of which nothing else is read."""

from __future__ import annotations

import contextlib
import re
import struct

_HEADERS = re.compile(rb"(?:Exif\0\0)*")
_TAG = 0x0112
_NUMBERS = {1: "B", 3: "H", 4: "I"}  # formats by the types of EXIF
_IN_XMP = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')


def orientation(exif: bytes, xmp: bytes) -> int:
    """1 to 8 as EXIF numbers them, 1 where neither kind of metadata tells. EXIF comes first."""
    with contextlib.suppress(struct.error):
        found = _in_exif(exif)
        if found is not None:
            return found
    match = _IN_XMP.search(xmp)
    return int(match[1]) if match else 1


def _in_exif(exif: bytes) -> int | None:
    """The first directory's entry. Raises struct.error where it is cut short."""
    start = _HEADERS.match(exif).end()  # type: ignore[union-attr]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[start : start + 4])
    if order is None:
        return None
    directory = start + struct.unpack_from(f"{order}I", exif, start + 4)[0]
    for entry in range(struct.unpack_from(f"{order}H", exif, directory)[0]):
        at = directory + 2 + 12 * entry
        tag, kind, count = struct.unpack_from(f"{order}HHI", exif, at)
        if tag == _TAG:
            return struct.unpack_from(order + _NUMBERS[kind], exif, at + 8)[0] if kind in _NUMBERS and count == 1 else None
    return None

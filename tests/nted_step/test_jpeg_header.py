"""A JPEG's header is read as the decoder reads it, and of metadata that keeps a reader busy or bursts memory nothing is read."""

import time
import zlib

import pytest
from PIL import Image

from nted_step.image import ImageError, decode
from nted_step.jpeg_header import MAX_SEGMENTS, read_header
from nted_step.orientation import orientation
from tests.nted_step.test_photos import chunk, drawn, encoded, turned

EXIF = b"Exif\0\0"
HEADERS = 120_000  # of EXIF, one after another; Pillow takes half a minute to look past them
SECONDS = 5
JPEG = encoded(drawn(), "JPEG")


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body


def frame(width: int, height: int, marker: int = 0xC0) -> bytes:
    body = b"\x08" + height.to_bytes(2, "big") + width.to_bytes(2, "big") + b"\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01"
    return segment(marker, body)


def with_segments(*segments: bytes) -> bytes:
    return JPEG[:2] + b"".join(segments) + JPEG[2:]


def png_with(kind: bytes, body: bytes) -> bytes:
    png = encoded(drawn())
    return png[:33] + chunk(kind, body) + png[33:]


LONG = {
    "headers in a JPEG": with_segments(*[segment(0xE1, EXIF * 10_000)] * (HEADERS // 10_000)),
    "headers in a PNG": png_with(b"eXIf", EXIF * HEADERS),
    "headers in a WebP": encoded(drawn(), "WEBP", exif=EXIF * HEADERS),
    "a directory of large entries": encoded(
        drawn(), "WEBP", exif=EXIF + b"MM\0*\0\0\0\x08\x07\xd0" + b"".join(
            (1000 + k).to_bytes(2, "big") + b"\0\x01\0\x20\0\0\0\0\0\x08" for k in range(2000)
        ) + bytes(2**21),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", LONG)
def test_long_metadata_takes_no_time(kind):
    began = time.process_time()
    assert decode(LONG[kind]).size == drawn().size
    assert time.process_time() - began < SECONDS


def test_metadata_in_thousands_of_parts_is_refused():
    began = time.process_time()
    with pytest.raises(ImageError, match=f"more than {MAX_SEGMENTS} parts before its pixels"):
        decode(with_segments(*[segment(0xE1, EXIF + b"x")] * 200_000))
    assert time.process_time() - began < SECONDS


@pytest.mark.parametrize(
    "before",
    [
        frame(16, 16),
        frame(4000, 4000),
        segment(0xF0, frame(16, 16)),
        segment(0xDE, b"xx"),
        b"\xff\xd8",
        b"\xff\xe1\xff\xff",
        b"\xff\xe1\0\1",
    ],
)
def test_a_header_that_the_decoder_reads_otherwise_is_refused(before):
    with pytest.raises(ImageError, match="damaged or cut short"):
        decode(with_segments(before))


@pytest.mark.parametrize("first", [frame(16, 16), frame(*drawn().size)])
def test_a_second_size_is_refused_before_the_decoder_sees_it(first):
    with pytest.raises(ValueError, match="out of order"):
        read_header(with_segments(first))


def test_the_frame_tells_the_size_whatever_metadata_says():
    hidden = with_segments(segment(0xFE, frame(16, 16)), segment(0xE3, frame(4000, 4000)), b"junk", b"\xff\xff\xff", segment(0xDC, b"\0\1"))
    header = read_header(hidden)
    assert header.size == drawn().size == decode(hidden).size and header.components == 3 and header.streamed
    assert decode(hidden).tobytes() == decode(JPEG).tobytes()


def test_the_decoder_gets_nothing_but_the_picture():
    data = with_segments(
        segment(0xE1, EXIF + b"place"), segment(0xFE, b"comment"), segment(0xE2, b"MPF\0MM"), segment(0xED, b"Photoshop 3.0\0")
    )
    reduced = read_header(data).reduced
    assert not any(word in reduced for word in (b"Exif", b"place", b"comment", b"MPF", b"Photoshop"))
    assert read_header(data).exif == b"place" and reduced.startswith(JPEG[:20]) and reduced.endswith(JPEG[-1000:])


@pytest.mark.parametrize("kept", [2, 3, 10, 300])
def test_a_header_cut_short(kept):
    with pytest.raises(ImageError):
        decode(JPEG[:2] + JPEG[2:][:kept])


@pytest.mark.parametrize("number", range(2, 9))
def test_which_way_is_up(number):
    assert orientation(read_header(turned("JPEG", number)).exif, b"") == number
    assert orientation(b"", b'<x tiff:Orientation="%d"/>' % number) == number


@pytest.mark.parametrize(
    "exif", [b"", b"II*\0", b"MM\0*\0\0\0\x08", b"II*\0\xff\xff\xff\xff", EXIF * 5, b"MM\0*\0\0\0\x08\0\1\1\x12\0\x05\0\0\0\1\0\0\0\6"]
)
def test_damaged_metadata_says_nothing(exif):
    assert orientation(exif, b"") == 1


def test_a_text_as_imagemagick_writes_it():
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = EXIF.hex() + exif.tobytes().removeprefix(EXIF).hex()
    text = f"\nexif\n{len(profile) // 2:8}\n{profile}\n".encode()
    image = decode(png_with(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text)))
    assert image.size == drawn().size[::-1]

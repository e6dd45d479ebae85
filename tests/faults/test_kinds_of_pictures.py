"""RGBA, palette, 16 bits, CMYK, turned by EXIF: the right way up, and RGB."""

import io

import numpy as np
import pytest
from PIL import Image

from nted_step.image import decode
from tests.faults.conftest import encoded, picture

# What a phone writes for each of the eight ways to hold it: the stored picture, out of the upright one.
STORED = {
    1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
}  # fmt: skip


@pytest.mark.parametrize(
    "kind,mode",
    [
        ("PNG", "RGB"),
        ("PNG", "P"),
        ("PNG", "L"),
        ("PNG", "RGBA"),
        ("PNG", "LA"),
        ("PNG", "1"),
        ("JPEG", "CMYK"),
        ("JPEG", "L"),
        ("WEBP", "RGB"),
        ("PNG", "I;16"),
    ],
)
def test_every_common_kind_becomes_rgb(kind, mode):
    image = picture().convert("L").convert("I;16") if mode == "I;16" else picture().convert(mode)
    assert decode(encoded(image, kind)).mode == "RGB"


def test_sixteen_bits_are_scaled_not_clipped():
    grey = Image.fromarray(np.full((40, 40), 32768, np.uint16))
    assert abs(np.asarray(decode(encoded(grey)))[0, 0, 0] - 128) <= 1


def test_cmyk_keeps_its_colours():
    red = Image.new("RGB", (40, 40), (200, 30, 30)).convert("CMYK")
    assert np.abs(np.asarray(decode(encoded(red, "JPEG", quality=95)))[20, 20].astype(int) - (200, 30, 30)).max() < 12


def test_transparency_lies_on_white():
    clear = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    assert decode(encoded(clear)).getpixel((3, 3)) == (255, 255, 255)
    palette = Image.new("P", (40, 40), 0)
    assert decode(encoded(palette, transparency=0)).getpixel((3, 3)) == (255, 255, 255)


@pytest.mark.parametrize("orientation", STORED)
def test_exif_turns_the_picture(orientation):
    upright = picture(0, 40, 60)
    stored = upright if STORED[orientation] is None else upright.transpose(STORED[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert np.array_equal(np.asarray(decode(encoded(stored, "PNG", exif=exif))), np.asarray(upright))


def test_a_turned_photo_gives_the_page_the_same_as_an_upright_one(visitor, joints):
    upright, exif = picture(3), Image.Exif()
    exif[0x0112] = 6
    turned = encoded(upright.transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif)
    results = [visitor.generate(visitor.upload(data), joints) for data in (encoded(upright), turned)]
    assert results[0] == results[1] and Image.open(io.BytesIO(results[0])).mode == "RGB"

"""Masks that a page sends: what is opaque counts, and nothing large is decoded."""

import base64

import numpy as np
import pytest
from PIL import Image, ImageFile

from appearance_control.studio.mask_images import PREFIX, mask_url, read_mask
from nted_step.image import encode_image

SIZE = (64, 44)


def url(image: Image.Image, kind: str = "PNG") -> str:
    return PREFIX + base64.b64encode(encode_image(image, kind)).decode()


def test_there_and_back():
    mask = np.zeros(SIZE, bool)
    mask[10:30, 5:20] = True
    assert np.array_equal(read_mask(mask_url(mask), SIZE), mask)


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 255)])
def test_what_is_opaque_counts_whatever_its_colour(colour):
    pixels = np.zeros((*SIZE, 4), np.uint8)
    pixels[...] = (*(255 - value for value in colour), 0)
    pixels[:20] = (*colour, 255)
    assert np.array_equal(read_mask(url(Image.fromarray(pixels)), SIZE), pixels[..., 3] > 0)


@pytest.mark.parametrize("size", [(45, 64), (44, 63), (4400, 6400)])
def test_another_size_is_refused_before_it_is_decoded(monkeypatch, size):
    large = url(Image.new("L", size))
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("it was decoded"))
    with pytest.raises(ValueError, match=rf"a mask is 44x64 pixels, not {size[0]}x{size[1]}"):
        read_mask(large, SIZE)


@pytest.mark.parametrize(
    "sent",
    [None, 3, "", "data:image/png,x", PREFIX + "!", PREFIX, PREFIX + "AAAA", url(Image.new("L", (44, 64)), "GIF"), PREFIX + "A" * 400_000,
     url(Image.new("L", (44, 64)))[:-40] + "AAAA"],
)  # fmt: skip
def test_what_is_no_mask_is_refused(sent):
    with pytest.raises(ValueError, match="mask"):
        read_mask(sent, SIZE)

"""Masks on their way between the page and Python: PNG pictures in ``data:`` URLs, opaque where the garment is."""

from __future__ import annotations

import base64
import binascii
import io
from typing import Any

import numpy as np
from PIL import Image

from nted_step.image import encode_image

PREFIX = "data:image/png;base64,"
MAX_CHARACTERS = 400_000  # of a URL; a painted mask has a few thousand
COLOUR = (79, 70, 229)


def read_mask(url: Any, size: tuple[int, int]) -> np.ndarray:
    """The URL of a canvas-sized PNG -> H x W bool. Raises ValueError, before decoding anything large."""
    if not isinstance(url, str) or not url.startswith(PREFIX):
        raise ValueError("a mask is a PNG picture")
    if len(url) > MAX_CHARACTERS:
        raise ValueError(f"a mask of {len(url)} characters is more than the {MAX_CHARACTERS} allowed")
    try:
        with Image.open(io.BytesIO(base64.b64decode(url[len(PREFIX) :], validate=True)), formats=["PNG"]) as image:
            if image.size != size[::-1]:
                raise ValueError(f"a mask is {size[1]}x{size[0]} pixels, not {image.width}x{image.height}")
            return np.array(image.convert("RGBA").getchannel("A")) > 127
    except (OSError, SyntaxError, binascii.Error, Image.DecompressionBombError):
        raise ValueError("the mask is not a PNG picture, or damaged") from None


def mask_url(mask: np.ndarray) -> str:
    """H x W bool -> URL, in the colour in which the page paints."""
    pixels = np.zeros((*mask.shape, 4), np.uint8)
    pixels[mask] = (*COLOUR, 255)
    return PREFIX + base64.b64encode(encode_image(Image.fromarray(pixels))).decode()

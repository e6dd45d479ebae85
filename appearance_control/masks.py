"""Masks of garments: checked, read from pictures and turned into pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from nted_step.image import ImageError, decode

LEAST_PIXELS = 24  # on a canvas of 256x176; a smaller mask is no garment
MOST_SHARE = 0.98
BASE_PIXELS = 256 * 176


class MaskError(ValueError):
    """A mask that cannot be used; the message is one line that says what was found."""


def check_mask(mask: np.ndarray, size: tuple[int, int], name: str = "the mask") -> np.ndarray:
    """The mask as H x W bool. Raises MaskError for another size, an empty, a tiny or a full one."""
    mask = np.asarray(mask)
    if mask.shape != tuple(size):
        raise MaskError(f"{name} is {'x'.join(map(str, mask.shape))}, the canvas {size[0]}x{size[1]}")
    if mask.dtype != bool:
        if not np.isfinite(mask).all():
            raise MaskError(f"{name} holds numbers that are not finite")
        mask = mask > (127 if mask.dtype == np.uint8 else 0.5)
    count = int(mask.sum())
    if count == 0:
        raise MaskError(f"{name} is empty: paint the garment in it")
    if count < max(1, LEAST_PIXELS * mask.size // BASE_PIXELS):
        raise MaskError(f"{name} has only {count} pixels: too little for a garment")
    if count > MOST_SHARE * mask.size:
        raise MaskError(f"{name} covers {count / mask.size:.0%} of the picture: leave out what is not the garment")
    return mask


def load_mask(path: str | Path, size: tuple[int, int]) -> np.ndarray:
    """Read a black-and-white picture of exactly the canvas's size: H x W bool, white inside. Raises MaskError or ImageError."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror or 'cannot be read'}") from None
    return check_mask(np.array(decode(data, str(path)).convert("L")), size, str(path))


def mask_image(mask: np.ndarray) -> Image.Image:
    """H x W bool -> 8-bit greyscale picture, white inside."""
    return Image.fromarray(mask.astype(np.uint8) * 255)

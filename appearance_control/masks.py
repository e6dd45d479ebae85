"""Masks of garments: read from pictures of any kind, checked, and turned into pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from nted_step.image import FittedPhoto, read_picture

LEAST_PIXELS = 24  # on a canvas of 256x176; a smaller mask is no garment
MOST_SHARE = 0.98
BASE_PIXELS = 256 * 176
MOST_BETWEEN = 0.1  # of the pixels that may be neither dark nor bright: soft edges
MOST_COLOURED = 0.02  # of the pixels that may have a colour
HOW = "paint the garment white and everything else black, or the garment alone on a transparent ground"


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


def load_mask(path: str | Path, size: tuple[int, int], photo: FittedPhoto | None = None) -> np.ndarray:
    """A picture of a mask -> H x W bool; :func:`inside` says what of it is the garment.

    Args:
        path: JPEG, PNG or WebP.
        size: canvas (H, W). The picture has this size, or its shape and any larger size.
        photo: the garment's photo, if the mask was drawn on that, at any size, and not on the canvas. The mask is fitted as
            the photo was.

    Raises:
        MaskError: a picture that is no mask, or one of another shape.
        ImageError: a file that cannot be read.
    """
    name = str(path)
    picture = read_picture(path, name)
    shape = (picture.height, picture.width)
    mask = inside(picture, name)
    if photo is not None:
        if not _same_shape(shape, photo.photo_size):
            remedy = "if it was drawn on the fitted photo, give --mask-on photo" if _same_shape(shape, size) else "draw it on all of that"
            theirs = _text(photo.photo_size)
            raise MaskError(f"{name} is {_text(shape)} (height x width), of another shape than the photo ({theirs}): {remedy}")
        return check_mask(np.asarray(photo.lay(mask_image(mask)).getchannel(0)), size, name)
    if shape != tuple(size) and shape[0] > size[0] and _same_shape(shape, size):
        mask = np.asarray(mask_image(mask).resize((size[1], size[0]), Image.Resampling.BOX)) > 127
    if mask.shape != tuple(size):
        raise MaskError(
            f"{name} is {_text(shape)} (height x width), the canvas {_text(size)}: draw it on what `python -m nted_step fit` saves "
            "of the photo, or give --mask-on original if it was drawn on the photo itself"
        )
    return check_mask(mask, size, name)


def inside(picture: Image.Image, name: str = "the mask") -> np.ndarray:
    """What of a picture is the garment: H x W bool, at the picture's own size.

    Where anything is transparent, the opaque rest. Otherwise, of two colours of which one is black, the other, whatever it
    is; of black and white with soft edges, what is nearer to white. Raises MaskError for any other picture.
    """
    if picture.has_transparency_data:
        alpha = np.asarray(picture.convert("RGBA").getchannel("A"))
        if alpha.min() < 255:
            return alpha > 127
    if picture.mode.startswith("I"):  # 16 bits
        levels = np.asarray(picture)
        values = np.unique(levels).tolist()
        if len(values) == 2 and values[0] == 0:
            return levels > 0
        grey = np.clip(levels // 257, 0, 255)
    else:
        colours = picture.convert("RGB")
        two = colours.getcolors(2) or []
        if len(two) == 2 and (0, 0, 0) in (colour for _, colour in two):
            return np.asarray(np.any(np.asarray(colours), axis=-1))
        channels = np.asarray(colours)
        coloured = float((channels.max(-1) - channels.min(-1) > 48).mean())
        if coloured > MOST_COLOURED:
            raise MaskError(f"{name} is a picture in colours, not a mask ({coloured:.0%} of it is coloured): {HOW}")
        grey = np.asarray(colours.convert("L"))
        counts = (picture if picture.mode in ("L", "P") else Image.fromarray(grey)).histogram()
        values = [value for value, count in enumerate(counts) if count]
    between = float(((grey > 63) & (grey < 192)).mean())
    if len(values) > 1 and (between > MOST_BETWEEN or grey.max() <= 127):
        raise MaskError(f"{name} holds the values {_few(values)}: more than inside and outside. From a map of labels save one alone: {HOW}")
    return grey > 127


def _few(values: list[int]) -> str:
    texts = [str(value) for value in values]
    return ", ".join(texts if len(texts) <= 8 else [*texts[:4], "...", texts[-1]])


def _same_shape(shape: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether one (H, W) is the other, scaled: up to rounding to whole pixels, of either."""
    scales = [mine / its for mine, its in zip(shape, other, strict=True)]
    return abs(scales[0] - scales[1]) * max(other) <= 1 + max(scales)


def _text(size: tuple[int, int]) -> str:
    return "x".join(map(str, size))


def mask_image(mask: np.ndarray) -> Image.Image:
    """H x W bool -> 8-bit greyscale picture, white inside."""
    return Image.fromarray(mask.astype(np.uint8) * 255)

"""Pictures of where a result comes from: a glow over the photo, and the learned texture labels in colours."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np
from PIL import Image

GLOW = (255, 214, 10)
RING = 9  # pixels, radius around a place
SHADE = 175  # alpha where a pixel does not draw on the photo
STANDS_OUT = 1.5  # times the mean; below it the strongest place is no place of its own


def glow(mixture: np.ndarray, attention: np.ndarray, at: tuple[float, float], size: tuple[int, int]) -> Image.Image:
    """An RGBA picture of canvas size (H, W) to lay over the photo: glowing where the pixel at (x, y) draws on it, dark elsewhere.

    Args:
        mixture: K x h x w, how much of each texture a pixel of the result takes.
        attention: K x h x w, where in the photo each texture comes from.
        at: (x, y) in canvas pixels.
    """
    source = _source(mixture, attention, at, size)
    heat = cv2.resize(source / max(source.max(), 1e-12), size[::-1], interpolation=cv2.INTER_CUBIC).clip(0, 1)
    picture = np.empty((*size, 4), np.uint8)
    picture[..., :3] = np.where(heat[..., None] > 0.35, GLOW, (10, 10, 16))
    picture[..., 3] = np.where(heat > 0.35, 70 * heat, SHADE * (1 - heat / 0.35))
    return Image.fromarray(picture)


def place_marker(place: tuple[float, float], size: tuple[int, int]) -> Image.Image:
    """An RGBA picture of canvas size (H, W) to lay over the photo: dark but for a ring around one place (x, y) in canvas pixels."""
    picture = np.zeros((*size, 4), np.uint8)
    picture[...] = (10, 10, 16, SHADE)
    centre = tuple(round(16 * value) for value in place)
    cv2.circle(picture, centre, 16 * RING, (0, 0, 0, 0), -1, cv2.LINE_AA, 4)
    cv2.circle(picture, centre, 16 * RING, (*GLOW, 255), 1, cv2.LINE_AA, 4)
    return Image.fromarray(picture)


def is_uniform(mixture: np.ndarray, attention: np.ndarray, at: tuple[float, float], size: tuple[int, int]) -> bool:
    """Whether the pixel draws on all of the photo evenly, as in levels that have not learned to choose; see :func:`glow`."""
    source = _source(mixture, attention, at, size)
    return bool(source.max() < STANDS_OUT * source.mean())


def _source(mixture: np.ndarray, attention: np.ndarray, at: tuple[float, float], size: tuple[int, int]) -> np.ndarray:
    """h x w: how much the result at (x, y) takes from each place of the photo."""
    _, height, width = mixture.shape
    column, row = min(int(at[0] * width / size[1]), width - 1), min(int(at[1] * height / size[0]), height - 1)
    return np.tensordot(mixture[:, row, column], attention, axes=1)


def label_map(mixture: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """The texture that every pixel takes most of, each in a colour of its own, as squares on a canvas (H, W)."""
    strongest = mixture.argmax(axis=0)
    # Golden-angle hues: neighbours in number look as different as any two.
    colours = [colorsys.hsv_to_rgb(k * 0.618 % 1, 0.55 + 0.3 * (k % 2), 0.95 - 0.2 * (k % 3) / 2) for k in range(len(mixture))]
    picture = (np.array(colours)[strongest] * 255).astype(np.uint8)
    return Image.fromarray(picture).resize(size[::-1], Image.Resampling.NEAREST)

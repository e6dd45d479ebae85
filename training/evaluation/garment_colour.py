"""Colour error of garments: the CIEDE2000 difference of each garment's mean colour from the truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from skimage.color import deltaE_ciede2000, rgb2lab
from torch import Tensor

from nted_step.pose import BASE_SIZE

NO_GARMENT = (0, 13, 14, 15)  # background, hair, skin, face
LEAST_PIXELS = 60  # on a 256x176 canvas; smaller pieces are mostly edge


def scaled_area(pixels: int, size: Sequence[int]) -> float:
    """An area of ``pixels`` on a 256x176 canvas, in pixels of a canvas of ``size`` (H, W)."""
    return pixels * (size[0] * size[1]) / (BASE_SIZE[0] * BASE_SIZE[1])


class GarmentColours:
    """The garments of the true images, located once for many comparisons, and their mean colours.

    Args:
        truth: N x 3 x H x W uint8. classes: N x H x W, the truth's class maps.
    """

    def __init__(self, truth: Tensor, classes: Tensor):
        least = scaled_area(LEAST_PIXELS, classes.shape[-2:])
        self.garments = []
        for labels in classes.numpy():
            masks = [labels == label for label in np.unique(labels) if label not in NO_GARMENT]
            self.garments.append([mask for mask in masks if mask.sum() >= least])
        self.colours = self._means(truth)

    def errors(self, image: Tensor) -> np.ndarray:
        """Colour error of every garment in images N x 3 x H x W uint8: one number per garment.

        Colours are averaged in CIELAB (D65) over the pixels where the truth shows the garment.
        """
        return deltaE_ciede2000(self._means(image), self.colours)

    def _means(self, image: Tensor) -> np.ndarray:
        """Mean CIELAB colours, garments x 3."""
        pixels = image.permute(0, 2, 3, 1).numpy()
        means = [rgb2lab(picture[mask]).mean(0) for picture, masks in zip(pixels, self.garments, strict=True) for mask in masks]
        return np.array(means).reshape(-1, 3)

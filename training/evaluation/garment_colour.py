"""Whether garments kept their colours: the CIEDE2000 difference of each garment's mean colour from the truth."""

from __future__ import annotations

import numpy as np
from skimage.color import deltaE_ciede2000, rgb2lab
from torch import Tensor

NO_GARMENT = (0, 13, 14, 15)  # background, hair, skin, face
LEAST_PIXELS = 60  # of a 256x176 canvas; smaller pieces are mostly edge


class GarmentColours:
    """The garments of the true images: where they are, and their mean colours, found once for many comparisons.

    Args:
        truth: N x 3 x H x W uint8. classes: N x H x W, the truth's class maps.
    """

    def __init__(self, truth: Tensor, classes: Tensor):
        least = LEAST_PIXELS * classes[0].numel() / (256 * 176)
        self.garments = []
        for labels in classes.numpy():
            masks = [labels == label for label in np.unique(labels) if label not in NO_GARMENT]
            self.garments.append([mask for mask in masks if mask.sum() >= least])
        self.colours = self._means(truth)

    def errors(self, image: Tensor) -> np.ndarray:
        """Every garment's error in N x 3 x H x W uint8: one number a garment.

        Colours are averaged in CIELAB (D65) over the pixels where the truth shows the garment.
        """
        return deltaE_ciede2000(self._means(image), self.colours)

    def _means(self, image: Tensor) -> np.ndarray:
        """Garments x 3."""
        pixels = image.permute(0, 2, 3, 1).numpy()
        means = [rgb2lab(one[mask]).mean(0) for one, masks in zip(pixels, self.garments, strict=True) for mask in masks]
        return np.array(means).reshape(-1, 3)

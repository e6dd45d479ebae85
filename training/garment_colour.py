"""Whether garments kept their colours: the CIEDE2000 difference of each garment's mean colour from the truth."""

from __future__ import annotations

import numpy as np
from skimage.color import deltaE_ciede2000, rgb2lab
from torch import Tensor

NO_GARMENT = (0, 13, 14, 15)  # background, hair, skin, face
LEAST_PIXELS = 60  # of a 256x176 canvas; smaller pieces are mostly edge


def colour_errors(image: Tensor, truth: Tensor, classes: Tensor) -> np.ndarray:
    """Every garment's error: image, truth N x 3 x H x W uint8, classes N x H x W of the truth -> one number a garment.

    Both images' colours are averaged in CIELAB (D65) over the pixels where the truth shows the garment.
    """
    least = LEAST_PIXELS * classes[0].numel() / (256 * 176)
    errors = []
    for ours, theirs, labels in zip(image, truth, classes.numpy(), strict=True):
        ours, theirs = (rgb2lab(picture.permute(1, 2, 0).numpy()) for picture in (ours, theirs))
        masks = (labels == label for label in np.unique(labels) if label not in NO_GARMENT)
        errors += [deltaE_ciede2000(ours[mask].mean(0), theirs[mask].mean(0)) for mask in masks if mask.sum() >= least]
    return np.array(errors)

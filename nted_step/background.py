"""The photo without its person, for results that stay in the photo."""

from __future__ import annotations

import cv2
import numpy as np

MARGIN = 0.02  # of the photo's height: how far beyond the mask a person still colours the pixels
HEIGHT = 256  # at which the hole is filled; a larger fill would be no better, and slow
FOOT = 0.045  # of the photo's height: of a foot below its ankle
RADIUS = 4  # pixels at that height from which a pixel of the hole takes its colour


def remove_person(photo: np.ndarray, mask: np.ndarray, ankles: np.ndarray | None = None) -> np.ndarray:
    """Fill the place of a person from what lies around it (Telea, 2004).

    Args:
        photo: H x W x 3 uint8.
        mask: h x w float in [0, 1], the person; of any size.
        ankles: N x 2, x and y as shares of the width and the height: shoes and their shadows, which masks often miss, are filled too.

    Returns:
        H x W x 3 uint8: the photo itself outside the person, with a soft seam.
    """
    height, width = photo.shape[:2]
    small_size = (round(width * HEIGHT / height), HEIGHT)
    person = (cv2.resize(mask.astype(np.float32), small_size) > 0.2).astype(np.uint8)
    for x, y in [] if ankles is None else ankles * small_size:
        centre, axes = (round(x), round(y + FOOT * HEIGHT / 2)), (round(FOOT * HEIGHT * 0.8), round(FOOT * HEIGHT))
        cv2.ellipse(person, centre, axes, 0, 0, 360, 1, thickness=-1)
    reach = 2 * round(MARGIN * HEIGHT) + 1
    hole = cv2.dilate(person, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    filled = cv2.inpaint(cv2.resize(photo, small_size, interpolation=cv2.INTER_AREA), hole, RADIUS, cv2.INPAINT_TELEA)
    smooth = cv2.GaussianBlur(filled, (0, 0), 2)
    seam = cv2.GaussianBlur(hole.astype(np.float32), (0, 0), 2)
    share = cv2.resize(np.maximum(seam, hole * 0.999), (width, height))[..., None]
    return (share * cv2.resize(smooth, (width, height)) + (1 - share) * photo).round().astype(np.uint8)

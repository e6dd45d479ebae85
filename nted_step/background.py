"""The photo without its person, for results that stay in the photo."""

from __future__ import annotations

import cv2
import numpy as np

from nted_step.pose import Pose

HEIGHT = 256  # at which colours are filled in; a larger fill would be no better, and slow
MARGIN = 5  # pixels at that height: how far beyond the mask a person still colours the pixels, from which no colour may be taken
EDGE = 2  # and how far beyond it the fill is shown; the rest of the margin stays the photo's
RADIUS = 4  # pixels at that height from which a pixel of the hole takes its colour
GRAIN = 0.012  # of the photo's height, a standard deviation: what is finer is texture
FOREARMS, ANKLES = ((3, 4), (6, 7)), (10, 13)  # elbow and wrist, and ankles, among the joints
HAND = 0.5  # of the forearm: how far beyond the wrist the middle of a hand is at most, and half of its length
SHOE_BELOW, SHOE = 0.035, 0.06  # of the photo's height: the middle of a shoe below its ankle, and half of its length
MIRRORS = 3  # how often texture is mirrored on, from edge to edge


def hands_and_shoes(pose: Pose, size: tuple[int, int]) -> np.ndarray:
    """Discs round the hands and shoes of a pose on a canvas of ``size`` (H, W), as :func:`remove_person` takes them: N x 3."""
    height, width = size
    discs = []
    for elbow, wrist in FOREARMS:
        if pose.visible[[elbow, wrist]].all():
            along = HAND * (pose.xy[wrist] - pose.xy[elbow])
            discs.append((*((pose.xy[wrist] + along) / (width, height)), min(np.hypot(*along) / height, SHOE)))
    for ankle in ANKLES:
        if pose.visible[ankle]:
            discs.append((*(pose.xy[ankle] / (width, height) + (0, SHOE_BELOW)), SHOE))
    return np.array(discs, np.float64).reshape(-1, 3)


def remove_person(photo: np.ndarray, mask: np.ndarray, ends: np.ndarray | None = None) -> np.ndarray:
    """Fill the place of a person: colours spread into it from around (Telea, 2004), and texture is mirrored into it at its edge.

    Args:
        photo: H x W x 3 uint8.
        mask: h x w float in [0, 1], the person; of any size.
        ends: N x 3, discs round hands and shoes, which masks often miss: x and y as shares of the width and the height, and the radius
            as a share of the height.

    Returns:
        H x W x 3 uint8: the photo itself outside the person, with a soft seam.
    """
    height, width = photo.shape[:2]
    size = (round(width * HEIGHT / height), HEIGHT)
    person = _person(mask, ends, size)
    hole = _grown(person, MARGIN)
    colours = cv2.inpaint(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), hole, RADIUS, cv2.INPAINT_TELEA)
    smooth = cv2.resize(cv2.GaussianBlur(colours, (0, 0), GRAIN * HEIGHT), (width, height), interpolation=cv2.INTER_LINEAR)
    inside = cv2.resize(hole, (width, height), interpolation=cv2.INTER_LINEAR)
    filled = smooth + _mirrored(_texture(photo, inside), inside)
    shown = cv2.GaussianBlur(_grown(person, EDGE).astype(np.float32), (0, 0), 1)
    share = cv2.resize(np.maximum(shown, _grown(person, EDGE - 1)), (width, height))[..., None]
    return (share * filled + (1 - share) * photo).round().clip(0, 255).astype(np.uint8)


def _person(mask: np.ndarray, ends: np.ndarray | None, size: tuple[int, int]) -> np.ndarray:
    """Where the person is, hands and shoes included: uint8, 0 or 1, of ``size`` (width, height)."""
    person = (cv2.resize(mask.astype(np.float32), size) > 0.3).astype(np.uint8)
    for x, y, radius in [] if ends is None else ends * (*size, size[1]):
        cv2.circle(person, (round(x), round(y)), round(radius), 1, thickness=-1)
    return person


def _grown(mask: np.ndarray, pixels: int) -> np.ndarray:
    return cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1)))


def _texture(photo: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """What is finer than the grain outside the hole, H x W x 3 float32, as if nothing were in the hole."""
    outside = (hole == 0).astype(np.float32)[..., None]
    sigma = GRAIN * len(photo)
    near = cv2.GaussianBlur(outside, (0, 0), sigma)[..., None]
    mean = cv2.GaussianBlur(photo * outside, (0, 0), sigma) / np.maximum(near, 1e-3)
    return (photo - mean) * outside


def _mirrored(texture: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """For each pixel of the hole the texture on the other side of the nearest edge; where that is inside the hole again, what was
    mirrored there. H x W x 3."""
    height, width = hole.shape
    _, labels = cv2.distanceTransformWithLabels(hole, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    edge = np.zeros((labels.max() + 1, 2), np.int64)
    rows, columns = np.nonzero(hole == 0)
    edge[labels[rows, columns]] = np.stack([rows, columns], axis=1)
    rows, columns = np.nonzero(hole)
    there = np.abs(2 * edge[labels[rows, columns]] - np.stack([rows, columns], axis=1))  # mirrored at the photo's borders, too
    last = np.array([height - 1, width - 1])
    row, column = np.minimum(there, np.abs(2 * last - there)).clip(0, last).T
    texture = texture.copy()
    for _ in range(MIRRORS):
        texture[rows, columns] = texture[row, column]
    return texture

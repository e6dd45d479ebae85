"""Poses to start from. A preset is a set of limb directions, so it keeps the body it is put on: only the angles change."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from nted_step.pose import JOINTS, Pose

# The joint each joint hangs from; the neck is the root. Parents come before children in ORDER.
PARENTS: tuple[int | None, ...] = (1, None, 1, 2, 3, 1, 5, 6, 1, 8, 9, 1, 11, 12, 0, 0, 14, 15)
ORDER = (1, 0, 2, 5, 8, 11, 3, 6, 9, 12, 4, 7, 10, 13, 14, 15, 16, 17)

# A standing person, facing us, in a box one unit high: x from the middle line, y from the top of the head.
STANDING_UNIT = (
    (0.0, 0.075), (0.0, 0.175), (-0.092, 0.18), (-0.118, 0.325), (-0.125, 0.46), (0.092, 0.18), (0.118, 0.325),
    (0.125, 0.46), (-0.055, 0.485), (-0.058, 0.71), (-0.06, 0.925), (0.055, 0.485), (0.058, 0.71), (0.06, 0.925),
    (-0.018, 0.058), (0.018, 0.058), (-0.04, 0.068), (0.04, 0.068),
)  # fmt: skip

# joint -> (direction in degrees, length factor). 0 hangs straight down, 90 points to the right of the picture, 180 up.
# The factor foreshortens a limb that comes towards the camera.
Directions = Mapping[str, tuple[float, float]]
PRESETS: dict[str, Directions] = {
    "stand": {
        "right elbow": (-10, 1), "right wrist": (-3, 1), "left elbow": (10, 1), "left wrist": (3, 1),
        "right knee": (-1, 1), "right ankle": (0, 1), "left knee": (1, 1), "left ankle": (0, 1),
    },
    "wave": {"right elbow": (-78, 1), "right wrist": (-158, 1)},
    "arms up": {"right elbow": (-150, 1), "right wrist": (-172, 1), "left elbow": (150, 1), "left wrist": (172, 1)},
    "arms out": {"right elbow": (-88, 1), "right wrist": (-90, 1), "left elbow": (88, 1), "left wrist": (90, 1)},
    "hands on hips": {
        "right elbow": (-42, 0.95), "right wrist": (38, 0.85), "left elbow": (42, 0.95), "left wrist": (-38, 0.85),
    },
    "step": {
        "right elbow": (-22, 1), "right wrist": (-8, 1), "left elbow": (20, 1), "left wrist": (34, 0.95),
        "right knee": (-10, 0.97), "right ankle": (-6, 1), "left knee": (12, 0.97), "left ankle": (8, 0.98),
    },
}  # fmt: skip


def standing(size: tuple[int, int], box: tuple[float, float, float, float] | None = None) -> Pose:
    """A standing person on a canvas (H, W), filling ``box`` (left, top, right, bottom) or most of the canvas."""
    height, width = size
    left, top, right, bottom = box or (0, 0, width, height)
    tall = min(0.92 * (bottom - top), (right - left) / 0.42)
    middle, head = (left + right) / 2, (top + bottom - tall) / 2
    xy = np.array(STANDING_UNIT) * tall + (middle, head)
    return Pose(xy, np.ones(len(JOINTS), bool))


def apply(directions: Directions, pose: Pose, size: tuple[int, int]) -> Pose:
    """The pose with its limbs turned to the preset's directions and their lengths kept; the rest follows its parent.

    Args:
        directions: one entry of :data:`PRESETS`.
        pose: any pose; a joint that hangs from a missing one stays as it is.
        size: (H, W) of the canvas; a figure that would leave it is moved, and made smaller where it must be.
    """
    turned = {JOINTS.index(name): direction for name, direction in directions.items()}
    old = pose.xy.astype(float)
    new = old.copy()
    for joint in ORDER:
        parent = PARENTS[joint]
        if parent is None or not (pose.visible[joint] and pose.visible[parent]):
            continue
        bone = old[joint] - old[parent]
        if joint in turned:
            degrees, factor = turned[joint]
            angle = math.radians(degrees)
            bone = np.hypot(*bone) * factor * np.array([math.sin(angle), math.cos(angle)])
        new[joint] = new[parent] + bone
    return Pose(_inside(new, pose.visible, size), pose.visible)


def _inside(xy: np.ndarray, visible: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The points with the visible ones on the canvas: scaled down together if too large, then moved no further than needed."""
    canvas = np.array((size[1], size[0]), float)
    low, high = xy[visible].min(0), xy[visible].max(0)
    middle = (low + high) / 2
    scale = min(1.0, *(canvas / np.maximum(high - low, 1e-6)))
    half = (high - low) * scale / 2
    return (xy - middle) * scale + np.clip(middle, half, canvas - half)

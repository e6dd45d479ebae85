"""Ready-made poses. A preset is a set of limb directions, so it keeps the proportions of the body it is applied to."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from nted_step.pose import JOINTS, Pose

# The joint each joint hangs from; the neck is the root. Parents come before children in ORDER.
PARENTS: tuple[int | None, ...] = (1, None, 1, 2, 3, 1, 5, 6, 1, 8, 9, 1, 11, 12, 0, 0, 14, 15)
FEET = [10, 13]
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


def mirrored(directions: Directions) -> Directions:
    """The same preset seen in a mirror: left is right, and every angle points to the other side."""
    swap = {"right": "left", "left": "right"}
    sided = {joint: joint.split(" ") for joint in directions}
    names = {joint: " ".join([swap.get(words[0], words[0]), *words[1:]]) for joint, words in sided.items()}
    return {names[joint]: (-degrees, factor) for joint, (degrees, factor) in directions.items()}


_LEGS: Directions = {"right knee": (-2, 1), "right ankle": (-1, 1), "left knee": (2, 1), "left ankle": (1, 1)}
_ARMS: Directions = {"right elbow": (-10, 1), "right wrist": (-3, 1), "left elbow": (10, 1), "left wrist": (3, 1)}
_SIDE: Directions = {  # turned to the right of the picture
    "nose": (158, 1.05), "right eye": (-140, 0.9), "right ear": (-96, 1.7),
    "right shoulder": (-90, 0.15), "left shoulder": (90, 0.15), "right hip": (-2, 0.985), "left hip": (2, 0.985),
    "right elbow": (-4, 1), "right wrist": (10, 1), "left elbow": (8, 1), "left wrist": (20, 1),
    "right knee": (3, 1), "right ankle": (-3, 1), "left knee": (1, 1), "left ankle": (-5, 1),
}  # fmt: skip
_BACK: Directions = {
    "right shoulder": (87, 1), "left shoulder": (-87, 1), "right hip": (10, 1), "left hip": (-10, 1),
    "right elbow": (10, 1), "right wrist": (3, 1), "left elbow": (-10, 1), "left wrist": (-3, 1),
    "right knee": (2, 1), "right ankle": (1, 1), "left knee": (-2, 1), "left ankle": (-1, 1),
}  # fmt: skip

PRESETS: dict[str, Directions] = {
    "stand": _LEGS | _ARMS,
    "contrapposto": {
        "right shoulder": (-80, 1), "left shoulder": (97, 1), "right hip": (-13, 0.96), "left hip": (7, 1.03),
        "right elbow": (-14, 1), "right wrist": (-5, 1), "left elbow": (22, 0.97), "left wrist": (-8, 0.95),
        "right knee": (1, 1), "right ankle": (-1, 1), "left knee": (15, 0.96), "left ankle": (2, 1),
    },
    "catwalk": _ARMS | {"right knee": (5, 1), "right ankle": (4, 1), "left knee": (-6, 0.94), "left ankle": (-5, 0.85)},
    "step": {
        "right elbow": (-22, 1), "right wrist": (-8, 1), "left elbow": (20, 1), "left wrist": (34, 0.95),
        "right knee": (-10, 0.97), "right ankle": (-6, 1), "left knee": (12, 0.97), "left ankle": (8, 0.98),
    },
    "hands on hips": _LEGS | {
        "right elbow": (-42, 0.95), "right wrist": (38, 0.85), "left elbow": (42, 0.95), "left wrist": (-38, 0.85),
    },
    "arms crossed": _LEGS | {
        "right elbow": (-12, 0.85), "right wrist": (106, 0.95), "left elbow": (12, 0.95), "left wrist": (-106, 0.95),
    },
    "thinking": _LEGS | {
        "right elbow": (18, 0.8), "right wrist": (160, 1.15), "left elbow": (10, 0.9), "left wrist": (-78, 0.85),
    },
    "wave": {"right elbow": (-78, 1), "right wrist": (-158, 1)},
    "arm up": _LEGS | {"right elbow": (-163, 1), "right wrist": (-176, 1), "left elbow": (42, 0.95), "left wrist": (-38, 0.85)},
    "arms up": {"right elbow": (-150, 1), "right wrist": (-172, 1), "left elbow": (150, 1), "left wrist": (172, 1)},
    "arms out": {"right elbow": (-88, 1), "right wrist": (-90, 1), "left elbow": (88, 1), "left wrist": (90, 1)},
    "star": {
        "right elbow": (-128, 1), "right wrist": (-132, 1), "left elbow": (128, 1), "left wrist": (132, 1),
        "right knee": (-24, 1), "right ankle": (-26, 1), "left knee": (24, 1), "left ankle": (26, 1),
    },
    "dance": {
        "right elbow": (-118, 1), "right wrist": (164, 1), "left elbow": (68, 1), "left wrist": (112, 1),
        "right knee": (-30, 1), "right ankle": (18, 1), "left knee": (7, 1), "left ankle": (3, 1),
    },
    "sit": _ARMS | {
        "right wrist": (16, 0.8), "left wrist": (-16, 0.8),
        "right knee": (-24, 0.42), "right ankle": (-2, 1), "left knee": (24, 0.42), "left ankle": (2, 1),
    },
    "squat": {
        "right elbow": (-18, 0.7), "right wrist": (34, 0.7), "left elbow": (18, 0.7), "left wrist": (-34, 0.7),
        "right knee": (-58, 0.8), "right ankle": (6, 0.9), "left knee": (58, 0.8), "left ankle": (-6, 0.9),
    },
    "side right": _SIDE,
    "side left": mirrored(_SIDE),
    "walk": _SIDE | {
        "right elbow": (-24, 1), "right wrist": (-4, 1), "left elbow": (24, 1), "left wrist": (44, 1),
        "right knee": (22, 1), "right ankle": (6, 1), "left knee": (-14, 1), "left ankle": (-32, 1),
    },
    "run": _SIDE | {
        "right hip": (-15, 0.985), "left hip": (-12, 0.985),
        "right elbow": (-58, 1), "right wrist": (28, 1), "left elbow": (34, 1), "left wrist": (118, 1),
        "right knee": (58, 1), "right ankle": (-6, 1), "left knee": (-24, 1), "left ankle": (-76, 1),
    },
    "kick": _SIDE | {
        "right hip": (4, 0.985), "left hip": (6, 0.985), "right elbow": (-42, 1), "right wrist": (-14, 1), "left elbow": (46, 1),
        "left wrist": (72, 1), "right knee": (78, 1), "right ankle": (72, 1), "left knee": (-4, 1), "left ankle": (-4, 1),
    },
    "kneel": _SIDE | {
        "right elbow": (14, 1), "right wrist": (62, 1), "right knee": (82, 1), "right ankle": (-2, 1), "left knee": (2, 1),
        "left ankle": (-84, 1),
    },
    "sit sideways": _SIDE | {
        "right elbow": (8, 1), "right wrist": (58, 1), "left elbow": (14, 1), "left wrist": (64, 1),
        "right knee": (84, 1), "right ankle": (-2, 1), "left knee": (88, 1), "left ankle": (6, 1),
    },
    "back": _BACK,
    "walk away": _BACK | {"right knee": (5, 0.98), "right ankle": (3, 0.72), "left knee": (-1, 1), "left ankle": (-1, 1)},
}  # fmt: skip

EDGE = 0.04  # of the canvas's width, which no joint of a preset is nearer to a side than

_FACE = ("nose", "right eye", "left eye", "right ear", "left ear")
_TO_RIGHT, _TO_LEFT = ("left eye", "left ear"), ("right eye", "right ear")
HIDDEN: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("side right", "walk", "run", "kick", "kneel", "sit sideways"), _TO_RIGHT),
    "side left": _TO_LEFT, "back": _FACE, "walk away": _FACE,
}  # fmt: skip
"""The joints that a preset hides: the far side of the face, or all of it."""


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
    return Pose(inside(new, pose.visible, size), pose.visible)


def posed(name: str, pose: Pose, size: tuple[int, int]) -> Pose:
    """The pose in a preset: limbs turned, feet back on the ground, invisible joints hidden. Raises KeyError for an unknown name."""
    turned = apply(PRESETS[name], pose, size)
    seen = turned.visible & ~np.isin(JOINTS, HIDDEN.get(name, ()))
    return Pose(grounded(turned.xy, pose, size, pose.visible), seen)


def grounded(xy: np.ndarray, before: Pose, size: tuple[int, int], seen: np.ndarray) -> np.ndarray:
    """The points 18 x 2 moved up or down together, until the lower foot stands as low as in the pose ``before``; those ``seen`` (18 bool)
    stay on the canvas (H, W)."""
    if not (before.visible & seen)[FEET].all():
        return xy
    down = before.xy[FEET, 1].max() - xy[FEET, 1].max()
    down = np.clip(down, -xy[seen, 1].min(), size[0] - xy[seen, 1].max())
    return xy + np.array((0, down))


def inside(xy: np.ndarray, visible: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The points with the visible ones on the canvas, with room for hands and feet at its sides: scaled down together if too large, then
    moved no further than needed."""
    edge = np.array((EDGE * size[1], 0.0))
    canvas = np.array((size[1], size[0]), float) - 2 * edge
    low, high = xy[visible].min(0), xy[visible].max(0)
    middle = (low + high) / 2
    scale = min(1.0, *(canvas / np.maximum(high - low, 1e-6)))
    half = (high - low) * scale / 2
    return (xy - middle) * scale + np.clip(middle - edge, half, canvas - half) + edge

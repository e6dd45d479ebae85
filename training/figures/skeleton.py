"""The skeleton of the template: bones, the joints that they turn about, and the axes of the limbs, all in the rest pose.

Rest space: metres, x to the person's left, y up, z to the front; arms and legs spread (an "A" pose).
"""

from __future__ import annotations

import numpy as np

BONES = (
    "pelvis", "abdomen", "chest", "neck", "head",
    "r_clavicle", "r_arm", "r_forearm", "r_hand", "r_fingers", "l_clavicle", "l_arm", "l_forearm", "l_hand", "l_fingers",
    "r_thigh", "r_shin", "r_foot", "l_thigh", "l_shin", "l_foot",
    "r_hang", "l_hang", "r_carry", "l_carry",
)  # fmt: skip
"""The last four move what hangs over the legs or is carried in a hand."""

BONE = {name: number for number, name in enumerate(BONES)}
PARENT = (-1, 0, 1, 2, 3, 2, 5, 6, 7, 8, 2, 10, 11, 12, 13, 0, 15, 16, 0, 18, 19, 15, 18, 8, 13)  # of each bone; -1 for none

ARM_AXIS = np.array([np.sqrt(0.5), -np.sqrt(0.5), 0], np.float32)  # down the left arm
ARM_OUT = np.array([np.sqrt(0.5), np.sqrt(0.5), 0], np.float32)  # out of the back of the left hand
SHOULDER = np.array([0.163, 1.388, -0.018], np.float32)
UPPER_ARM, FOREARM = 0.275, 0.240  # lengths, metres
ELBOW = SHOULDER + UPPER_ARM * ARM_AXIS
WRIST = ELBOW + FOREARM * ARM_AXIS
HIP = np.array([0.088, 0.925, 0.0], np.float32)
KNEE = np.array([0.128, 0.500, 0.006], np.float32)
ANKLE = np.array([0.163, 0.085, -0.022], np.float32)
LEG_AXIS = (ANKLE - HIP) / np.linalg.norm(ANKLE - HIP)
HEAD_TOP = 1.725  # height of the crown

_LEFT_PIVOT = {
    "clavicle": (0.03, 1.395, -0.01),
    "arm": SHOULDER,
    "forearm": ELBOW,
    "hand": WRIST,
    "fingers": WRIST + 0.088 * ARM_AXIS,
    "thigh": HIP,
    "shin": KNEE,
    "foot": ANKLE,
    "hang": KNEE,
    "carry": WRIST + 0.10 * ARM_AXIS,
}
_MIDDLE_PIVOT = {
    "pelvis": (0, 0.95, 0),
    "abdomen": (0, 1.05, -0.01),
    "chest": (0, 1.19, -0.015),
    "neck": (0, 1.445, -0.025),
    "head": (0, 1.53, -0.005),
}


def _pivots() -> np.ndarray:
    pivots = []
    for name in BONES:
        if name in _MIDDLE_PIVOT:
            pivots.append(_MIDDLE_PIVOT[name])
        else:
            side, part = name.split("_")
            pivots.append(np.asarray(_LEFT_PIVOT[part]) * ([-1, 1, 1] if side == "r" else [1, 1, 1]))
    return np.array(pivots, np.float32)


PIVOTS = _pivots()
"""The joint that each bone turns about, bones x 3 metres."""

FACE_POINTS = np.array(
    [[0, 1.580, 0.112], [-0.031, 1.611, 0.078], [0.031, 1.611, 0.078], [-0.074, 1.598, 0.0], [0.074, 1.598, 0.0]], np.float32
)
"""Nose, right eye, left eye, right ear and left ear on the template, metres."""

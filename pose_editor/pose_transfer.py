"""The pose of one body on another: limbs turn as they do in the one, and keep the lengths of the other."""

from __future__ import annotations

import numpy as np

from nted_step.pose import JOINTS, Pose
from pose_editor import presets

LONG_BONES = tuple(JOINTS.index(name) for name in ("right hip", "right knee", "right ankle", "left hip", "left knee", "left ankle"))
FACE = tuple(JOINTS.index(name) for name in ("nose", "right eye", "left eye", "right ear", "left ear"))
LONGEST = 1.15  # of what a bone measures in a standing person: beyond that the joint, and not the body, is another


def transferred(found: Pose, body: Pose, size: tuple[int, int]) -> Pose:
    """A pose as a person takes it who has other proportions and stands elsewhere, as presets do it.

    Args:
        found: the pose that is taken, on a canvas ``size`` (H, W).
        body: the pose of the person who takes it, on the same canvas.

    Returns:
        The body's joints with every limb turned as in ``found``, and as foreshortened; the feet stand where they stood. Joints of the face
        that are not seen in ``found`` are hidden; other limbs that are not seen there keep the body's directions.
    """
    scale, bones = _scale(found), _bones(found)
    own, own_scale = _bones(body), _scale(body)
    turned = body.xy.astype(float)
    seen = body.visible.copy()
    for joint in presets.ORDER:
        parent = presets.PARENTS[joint]
        if parent is None or not seen[parent]:
            continue
        if bones[joint] is not None:
            unit = _unit_length(joint)
            length = np.hypot(*own[joint]) if own[joint] is not None else unit * own_scale
            away = np.hypot(*bones[joint])
            factor = min(away / (unit * scale), LONGEST)
            turned[joint] = turned[parent] + bones[joint] / max(away, 1e-6) * length * factor
            seen[joint] = True
        elif own[joint] is not None:
            turned[joint] = turned[parent] + own[joint]
    seen[list(FACE)] &= found.visible[list(FACE)]
    placed = Pose(presets.inside(turned, seen, size), seen)
    return Pose(presets.grounded(placed.xy, body, size, seen), seen)


def _bones(pose: Pose) -> list[np.ndarray | None]:
    """From every joint's parent to the joint; None where one of them is hidden, and for the root."""
    return [
        None if parent is None or not (pose.visible[joint] and pose.visible[parent]) else pose.xy[joint].astype(float) - pose.xy[parent]
        for joint, parent in enumerate(presets.PARENTS)
    ]


def _unit_length(joint: int) -> float:
    """How long a bone is in the standing figure, which is one unit high."""
    parent = presets.PARENTS[joint]
    assert parent is not None
    return float(np.hypot(*(np.array(presets.STANDING_UNIT[joint]) - presets.STANDING_UNIT[parent])))


def _scale(pose: Pose) -> float:
    """How high somebody would be, standing: by the bones that are least foreshortened, those of torso and legs where they are seen."""
    bones = _bones(pose)
    ratios = {joint: float(np.hypot(*bone)) / _unit_length(joint) for joint, bone in enumerate(bones) if bone is not None}
    long = [ratios[joint] for joint in LONG_BONES if joint in ratios] or list(ratios.values())
    return max(float(np.quantile(long, 0.75)), 1e-6) if long else 1.0

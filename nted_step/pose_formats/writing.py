"""Poses as text of other tools. What is written reads back as the same pose, to the last bit."""

from __future__ import annotations

from typing import Any

from nted_step.pose import BASE_SIZE, Pose
from nted_step.pose_formats.layouts import COCO_17
from nted_step.pose_formats.numbers import short

MISSING = (0.0, 0.0, 0.0)


def to_text(pose: Pose, size: tuple[int, int] = BASE_SIZE) -> str:
    """18 rows ``x y`` in pixels of the 256x176 canvas, x on its white-padded 256-wide frame, -1 -1 for a missing joint.

    Args:
        size: (H, W) of the canvas that the pose is on.
    """
    return pose.to_text(size)


def to_openpose(pose: Pose, size: tuple[int, int] = BASE_SIZE) -> dict[str, Any]:
    """OpenPose's JSON: 18 body points x, y in pixels and confidence 1, or 0 0 0 for a missing joint; ``size`` is the canvas (H, W)."""
    points = [
        number for (x, y), seen in zip(pose.xy, pose.visible, strict=True) for number in ((short(x), short(y), 1.0) if seen else MISSING)
    ]
    people = [{"person_id": [-1], "pose_keypoints_2d": points}]
    return {"version": 1.3, "people": people, "canvas_width": size[1], "canvas_height": size[0]}


def to_coco(pose: Pose) -> list[float]:
    """COCO's 51 numbers: x, y in pixels and v for 17 keypoints, v = 2 when visible, else 0. The neck is not among them."""
    numbers = [0.0] * 51
    for ours, theirs in enumerate(COCO_17.joints):
        if theirs is not None and pose.visible[ours]:
            x, y = pose.xy[ours]
            numbers[3 * theirs : 3 * theirs + 3] = [short(x), short(y), 2.0]
    return numbers

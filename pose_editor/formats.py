"""The editor's value, together with the pose file formats of :mod:`nted_step.pose_formats`."""

from __future__ import annotations

from typing import Any

import numpy as np

from nted_step.pose import JOINTS, Pose, PoseError
from nted_step.pose_formats import (
    Imported,
    from_coco,
    from_json,
    from_openpose,
    from_text,
    is_number,
    read,
    short,
    to_coco,
    to_openpose,
    to_text,
)

__all__ = [
    "Imported", "check_value", "from_coco", "from_json", "from_openpose", "from_text", "from_value", "read", "to_coco",
    "to_openpose", "to_text", "to_value",
]  # fmt: skip


def to_value(pose: Pose, edit: int = 0) -> dict[str, Any]:
    """The pose as the editor's value: ``{"joints": [[x, y, visible] * 18], "edit": n}``."""
    joints = [[short(x), short(y), bool(seen)] for (x, y), seen in zip(pose.xy, pose.visible, strict=True)]
    return {"joints": joints, "edit": edit}


def from_value(value: Any) -> Pose:
    """The pose in an editor value. Raises PoseError."""
    joints = check_value(value)["joints"]
    return Pose(np.array([row[:2] for row in joints]), np.array([row[2] for row in joints]))


def check_value(value: Any) -> dict[str, Any]:
    """A checked editor value: exactly 18 finite (x, y, visible), and perhaps whose body they were placed on. Raises PoseError."""
    if not isinstance(value, dict) or not set(value) <= {"joints", "edit", "person"} or "joints" not in value:
        raise PoseError('a pose is {"joints": [[x, y, visible], ... 18 of them]}')
    joints, edit = value["joints"], value.get("edit", 0)
    if not isinstance(joints, list) or len(joints) != len(JOINTS):
        count = f"{len(joints)} were given" if isinstance(joints, list) else "they are not a list"
        raise PoseError(f"a pose has exactly 18 joints; {count}")
    if type(edit) is not int or not 0 <= edit < 2**53:
        raise PoseError("the edit number of a pose is a whole number")
    checked = {"joints": [_check_joint(name, row) for name, row in zip(JOINTS, joints, strict=True)], "edit": edit}
    if value.get("person") is None:
        return checked
    if not isinstance(value["person"], str):
        raise PoseError("the person of a pose is a name")
    return checked | {"person": value["person"]}


def _check_joint(name: str, row: Any) -> list[Any]:
    if not isinstance(row, (list, tuple)) or len(row) != 3:
        raise PoseError(f"joint {name!r} must be [x, y, visible]")
    if not is_number(row[0]) or not is_number(row[1]):
        raise PoseError(f"joint {name!r}: x and y must be finite numbers")
    if row[2] not in (0, 1):
        raise PoseError(f"joint {name!r}: visible must be true or false")
    return [float(row[0]), float(row[1]), bool(row[2])]

"""Pose files of other tools, in and out: 18 rows of text, and JSON of OpenPose, COCO and a dozen more.

What cannot be understood raises :class:`nted_step.pose.PoseError` with one line that says what and where. Writing and reading back gives
the same pose, to the last bit.
"""

from nted_step.pose_formats.numbers import is_number, short
from nted_step.pose_formats.reading import READABLE, Imported, from_coco, from_json, from_openpose, from_text, load, read
from nted_step.pose_formats.writing import to_coco, to_openpose, to_text

__all__ = [
    "READABLE", "Imported", "from_coco", "from_json", "from_openpose", "from_text", "is_number", "load", "read", "short", "to_coco",
    "to_openpose", "to_text",
]  # fmt: skip

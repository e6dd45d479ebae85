"""From one pose to another in small steps."""

from __future__ import annotations

import numpy as np

from nted_step.pose import Pose

MAX_FRAMES = 60


def tween(first: Pose, last: Pose, frames: int) -> list[Pose]:
    """``frames`` poses from the first to the last, both included, slow at the ends.

    A joint that only one of the two shows is hidden in between. Raises ValueError for a number of frames out of range.
    """
    if not 2 <= frames <= MAX_FRAMES:
        raise ValueError(f"frames must be 2..{MAX_FRAMES}, not {frames}")
    both = first.visible & last.visible
    between = [(1 - np.cos(np.pi * k / (frames - 1))) / 2 for k in range(1, frames - 1)]
    return [first, *(Pose(first.xy + (last.xy - first.xy) * share, both) for share in between), last]

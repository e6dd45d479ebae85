"""Poses between two poses."""

import numpy as np
import pytest

from nted_step.pose import Pose
from pose_editor import presets
from pose_editor.interpolation import tween

SIZE = (256, 176)


def test_ends_are_exact_and_the_way_is_even() -> None:
    first = presets.standing(SIZE)
    last = presets.posed("star", first, SIZE)
    poses = tween(first, last, 9)
    assert len(poses) == 9 and poses[0] == first and poses[-1] == last
    np.testing.assert_allclose(poses[4].xy, (first.xy + last.xy) / 2, atol=1e-3)


def test_a_joint_that_one_end_hides_is_hidden_between() -> None:
    first = presets.standing(SIZE)
    poses = tween(first, Pose(first.xy, np.arange(18) != 4), 5)
    assert poses[0].visible[4] and not any(pose.visible[4] for pose in poses[1:])


@pytest.mark.parametrize("frames", [-1, 0, 1, 61])
def test_a_wrong_number_of_frames(frames: int) -> None:
    with pytest.raises(ValueError, match="frames must be"):
        tween(presets.standing(SIZE), presets.standing(SIZE), frames)

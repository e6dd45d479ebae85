"""The baselines and the colour error, against what can be worked out by hand."""

import numpy as np
import pytest
import torch

from nted_step.pose import Pose
from training.baselines import limb_warp
from training.garment_colour import GarmentColours


def test_limbs_stay_where_the_pose_stays_and_move_where_it_moves(standing):
    source = torch.rand(3, 64, 44)
    warped = limb_warp(source, standing, standing)
    x, y = standing.xy[3].round().astype(int)
    assert torch.allclose(warped[:, y, x], source[:, y, x], atol=1e-3), "a pixel on a bone that did not move"
    moved = Pose(standing.xy + [3, -2], standing.visible)
    assert torch.allclose(limb_warp(source, standing, moved)[:, y - 2, x + 3], source[:, y, x], atol=1e-3)


def test_a_limb_that_turns_takes_its_pixels_along():
    """A forearm drawn red, turned by a quarter: red where it points now, background where it was."""
    xy, seen = np.zeros((18, 2)), np.zeros(18, bool)
    seen[[1, 2, 3, 4, 8, 11]] = True
    xy[[1, 2, 3, 4, 8, 11]] = [[30, 10], [45, 10], [70, 10], [70, 40], [25, 50], [35, 50]]
    source = torch.ones(3, 80, 120)
    source[1:, 12:39, 68:73] = -1
    turned = xy.copy()
    turned[4] = [100, 10]
    warped = limb_warp(source, Pose(xy, seen), Pose(turned, seen))
    assert warped[1, 10, 85] < -0.9 and warped[0, 10, 85] > 0.9
    assert warped[1, 35, 70] > 0.9


def test_colour_error_is_known_differences():
    white, classes = torch.full((1, 3, 20, 20), 255, dtype=torch.uint8), torch.zeros(1, 20, 20, dtype=torch.int64)
    classes[:, :10], classes[:, 10:15] = 1, 14
    black = white.clone()
    black[:, :, :10] = 0
    garments = GarmentColours(white, classes)
    assert garments.errors(white) == pytest.approx([0])
    assert garments.errors(black) == pytest.approx([100], abs=0.1), "black from white is 100; skin does not count"
    assert len(GarmentColours(white, torch.zeros_like(classes)).errors(white)) == 0

"""What holds for every pose and every ladder, tried on made-up ones."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nted_step import pose_formats
from nted_step.config import NTEDStepConfig
from nted_step.pose import Pose, PoseError, skeleton_map
from nted_step.schedule import degrade, ladder, seeded_noise, start_image

settings.register_profile("steady", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("steady")

sizes = st.sampled_from([(64, 44), (256, 176), (512, 352), (128, 128)])


@st.composite
def poses(draw, size=(256, 176)):
    """On the canvas, with at least one visible joint."""
    side = st.floats(0, 1, width=32)
    xy = np.array(draw(st.lists(st.tuples(side, side), min_size=18, max_size=18))) * (size[1], size[0])
    visible = draw(st.lists(st.booleans(), min_size=18, max_size=18).filter(any))
    return Pose(xy, visible)


@st.composite
def configs(draw):
    """Every shape of ladder that a configuration allows."""
    height = draw(st.sampled_from([16, 32, 64, 128, 256]))
    levels = [16 << k for k in range(height.bit_length() - 4)]
    width = height * draw(st.integers(8, 24)) // 16
    width -= width % (height // 16)
    low = draw(st.integers(1, height)), draw(st.integers(1, width))
    grows = draw(st.sampled_from([None, (height * 2, width * 2), (height * 4, width * 4)]))
    counts = dict.fromkeys(levels, 8)
    labels = {level: 2 if level == 16 or level < height else 0 for level in levels}
    return NTEDStepConfig(
        size=(height, width),
        steps=draw(st.integers(1, 40)),
        min_size=low,
        ladder=draw(st.sampled_from(["linear", "exponential"])),
        channels=counts,
        labels=labels,
        kernels=dict.fromkeys(levels, 1),
        grows_to=grows,
    )


@given(configs())
def test_a_ladder_only_rises_and_ends_on_the_canvas(config):
    levels = ladder(config)
    assert len(levels) == config.steps + 1 and levels[0] == config.min_size and levels[-1] == config.size
    for (h, w), (next_h, next_w) in itertools.pairwise(levels):
        assert 1 <= h <= next_h <= config.size[0] and 1 <= w <= next_w <= config.size[1]


@given(configs())
def test_a_stage_of_growing_has_the_ladder_of_the_whole_where_it_fits(config):
    if config.grows_to is None:
        return
    height, width = config.grows_to
    levels = [16 << k for k in range(height.bit_length() - 4)]
    same = dict.fromkeys(levels, 1)
    whole = dataclasses.replace(
        config, size=(height, width), grows_to=None, channels=same, kernels=same, labels={level: int(level == 16) for level in levels}
    )
    assert [(min(h, config.size[0]), min(w, config.size[1])) for h, w in ladder(whole)] == list(ladder(config))


@given(configs())
def test_a_configuration_survives_json(config):
    assert NTEDStepConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@settings(max_examples=20)
@given(st.sampled_from([(1, 1), (8, 5), (13, 44), (64, 44)]), st.integers(0, 2**32))
def test_degrading_keeps_the_range_and_even_pictures(size, seed):
    image = seeded_noise(seed, (64, 44)).clamp(-1, 1)
    small = degrade(image, size)
    assert small.shape == image.shape and small.min() >= image.min() - 1e-5 and small.max() <= image.max() + 1e-5
    even = torch.full_like(image, 0.25)
    assert torch.allclose(degrade(even, size), even, atol=1e-6)


@settings(max_examples=20)
@given(st.integers(0, 2**63 - 1))
def test_a_seed_means_one_start(seed):
    config = NTEDStepConfig(size=(16, 11), steps=2, min_size=(2, 1), channels={16: 8}, labels={16: 2}, kernels={16: 1})
    source = torch.zeros(1, 3, 16, 11)
    assert torch.equal(start_image(source, seeded_noise(seed, (16, 11)), config), seeded_noise(seed, (16, 11)))


@given(sizes.flatmap(lambda size: st.tuples(st.just(size), poses(size))))
def test_pose_files_read_back(drawn):
    size, pose = drawn
    assert pose_formats.from_openpose(json.dumps(pose_formats.to_openpose(pose, size)), size).people == (pose,) or _tiny(pose)
    text = pose_formats.to_text(pose, size)
    read = Pose.from_text(text, size)
    # -1 stands for a hidden joint in a text file, which x or y of a visible one is not, being on the canvas.
    assert np.array_equal(read.visible, pose.visible) and np.allclose(read.xy, pose.xy, atol=1e-3)


def _tiny(pose: Pose) -> bool:
    """Whether it lies in the first two pixels, and so looks like fractions of a picture."""
    return bool((pose.xy[pose.visible] <= 2).all())


@given(poses((512, 352)), sizes)
def test_a_pose_of_another_canvas_lies_on_ours(pose, size):
    if _tiny(pose):
        return
    read = pose_formats.from_openpose(pose_formats.to_openpose(pose, (512, 352)), size).people[0]
    x, y = read.xy[read.visible].T
    assert x.min() >= -1e-3 and y.min() >= -1e-3 and x.max() <= size[1] + 1e-3 and y.max() <= size[0] + 1e-3


@settings(max_examples=25)
@given(poses((64, 44)))
def test_every_drawable_pose_is_drawn_within_range(pose):
    try:
        pose.require_drawable((64, 44))
    except PoseError as error:
        assert "no limb" in str(error)
        return
    drawn = skeleton_map(pose, (64, 44))
    assert drawn.shape == (20, 64, 44) and drawn.min() >= 0 and drawn.max() <= 1
    assert drawn[:3].max() > 0 and (drawn[3:].flatten(1).min(1).values == 0).any()


@pytest.mark.parametrize(
    "read", [pose_formats.from_json, pose_formats.from_openpose, pose_formats.from_coco, pose_formats.from_text, pose_formats.read]
)
@given(text=st.one_of(st.text(max_size=200), st.text(alphabet='{}[]",:0123456789.-eEnultr ', max_size=200)))
def test_whatever_a_file_holds_is_a_pose_or_one_line(read, text):
    try:
        people = read(text).people
    except PoseError as error:
        assert str(error) and "\n" not in str(error)
    else:
        assert all(isinstance(pose, Pose) for pose in people)

"""Results before the photo's own background."""

import numpy as np
import pytest
import torch

from nted_step.background import hands_and_shoes, remove_person
from nted_step.carrying import cut_out_mask
from nted_step.config import NTEDStepConfig
from nted_step.pipeline import NTEDStepPipeline
from nted_step.pose import Pose
from nted_step.schedule import degrade
from tests.conftest import save_noise

LEVELS = (16, 32, 64, 128)
TINY = NTEDStepConfig(
    size=(128, 88),
    steps=4,
    channels=dict.fromkeys(LEVELS, 8),
    labels={16: 2, 32: 2, 64: 0, 128: 0},
    kernels={16: 1, 32: 3, 64: 3, 128: 1},
    carries=True,
)


def test_a_person_is_filled_from_around_and_the_rest_stays():
    photo = np.full((512, 352, 3), (40, 120, 200), np.uint8)
    mask = np.zeros((128, 88), np.float32)
    photo[128:384, 120:232], mask[32:96, 30:58] = (250, 10, 10), 1
    photo[440:456, 150:166] = (0, 0, 0)  # a shoe that the mask misses
    filled = remove_person(photo, mask, np.array([[158 / 352, 448 / 512, 0.05]]))
    assert filled.shape == photo.shape and np.abs(filled.astype(int) - (40, 120, 200)).max() <= 8
    unknown = remove_person(photo, mask)
    assert np.abs(unknown[448, 158].astype(int)).max() < 20, "without a disc the shoe stays"
    assert np.array_equal(unknown[:60], photo[:60])


def test_texture_goes_on_where_the_person_was_and_the_photo_stays_beside_it():
    random = np.random.default_rng(0)
    photo = (random.normal(128, 30, (512, 352, 1)) + np.array([-10, 0, 10])).clip(0, 255).astype(np.uint8)
    truth, mask = photo.copy(), np.zeros((128, 88), np.float32)
    photo[128:384, 120:232], mask[32:96, 30:58] = (250, 10, 10), 1
    filled = remove_person(photo, mask)
    inside, outside = filled[160:352, 140:212].astype(float), truth[160:352, 140:212].astype(float)
    assert inside.std() == pytest.approx(outside.std(), rel=0.25), "as rough as what it stands in"
    assert np.abs(inside.mean(axis=(0, 1)) - outside.mean(axis=(0, 1))).max() < 8, "and of its colour"
    assert np.array_equal(filled[:, 248:], truth[:, 248:]), "16 pixels beside the mask nothing changes"


def test_hands_and_shoes_are_where_forearms_and_shins_end(standing):
    discs = hands_and_shoes(standing, (64, 44))
    assert discs.shape == (4, 3)
    for (x, y, radius), (start, end) in zip(discs, ((3, 4), (6, 7), (9, 10), (12, 13)), strict=True):
        beyond = np.array([x, y]) * (44, 64) - standing.xy[end]
        assert beyond @ (standing.xy[end] - standing.xy[start]) > 0 and 0 < radius <= 0.06
    assert hands_and_shoes(Pose(np.full((18, 2), -1.0), [False] * 18), (64, 44)).shape == (0, 3)


@pytest.fixture
def pipeline(tmp_path):
    return NTEDStepPipeline.from_pretrained(save_noise(tmp_path, TINY), device="cpu", dtype="float32")


def test_a_step_is_shown_in_the_photo_at_its_own_resolution(pipeline, standing):
    size = pipeline.config.size
    pose = standing.scaled((64, 44), size)
    photo = torch.rand(3, *size) * 2 - 1
    person = pipeline.encode(photo, pose)
    start, *outputs = pipeline.generate(person, pose)
    assert pipeline.in_photo(person, pose, start) is start.image
    for output in outputs:
        mask, behind = (degrade(plane, output.size)[0] for plane in (cut_out_mask(person.carried(pose)), person.background()))
        assert torch.allclose(pipeline.in_photo(person, pose, output), mask * output.image + (1 - mask) * behind, atol=1e-5)
    large = (2 * size[0], 2 * size[1])
    image, mask = pipeline.enlarge(person, pose, outputs[-1], large, in_photo=True)
    plain, same = pipeline.enlarge(person, pose, outputs[-1], large)
    behind = person.background(large)[0]
    assert torch.equal(mask, same) and torch.allclose(image, mask * plain + (1 - mask) * behind, atol=1e-5)


def test_without_the_photos_pose_the_step_is_shown_as_it_is(pipeline, standing):
    size = pipeline.config.size
    pose = standing.scaled((64, 44), size)
    person = pipeline.encode(torch.zeros(3, *size))
    *_, last = pipeline.generate(person, pose, steps=1)
    assert person.background() is None and pipeline.in_photo(person, pose, last) is last.image

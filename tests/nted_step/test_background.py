"""Results before the photo's own background."""

import numpy as np
import pytest
import torch

from nted_step.background import remove_person
from nted_step.carrying import cut_out_mask
from nted_step.config import NTEDStepConfig
from nted_step.pipeline import NTEDStepPipeline
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
    filled = remove_person(photo, mask, np.array([[158 / 352, 436 / 512]]))
    assert filled.shape == photo.shape and np.abs(filled.astype(int) - (40, 120, 200)).max() <= 8
    unknown = remove_person(photo, mask)
    assert np.abs(unknown[448, 158].astype(int)).max() < 20, "without ankles the shoe stays"
    assert np.array_equal(unknown[:60], photo[:60])


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

"""The refinement of a carrier's features by what the photo shows at the places found so far."""

import pytest
import torch

from nted_step.carrier import Refinement
from nted_step.limbs import cell_centres

HERE, ELSEWHERE = (6, 4), (14, 9)


@pytest.fixture
def parts():
    torch.manual_seed(0)
    target, photo = torch.randn(2, 8, 16, 11), torch.randn(2, 8, 16, 11)
    return Refinement(8), target, photo, cell_centres((16, 11), torch.device("cpu")).expand(2, -1, -1, -1).clone()


def test_it_begins_by_correcting_nothing(parts):
    refinement, target, photo, place = parts
    assert torch.equal(refinement(target, photo, place), target)


@torch.no_grad()
def test_it_looks_at_the_photo_where_the_place_is(parts):
    refinement, target, photo, place = parts
    torch.nn.init.normal_(refinement.out.weight)
    place[:, :, HERE[0], HERE[1]] = place[:, :, ELSEWHERE[0], ELSEWHERE[1]]  # this cell of the target is found elsewhere
    changed = photo.clone()
    changed[:, :, ELSEWHERE[0], ELSEWHERE[1]] += 3
    moved = (refinement(target, changed, place) - refinement(target, photo, place)).abs().sum(dim=1)
    assert (moved[:, HERE[0], HERE[1]] > 0.01).all()
    assert (moved[:, HERE[0], HERE[1]] > 3 * moved[:, 0, 0]).all(), "elsewhere hardly, through the normalisation's statistics"


@torch.no_grad()
def test_places_far_apart_stay_apart_in_half_precision(parts):
    refinement, target, photo, place = parts
    torch.nn.init.normal_(refinement.out.weight)
    exact = refinement(target, photo, place + 0.003)
    rough = refinement.bfloat16()(target.bfloat16(), photo.bfloat16(), place + 0.003).float()
    assert (rough - exact).abs().mean() < 0.02 * exact.abs().mean(), "places are not rounded with the features"

"""A garment's own pixels over the wearer's: where it covers, what it bares, and what stays the wearer's."""

import dataclasses
import pickle

import numpy as np
import pytest
import torch

from appearance_control.dressing import DressedPerson, GarmentLayer, class_share, coverage, put_on
from nted_step.carrier import Places
from nted_step.carrying import Carried
from nted_step.classes import CLASSES, LABELS
from nted_step.limbs import cell_centres

SIZE, GRID = (256, 176), (128, 88)


def logits(where, yes=9.0):
    return torch.where(torch.as_tensor(where, dtype=torch.bool), yes, -yes).view(1, 1, *GRID)


def rows(first, last):
    inside = np.zeros(GRID, bool)
    inside[first:last] = True
    return inside


def answer(classes, person=None, seen=None):
    """A carrier that leaves everything in place; ``classes``: name -> h x w bool."""
    scores = torch.zeros(1, 16, *GRID)
    scores[0, 0] = 30
    for name, where in classes.items():
        scores[0, LABELS[name]][torch.from_numpy(where)] = 60
    every = np.ones(GRID, bool)
    place = cell_centres(GRID, torch.device("cpu"))[None]
    person = every if person is None else person
    return Places(place, logits(person), logits(every if seen is None else seen), scores, logits(every), place)


def flat(value, alpha=1.0):
    plane = torch.ones(1, 1, *SIZE)
    return Carried(torch.full((1, 3, *SIZE), value), plane, alpha * plane)


class Known:
    """A person of whom only the carrier's answer and the carried pixels matter."""

    def __init__(self, places, carried):
        self.source, self._places, self._carried = torch.zeros(1, 3, *SIZE), places, carried

    def places(self, pose):
        return self._places

    def carried(self, pose, size=None):
        return self._carried


def layer(person, classes, mask=None, in_pose=None, strength=1.0):
    return GarmentLayer(person, frozenset(classes), mask, in_pose, (), strength)


def on_photo(first, last):
    mask = np.zeros(SIZE, bool)
    mask[2 * first : 2 * last] = True
    return mask


def inside(plane, row):
    return round(plane[0, 0, 2 * row, 88].item(), 3)


def test_what_the_photo_shows_of_a_garment_covers_the_wearer():
    giver = Known(answer({"top": rows(30, 60)}), flat(0.5))
    covered, bared = coverage(layer(giver, ["top"], on_photo(30, 60)), None, answer({}), SIZE)
    assert inside(covered, 45) == 1 and inside(covered, 20) == 0 and inside(covered, 80) == 0 and bared.max() == 0


def test_where_the_photo_shows_nothing_the_expected_class_covers():
    giver = Known(answer({"top": rows(30, 60)}, seen=rows(0, 45)), flat(0.5))
    covered, _ = coverage(layer(giver, ["top"], on_photo(30, 45)), None, answer({}), SIZE)
    assert inside(covered, 40) == 1 and inside(covered, 55) == 1 and inside(covered, 70) == 0
    by_hand, _ = coverage(layer(giver, [], on_photo(30, 45)), None, answer({}), SIZE)
    assert inside(by_hand, 40) == 1 and inside(by_hand, 55) == 0, "the classes of a mask drawn by hand are unknown"


@pytest.mark.parametrize("mine", ["face", "hair", "headwear", "eyeglass"])
def test_head_and_hair_stay_the_wearers(mine):
    giver = Known(answer({"top": rows(10, 60)}), flat(0.5))
    covered, _ = coverage(layer(giver, ["top"], on_photo(10, 60)), None, answer({mine: rows(0, 20)}), SIZE)
    assert inside(covered, 15) == 0 and inside(covered, 40) == 1
    taken, _ = coverage(layer(giver, [mine], on_photo(10, 60)), None, answer({mine: rows(0, 20)}), SIZE)
    assert inside(taken, 15) == 1, "unless that is what is put on"


@pytest.mark.parametrize(
    ("puts_on", "had", "gone", "kept"),
    [
        (["skirt"], {"pants": rows(60, 110)}, [100], [70]),  # trousers under a skirt
        (["top"], {"outer": rows(30, 80)}, [70], [40]),
        (["dress"], {"pants": rows(60, 110), "top": rows(30, 60)}, [100], []),
        (["top"], {"dress": rows(30, 100)}, [], [90]),  # the skirt of a dress stays below a new top
        (["skirt"], {"dress": rows(30, 110)}, [105], [40]),  # and its bodice above a new skirt
        (["footwear"], {"pants": rows(60, 110)}, [], [100]),
    ],
)
def test_the_wearers_own_garment_of_the_kind_goes(puts_on, had, gone, kept):
    first, last = {"skirt": (60, 85), "top": (30, 55), "dress": (30, 90), "footwear": (118, 124)}[puts_on[0]]
    giver = Known(answer({puts_on[0]: rows(first, last)}), flat(0.5))
    covered, bared = coverage(layer(giver, puts_on, on_photo(first, last)), None, answer(had), SIZE)
    assert all(inside(bared, row) == 1 for row in gone)
    assert all(inside(bared, row) == 0 for row in kept)
    assert (covered + bared).max() <= 1


def test_pixels_are_the_garments_inside_and_the_wearers_outside():
    giver = Known(answer({"top": rows(30, 60)}), flat(0.5))
    wearer = Known(answer({"outer": rows(30, 80)}), flat(-0.5))
    carried = DressedPerson(wearer, [layer(giver, ["top"], on_photo(30, 60))]).carried(None)
    assert inside(carried.pixels, 45) == 0.5 and inside(carried.pixels, 10) == -0.5
    assert inside(carried.alpha, 45) == 1 and inside(carried.alpha, 70) == 0 and inside(carried.alpha, 100) == 1, (
        "nothing is carried where it was bared"
    )


def test_strength_blends():
    covered, bared = torch.ones(1, 1, *SIZE), torch.zeros(1, 1, *SIZE)
    half = put_on(flat(-0.5), flat(0.5), covered, bared, 0.5)
    assert half.pixels.abs().max() < 1e-6 and torch.equal(half.alpha, torch.ones_like(half.alpha))
    none = put_on(flat(-0.5), flat(0.5), covered, bared, 0.0)
    assert all(torch.equal(a, b) for a, b in zip(vars(none).values(), vars(flat(-0.5)).values(), strict=True))


def test_one_erased_dot_changes_nothing_but_the_dot():
    giver = Known(answer({"top": rows(30, 60)}), flat(0.5))
    wearer = Known(answer({"pants": rows(60, 110), "face": rows(0, 20)}), flat(-0.5))
    mask = on_photo(30, 60)
    dotted = mask.copy()
    dotted[88:93, 86:91] = False
    whole, erased = (DressedPerson(wearer, [layer(giver, ["top"], one)]).carried(None) for one in (mask, dotted))
    changed = (whole.pixels != erased.pixels).any(dim=1)[0]
    assert changed.any() and changed.sum() < 200 and changed[80:100, 78:100].sum() == changed.sum()


def test_a_person_whose_pose_is_not_known_gives_textures_alone():
    wearer, giver = Known(answer({}), flat(-0.5)), Known(None, None)
    assert torch.equal(DressedPerson(wearer, [layer(giver, ["top"], on_photo(30, 60))]).carried(None).pixels, flat(-0.5).pixels)
    assert DressedPerson(giver, []).carried(None) is None


def test_a_mask_made_in_the_pose_is_taken_as_it_is():
    giver = Known(answer({}), flat(0.5))
    covered, bared = coverage(layer(giver, [], in_pose=on_photo(30, 60)), None, answer({"pants": rows(60, 110)}), SIZE)
    assert torch.equal(covered[0, 0].bool(), torch.from_numpy(on_photo(30, 60))) and bared.max() == 0


def test_class_shares_add_up():
    places = dataclasses.replace(answer({}), classes=torch.randn(1, 16, *GRID))
    background = places.classes.softmax(dim=1)[:, :1]
    assert torch.allclose(class_share(places, CLASSES, GRID) + background, torch.ones(1, 1, *GRID), atol=1e-5)


def test_somebody_dressed_goes_to_another_process_and_is_the_same_there(pipeline, standing):
    wearer, giver = (pipeline.encode(torch.rand(3, 64, 44) * 2 - 1, standing) for _ in range(2))
    coefficients = tuple(torch.ones(1, 1, values.shape[2]) for values in giver.textures(0).values)
    dressed = DressedPerson(wearer, [GarmentLayer(giver, frozenset({"top"}), np.ones((64, 44), bool), None, coefficients, 1.0)])
    there = pickle.loads(pickle.dumps(dressed)).on(pipeline)
    assert all(torch.allclose(a, b) for a, b in zip(there.textures(1).values, giver.textures(1).values, strict=True)), (
        "still in the garment"
    )

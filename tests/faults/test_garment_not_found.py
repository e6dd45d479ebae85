"""A garment that is not found in a photo: a message, finite coefficients, and the person unchanged."""

import pytest
import torch

from appearance_control.garment import Garment, SwapError
from tests.appearance_control.conftest import photos, tiny_parser  # noqa: F401 (fixtures)
from tests.appearance_control.test_swap import TOP, FakeParser, box_mask, images, instance, people, plain, plan_swap  # noqa: F401 (fixtures)


@pytest.mark.parametrize(
    ("parts", "found", "message"),
    [
        (("lower",), TOP, r"B.png: no belt or footwear or leggings or pants or skirt is recognised in it, only top; choose another part"),
        (("upper",), [], r"B.png: no dress or outer or top is recognised in it, nothing at all; choose another part"),
        (("upper",), [*TOP, instance(15, box_mask(0, 8)), instance(15, box_mask(50, 58))], "B.png: 2 people found"),
        (("cape",), TOP, "unknown part 'cape'"),
        ((), TOP, "no part named"),
    ],
)
def test_what_the_parser_cannot_give_is_named(pipeline, people, standing, parts, found, message):  # noqa: F811
    with pytest.raises(ValueError, match=message) as caught:
        plan_swap(pipeline, people[0], [Garment(people[1], parts, name="B.png")], standing, parser=FakeParser(found))
    assert "\n" not in str(caught.value)


def test_a_real_parser_that_has_learned_nothing(pipeline, people, standing, tiny_parser):  # noqa: F811
    """Random weights are sure of no garment."""
    with pytest.raises(SwapError, match=r"B.png: no dress or outer or top is recognised in it, nothing at all"):
        plan_swap(pipeline, people[0], [Garment(people[1], name="B.png")], standing, parser=tiny_parser)


def test_the_person_is_unchanged_when_nothing_was_found(pipeline, people, standing):  # noqa: F811
    before = plain(pipeline, people[0], standing)
    textures = [people[0].textures(t) for t in range(pipeline.config.steps)]
    with pytest.raises(SwapError):
        plan_swap(pipeline, people[0], [Garment(people[1])], standing, parser=FakeParser([]))
    assert all(people[0].textures(t) is textures[t] for t in range(pipeline.config.steps))
    assert all(torch.equal(a, b) for a, b in zip(plain(pipeline, people[0], standing), before, strict=True))


def test_a_mask_smaller_than_a_feature_gives_finite_coefficients(pipeline, people, standing):  # noqa: F811
    plan = plan_swap(pipeline, people[0], [Garment(people[1], mask=box_mask(17, 19, 13, 15))], standing)
    assert all(torch.isfinite(share).all() for share in plan.garments[0].layer.coefficients)
    assert all(torch.isfinite(image).all() for image in images(pipeline.generate(plan.dressed(), standing)))


def test_a_mask_in_which_no_texture_is_clear_leaves_the_wearer_as_is(pipeline, people, standing):  # noqa: F811
    """Coefficients of zero, a note that says so, and the wearer's own picture to the last bit."""
    plan = plan_swap(pipeline, people[0], [Garment(people[1], mask=box_mask(17, 18, 13, 14), strength=0.0)], standing)
    assert all(torch.isfinite(share).all() and share.min() >= 0 and share.max() <= 1 for share in plan.garments[0].layer.coefficients)
    assert all(
        torch.equal(a, b)
        for a, b in zip(images(pipeline.generate(plan.dressed(), standing)), plain(pipeline, people[0], standing), strict=True)
    )

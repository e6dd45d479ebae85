"""Garment swap with the tiny model: what is blended, what stays, what is refused."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from PIL import Image

from appearance_control.__main__ import main
from appearance_control.coefficients import LEAST_SHARE, coefficients, label_shares, mix_textures, transfer_mask
from appearance_control.dressing import DressedPerson
from appearance_control.garment import Garment, SwapError
from appearance_control.masks import MaskError, check_mask, load_mask
from appearance_control.parser import Instance, Parse
from appearance_control.swap import SwapPlanner
from nted_step.classes import LABELS
from nted_step.image import ImageError, load_photo, to_uint8

SIZE = (64, 44)


def box_mask(top=16, bottom=40, left=12, right=32):
    mask = np.zeros(SIZE, bool)
    mask[top:bottom, left:right] = True
    return mask


class FakeParser:
    """A parser with given answers: picture bytes -> instances; any other picture gets the default."""

    def __init__(self, default, **by_photo):
        self.default, self.by_photo, self.parse_count = default, by_photo, 0

    def set_answer(self, image, instances):
        self.by_photo[to_uint8(image).tobytes()] = instances

    def parse_image(self, image):
        self.parse_count += 1
        return Parse(SIZE, tuple(self.by_photo.get(to_uint8(image).tobytes(), self.default)))


def instance(label, mask, score=0.9):
    return Instance(label, score, (0.0, 0.0, 1.0, 1.0), mask)


TOP = [instance(1, box_mask())]


@pytest.fixture
def people(pipeline, photos):
    return [pipeline.encode(load_photo(path, SIZE).image) for path in photos]


def images(stream):
    return [output.image for output in stream]


def plain(pipeline, person, pose):
    return images(pipeline.generate(person, pose, seed=0))


def plan_swap(pipeline, wearer, garments, pose, parser=None):
    return SwapPlanner(pipeline, wearer, pose, parser=parser).plan(garments)


def with_coefficients(plan, value=1.0):
    """The plan with all coefficients of all its garments set to one value."""
    garments = []
    for garment in plan.garments:
        shares = tuple(torch.full_like(share, value) for share in garment.layer.coefficients)
        garments.append(dataclasses.replace(garment, layer=dataclasses.replace(garment.layer, coefficients=shares)))
    return dataclasses.replace(plan, garments=tuple(garments))


def test_blend_by_hand():
    wearer, garment = torch.zeros(1, 2, 3), torch.full((1, 2, 3), 8.0)
    (mixed,) = mix_textures([wearer], [garment], [torch.tensor([[[0.0, 0.5, 1.0]]])], 0.5)
    assert mixed[0].tolist() == [[0, 2, 4], [0, 2, 4]]


def test_shares_and_coefficients_by_hand():
    """Label 0 is used in the upper half only, label 1 in the lower, label 2 in both; the mask is the upper left quarter."""
    use = torch.zeros(1, 3, 4, 4)
    use[:, 0, :2], use[:, 1, 2:], use[:, 2] = 0.5, 0.5, 0.5
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :4, :4] = 1
    logits = use.log()
    assert label_shares(logits, mask).tolist() == [[0.5, 0, 0.25]]
    assert label_shares(logits, torch.zeros(1, 1, 8, 8)).tolist() == [[0, 0, 0]]
    assert LEAST_SHARE == 0.25
    (share,) = coefficients([logits], [logits], mask, torch.zeros(1, 1, 8, 8))
    assert share.tolist() == [[[1, 0, 0]]]
    (share,) = coefficients([logits], [logits], mask, mask.flip(2))  # what the wearer's old garment used goes too
    assert share.tolist() == [[[1, 1, 0]]]
    (share,) = coefficients([logits], [logits], mask, torch.zeros(1, 1, 8, 8), part=True)
    assert share.tolist() == [[[1, 0, 0]]], "the same where something is clearly inside"
    mask[..., 2:, :] = mask[..., :, 2:] = 0  # an eighth of label 0's use and a sixteenth of label 2's
    for part in (False, True):
        (share,) = coefficients([logits], [logits], mask, torch.zeros(1, 1, 8, 8), part=part)
        assert share.tolist() == [[[int(part), 0, 0]]]
    (share,) = coefficients([logits], [logits], *[torch.zeros(1, 1, 8, 8)] * 2, part=True)
    assert share.tolist() == [[[0, 0, 0]]]


def test_a_mask_is_carried_along_the_textures():
    attention, mixture = torch.zeros(2, 4, 4), torch.zeros(2, 4, 4)
    attention[0, 0, 0] = attention[1, 3, 3] = 1  # texture 0 comes from the upper left, texture 1 from the lower right
    mixture[0, :, :2] = mixture[1, :, 2:] = 1  # the rendering is texture 0 on its left, texture 1 on its right
    mask = torch.zeros(4, 4)
    mask[0, 0] = 1
    assert transfer_mask(mask, attention, mixture).tolist() == [[1, 1, 0, 0]] * 4


def test_nothing_blended_is_the_wearer_and_everything_is_the_garments_person(pipeline, people, standing):
    wearer, other = people
    plan = plan_swap(pipeline, wearer, [Garment(other, mask=box_mask())], standing)
    nothing = images(pipeline.generate(with_coefficients(plan, 0.0).dressed(), standing))
    assert all(torch.equal(a, b) for a, b in zip(nothing, plain(pipeline, wearer, standing), strict=True))
    textures = with_coefficients(plan, 1.0).dressed().textures(2).values
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(textures, other.textures(2).values, strict=True))


def test_strength_is_linear_in_the_textures_and_zero_changes_nothing(pipeline, people, standing):
    wearer, other = people
    plan = with_coefficients(plan_swap(pipeline, wearer, [Garment(other, strength=0.0, mask=box_mask())], standing))
    assert torch.equal(images(pipeline.generate(plan.dressed(), standing))[-1], plain(pipeline, wearer, standing)[-1])
    half = DressedPerson(wearer, [dataclasses.replace(plan.garments[0].layer, strength=0.5)]).textures(1).values
    assert all(torch.equal(a, b) for a, b in zip(half, plan.dressed([0.5]).textures(1).values, strict=True))
    for mixed, ours, theirs in zip(half, wearer.textures(1).values, other.textures(1).values, strict=True):
        assert torch.allclose(mixed, (ours + theirs) / 2, atol=1e-5)


def test_coefficients_follow_the_masks_and_are_shared_over_steps(pipeline, people, standing):
    wearer, other = people
    swap = plan_swap(pipeline, wearer, [Garment(other, mask=box_mask(), wearer_mask=box_mask(20, 44))], standing)
    plan = swap.garments[0]
    for share, theirs, ours in zip(plan.layer.coefficients, plan.rendering.distribution, swap.rendering.distribution, strict=True):
        height, width = theirs.shape[2:]
        rows, columns = np.arange(height) * 64 // height, np.arange(width) * 44 // width
        used_inside = []
        for logits, mask in ((theirs, plan.garment_mask), (ours, plan.wearer_mask)):
            inside = torch.from_numpy(mask[np.ix_(rows, columns)])
            use = logits[0].float().softmax(0)
            used_inside.append(use[:, inside].sum(dim=1) / use.sum(dim=(1, 2)))
        shares = torch.maximum(*used_inside)
        expected = (shares > min(LEAST_SHARE, float(shares.max()) / 2)).float()  # masks by hand
        assert torch.equal(share[0, 0], expected)


def test_several_garments_the_later_has_what_both_claim(pipeline, people, standing):
    wearer, other = people
    third = pipeline.encode(-other.source[0])
    garments = [Garment(other, mask=box_mask()), Garment(third, ("shoes",), mask=box_mask(48, 60))]
    plan = with_coefficients(plan_swap(pipeline, wearer, garments, standing))
    plan.garments[1].layer.coefficients[0][..., 0] = 0
    values = plan.dressed().textures(0).values[0]
    assert torch.allclose(values[..., 0], other.textures(0).values[0][..., 0], atol=1e-5)
    assert torch.allclose(values[..., 1:], third.textures(0).values[0][..., 1:], atol=1e-5)


def test_people_are_rendered_once_when_only_the_mask_changes(pipeline, people, standing, monkeypatch):
    planner = SwapPlanner(pipeline, people[0], standing)
    planner.plan([Garment(people[1], mask=box_mask())])
    monkeypatch.setattr(type(pipeline), "generate", lambda *_, **__: pytest.fail("rendered again"))
    changed = planner.plan([Garment(people[1], mask=box_mask(30, 50))])
    assert changed.garments[0].garment_mask.sum() == box_mask(30, 50).sum()


def test_the_parser_gives_the_masks_of_both_people(pipeline, people, standing):
    parser = FakeParser(TOP)
    planner = SwapPlanner(pipeline, people[0], standing, parser=parser)
    (plan,) = planner.plan([Garment(people[1], ("upper",))]).garments
    assert np.array_equal(plan.garment_mask, box_mask()) and np.array_equal(plan.wearer_mask, box_mask())
    assert parser.parse_count == 4  # both people, on the photo and in the pose
    planner.plan([Garment(people[1], ("top",), 0.5)])
    assert parser.parse_count == 4


def test_a_class_that_only_the_soft_rendering_shows_is_not_taken(pipeline, people, standing, monkeypatch):
    monkeypatch.setattr("appearance_control.coefficients.LEAST_SHARE", 0.001)  # of a model of random weights nothing is clear
    parser = FakeParser([*TOP, instance(4, box_mask(16, 60))])  # a top over trousers that looks like a dress
    for person in people:
        parser.set_answer(person.source[0], TOP)
    (plan,) = plan_swap(pipeline, people[0], [Garment(people[1])], standing, parser).garments
    assert np.array_equal(plan.garment_mask, box_mask()) and np.array_equal(plan.wearer_mask, box_mask()) and not plan.notes


def test_what_is_replaced_is_what_the_wearers_own_photo_shows(pipeline, people, standing):
    skirt, pants = instance(LABELS["skirt"], box_mask()), instance(LABELS["pants"], box_mask(30, 60))
    parser = FakeParser([skirt, pants])  # both renderings might show either
    for person, found in zip(people, (pants, skirt), strict=True):
        parser.set_answer(person.source[0], [found])
    (plan,) = plan_swap(pipeline, people[0], [Garment(people[1], ("lower",))], standing, parser).garments
    assert np.array_equal(plan.garment_mask, skirt.mask) and np.array_equal(plan.wearer_mask, pants.mask)


def test_two_people_in_the_wearers_photo_are_named(pipeline, people, standing):
    parser = FakeParser(TOP)
    parser.set_answer(people[0].source[0], [*TOP, instance(15, box_mask(0, 8)), instance(15, box_mask(50, 58))])
    with pytest.raises(SwapError, match="the wearer's photo: 2 people found"):
        plan_swap(pipeline, people[0], [Garment(people[1])], standing, parser)


def test_a_garment_lost_in_the_target_pose_is_carried_from_the_photo(pipeline, people, standing):
    parser = FakeParser([])
    parser.set_answer(people[1].source[0], [instance(1, box_mask(0, 60, 0, 30))])
    (plan,) = plan_swap(pipeline, people[0], [Garment(people[1])], standing, parser).garments
    assert 0 < plan.garment_mask.mean() < 0.98
    assert "carried over from the photo" in plan.notes[0] and "goes over what they have on" in plan.notes[1]


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros(SIZE, bool), "is empty"),
        (np.ones(SIZE, bool), "covers 100% of the picture"),
        (np.ones((10, 10), bool), "is 10x10, the canvas 64x44"),
        (np.ones((*SIZE, 3), bool), "is 64x44x3, the canvas"),
        (np.full(SIZE, np.nan), "not finite"),
    ],
)
def test_masks_that_cannot_be_used(pipeline, people, standing, mask, message):
    for on in ("pose", "photo"):
        with pytest.raises(MaskError, match=message):
            plan_swap(pipeline, people[0], [Garment(people[1], mask=mask, mask_on=on)], standing)


def test_tiny_masks_are_refused():
    mask = np.zeros((256, 176), bool)
    mask[:4, :5] = True
    with pytest.raises(MaskError, match="only 20 pixels"):
        check_mask(mask, (256, 176))


@pytest.mark.parametrize("change", [{"strength": 1.5}, {"strength": float("nan")}, {"mask_on": "wall"}])
def test_wrong_settings_are_refused(pipeline, people, standing, change):
    with pytest.raises(SwapError):
        plan_swap(pipeline, people[0], [Garment(people[1], mask=box_mask(), **change)], standing)
    with pytest.raises(SwapError, match="no garment"):
        plan_swap(pipeline, people[0], [], standing)
    with pytest.raises(SwapError, match="there is no parser"):
        plan_swap(pipeline, people[0], [Garment(people[1])], standing)


def write_pose(path, pose):
    path.write_text("".join(f"{x * 4 + 40} {y * 4}\n" for x, y in pose.xy.tolist()))


def test_swap_command_writes_everything(photos, standing, tiny_weights, tmp_path):
    """With masks made by hand, which need no parser."""
    write_pose(photos[0].with_suffix(".txt"), standing)
    mask = tmp_path / "mask.png"
    Image.fromarray(box_mask().astype(np.uint8) * 255).save(mask)
    out = tmp_path / "out"
    command = ["swap", "--person", str(photos[0]), "--garment", str(photos[1]), "--garment", str(photos[0]), "--parts", "upper",
               "--parts", "shoes,hair", "--strength", "1", "--strength", "0.5", "--mask", str(mask), "--mask", str(mask),
               "--weights", tiny_weights, "--parser", str(tmp_path / "none"), "--device", "cpu", "--output", str(out)]  # fmt: skip
    assert main(command) == 0
    names = {path.name for path in out.iterdir()}
    assert {f"step_{k:02d}.png" for k in range(5)} | {
        "result.png",
        "garment_1_mask.png",
        "garment_2_wearer_mask.png",
        "wearer.png",
    } <= names
    run = json.loads((out / "run.json").read_text())
    assert [g["strength"] for g in run["garments"]] == [1, 0.5] and run["garments"][1]["parts"] == ["shoes", "hair"]
    assert run["parser"] is None
    coefficients = json.loads((out / "coefficients.json").read_text())["garments"]
    assert [len(shares) for shares in coefficients[0]] == [4, 4, 6, 6]
    assert np.array_equal(np.array(Image.open(out / "garment_1_mask.png")) > 0, box_mask())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--mask", "none.png"], "none.png: No such file"),
        (["--strength", "2", "--mask", "MASK"], "strength is 0..1"),
        (["--parts", "cape", "--mask", "MASK"], "unknown part 'cape'"),
        (["--mask", "MASK", "--mask", "MASK"], "1 garments but 2 masks"),
        (["--mask", "PHOTO"], "canvas 64x44"),
        ([], "config.json"),
    ],
)
def test_swap_command_answers_in_one_line(photos, standing, tiny_weights, tmp_path, capsys, change, message):
    write_pose(photos[0].with_suffix(".txt"), standing)
    mask, big = tmp_path / "mask.png", tmp_path / "big.png"
    Image.fromarray(box_mask().astype(np.uint8) * 255).save(mask)
    Image.new("L", (100, 160), 255).save(big)
    change = [{"MASK": str(mask), "PHOTO": str(big)}.get(word, word) for word in change]
    out = tmp_path / "out"
    code = main(["swap", "--person", str(photos[0]), "--garment", str(photos[1]), "--weights", tiny_weights, "--parser", str(tmp_path),
                 "--device", "cpu", "--output", str(out), *change])  # fmt: skip
    printed = capsys.readouterr().err
    assert code == 2 and message in printed and printed.count("\n") == 1 and not out.exists()


def test_a_pose_is_needed(photos, tiny_weights, tmp_path, capsys):
    assert (
        main(["swap", "--person", str(photos[0]), "--garment", str(photos[1]), "--weights", tiny_weights, "--output", str(tmp_path / "o")])
        == 2
    )
    assert "give the target pose with --pose" in capsys.readouterr().err


def test_a_mask_that_is_no_picture_is_refused(tmp_path):
    (tmp_path / "m.png").write_text("no picture")
    with pytest.raises(ImageError, match=r"m\.png: not a JPEG, PNG or WebP"):
        load_mask(tmp_path / "m.png", SIZE)

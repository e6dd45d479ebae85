"""The photo's pixels in the pose: places, blending, and that a person, a dressed one and the far device agree."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from nted_step.carrier import Carrier, CarrierConfig, PhotoFeatures, Places, carry, hold_still, mix_places
from nted_step.carrying import Carried, at_level, carry_person, enlarge
from nted_step.generator import Generator, Textures
from nted_step.limbs import SEGMENTS, cell_centres, limb_places
from nted_step.pipeline import NTEDStepPipeline
from nted_step.pose import Pose, joint_tensor
from nted_step.schedule import degrade, ladder
from nted_step.weights import CarrierState, Weights, WeightsError, load_carrier, load_weights, save_carrier, save_weights

SIZE = (256, 176)
SMALL = CarrierConfig(widths=(8, 8, 16, 24), layers=1, heads=2, cross_layers=1, cross_heads=2)


@pytest.fixture
def standing(standing):
    return standing.scaled((64, 44), SIZE)


@pytest.fixture(scope="module")
def carrier():
    torch.manual_seed(0)
    return Carrier(SMALL).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def carrying_config(tiny_config):
    return dataclasses.replace(tiny_config, size=SIZE, carries=True, **{
        name: dict(zip((16, 32, 64, 128, 256), numbers, strict=True))
        for name, numbers in {"channels": (8, 8, 8, 8, 8), "labels": (4, 4, 4, 0, 0), "kernels": (1, 1, 1, 1, 1)}.items()
    })  # fmt: skip


@pytest.fixture(scope="module")
def weights(carrying_config, carrier):
    torch.manual_seed(1)
    generator = Generator(carrying_config)
    for level in generator.target_image_renderer.convs:
        torch.nn.init.normal_(level.skip_gain)
    return Weights(carrying_config, generator.state_dict(), carrier=CarrierState(SMALL, carrier.state_dict()))


@pytest.fixture(scope="module")
def pipeline(weights):
    return NTEDStepPipeline(weights.build(), device="cpu", dtype="float32", weights=weights)


@pytest.fixture
def photo():
    return torch.rand(3, *SIZE, generator=torch.Generator().manual_seed(2)) * 2 - 1


def same_places(size=(128, 88), person=9.0, seen=9.0, mask=9.0):
    """A carrier's answer that leaves everything where it is."""
    plane = torch.ones(1, 1, *size)
    place = cell_centres(size, torch.device("cpu"))[None]
    return Places(place, person * plane, seen * plane, torch.zeros(1, 16, *size), mask * plane, place)


def test_a_limb_that_moves_takes_its_cells_along(standing):
    moved = Pose(standing.xy + np.float32([6, -4]), standing.visible)
    places, known = limb_places(*(joint_tensor(pose, SIZE)[None] for pose in (standing, moved)), (128, 88), 176 / 256)
    expected = cell_centres((128, 88), torch.device("cpu")) - torch.tensor([6 / 88, -4 / 128])[:, None, None]
    assert known.all() and torch.allclose(places[0], expected.expand_as(places[0]), atol=1e-4)


def test_a_limb_that_turns_keeps_its_width(standing):
    xy = standing.xy.copy()
    xy[3] = xy[2] + (xy[3] - xy[2])[::-1] * (1, -1)  # the right upper arm, a quarter turn
    places, _ = limb_places(*(joint_tensor(pose, SIZE)[None] for pose in (standing, Pose(xy, standing.visible))), (256, 176), 176 / 256)
    arm = next(i for i, (first, last, _) in enumerate(SEGMENTS) if (first, last) == ((2,), (3,)))
    x, y = ((xy[2] + xy[3]) / 2).round().astype(int)
    there = (places[0, arm, :, y, x] + 1) / 2 * torch.tensor([176.0, 256.0])
    assert torch.allclose(there, torch.from_numpy((standing.xy[2] + standing.xy[3]) / 2), atol=1.0)


def test_limbs_that_have_not_moved_stay_where_they_are(standing):
    source = joint_tensor(standing, SIZE)[None]
    moved = standing.xy.copy()
    moved[7] += (-8, -14)  # the left wrist, and nothing else
    target = joint_tensor(Pose(moved, standing.visible), SIZE)[None]
    grid = (128, 88)
    place, centres = torch.rand(1, 2, *grid) * 2 - 1, cell_centres(grid, torch.device("cpu"))
    for joints in (source, target):
        candidates, known = limb_places(source, joints, grid, SIZE[1] / SIZE[0])
        for limb in range(candidates.shape[1]):
            logits = torch.zeros(1, 1 + candidates.shape[1], *grid)
            logits[:, 1 + limb] = 20
            held = hold_still(place, candidates, logits, known)
            away = (candidates[:, limb] - centres).norm(dim=1, keepdim=True)
            near, far = (away < 1e-3).expand_as(place), (away > 0.03).expand_as(place)
            assert torch.allclose(held[near], centres.expand_as(place)[near], atol=0.05)
            assert torch.allclose(held[far], place[far], atol=1e-3)
            assert near.all() or joints is target
    nothing = hold_still(place, candidates, logits, torch.zeros_like(known))
    assert torch.equal(nothing, place)


def test_hidden_limbs_have_no_part_in_the_mixture():
    direct = torch.zeros(1, 2, 4, 4)
    candidates = torch.full((1, 2, 2, 4, 4), 0.5)
    logits = torch.zeros(1, 3, 4, 4)
    assert torch.equal(mix_places(direct, candidates, logits, torch.tensor([[False, False]])), direct)
    mixed = mix_places(direct, candidates, logits, torch.tensor([[True, False]]))
    assert torch.allclose(mixed, torch.full_like(mixed, 0.25))


def test_carrying_to_where_it_is_changes_nothing(photo):
    place = cell_centres((128, 88), torch.device("cpu"))[None]
    inside = (slice(None), slice(None), slice(2, -2), slice(2, -2))
    assert torch.allclose(carry(photo[None], place)[inside], photo[None][inside], atol=1e-3)


def test_the_photos_background_is_left_behind(photo):
    """Colour times mask and the mask are carried and divided: the edge of the person has the person's colour."""
    source = torch.full((1, 3, *SIZE), 1.0)
    source[..., :88] = -0.5
    mask = torch.full((1, 1, 128, 88), 12.0)
    mask[..., 44:] = -12
    places = dataclasses.replace(same_places(), photo_mask=mask)
    carried = carry_person(places, source)
    assert torch.allclose(carried.pixels[..., :88], torch.full((1, 3, 256, 88), -0.5), atol=0.05)
    assert carried.alpha[..., 90:].max() == 0 and carried.alpha[..., :80].min() == 1


def test_a_step_shows_what_is_carried_at_its_own_level(photo):
    carried = Carried(photo[None], torch.ones(1, 1, *SIZE), torch.ones(1, 1, *SIZE))
    here = at_level(carried, lambda planes: degrade(planes, (33, 22)))
    assert torch.allclose(here.blend(torch.full((1, 3, *SIZE), 7.0)), degrade(photo[None], (33, 22)), atol=1e-5)
    nothing = at_level(Carried.nothing(photo[None]), lambda planes: degrade(planes, (33, 22)))
    rendered = torch.rand(1, 3, *SIZE)
    assert torch.equal(nothing.blend(rendered), rendered) and not nothing.condition.any()


def test_a_result_may_have_more_pixels_than_the_canvas(pipeline, standing, photo):
    large = torch.rand(3, 512, 352) * 2 - 1
    person = pipeline.encode(photo, standing, ((large + 1) * 127.5).to(torch.uint8))
    *_, last = pipeline.generate(person, standing, seed=0)
    image, mask = pipeline.enlarge(person, standing, last, (512, 352))
    assert image.shape == (3, 512, 352) and mask.shape == (512, 352) and mask.min() >= 0 and mask.max() <= 1
    alone, none = pipeline.enlarge(pipeline.encode(photo), standing, last, (512, 352))
    assert none is None and torch.allclose(alone, F.interpolate(last.image[None], (512, 352), mode="bicubic", align_corners=False)[0])
    carried = Carried(large[None], torch.ones(1, 1, 512, 352), torch.ones(1, 1, 512, 352))
    assert torch.allclose(enlarge(carried, last.image[None]), large[None])


def test_without_the_photos_pose_nothing_is_carried(pipeline, standing, photo):
    person = pipeline.encode(photo)
    *_, last = pipeline.generate(person, standing, seed=0)
    assert person.carried(standing) is None and torch.equal(last.image, last.rendered)
    known = pipeline.encode(photo, standing)
    *_, other = pipeline.generate(known, standing, seed=0)
    carried = at_level(known.carried(standing), lambda planes: planes)
    assert torch.allclose(other.image, carried.blend(other.rendered[None])[0], atol=1e-5) and not torch.equal(other.image, last.image)


def test_places_are_found_once_for_a_pose(pipeline, standing, photo, monkeypatch):
    calls = []
    find = pipeline.carrier.find
    monkeypatch.setattr(pipeline.carrier, "find", lambda *arguments: calls.append(1) or find(*arguments))
    person = pipeline.encode(photo, standing)
    for _ in range(2):
        list(pipeline.generate(person, standing, steps=2))
    assert len(calls) == 1
    person.forget()
    person.places(standing)
    assert len(calls) == 2


def test_steps_go_on_to_change_to_the_end(pipeline, standing, photo):
    """Each step shows its own level of what is carried, so copying is right at every step."""
    person = pipeline.encode(photo, standing)
    sizes = ladder(pipeline.config)
    for output in list(pipeline.generate(person, standing, seed=0))[1:]:
        here = at_level(person.carried(standing), lambda planes, size=sizes[output.step]: degrade(planes, size))
        assert torch.allclose(output.image, here.blend(output.rendered[None])[0], atol=1e-5)


def test_the_same_person_on_another_pipeline(pipeline, weights, standing, photo):
    person, far = pipeline.encode(photo, standing), NTEDStepPipeline(weights.build(), device="cpu", dtype="float32", weights=weights)
    ours, theirs = (list(each.generate(one, standing, seed=0))[-1].image for each, one in ((pipeline, person), (far, person.on(far))))
    assert torch.equal(ours, theirs)


def held(thing) -> dict[int, torch.Tensor]:
    """Every tensor that an object keeps, by its identity."""
    if isinstance(thing, torch.Tensor):
        return {id(thing): thing}
    inner = thing.values() if isinstance(thing, dict) else thing if isinstance(thing, (list, tuple)) else vars(thing).values()
    kept = [each for each in inner if isinstance(each, (torch.Tensor, list, tuple, dict, Textures, Places, PhotoFeatures))]
    return {key: tensor for each in kept for key, tensor in held(each).items()}


def test_all_that_a_person_holds_is_counted(pipeline, standing, photo):
    """A server bounds its visitors by this number."""
    person = pipeline.encode(photo, standing, ((photo + 1) * 127.5).to(torch.uint8))
    *_, last = pipeline.generate(person, standing)
    pipeline.in_photo(person, standing, last)
    tensors = held(person).values()
    assert len(tensors) > 20 and person.nbytes == sum(each.numel() * each.element_size() for each in tensors)


def test_a_carriers_weights_survive_the_disk(carrier, tmp_path):
    save_carrier(tmp_path / "carrier", carrier, {"summary": "nothing"}, torch.float32)
    stored = load_carrier(tmp_path / "carrier")
    assert stored.config == SMALL and all(torch.equal(stored.state[key], value) for key, value in carrier.state_dict().items())
    data = bytearray((tmp_path / "carrier" / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (tmp_path / "carrier" / "model.safetensors").write_bytes(data)
    with pytest.raises(WeightsError, match="damaged"):
        load_carrier(tmp_path / "carrier")


def test_weights_that_carry_need_their_carrier(weights, carrier, tmp_path):
    save_weights(tmp_path, weights.build(), {})
    with pytest.raises(WeightsError, match="carrier"):
        load_weights(tmp_path)
    save_carrier(tmp_path / "carrier", carrier, {})
    assert load_weights(tmp_path).carrier.config == SMALL


def test_wrong_carrier_configurations_are_one_line():
    for wrong in ({"widths": [8, 8, 16, 20], "heads": 3}, {"size": [200, 176]}, {"layers": 0}, {"unknown": 1}):
        with pytest.raises(ValueError, match=r"^[^\n]+$"):
            CarrierConfig.from_dict(wrong)


def test_every_parameter_of_a_carrier_gets_a_gradient(standing):
    torch.manual_seed(0)
    carrier = Carrier(SMALL)
    for refinement in (*carrier.half_refinements, carrier.fine_refinement):
        torch.nn.init.normal_(refinement.out.weight)  # it begins with zeros, behind which nothing is learned
    maps, joints = torch.rand(1, 20, *SIZE), joint_tensor(standing, SIZE)[None]
    answer = carrier(torch.rand(1, 3, *SIZE), maps, maps.flip(3), joints, joints)
    sum(value.square().sum() for value in vars(answer).values()).backward()
    assert [name for name, value in carrier.named_parameters() if value.grad is None or not value.grad.any()] == []

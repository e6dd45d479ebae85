"""Training of the carrier: its losses, what is done to photos and joints, and whole runs at a tiny size."""

import dataclasses
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from nted_step.carrier import Carrier, Places
from nted_step.limbs import cell_centres
from nted_step.weights import load_carrier, save_carrier
from tests.conftest import TinyCarrierConfig
from training import train
from training.carrier_losses import NEAR_WEIGHT, PLACE_UNIT, jitter_joints, jitter_sources, losses, mask_loss, place_error, predict
from training.carrier_trainer import CANVAS, CarrierTrainer
from training.checkpoint import load_latest
from training.data.figure_store import figure_store
from training.data.pairs import Pairs
from training.publish.export import export
from training.settings import CarrierLossWeights, Settings, Stage

CPU = torch.device("cpu")
GRID = (128, 88)
SURE = 20.0  # a logit


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Four people in two poses at the carrier's canvas."""
    folder = tmp_path_factory.mktemp("data")
    figure_store(folder, GRID, 4, 2, 50, GRID)
    return folder


@pytest.fixture(scope="module")
def pairs(data) -> Pairs:
    return figure_store(data, GRID, 4, 2, 50, GRID).pairs(np.array([0, 2]), np.array([0, 1]), np.array([1, 0]))


def logits(mask: torch.Tensor) -> torch.Tensor:
    """1 is surely, 0 surely not, a half undecided."""
    return (2 * mask.float() - 1) * SURE


def right(pairs: Pairs) -> Places:
    """The answer of a carrier that knows everything."""
    classes = F.one_hot(pairs.target_classes, 16).permute(0, 3, 1, 2)
    source_mask = (pairs.source_classes > 0)[:, None]
    return Places(pairs.place, logits(pairs.mask), logits(pairs.seen), logits(classes), logits(source_mask), pairs.place)


def identity(pairs: Pairs) -> torch.Tensor:
    """Every cell where it is."""
    return cell_centres(GRID, CPU).expand(len(pairs), 2, *GRID)


def photo_alone(pairs: Pairs) -> Pairs:
    """As of a data set of photographs."""
    return dataclasses.replace(pairs, place=None, seen=None, source_classes=None, target_classes=None)


# -- losses ----------------------------------------------------------------------------------------------------------------


def test_nothing_is_lost_when_everything_is_right(pairs):
    _, parts = losses(right(pairs), pairs, CarrierLossWeights())
    assert set(parts) == {"place", "person", "seen", "classes", "mask", "photo"}
    assert parts["place"] == 0 and max(parts[name].item() for name in ("person", "classes", "mask")) < 1e-4
    near = ((pairs.seen == 0.5) & (pairs.target_classes > 0)[:, None]).sum() / (pairs.target_classes > 0).sum()
    assert parts["seen"].item() == pytest.approx(math.log(2) * near.item(), abs=1e-3), "what is nearby is half seen, and cannot be surer"


def test_a_photo_carried_to_where_it_is_is_the_truth(pairs):
    same = dataclasses.replace(pairs, target=pairs.source, place=identity(pairs), seen=torch.ones_like(pairs.seen))
    _, parts = losses(right(same), same, CarrierLossWeights())
    assert parts["photo"] < 2e-3
    moved = dataclasses.replace(right(same), place=identity(pairs) + 0.1)
    assert losses(moved, same, CarrierLossWeights())[1]["photo"] > 0.02


def test_losses_fall_on_the_way_to_the_right_places(pairs):
    found = []
    for share in (0.0, 0.5, 0.9, 1.0):
        between = identity(pairs).lerp(pairs.place, share)
        _, parts = losses(dataclasses.replace(right(pairs), place=between, direct=between), pairs, CarrierLossWeights())
        found.append((parts["place"].item(), parts["photo"].item()))
    places, photos = zip(*found, strict=True)
    assert list(places) == sorted(places, reverse=True) and places[-1] == 0 < places[-2]
    assert photos[-1] < 0.6 * photos[0]


def test_each_answer_has_a_loss_that_misses_it(pairs):
    """What is turned into its opposite costs in its own part and, but for places, in no other."""
    best = losses(right(pairs), pairs, CarrierLossWeights())[1]
    parts_of = {"person": "person", "seen": "seen", "classes": "classes", "photo_mask": "mask"}
    for answer, name in parts_of.items():
        wrong = dataclasses.replace(right(pairs), **{answer: -getattr(right(pairs), answer)})
        parts = losses(wrong, pairs, CarrierLossWeights())[1]
        assert parts[name] > best[name] + 1, answer
        assert all(torch.equal(parts[other], best[other]) for other in parts if other != name), answer


def test_the_sum_is_weighted(pairs):
    weights = CarrierLossWeights(place=2.0, person=3.0, seen=5.0, classes=7.0, mask=11.0, photo=13.0)
    answer = dataclasses.replace(right(pairs), place=identity(pairs), classes=torch.zeros_like(right(pairs).classes))
    total, parts = losses(answer, pairs, weights)
    assert total.item() == pytest.approx(sum(getattr(weights, name) * value.item() for name, value in parts.items()), rel=1e-5)
    only, _ = losses(answer, pairs, CarrierLossWeights(place=0, person=0, seen=0, classes=1, mask=0, photo=0))
    assert only.item() == pytest.approx(math.log(16), rel=1e-4)


def test_places_count_by_what_the_photo_shows(pairs):
    """Of one cell that is seen, one that is nearby and one that is hidden; by hand."""
    seen = torch.zeros(1, 1, *GRID)
    seen[..., 0, 0], seen[..., 0, 1] = 1, 0.5
    one = dataclasses.replace(pairs.select(torch.tensor([0])), seen=seen, place=torch.zeros(1, 2, *GRID))
    off, costs = 2 / PLACE_UNIT, []
    for column in range(3):
        place = torch.zeros(1, 2, *GRID)
        place[0, 0, 0, column] = off
        for field in ("place", "direct"):
            answer = dataclasses.replace(right(one), **{"place": one.place, "direct": one.place, field: place})
            costs.append(losses(answer, one, CarrierLossWeights())[1]["place"].item())
    share = (2 - 0.25) / (1 + NEAR_WEIGHT)  # smooth L1 of 2, linear beyond a half
    assert costs == pytest.approx([share, share / 4, NEAR_WEIGHT * share, NEAR_WEIGHT * share / 4, 0, 0])


def test_the_error_of_a_place_is_in_pixels_of_the_canvas(pairs):
    """Two columns and three rows of 256x176 away, at every cell that the photo shows and at no other."""
    away = torch.tensor([2 * 2 / 176, 3 * 2 / 256]).view(1, 2, 1, 1)
    error = place_error(torch.where(pairs.seen == 1, pairs.place + away, 9.0), pairs)
    assert len(error) == (pairs.seen == 1).sum() and torch.allclose(error, torch.tensor(13.0).sqrt(), atol=1e-4)


# -- photos without a surface -----------------------------------------------------------------------------------------------


def test_photos_alone_teach_the_person_and_the_places(pairs):
    alone = photo_alone(pairs)
    place = identity(pairs).clone().requires_grad_()
    person = torch.zeros_like(pairs.mask, requires_grad=True)
    total, parts = losses(dataclasses.replace(right(pairs), place=place, person=person), alone, CarrierLossWeights())
    assert set(parts) == {"person", "photo", "seen"}
    total.backward()
    assert place.grad.any() and not place.grad[(pairs.mask == 0).expand_as(place)].any(), "the background is nobody's to carry"
    assert (person.grad[pairs.mask == 1] < 0).all() and (person.grad[pairs.mask == 0] > 0).all()


def test_to_call_nothing_seen_does_not_pay(pairs):
    """The photo's loss alone would be the smallest where nothing counts."""

    def total(level: float, weights: CarrierLossWeights) -> float:
        answer = dataclasses.replace(right(pairs), place=identity(pairs), seen=torch.full_like(pairs.seen, level))
        return losses(answer, photo_alone(pairs), weights)[0].item()

    without = CarrierLossWeights(seen=0)
    assert total(-15, without) < 0.5 * total(3, without)
    assert total(-15, CarrierLossWeights()) > total(-3, CarrierLossWeights()) > total(3, CarrierLossWeights())


def test_pairs_without_the_photos_pose_are_refused(pairs):
    with pytest.raises(ValueError, match=r"^the source poses of these pairs are unknown[^\n]+$"):
        predict(None, pairs.source, dataclasses.replace(pairs, source_joints=None))


# -- what is done to photos and joints ---------------------------------------------------------------------------------------


@pytest.fixture
def patterned() -> Pairs:
    """Sixteen times a random pattern, whose left half is the person."""
    pattern = torch.rand(1, 3, 16, 11, generator=torch.Generator().manual_seed(1)) - 0.5
    source = F.interpolate(pattern, size=GRID, mode="nearest").repeat(16, 1, 1, 1)
    classes = torch.zeros(16, *GRID, dtype=torch.int64)
    classes[..., :44] = 3
    return Pairs(source, source, source, (classes > 0)[:, None].float(), source_classes=classes)


def alike(image: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Correlation of each colour of each image, the least of the three."""
    image, other = (value - value.mean(dim=(2, 3), keepdim=True) for value in (image, other))
    return F.cosine_similarity(image.flatten(2), other.flatten(2), dim=2).amin(dim=1)


def test_another_light_keeps_the_person_and_half_of_the_backgrounds(patterned):
    changed = jitter_sources(patterned, torch.Generator().manual_seed(0))
    assert changed.shape == patterned.source.shape and changed.dtype == torch.float32 and changed.min() >= -1 and changed.max() <= 1
    assert alike(changed[..., :42], patterned.source[..., :42]).min() > 0.9
    kept = alike(changed[..., 46:], patterned.source[..., 46:])
    assert 4 <= (kept > 0.9).sum() <= 12 and ((kept > 0.9) | (kept < 0.4)).all()
    levels = changed[..., :42].mean(dim=(1, 2, 3))
    assert levels.std() > 0.05, "and no two of them in the same light"
    assert torch.equal(jitter_sources(patterned, torch.Generator().manual_seed(0)), changed)


def test_without_classes_the_background_stays(patterned):
    changed = jitter_sources(dataclasses.replace(patterned, source_classes=None), torch.Generator().manual_seed(0))
    assert alike(changed, patterned.source).min() > 0.9


def test_joints_are_a_little_off_and_now_and_then_missing(pairs):
    joints = pairs.source_joints.repeat(200, 1, 1)
    moved = jitter_joints(joints, torch.Generator().manual_seed(0))
    there, before = moved[..., 2], joints[..., 2]
    assert moved.shape == joints.shape and set(there.unique().tolist()) == {0, 1} and not there[before == 0].any()
    assert not moved[there == 0].any()
    assert 0.01 < 1 - there[before == 1].mean() < 0.03
    off = (moved - joints)[..., :2][there == 1]
    assert abs(off.mean()) < 0.001 and off.std().item() == pytest.approx(0.012, rel=0.05)


# -- runs --------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def settings(data, monkeypatch):
    monkeypatch.setattr("training.carrier_trainer.CarrierConfig", TinyCarrierConfig)
    figures = dataclasses.replace(Settings().figures, people=4, poses=2, seed=50, supersize=128)
    stage = Stage(height=128, samples=8, batch=2, lr=5e-3, lr_end=5e-3, warmup=0, beta1=0.9)
    return Settings(preset="carrier", data_dir=str(data), figures=figures, stages=(stage,), validation_people=2, beta2=0.99, log_every=1)


def test_a_carrier_learns(settings, tmp_path, capsys):
    longer = dataclasses.replace(settings, stages=(dataclasses.replace(settings.stages[0], samples=60),))
    trainer = CarrierTrainer(longer, tmp_path, CPU)
    assert trainer.carrier.config.to_dict() == TinyCarrierConfig().to_dict() and CANVAS.size == GRID
    assert trainer.run()
    last = trainer.progress.last_validation
    assert last["samples"] == 60 and last["loss"] < 0.8 * trainer.progress.first_loss
    assert {"psnr", "copied", "place_error", "place_error_median"} <= set(last) and 0 < last["place_error_median"] < 100
    assert len(list((tmp_path / "sheets").glob("*.png"))) == 2
    assert "px off" in capsys.readouterr().out


def test_the_mask_decoder_trains_alone(settings, pairs, tmp_path):
    def loss(carrier: Carrier) -> float:
        with torch.no_grad():
            return mask_loss(carrier.read(pairs.source, pairs.source_skeleton, pairs.source_joints).mask, pairs).item()

    torch.manual_seed(0)
    first = Carrier(TinyCarrierConfig())
    init = save_carrier(tmp_path / "init", first, {"summary": "random"}, torch.float32)
    stage = dataclasses.replace(settings.stages[0], samples=40)
    alone = dataclasses.replace(settings, init=str(init), only_mask=True, stages=(stage,))
    trainer = CarrierTrainer(alone, tmp_path / "run", CPU)
    assert set(trainer.iterate()) == {"mask"} and trainer.run() and loss(trainer.carrier) < 0.8 * loss(first)
    after = trainer.carrier.state_dict()
    for name, value in first.state_dict().items():
        assert torch.equal(value, after[name]) != name.startswith("mask_decoder."), name
    with pytest.raises(ValueError, match="of a trained carrier"):
        CarrierTrainer(dataclasses.replace(alone, init=""), tmp_path / "other", CPU)


def test_a_stopped_run_goes_on_exactly(settings, tmp_path):
    """The same weights and averages, whole or interrupted; and what is exported is the average."""
    two = dataclasses.replace(settings, stages=(settings.stages[0], dataclasses.replace(settings.stages[0], samples=2, lr=1e-3)))
    whole = CarrierTrainer(two, tmp_path / "whole", CPU)
    assert whole.run() and whole.progress.finished == [8] and whole.progress.total_samples == 10
    part = CarrierTrainer(two, tmp_path / "part", CPU)
    assert not part.run(stop=lambda: part.progress.total_samples >= 4)
    again = CarrierTrainer(two, tmp_path / "part", CPU)
    assert again.progress.total_samples == 4 and again.run()
    for name in ("carrier", "ema"):
        one, other = (getattr(trainer, name).state_dict() for trainer in (whole, again))
        assert all(torch.equal(value, other[key]) for key, value in one.items()), name
    stored = load_carrier(export(tmp_path / "whole", tmp_path / "out", dtype=torch.float32))
    average = load_latest(tmp_path / "whole")["ema"]
    assert stored.config.to_dict() == TinyCarrierConfig().to_dict() and stored.training["samples"] == 10
    assert all(torch.equal(stored.state[key], value) for key, value in average.items())
    card = (tmp_path / "out" / "README.md").read_text()
    assert "4 people in 2 poses each" in card and "pixels of 256x176 off on average" in card
    goes_on = CarrierTrainer(dataclasses.replace(settings, init=str(tmp_path / "out")), tmp_path / "more", CPU)
    assert all(torch.equal(value, average[key]) for key, value in goes_on.carrier.state_dict().items())


def test_accumulated_gradients_are_the_mean_of_their_parts(settings, tmp_path):
    stage = settings.stages[0]
    both = CarrierTrainer(
        dataclasses.replace(settings, stages=(dataclasses.replace(stage, batch=2, accumulate=2),)), tmp_path / "both", CPU
    )
    one = CarrierTrainer(dataclasses.replace(settings, stages=(dataclasses.replace(stage, batch=2),)), tmp_path / "one", CPU)
    assert (both.effective_batch, one.effective_batch) == (4, 2)
    gradients = []
    for trainer in (both, one):  # so that gradients can be compared, nothing is updated
        trainer.optimizer.step = lambda trainer=trainer: gradients.append([p.grad.clone() for p in trainer.carrier.parameters()])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.carrier_trainer.nn.utils.clip_grad_norm_", lambda *_: None)
        both.iterate()
        one.iterate(), one.iterate()
    for mean, first, second in zip(*gradients, strict=True):
        assert torch.allclose(mean, (first + second) / 2, rtol=1e-4, atol=1e-6 * first.abs().max().item() + 1e-9)
    assert both.progress.total_samples == one.progress.total_samples == 4


def test_a_carrier_has_one_height(settings, tmp_path, capsys):
    with pytest.raises(ValueError, match="height 128"):
        CarrierTrainer(dataclasses.replace(settings, stages=(dataclasses.replace(settings.stages[0], height=256),)), tmp_path, CPU)
    command = [
        "--config",
        "training/configs/carrier_figures.yaml",
        "--run",
        str(tmp_path),
        "--device",
        "cpu",
        "--set",
        "stages.0.height=64",
    ]
    assert train.main(command) == 2
    assert capsys.readouterr().err == "error: a carrier is trained at height 128\n"

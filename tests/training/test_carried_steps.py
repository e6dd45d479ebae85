"""Steps trained with the photo's pixels carried into them, with the real classes at a tiny size."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from nted_step.carrier import Carrier
from nted_step.carrying import Carried
from nted_step.config import CARRIED_CHANNELS
from nted_step.execution import Eager
from nted_step.generator import Generator
from nted_step.sampler import advance
from nted_step.schedule import ladder
from nted_step.weights import CarrierState, Weights, load_weights, save_carrier, save_weights
from tests.conftest import TINY, TinyCarrierConfig
from training import train
from training.carrier_losses import carry_pairs, place_error, predict
from training.data.figure_store import FigureStore, figure_store
from training.data.pairs import Pairs
from training.efficientnet import open_efficientnet
from training.evaluation import evaluator
from training.evaluation.metrics import PROTOCOLS
from training.evaluation.report import format_table
from training.evaluation.test_sets import figure_set
from training.growing import grow, stage_config, widen
from training.objective import Objective
from training.publish.export import export
from training.rollout import NOTHING_CHANCE, ChainRollout, PairCarrier, WindowRollout, train_step
from training.settings import LossWeights, Settings, Stage
from training.trainer import Trainer
from training.validation import chain

CPU = torch.device("cpu")
CARRYING = dataclasses.replace(TINY, carries=True, channels=dict.fromkeys(TINY.channels, 32))  # growing passes 28 planes on


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    figure_store(folder, TINY.size, 4, 2, 50, TINY.size)
    return folder


@pytest.fixture(scope="module")
def figures(data) -> FigureStore:
    return figure_store(data, TINY.size, 4, 2, 50, TINY.size)


@pytest.fixture(scope="module")
def pairs(figures) -> Pairs:
    return figures.pairs(np.array([0, 1, 2]), np.array([0, 1, 0]), np.array([1, 0, 1]))


@pytest.fixture(scope="module")
def carrier() -> Carrier:
    """One that knows nothing but carries everywhere a good deal."""
    torch.manual_seed(0)
    carrier = Carrier(TinyCarrierConfig()).eval().requires_grad_(False)
    carrier.fine_head.bias[2:4] = 1.0
    carrier.mask_decoder.head.bias.fill_(2.0)
    return carrier


@pytest.fixture
def generator() -> Generator:
    """One that reads what is carried, and passes it on."""
    torch.manual_seed(1)
    generator = Generator(CARRYING)
    for level in generator.target_image_renderer.convs:
        torch.nn.init.normal_(level.skip_gain, std=0.3)
    return generator


@pytest.fixture
def always(monkeypatch):
    """Every pair carries, and no chain gives way before its end."""
    monkeypatch.setattr("training.rollout.NOTHING_CHANCE", 0.0)
    monkeypatch.setattr("training.rollout.RESTART_CHANCE", 0.0)


def planes(carried: Carried) -> torch.Tensor:
    return torch.cat([carried.pixels, carried.person, carried.alpha], dim=1)


def something(count: int, size: tuple[int, int] = TINY.size) -> Carried:
    """Smooth random planes."""
    generator = torch.Generator().manual_seed(2)
    pixels, person, alpha = F.interpolate(torch.rand(count, 5, 4, 3, generator=generator), size=size, mode="bilinear").split(
        (3, 1, 1), dim=1
    )
    return Carried(pixels * 2 - 1, person, alpha)


class Counted(PairCarrier):
    """Counts the pairs that were carried."""

    count = 0

    def __call__(self, pairs: Pairs) -> Carried:
        self.count += len(pairs)
        return super().__call__(pairs)


# -- one step ----------------------------------------------------------------------------------------------------------------


def test_a_trained_step_is_the_samplers(generator, pairs):
    """A batch of different steps equals each alone, rendered and blended as the sampler does it."""
    x, t, carried = torch.rand(3, 3, *TINY.size) * 2 - 1, torch.tensor([0, 3, 1]), something(3)
    sizes, execution = ladder(CARRYING), Eager(generator.eval())
    with torch.no_grad():
        step = train_step(generator, CARRYING, pairs, x, t, carried)
        for i, k in enumerate(t.tolist()):
            one = slice(i, i + 1)
            textures = execution.textures(pairs.source[one], k)
            some = carried.select(torch.tensor([i]))
            image, rendered = advance(execution, textures, x[one], pairs.skeleton[one], k, some, sizes[k + 1])
            assert torch.allclose(step.rendering.image[one], image, atol=1e-4), k
            assert not torch.allclose(image, rendered, atol=0.05)


def test_what_is_carried_is_not_rendered_as_well(generator, pairs):
    """Where all of the picture is carried, the renderer's image has no part in the result and gets no gradient."""
    whole = dataclasses.replace(something(3), alpha=torch.ones(3, 1, *TINY.size))
    step = train_step(generator, CARRYING, pairs, pairs.source, torch.tensor([0, 1, 2]), whole)
    step.rendering.image.square().sum().backward()
    assert max(p.grad.abs().max() for p in generator.parameters() if p.grad is not None) < 1e-3
    assert torch.allclose(
        train_step(generator, CARRYING, pairs, pairs.source, torch.full((3,), 3), whole).rendering.image, whole.pixels, atol=1e-4
    )


def test_a_few_pairs_carry_nothing(monkeypatch):
    monkeypatch.setattr(
        "training.rollout.carry_pairs", lambda carrier, pairs, device: Carried(*(torch.ones(len(pairs), n, 2, 2) for n in (3, 1, 1)))
    )
    carried = PairCarrier(None, np.random.default_rng(0), CPU)(range(4000))
    kept = planes(carried).flatten(1)
    assert torch.equal(kept.amin(dim=1), kept.amax(dim=1)), "all of a pair's planes or none"
    assert (kept[:, 0] == 0).float().mean().item() == pytest.approx(NOTHING_CHANCE, abs=0.02)


# -- rollouts ----------------------------------------------------------------------------------------------------------------


def test_what_a_chain_carries_is_found_once(figures, generator, carrier, always, monkeypatch):
    chosen = []
    choose = figures.choose
    monkeypatch.setattr(figures, "choose", lambda rng, count: chosen.append(count) or choose(rng, count))
    pair_carrier = Counted(carrier, np.random.default_rng(1), CPU)
    rollout = ChainRollout(CARRYING, figures, np.random.default_rng(0), batch=2, pool=2, carrier=pair_carrier)
    assert pair_carrier.count == 4
    for _ in range(6):
        (step,) = rollout.run(generator, CPU)
        assert torch.allclose(planes(step.carried), planes(carry_pairs(carrier, step.pairs, CPU)), atol=2e-3)  # chains keep halves
    assert pair_carrier.count == sum(chosen) < 4 + 6 * 2, "only when a chain starts"


def test_a_window_carries_its_pairs_through_all_its_steps(figures, generator, carrier, always):
    pair_carrier = Counted(carrier, np.random.default_rng(1), CPU)
    rollout = WindowRollout(CARRYING, figures, np.random.default_rng(0), batch=4, carrier=pair_carrier)
    steps = rollout.run(generator, CPU)
    assert pair_carrier.count == 4 and {len(step.t) for step in steps} != {4}
    for step in steps:
        assert torch.allclose(planes(step.carried), planes(carry_pairs(carrier, step.pairs, CPU)), atol=1e-5)


def test_a_validation_carries(figures, pairs, carrier, generator):
    """The last step shows the photo where it is carried, and without a carrier it does not."""
    carried = carry_pairs(carrier, pairs, CPU)
    with_carrier, without = (chain(Eager(generator.eval()), pairs, CPU, carried=one)[-1] for one in (carried, None))
    whole = (carried.alpha == 1).expand_as(with_carrier)
    assert whole.float().mean() > 0.1
    assert torch.allclose(with_carrier[whole], carried.pixels[whole], atol=1e-4) and not torch.allclose(
        without[whole], carried.pixels[whole], atol=0.1
    )


# -- from a model that does not carry, and from a small canvas ---------------------------------------------------------------


@pytest.mark.parametrize("more", [0, 8])
def test_a_model_that_learns_to_carry_starts_where_it_was(pairs, more):
    """With the same channels exactly; gains and new columns are 0, so not even what is carried changes the rendered image."""
    torch.manual_seed(0)
    narrow = Generator(TINY).eval()
    wide = widen(
        narrow, dataclasses.replace(TINY, carries=True, channels={level: count + more for level, count in TINY.channels.items()})
    ).eval()
    x, t = pairs.source.flip(3), torch.tensor([0, 3, 1])
    nothing = Carried.nothing(pairs.source)
    with torch.no_grad():
        before = train_step(narrow, TINY, pairs, x, t).rendering.image
        after = train_step(wide, wide.config, pairs, x, t, nothing).rendering.image
        unblended = dataclasses.replace(something(3), alpha=nothing.alpha)
        told = train_step(wide, wide.config, pairs, x, t, unblended).rendering.image
    assert torch.equal(after, told)
    if not more:
        assert torch.allclose(after, before, atol=1e-5)
    step = train_step(wide, wide.config, pairs, x, t, something(3))
    (step.rendering.image - pairs.target).square().mean().backward()
    columns = wide.skeleton_encoder.first.conv.weight
    assert not columns[:, -CARRIED_CHANNELS:].any() and not any(level.skip_gain.any() for level in wide.target_image_renderer.convs)
    assert (columns.grad[:, -CARRIED_CHANNELS:].abs().amax(dim=(0, 2, 3)) > 0).all(), "every new plane is learned from"
    assert all(level.skip_gain.grad.any() for level in wide.target_image_renderer.convs)


def test_growing_keeps_what_a_carrying_generator_does():
    """With gains that are not 0, in the interior, as for any generator."""
    torch.manual_seed(0)
    small = Generator(stage_config(CARRYING, 32)).eval()
    for level in small.target_image_renderer.convs:
        torch.nn.init.normal_(level.skip_gain, std=0.3)
    large = grow(small, CARRYING).eval()
    assert torch.equal(large.target_image_renderer.convs[1].skip_gain, small.target_image_renderer.convs[1].skip_gain)
    assert not large.target_image_renderer.convs[2].skip_gain.any()

    def smooth(channels: int) -> torch.Tensor:
        return F.interpolate(torch.rand(2, channels, 8, 6) * 2 - 1, size=(64, 44), mode="bilinear")

    source, x, condition, t = smooth(3), smooth(3), smooth(CARRYING.conditioning_channels), torch.tensor([0, 3])
    halved = [F.avg_pool2d(value, 2) for value in (source, x, condition)]
    with torch.no_grad():
        before, after = small(*halved, t)[0].image, F.avg_pool2d(large(source, x, condition, t)[0].image, 2)
        for level in large.target_image_renderer.convs:
            level.skip_gain.zero_()
        without = F.avg_pool2d(large(source, x, condition, t)[0].image, 2)
    inside = (..., slice(4, -4), slice(4, -4))
    difference = (after - before)[inside].abs().mean()
    assert difference < 0.15 * before[inside].std() and difference < 0.3 * (without - before)[inside].abs().mean()


# -- the loop ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def settings(data, carrier, tmp_path, monkeypatch):
    monkeypatch.setattr("training.trainer.preset", lambda name: CARRYING)
    monkeypatch.setattr("training.rollout.NOTHING_CHANCE", 0.3)
    figures = dataclasses.replace(Settings().figures, people=4, poses=2, seed=50, supersize=64)
    stages = Stage(height=32, samples=8, batch=4, pool=2, weights=LossWeights(classes=1.0)), Stage(height=64, samples=16, batch=4, pool=2)
    folder = save_carrier(tmp_path / "carrier", carrier, {"summary": "nothing"}, torch.float32)
    return Settings(data_dir=str(data), carrier=str(folder), figures=figures, stages=stages, validation_people=2, log_every=1)


def test_a_model_carries_where_a_carrier_is_named(settings, tmp_path, capsys):
    plain = Trainer(dataclasses.replace(settings, carrier=""), tmp_path / "plain", CPU)
    assert not plain.final.carries and plain.iterate()["pixel"] > 0
    command = ["--config", "training/configs/lite_carried.yaml", "--run", str(tmp_path / "run"), "--device", "cpu", "--set"]
    assert train.main([*command, f"carrier={tmp_path / 'none'}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and "none/config.json" in line


def test_any_preset_carries_where_a_carrier_is_named(settings, tmp_path, monkeypatch):
    monkeypatch.setattr("training.trainer.preset", lambda name: dataclasses.replace(CARRYING, carries=False))
    assert Trainer(settings, tmp_path / "run", CPU).final.carries


def test_a_stopped_run_goes_on_exactly(settings, tmp_path):
    """Chains with what they carry, pairs that carry nothing among them; and the exported weights have their carrier beside them."""
    whole = Trainer(settings, tmp_path / "whole", CPU)
    assert whole.run()
    part = Trainer(settings, tmp_path / "part", CPU)
    assert not part.run(stop=lambda: part.progress.total_samples >= 16)
    again = Trainer(settings, tmp_path / "part", CPU)
    assert again.progress.stage == 1 and torch.equal(again.rollout.planes, part.rollout.planes) and again.rollout.planes[:, 4].any()
    assert again.run()
    for key, value in whole.generator.state_dict().items():
        assert torch.equal(value, again.generator.state_dict()[key]), key
    stored = load_weights(export(tmp_path / "whole", tmp_path / "out", dtype=torch.float32))
    assert stored.config == CARRYING and all(torch.equal(stored.state[key], value) for key, value in whole.ema.state_dict().items())
    assert all(torch.equal(stored.carrier.state[key], value) for key, value in whole.carrier.state_dict().items())
    assert stored.carrier.training["summary"] == "nothing"


def test_a_run_starts_from_weights_that_do_not_carry(settings, tmp_path):
    torch.manual_seed(0)
    trained = Generator(TINY)
    init = str(save_weights(tmp_path / "init", trained, {}, torch.float32))
    trainer = Trainer(dataclasses.replace(settings, init=init, stages=settings.stages[1:]), tmp_path / "run", CPU)
    assert trainer.generator.config == CARRYING
    old = trained.target_image_renderer.convs[0].conv1.conv
    new = trainer.generator.target_image_renderer.convs[0].conv1.conv
    assert torch.allclose(new.scaled_weight()[:24, :24], old.scaled_weight(), atol=1e-6)
    for _ in range(2):  # what the gains scale is there from the first update on
        trainer.iterate()
    assert trainer.generator.skeleton_encoder.first.conv.weight[:, -CARRIED_CHANNELS:].any()
    assert all(level.skip_gain.any() for level in trainer.generator.target_image_renderer.convs)


# -- losses and evaluation ---------------------------------------------------------------------------------------------------


def test_el0_reaches_the_generator(figures, generator, carrier, always):
    """An error on the person costs, and a halo on the ground as well."""
    pair_carrier = PairCarrier(carrier, np.random.default_rng(1), CPU)
    (step,) = ChainRollout(CARRYING, figures, np.random.default_rng(0), batch=2, carrier=pair_carrier).run(generator, CPU)
    objective = Objective(Settings(), LossWeights(pixel=0, attention=0, el0=3.0), None, "cpu", open_efficientnet(CPU))
    total, parts = objective.generator([step], None)
    assert set(parts) == {"el0"} and total.item() == pytest.approx(3 * parts["el0"].item()) and parts["el0"] > 0.1
    total.backward()
    silent = [name for name, p in generator.named_parameters() if p.grad is None or not p.grad.any()]
    assert (
        not [name for name in silent if "target_image_renderer" in name and "to_rgb" in name]
        and "skeleton_encoder.first.conv.weight" not in silent
    )
    perfect = dataclasses.replace(step, rendering=dataclasses.replace(step.rendering, image=step.target))
    assert objective.generator([perfect], None)[1]["el0"] < 1e-6
    worse = [step.target + 0.5 * (step.pairs.mask == side) for side in (0, 1)]
    ground, person = (
        objective.generator([dataclasses.replace(step, rendering=dataclasses.replace(step.rendering, image=image))], None)[1]["el0"]
        for image in worse
    )
    assert ground > 0 and person > 0


def test_an_evaluation_tells_how_far_places_are_off(carrier, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "nothing"))
    size, levels = (128, 88), (16, 32, 64, 128)
    labels = dict(zip(levels, (4, 4, 0, 0), strict=True))
    channels, kernels = dict.fromkeys(levels, 8), dict.fromkeys(levels, 1)
    config = dataclasses.replace(CARRYING, size=size, steps=2, channels=channels, labels=labels, kernels=kernels)
    torch.manual_seed(0)
    weights = Weights(config, Generator(config).state_dict(), carrier=CarrierState(TinyCarrierConfig(), carrier.state_dict()))
    test = figure_set(2, 50, size)
    report = evaluator.evaluate(weights, test, PROTOCOLS["cfld"], True, CPU, tmp_path)
    pairs = test.pairs.select(torch.arange(2))
    error = place_error(predict(carrier, pairs.source, pairs).place, pairs)
    assert report["place error"]["mean"] == pytest.approx(error.mean().item(), rel=1e-3)
    assert report["place error"]["median"] == pytest.approx(error.median().item(), rel=1e-3)
    assert f"{report['place error']['mean']:.1f}" in format_table(report) and "place error" in report["settings"]

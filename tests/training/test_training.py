"""Losses, rollouts, growing and the loop, with the real classes at a tiny size."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from nted_step.carrier import GRID_HEIGHT
from nted_step.config import preset
from nted_step.generator import Generator
from nted_step.layers import Blur
from nted_step.schedule import degrade, ladder
from nted_step.weights import save_weights
from training import losses
from training.checkpoint import load_latest, save_checkpoint
from training.cuda import choose_blurs
from training.data import figure_store as training_data
from training.data.figure_store import FigureStore, figure_store
from training.data.figure_stream import FigureStream
from training.discriminator import Discriminator, minibatch_deviation
from training.growing import at_stage, grow, stage_config, widen
from training.objective import Objective
from training.rollout import ChainRollout, WindowRollout, degrade_each
from training.settings import LossWeights, Settings, SettingsError, Stage, load_settings
from training.train import CARRIER
from training.trainer import Trainer, model_config
from training.validation import masked_psnr

CHANNELS = {64: 8, 32: 8, 16: 8, 8: 8, 4: 8}


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    """Four people in two poses at 64x44, rendered by the real renderer."""
    return figure_store(tmp_path_factory.mktemp("data"), (64, 44), 4, 2, 50, (64, 44))


# -- losses ----------------------------------------------------------------------------------------------------------


def test_adversarial_losses_point_the_right_way():
    good, bad = torch.tensor([[3.0]]), torch.tensor([[-3.0]])
    assert losses.discriminator_gan(good, bad) < losses.discriminator_gan(bad, good)
    assert losses.generator_gan(good) < losses.generator_gan(bad)


def test_r1_equals_the_analytic_gradient():
    images = torch.randn(3, 2, 4, 4, requires_grad=True)
    weight = torch.randn(2, 4, 4)
    expected = (weight.square().sum()).item()
    assert losses.r1_penalty((images * weight).sum(dim=(1, 2, 3)), images).item() == pytest.approx(expected, rel=1e-5)


def test_attention_that_points_home_reconstructs():
    """With one label per position and a distribution that picks it, the warp is the identity."""
    image = torch.rand(1, 3, 4, 3)
    attention = torch.eye(12).view(1, 12, 4, 3)
    logits = 50 * torch.eye(12).view(1, 12, 4, 3)
    assert torch.allclose(losses.warp_by_attention(image, attention, logits), image, atol=1e-5)
    assert losses.attention_reconstruction(image, image.flip(2), (attention,), (logits,)) > 0.05


def test_classes_must_come_from_where_the_source_wears_them():
    """Two labels, left and right half; a target whose halves are swapped must take each half from the other side."""
    left = torch.zeros(1, 4, 4, dtype=torch.int64)
    left[..., 2:] = 5
    halves = torch.zeros(1, 2, 4, 4)
    halves[:, 0, :, :2] = halves[:, 1, :, 2:] = 1
    of = lambda logits: losses.class_reconstruction(left, left.flip(2), (halves / 8,), (logits,), 3.0).item()  # noqa: E731
    assert of(50 * halves.flip(3)) == pytest.approx(-np.log(1 + losses.LEAST_SHARE), abs=1e-4)
    assert of(50 * halves) == pytest.approx(-np.log(losses.LEAST_SHARE), abs=1e-4)


def test_groups_of_the_minibatch_deviation_never_mix_runs():
    x = torch.cat([torch.zeros(3, 2, 2, 2), torch.randn(3, 2, 2, 2) * 9])
    deviation = minibatch_deviation(x, runs=2)
    assert deviation[:3].max() < 1e-3 and deviation[3:].min() > 1
    assert minibatch_deviation(torch.randn(5, 2, 2, 2)).shape == (5, 1, 2, 2)  # 5 divides by no group of 2..4


def test_every_parameter_of_the_discriminator_gets_a_gradient():
    discriminator = Discriminator((64, 44), CHANNELS, 4)
    verdict = discriminator(torch.randn(4, 3, 64, 44))
    (verdict.logit.sum() + losses.step_prediction(verdict.step_logprob, torch.tensor([0, 1, 2, 3]))).backward()
    assert [name for name, p in discriminator.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_pixel_loss_is_quadratic_then_linear_and_favours_the_person():
    target, mask = torch.zeros(1, 3, 2, 1), torch.tensor([1.0, 0.0]).view(1, 1, 2, 1)
    of = lambda error: losses.pixel(target + error, target, torch.ones_like(mask)).item()  # noqa: E731
    assert of(0.5) == pytest.approx(0.5) and of(0.25) == pytest.approx(0.125) and of(1.5) - of(1.0) == pytest.approx(1.0)
    on_person = target + 1.0 * mask
    assert losses.pixel(on_person, target, 1 + 3.0 * mask).item() == pytest.approx(1.5 * 4 / 5)


def test_masked_psnr_counts_person_pixels_only():
    truth, mask = torch.zeros(1, 3, 4, 4), torch.zeros(1, 1, 4, 4)
    mask[..., :2] = 1
    wrong_outside = truth.clone()
    wrong_outside[..., 2:] = 1
    assert masked_psnr(wrong_outside, truth, mask).item() == pytest.approx(100)
    off = torch.full_like(truth, 0.2)  # 25.5 levels of 255 away, which rounds to 26 or 25
    assert masked_psnr(off, truth, mask).item() == pytest.approx(20, abs=0.3)


# -- growing -----------------------------------------------------------------------------------------------------------


def test_growing_keeps_the_function():
    torch.manual_seed(0)
    final = preset("lite")
    small = Generator(stage_config(final, 32)).eval()
    large = grow(small, stage_config(final, 64)).eval()

    def smooth(channels):
        return F.interpolate(torch.rand(2, channels, 8, 6) * 2 - 1, size=(64, 44), mode="bilinear")

    source, x, skeleton, t = smooth(3), smooth(3), smooth(final.conditioning_channels).abs(), torch.tensor([0, 9])
    halved = [F.avg_pool2d(value, 2) for value in (source, x, skeleton)]
    with torch.no_grad():
        before, after = small(*halved, t)[0].image, F.avg_pool2d(large(source, x, skeleton, t)[0].image, 2)
        unrelated = F.avg_pool2d(Generator(stage_config(final, 64))(source, x, skeleton, t)[0].image, 2)
    inside = (..., slice(4, -4), slice(4, -4))
    difference = (after - before)[inside].abs().mean()
    assert difference < 0.15 * before[inside].std()
    assert difference < 0.3 * (unrelated - before)[inside].abs().mean()


def test_shrinking_undoes_growing():
    final = preset("lite")
    small = Generator(stage_config(final, 32))
    back = at_stage(at_stage(small, final, 256), final, 32)
    for key, value in small.state_dict().items():
        assert torch.allclose(back.state_dict()[key], value, atol=1e-4), key
    trained = at_stage(small, final, 64)
    torch.nn.init.ones_(trained.target_image_renderer.convs[-1].to_rgb.conv.weight)
    with pytest.raises(ValueError, match="level 64 of these weights is trained"):
        at_stage(trained, final, 32)


def test_last_stage_is_the_finished_model():
    assert stage_config(preset("lite"), 256) == preset("lite")
    with pytest.raises(ValueError, match="height"):
        stage_config(preset("lite"), 100)


# -- data and rollouts ---------------------------------------------------------------------------------------------------


def test_store_gives_one_person_in_two_poses(figures):
    assert (figures.people, figures.poses) == (4, 2)
    pairs = figures.draw(np.random.default_rng(0), 6)
    assert pairs.source.shape == (6, 3, 64, 44) and pairs.skeleton.shape == (6, 20, 64, 44)
    assert not torch.equal(pairs.source, pairs.target)
    assert 0.03 < pairs.mask.mean() < 0.8


def test_chains_feed_the_models_own_output(figures, tiny_generator, tiny_config):
    rollout = ChainRollout(tiny_config, figures, np.random.default_rng(0), batch=5)
    (first,) = rollout.run(tiny_generator, torch.device("cpu"))
    places = [(rollout.x == image).flatten(1).all(1).nonzero()[:, 0] for image in first.rendering.image.detach()]
    for place, t in zip(places, first.t.tolist(), strict=True):
        # A chain that was over has given way to a new one.
        assert rollout.t[place].tolist() == ([t + 1] if len(place) else [])
    assert sum(len(place) for place in places) >= 3
    for k in range(5):
        assert torch.allclose(first.target[k], degrade(first.pairs.target[k : k + 1], ladder(tiny_config)[first.t[k] + 1])[0], atol=1e-6)


def test_a_pool_of_chains_is_visited_at_random_and_strides(figures, tiny_generator, tiny_config):
    rollout = ChainRollout(tiny_config, figures, np.random.default_rng(0), batch=4, pool=3, stride=2)
    assert len(rollout.t) == 12
    moved = []
    for _ in range(10):
        before = rollout.t.clone()
        rollout.run(tiny_generator, torch.device("cpu"))
        steps = (rollout.t - before)[rollout.t > before].tolist()
        assert len(steps) <= 4
        moved += steps
    assert set(moved) == {1, 2}


def test_a_larger_pool_takes_over_the_chains_of_a_smaller(figures, tiny_config):
    small = ChainRollout(tiny_config, figures, np.random.default_rng(0), batch=3)
    large = ChainRollout(tiny_config, figures, np.random.default_rng(1), batch=3, pool=2)
    small.names[1] = 99, 0, 1  # nobody of this store: that chain's place keeps its new pair
    kept = large.t[1].clone()
    large.load_state(small.state())
    assert torch.equal(large.x[[0, 2]], small.x[[0, 2]]) and torch.equal(large.t[[0, 2]], small.t[[0, 2]])
    assert large.t[1] == kept and large.names[1, 0] < figures.people


@pytest.mark.parametrize("kind", [ChainRollout, WindowRollout])
def test_every_step_is_trained_about_equally_often(kind, figures, tiny_config, monkeypatch):
    class Copy(torch.nn.Module):
        def forward(self, source, x, skeleton, t):
            from nted_step.generator import Rendering, Textures

            return Rendering(x, ()), Textures(())

    rollout = kind(tiny_config, figures, np.random.default_rng(0), 16)
    counts = torch.zeros(tiny_config.steps)
    for _ in range(60):
        for step in rollout.run(Copy(), torch.device("cpu")):
            counts += torch.bincount(step.t, minlength=tiny_config.steps)
    assert counts.min() > 0.75 * counts.max()


def test_published_windows_and_symmetric_batches(figures, tiny_generator, tiny_config):
    """Starts in 0..steps-3, the first at 0, three steps of the whole batch; the second half is the first inverted."""
    rollout = WindowRollout(tiny_config, figures, np.random.default_rng(0), 8, published=True, symmetric=True)
    for _ in range(3):
        steps = rollout.run(tiny_generator, torch.device("cpu"))
        assert [len(step.t) for step in steps] == [8, 8, 8] and steps[0].t[0] == 0 and steps[0].t.max() <= tiny_config.steps - 3
        pairs = steps[0].pairs
        assert torch.equal(pairs.source[:4], pairs.target[4:]) and torch.equal(pairs.source[4:], pairs.target[:4])


# -- the loop --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def settings(tmp_path_factory, tiny_config, figures, monkeypatch):
    """A run of two stages on the tiny model: 32x22 without, 64x44 with a discriminator."""
    monkeypatch.setattr("training.trainer.preset", lambda name: tiny_config)
    light = LossWeights(classes=1.0, gan=0.3, step=0.3, features=1.0, r1=1.0)
    return Settings(
        validation_people=2, data_dir=str(tmp_path_factory.getbasetemp() / "data"),  # rendered once for all tests
        figures=dataclasses.replace(Settings().figures, people=4, poses=2, seed=50, supersize=64),
        stages=(Stage(height=32, samples=16, batch=4), Stage(height=64, samples=16, batch=4, weights=light)),
        d_channels=8, d_channels_max=8, r1_every=2,
    )  # fmt: skip


def test_training_lowers_the_loss(settings, tmp_path):
    stage = dataclasses.replace(settings.stages[0], samples=10**6, batch=8, warmup=0, lr=2e-2, lr_end=2e-2, beta1=0.9)
    trainer = Trainer(dataclasses.replace(settings, stages=(stage,)), tmp_path, torch.device("cpu"))
    values = [trainer.iterate()["pixel"] for _ in range(40)]
    assert np.mean(values[-10:]) < 0.5 * np.mean(values[:5])


def test_bfloat16_arithmetic_trains_float32_weights(settings, tmp_path):
    trainer = Trainer(dataclasses.replace(settings, precision="bfloat16"), tmp_path, torch.device("cpu"))
    assert trainer.run()
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in trainer.ema.parameters())
    with pytest.raises(ValueError, match="float32 or bfloat16"):
        Trainer(dataclasses.replace(settings, precision="half"), tmp_path, torch.device("cpu"))


def test_the_rate_warms_up_and_falls(settings, tmp_path):
    stage = dataclasses.replace(settings.stages[0], samples=100, warmup=20, lr=1e-2, lr_end=1e-3)
    trainer = Trainer(dataclasses.replace(settings, stages=(stage,)), tmp_path, torch.device("cpu"))
    rates = []
    for samples in (0, 16, 50, 100):
        trainer.progress.stage_samples = samples
        trainer._set_learning_rate()
        rates.append(trainer.optimizer_g.param_groups[0]["lr"])
    assert rates[0] == pytest.approx(1e-2 * 4 / 20) and rates[1] > 0.9 * 1e-2
    assert rates[2:] == pytest.approx([5.5e-3, 1e-3])


def test_a_stage_ends_by_the_clock_and_live_figures_go_on(settings, tmp_path):
    figures = dataclasses.replace(settings.figures, live=True)
    short, long = (
        dataclasses.replace(stage, samples=10**9, minutes=minutes) for stage, minutes in zip(settings.stages, (1e-6, 1e6), strict=True)
    )
    changed = dataclasses.replace(settings, figures=figures, workers=0, data_dir=str(tmp_path / "data"), stages=(short, long))
    trainer = Trainer(changed, tmp_path, torch.device("cpu"))
    assert not trainer.run(stop=lambda: trainer.progress.stage == 1 and trainer.progress.stage_samples >= 8)
    assert trainer.progress.finished == [4] and trainer.progress.people == 4
    assert trainer.optimizer_g.param_groups[0]["lr"] < trainer.stage.lr  # still warming up: the minutes are far from over
    resumed = Trainer(changed, tmp_path, torch.device("cpu"))
    assert resumed.progress.finished == [4] and resumed.progress.stage_seconds == trainer.progress.stage_seconds
    resumed.iterate()
    resumed.store.close()


def test_newest_checkpoint_wins_and_old_ones_go(tmp_path):
    for samples in (1, 2, 3):
        save_checkpoint(tmp_path, {"samples": samples}, samples)
    (tmp_path / ".checkpoint_0000000009.pt.1.part").write_bytes(b"half")
    (tmp_path / ".checkpoint_0000000009.1.part.pt").write_bytes(b"half")
    assert load_latest(tmp_path) == {"samples": 3}
    assert len(list(tmp_path.glob("checkpoint_*.pt"))) == 2
    assert load_latest(tmp_path / "none") is None
    save_checkpoint(tmp_path, {"samples": 4}, 4)
    assert not list(tmp_path.glob(".*")), "what killed processes left is gone"


def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path, capsys):
    for samples in (1, 2):
        newest = save_checkpoint(tmp_path, {"samples": samples}, samples)
    newest.write_bytes(newest.read_bytes()[:100])
    assert load_latest(tmp_path) == {"samples": 1}
    assert f"{newest}: cannot be read" in capsys.readouterr().out
    next(tmp_path.glob("checkpoint_*1.pt")).write_bytes(b"damaged")
    with pytest.raises(ValueError, match="none of its 2 checkpoints can be read"):
        load_latest(tmp_path)


# -- settings --------------------------------------------------------------------------------------------------------------


def test_bundled_configuration_reads(tmp_path):
    settings = load_settings("training/configs/lite_figures.yaml", ["stages.0.samples=5", "figures.people=7"])
    assert settings.stages[0].samples == 5 and settings.figures.people == 7
    assert settings.stages[-1].height == 256


@pytest.mark.parametrize("path", sorted(Path("training/configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_configuration_reads(path):
    if path.stem != "ablation":
        settings = load_settings(path)
        assert settings.stages
        if settings.preset == CARRIER:
            assert all(stage.height == GRID_HEIGHT for stage in settings.stages)
        else:
            assert bool(settings.carrier) == model_config(settings).carries, "a carrier is named where, and only where, the model carries"


@pytest.mark.parametrize(
    "text,overrides,message",
    [
        ("sed: 1", [], "unknown setting 'sed'"),
        ("seed: x", [], "expected int"),
        ("stages: 3", [], "expected a list"),
        ("[", [], "not valid YAML"),
        ("seed: 1", ["seed"], "key=value"),
        ("stages: []", ["stages.4.batch=1"], "no 'stages.4.batch'"),
        ("figures: {a: 1}", [], "unknown setting 'a'"),
    ],
)
def test_bad_settings_are_named(tmp_path, text, overrides, message):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=message):
        load_settings(path, overrides)


def test_a_broken_store_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(training_data, "CHUNK", 2)
    (tmp_path / ".figures_32x22_50_2x2.part").mkdir()
    store = figure_store(tmp_path, (32, 22), 2, 2, 50, (64, 44))
    assert isinstance(store, FigureStore) and not list(tmp_path.glob("*.part"))


def test_degrading_by_matrices_is_degrading(tiny_config):
    image, level = torch.rand(5, 3, *tiny_config.size), torch.tensor([0, 4, 2, 1, 2])
    expected = torch.stack([degrade(image[i : i + 1], ladder(tiny_config)[k])[0] for i, k in enumerate(level.tolist())])
    assert torch.allclose(degrade_each(image, level, tiny_config), expected, atol=1e-6)


def test_areas_by_way_of_larger_ones():
    image = torch.rand(2, 3, 32, 24)
    resized = losses.at_sizes(image, [(8, 6), (16, 12), (32, 24), (5, 3)])
    for size, small in resized.items():
        assert torch.allclose(small, F.interpolate(image, size=size, mode="area"), atol=1e-6)
    assert len(resized) == 4


def test_widening_nearly_keeps_the_function(tiny_config):
    torch.manual_seed(0)
    narrow = Generator(tiny_config).eval()
    wide = widen(narrow, dataclasses.replace(tiny_config, channels={level: count + 8 for level, count in tiny_config.channels.items()}))
    source, skeleton = torch.rand(2, 3, *tiny_config.size), torch.rand(2, 20, *tiny_config.size)
    with torch.no_grad():
        (before, _), (after, _) = (one(source, source, skeleton, torch.tensor([0, 3])) for one in (narrow, wide))
    random = Generator(wide.config)(source, source, skeleton, torch.tensor([0, 3]))[0].image
    assert (after.image - before.image).square().mean() < 0.05 * (random - before.image).square().mean()
    after, _ = wide(source, source, skeleton, torch.tensor([0, 3]))
    after.image.square().mean().backward()
    new = wide.target_image_renderer.convs[0].conv1.conv.weight.grad[narrow.config.channels[16] :]
    assert new.abs().max() > 0, "new channels learn from the first update on"
    with pytest.raises(ValueError, match="only channels"):
        widen(wide, tiny_config)


def test_a_smaller_first_stage_gives_up_the_finest_level_when_told_to(settings, tiny_config, tmp_path):
    torch.manual_seed(0)
    trained = Generator(tiny_config)
    save_weights(tmp_path / "init", trained, {}, torch.float32)
    asked = dataclasses.replace(settings, init=str(tmp_path / "init"))
    with pytest.raises(ValueError, match="is trained"):
        Trainer(asked, tmp_path / "run", torch.device("cpu"))
    trainer = Trainer(dataclasses.replace(asked, drop_finer=True), tmp_path / "run", torch.device("cpu"))
    assert trainer.generator.config.size == (32, 22)
    kept = trainer.generator.target_image_renderer.convs[0].conv1.conv.weight
    assert torch.equal(kept, trained.target_image_renderer.convs[0].conv1.conv.weight)


def test_smoothing_on_a_gpu_is_the_same_function(tiny_config):
    torch.manual_seed(0)
    channels, labels, kernels = dict.fromkeys((16, 32, 64, 128), 8), {16: 4, 32: 4, 64: 4, 128: 0}, {16: 1, 32: 3, 64: 3, 128: 3}
    config = dataclasses.replace(tiny_config, size=(128, 88), channels=channels, labels=labels, kernels=kernels)
    generator, judge = Generator(config).eval(), Discriminator(config.size, dict.fromkeys((4, 8, 16, 32, 64, 128), 8), config.steps)
    source, skeleton = torch.rand(2, 3, *config.size), torch.rand(2, 20, *config.size)
    with torch.no_grad():
        before, verdict = generator(source, source, skeleton, torch.tensor([0, 2]))[0].image, judge(source)
        choose_blurs(generator, judge)
        after, again = generator(source, source, skeleton, torch.tensor([0, 2]))[0].image, judge(source)
    ways = {module.way for module in generator.modules() if isinstance(module, Blur)}
    assert ways == {"fused", "planes"} and {module.way for module in judge.modules() if isinstance(module, Blur)} == {"fused"}
    assert torch.allclose(after, before, atol=1e-4) and torch.allclose(again.step_logprob, verdict.step_logprob, atol=1e-4)


def test_a_penalty_of_a_part_of_the_batch(settings, figures, tiny_generator, tiny_config):
    weights = LossWeights(gan=1.0, step=1.0, r1=2.0)
    judge = Discriminator(tiny_config.size, CHANNELS, tiny_config.steps)
    steps = ChainRollout(tiny_config, figures, np.random.default_rng(0), 4).run(tiny_generator, torch.device("cpu"))
    some = Objective(dataclasses.replace(settings, r1_images=2), weights, None, "cpu").discriminator(steps, judge, True)[1]["r1"]
    images = steps[0].target[:2].clone().requires_grad_()
    verdict = judge(images)
    assert some.item() == pytest.approx(
        (losses.r1_penalty(verdict.logit, images) + losses.r1_penalty(verdict.step_logprob, images)).item(), rel=1e-4
    )
    whole = Objective(settings, weights, None, "cpu").discriminator(steps, judge, True)[1]["r1"]
    assert some.item() != pytest.approx(whole.item(), rel=1e-4)


def test_graphs_say_what_they_need(settings, tmp_path):
    with pytest.raises(ValueError, match="CUDA device"):
        Trainer(dataclasses.replace(settings, graphs=True), tmp_path, torch.device("cpu"))


def test_figures_that_come_while_training(tmp_path):
    store = FigureStream(tmp_path, (64, 44), 6, 2, 50, (64, 44), 0, torch.device("cpu"), first=8)
    store.close()
    before = figure_store(tmp_path / "before", (64, 44), 8, 2, 50, (64, 44))
    names = [np.array(index) for index in ([0, 5, 7], [0, 1, 0], [1, 0, 1])]
    for mine, theirs in zip(vars(store.pairs(*names)).values(), vars(before.pairs(*names)).values(), strict=True):
        assert torch.equal(mine, theirs)
    assert sorted(store.available) == list(range(8)), "rounded up to whole groups"
    assert len(list(tmp_path.glob("*.npz"))) == 2
    chosen = store.choose(np.random.default_rng(0), 50)
    assert store.holds(chosen).all() and not store.holds(chosen + 8).any()

"""Whole runs of the real loop at a tiny size: prepared data, accumulation, warm start, what is written for people."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from nted_step.execution import Eager
from nted_step.generator import Generator
from nted_step.schedule import degrade, ladder
from nted_step.weights import load_weights, save_weights
from training.checkpoint import load_latest
from training.data.figure_store import figure_store
from training.data.stores import validation_store
from training.deepfashion import records
from training.deepfashion.prepare import prepare
from training.deepfashion.store import PreparedStore
from training.figures.dataset import write_dataset
from training.figures.render import TEST_SEED
from training.publish.export import export
from training.settings import LossWeights, Settings, SettingsError, Stage, load_settings
from training.trainer import Trainer
from training.validation import chain, validate

CPU = torch.device("cpu")
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(autouse=True)
def tiny(tiny_config, monkeypatch):
    monkeypatch.setattr("training.trainer.preset", lambda name: tiny_config)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    figure_store(folder, (64, 44), 4, 2, 50, (64, 44))
    return str(folder)


@pytest.fixture
def settings(data):
    figures = dataclasses.replace(Settings().figures, people=4, poses=2, seed=50, supersize=64)
    return Settings(
        data_dir=data,
        figures=figures,
        stages=(Stage(height=64, samples=16, batch=4),),
        d_channels=8,
        d_channels_max=8,
        log_every=1,
        validation_people=2,
    )


def test_a_run_of_prepared_data_goes_on_where_it_was(tmp_path, tiny_config):
    """Chains and windows, read in a worker or not, whole or interrupted: the same weights."""
    root = write_dataset(tmp_path / "root", [50, 51, TEST_SEED], 2, (64, 44), progress=False)
    prepare(root, [(64, 44)], tmp_path / "prepared", workers=1, progress=False)

    def settings(rollout, workers):
        stage = Stage(height=64, samples=16, batch=4, rollout=rollout, symmetric=True)
        return Settings(data=str(tmp_path / "prepared"), workers=workers, stages=(stage,))

    for rollout, workers in (("chains", 1), ("window", 0)):
        whole = Trainer(settings(rollout, 0), tmp_path / f"{rollout}_whole", CPU)
        assert whole.run()
        part = Trainer(settings(rollout, workers), tmp_path / f"{rollout}_part", CPU)
        assert not part.run(stop=lambda p=part: p.progress.total_samples >= 8)
        again = Trainer(settings(rollout, workers), tmp_path / f"{rollout}_part", CPU)
        assert again.run()
        for key, value in whole.generator.state_dict().items():
            assert torch.equal(value, again.generator.state_dict()[key]), (rollout, key)
    validation = validation_store(settings("window", 0), tiny_config, 2)
    assert isinstance(validation, PreparedStore) and validation.people == len(validation.first_pairs()) == 2 and not validation.augment
    for _, folder in list(records._OPEN):
        records.close_reader(Path(folder))


def test_accumulated_gradients_are_the_mean_of_their_parts(settings, tmp_path):
    """Of both networks, R1 included; the parts are visited in the same order by a trainer that goes back from each alone."""
    light = LossWeights(gan=0.3, step=0.3, r1=1.0)
    both = Trainer(dataclasses.replace(settings, stages=(Stage(height=64, batch=4, accumulate=2, weights=light),)), tmp_path / "a", CPU)
    one = Trainer(dataclasses.replace(settings, stages=(Stage(height=64, batch=4, weights=light),)), tmp_path / "b", CPU)
    assert (both.effective_batch, one.effective_batch) == (8, 4)
    for trainer in (both, one):  # so that gradients can be compared, nothing is updated
        trainer.optimizer_g.step = trainer.optimizer_d.step = lambda: None
    both.iterate()
    parts = []
    for _ in range(2):
        one.d_updates = 0  # R1 in both
        one.iterate()
        parts.append([p.grad.clone() for p in (*one.generator.parameters(), *one.discriminator.parameters())])
    for value, first, second in zip((*both.generator.parameters(), *both.discriminator.parameters()), *parts, strict=True):
        assert torch.allclose(value.grad, (first + second) / 2, rtol=1e-4, atol=1e-6 * first.abs().max().item() + 1e-9)
    assert both.progress.total_samples == one.progress.total_samples == 8 and both.d_updates == 1


def test_a_one_step_model_warms_up_to_steps(settings, tiny_config, tmp_path):
    torch.manual_seed(0)
    one_step = Generator(dataclasses.replace(tiny_config, time_scale=0.0))
    init = str(save_weights(tmp_path / "one_step", one_step, {}, torch.float32))
    with pytest.raises(ValueError, match="time_ramp"):
        Trainer(dataclasses.replace(settings, init=init), tmp_path / "none", CPU)
    warm = dataclasses.replace(settings, init=init, time_ramp=32)
    trainer = Trainer(warm, tmp_path / "warm", CPU)
    seen = []
    trainer.run(stop=lambda: seen.append(trainer.generator.time_scale) or len(seen) > 3)
    assert seen == [0.0, 0.0, 0.125, 0.25] and trainer.ema.time_scale == 0.25
    resumed = Trainer(warm, tmp_path / "warm", CPU)
    assert resumed.generator.time_scale == 0.25 and resumed.time_scale == 0
    exported = load_weights(export(tmp_path / "warm", tmp_path / "exported"))
    assert exported.config.time_scale == 0.25


def test_without_vgg_feature_matching_is_used_and_said(settings, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "nothing"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    stage = dataclasses.replace(settings.stages[0], samples=4, weights=LossWeights(pixel=0, perceptual=2.0, face=1.0))
    trainer = Trainer(dataclasses.replace(settings, stages=(stage,)), tmp_path / "run", CPU)
    assert set(trainer.iterate()) >= {"features", "d_gan"}
    out = capsys.readouterr().out
    assert out.count("perceptual loss: not available (vgg19-dcbb9e9d.pth") == 1 and "feature matching takes its place" in out


def test_scalars_and_sheets_for_tensorboard(settings, tmp_path, capsys):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert Trainer(dataclasses.replace(settings, tensorboard=True, wandb="nted"), tmp_path, CPU).run()
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert {"loss/pixel", "loss/attention", "speed/data_wait", "validation/masked_psnr", "validation/loss", "rate/g"} <= set(
        events.Tags()["scalars"]
    )
    assert events.Tags()["images"] == ["validation/sheet"] and len(events.Scalars("loss/pixel")) == 4
    line = next(line for line in capsys.readouterr().out.splitlines() if "images/s" in line)
    assert line.startswith("stage 0 64x44  4/16 samples") and " left  data wait " in line and "attention " in line


def test_the_validation_loss_is_the_pixel_loss_over_all_steps(settings, tmp_path):
    """Computed anew, pixel by pixel, from the images of the chain."""
    trainer = Trainer(settings, tmp_path, CPU)
    found = validate(trainer.ema, trainer.validation, CPU, tmp_path / "sheet.png", trainer.objective.emphasis)
    pairs = trainer.validation.pairs(np.arange(2), np.zeros(2, int), np.ones(2, int))
    weight = np.where(pairs.target_classes.numpy() > 0, 1 + settings.person, 1.0)[:, None]
    values = []
    for output, size in zip(chain(Eager(trainer.ema), pairs, CPU)[1:], ladder(trainer.final)[1:], strict=True):
        error = np.abs((output - degrade(pairs.target, size)).numpy().astype(float))
        values.append((weight * np.where(error < 0.5, 2 * error**2, 2 * error - 0.5)).sum() / (3 * weight.sum()))
    assert found.loss == pytest.approx(np.mean(values), rel=1e-4)
    assert found.psnr < found.copied, "nothing is learned yet"


def test_the_smallest_configuration_halves_the_validation_loss(tmp_path):
    """The command of its head, as somebody would type it, in a checkout without runs."""
    for name in ("training", "nted_step", "appearance_control"):
        (tmp_path / name).symlink_to(ROOT / name)
    command = [sys.executable, "-m", "training.train", "--config", "training/configs/tiny_figures.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0 and done.stdout.endswith("finished\n"), done.stderr
    said = [float(value) for value in re.findall(r"^validation at \d+ samples: loss (\d+\.\d+)", done.stdout, re.MULTILINE)]
    kept = load_latest(tmp_path / "runs" / "tiny_figures")["progress"]
    assert len(said) == 2 and said[0] == pytest.approx(kept["first_loss"], abs=1e-4)
    assert said[1] < said[0] / 2, done.stdout


@pytest.mark.parametrize("name", ["base_figures", "carrier_fashion", "fashion_256", "fashion_512", "tiny_figures"])
def test_bundled_configurations_read(name):
    settings = load_settings(f"training/configs/{name}.yaml")
    assert settings.stages and all(stage.samples > 0 for stage in settings.stages)
    if name.startswith("fashion"):
        stage = settings.stages[0]
        assert stage.batch * stage.accumulate * 4 == 96 and settings.data and stage.weights.perceptual == 2
        assert stage.rollout == "chains" and settings.carrier
        published = load_settings(f"training/configs/{name}.yaml", ["stages.0.samples=7"], ["published"])
        (stage,) = published.stages
        assert (stage.rollout, stage.symmetric, stage.samples, published.carrier) == ("published", True, 7, "")
        assert stage.batch * stage.accumulate * 4 == 32 and stage.weights == settings.stages[0].weights
        assert load_settings(f"training/configs/{name}.yaml", options=["window"]).stages[0].rollout == "window"


@pytest.mark.parametrize(
    "text, message",
    [
        ("{}", "has no option 'x'; it has none"),
        ("options: {published: [a=1]}", "has no option 'x'; it has published"),
        ("options: [a=1]", "options: expected a list of KEY=VALUE"),
        ("options: {x: seed=1}", "options: expected a list of KEY=VALUE"),
        ("options: {x: [seed]}", "expected key=value"),
    ],
)
def test_options_that_are_none_are_named(text, message, tmp_path):
    (tmp_path / "run.yaml").write_text(text)
    with pytest.raises(SettingsError, match=message):
        load_settings(tmp_path / "run.yaml", options=["x"])


def test_a_damaged_checkpoint_falls_back_to_the_one_before(settings, tmp_path, capsys):
    trainer = Trainer(settings, tmp_path, CPU)
    trainer.save()
    trainer.iterate()
    trainer.save()
    newest = tmp_path / (tmp_path / "latest").read_text().strip()
    assert newest.name == "checkpoint_0000000004.pt"
    newest.write_bytes(newest.read_bytes()[:1000])
    assert Trainer(settings, tmp_path, CPU).progress.total_samples == 0
    assert "checkpoint_0000000004.pt: cannot be read" in capsys.readouterr().out

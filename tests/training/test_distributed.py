"""Two ranks on the CPU over gloo, started by torchrun as a user would."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from tests.training.rank import gradients
from training.checkpoint import load_latest
from training.data import figure_store

ROOT = Path(__file__).parent.parent.parent
RANK = str(Path(__file__).parent / "rank.py")


def torchrun(*arguments: str, restarts: int = 0, count: int = 2) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={count}", f"--max-restarts={restarts}"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]), "OMP_NUM_THREADS": "1"}
    return subprocess.run([*command, RANK, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=180)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for people, seed in ((4, 50), (2, 8_000_000)):
        figure_store(folder, (64, 44), people, 2, seed, (64, 44))
    return folder


@pytest.fixture
def config(data, tmp_path):
    """Five iterations of eight samples on two ranks, a discriminator and R1 in every second; saved after each."""
    path = tmp_path / "config.yaml"
    weights = {"classes": 1, "gan": 0.3, "step": 0.3, "features": 1, "r1": 1}
    stage = {"height": 64, "samples": 40, "batch": 4, "weights": weights}
    figures = {"people": 4, "poses": 2, "seed": 50, "supersize": 64}
    document = {"data_dir": str(data), "figures": figures, "stages": [stage], "d_channels": 8, "d_channels_max": 8, "r1_every": 2}
    path.write_text(yaml.safe_dump(document | {"save_minutes": 0, "log_every": 1, "validation_people": 2}))
    return path


def arguments(config, run):
    return "--config", str(config), "--output", str(run), "--device", "cpu"


def test_gradients_are_the_mean_of_the_ranks_own(data):
    """With R1 in the backward pass, for one forward pass of G (chains) and for three (window)."""
    assert torchrun("gradients", str(data)).returncode == 0
    for kind in ("chains", "window"):
        alone = [gradients(rank, lambda module: module, kind, data) for rank in (0, 1)]
        together = [torch.load(data / f"{kind}_{rank}.pt", weights_only=True) for rank in (0, 1)]
        for name, value in alone[0].items():
            mean = (value + alone[1][name]) / 2
            assert value.abs().sum() > 0, name
            assert torch.equal(together[0][name], together[1][name]), name
            assert torch.allclose(together[0][name], mean, rtol=1e-3, atol=1e-5 * mean.abs().max().item() + 1e-8), (kind, name)


@pytest.mark.slow
def test_a_killed_rank_restarts_all_and_the_end_is_that_of_an_undisturbed_run(config, tmp_path):
    """So resuming equals not having been interrupted, chains and random numbers of both ranks included."""
    whole = torchrun("train", *arguments(config, tmp_path / "whole"))
    assert whole.returncode == 0, whole.stderr
    assert whole.stdout.count("validation at 40 samples") == 1 and whole.stdout.count("finished") == 1  # the first rank alone speaks
    assert "effective batch 8 = 4 pairs x 1 accumulated x 2 processes" in whole.stdout
    disturbed = torchrun("train", "--kill", "24", *arguments(config, tmp_path / "killed"), restarts=1)
    assert disturbed.returncode == 0, disturbed.stderr
    ours, theirs = load_latest(tmp_path / "killed"), load_latest(tmp_path / "whole")
    assert len(ours["others"]) == 1 and ours["progress"]["total_samples"] == theirs["progress"]["total_samples"] == 40
    for name in ("generator", "ema", "discriminator"):
        assert all(torch.equal(ours[name][key], theirs[name][key]) for key in ours[name]), name
    for mine, other in ((ours, theirs), (ours["others"][0], theirs["others"][0])):
        assert mine["rng"] == other["rng"] and torch.equal(mine["rollout"]["x"], other["rollout"]["x"])
    assert not torch.equal(ours["rollout"]["x"], ours["others"][0]["rollout"]["x"])


@pytest.mark.slow
def test_a_loss_that_is_not_finite_on_one_rank_stops_both_and_keeps_the_checkpoint(config, tmp_path):
    done = torchrun("train", "--nan", "24", *arguments(config, tmp_path / "run"))
    assert done.returncode != 0
    assert done.stderr.count("a loss is not finite after 24 samples") == 2
    kept = load_latest(tmp_path / "run")
    assert kept["progress"]["total_samples"] == 16 and all(value.isfinite().all() for value in kept["generator"].values())

"""Two ranks on the CPU over gloo, started by torchrun as a user would. (What happens when one dies: tests/faults.)"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from tests.training.rank import gradients
from training.checkpoint import load_latest
from training.data.figure_store import figure_store

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
def test_a_carrier_on_two_ranks(config, tmp_path):
    """One update of the gradients' mean: both ranks draw their own pairs and jitter, and both count."""
    document = yaml.safe_load(config.read_text()) | {"preset": "carrier", "validation_people": 2}
    document["figures"]["supersize"] = 128
    document["stages"] = [{"height": 128, "samples": 4, "batch": 2}]
    config.write_text(yaml.safe_dump(document))
    done = torchrun("train", *arguments(config, tmp_path / "run"))
    assert done.returncode == 0 and "effective batch 4" in done.stdout, done.stderr
    state = load_latest(tmp_path / "run")
    (other,) = state["others"]
    assert state["progress"]["total_samples"] == 4 and not torch.equal(state["rollout"]["noise"], other["rollout"]["noise"])

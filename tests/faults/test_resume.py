"""Interrupted and resumed equals uninterrupted: weights, average, optimizers, random numbers, order of the data."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from tests.training.test_training import figures, settings  # noqa: F401 (fixtures)
from training.checkpoint import load_latest
from training.trainer import Trainer

CPU = torch.device("cpu")
OF_THE_CLOCK = ("seconds", "hours", "time")  # what tells how long it took may differ


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Everything in a checkpoint, with the way to it."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from leaves(each, f"{path}/{key}")
    elif isinstance(value, (list, tuple)):
        for key, each in enumerate(value):
            yield from leaves(each, f"{path}/{key}")
    else:
        yield path, value


@pytest.mark.parametrize("stage, samples", [(0, 8), (1, 4), (1, 8)])
def test_everything_in_the_last_checkpoint_is_the_same(settings, tmp_path, stage, samples):  # noqa: F811
    whole = Trainer(settings, tmp_path / "whole", CPU)
    assert whole.run()
    part = Trainer(settings, tmp_path / "part", CPU)
    assert not part.run(stop=lambda: part.progress.stage == stage and part.progress.stage_samples >= samples)
    resumed = Trainer(settings, tmp_path / "part", CPU)
    assert resumed.progress.stage == stage and resumed.progress.stage_samples == samples
    assert resumed.run()
    ours, theirs = (dict(leaves(load_latest(tmp_path / name))) for name in ("part", "whole"))
    assert ours.keys() == theirs.keys()
    for kind in ("/generator/", "/ema/", "/discriminator/", "/optimizer_g/", "/optimizer_d/", "/rng", "/rollout"):
        assert any(path.startswith(kind) for path in ours), kind
    for path, value in ours.items():
        if any(word in path for word in OF_THE_CLOCK):
            continue
        same = torch.equal(value, theirs[path]) if isinstance(value, torch.Tensor) else value == theirs[path]
        assert same, path

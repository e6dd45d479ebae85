"""Two gloo ranks, one killed under ``--max-restarts=1``: both resume."""

import pytest
import torch

from tests.training.test_distributed import arguments, config, data, torchrun  # noqa: F401 (fixtures)
from training.checkpoint import load_latest


@pytest.mark.slow
def test_a_killed_rank_restarts_all_and_the_end_is_that_of_an_undisturbed_run(config, tmp_path):  # noqa: F811
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

"""A loss that is not a number: all ranks stop with a code that is not zero, and the last good checkpoint is kept."""

import pytest

from tests.training.test_distributed import arguments, config, data, torchrun  # noqa: F401 (fixtures)
from training.checkpoint import load_latest


@pytest.mark.slow
def test_a_loss_that_is_not_finite_on_one_rank_stops_both_and_keeps_the_checkpoint(config, tmp_path):  # noqa: F811
    done = torchrun("train", "--nan", "24", *arguments(config, tmp_path / "run"))
    assert done.returncode != 0
    assert done.stderr.count("a loss is not finite after 24 samples") == 2
    kept = load_latest(tmp_path / "run")
    assert kept["progress"]["total_samples"] == 16 and all(value.isfinite().all() for value in kept["generator"].values())

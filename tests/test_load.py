"""The load command at a small size, and that it notices what it is there to notice."""

import json

import pytest

from tests import load


@pytest.mark.slow
def test_four_clients(tiny_weights, capsys):
    code = load.main(["--clients", "4", "--requests", "3", "--weights", tiny_weights, "--json", "--quiet"])
    found = json.loads(capsys.readouterr().out)
    assert code == 0 and not found["failed"], found["failed"]
    assert found["different"] == 12 and found["wrong_images"] == found["errors"] == 0
    assert found["fairness"]["drag"]["previews"] > 0 and found["load"]["max"] > 0


def test_growth_is_seen_and_a_plateau_is_not_growth():
    watch = load.Watch(None, None)
    watch.memory = [100] * 50 + [500] * 150
    assert watch.growth() == (0, 500)
    watch.memory = list(range(200))
    assert watch.growth()[0] == 50


def test_requests_are_different_and_the_same_every_time():
    made = load.jobs(12, (64, 44))
    assert len({(job.photo, str(job.pose), job.seed) for job in made}) == 12
    assert made == load.jobs(12, (64, 44))

"""Offline with cached Hub weights: starts. Without: one line with the remedy, and no hang."""

import os
import shutil
import subprocess
import sys
import time

import pytest

from nted_step.weights import WeightsError, load_weights
from tests.running import ROOT, Server, free_port

REVISION = "0123456789abcdef0123456789abcdef01234567"
NOWHERE = {"HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "localhost,127.0.0.1"}


@pytest.fixture
def cache(tiny_weights, tmp_path):
    """A Hub cache in which some-user/some-weights was fetched before, as huggingface_hub lays it out."""
    repository = tmp_path / "hub" / "models--some-user--some-weights"
    shutil.copytree(tiny_weights, repository / "snapshots" / REVISION)
    for name in ("main", "v1"):
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / name).write_text(REVISION)
    return {"HF_HOME": str(tmp_path), "HF_HUB_CACHE": str(tmp_path / "hub")}


def test_cached_weights_start(cache):
    """The proxy does not exist, so the Hub cannot be reached; nothing says so beforehand."""
    clean = {key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"}
    server = Server("some-user/some-weights@v1", "--dtype", "float32", environment=clean | cache | NOWHERE | {"OMP_NUM_THREADS": "1"})
    try:
        assert "with weights some-user/some-weights (random)" in server.first_line
    finally:
        assert server.interrupt()[0] == 0


@pytest.mark.parametrize("revision", [None, "main", "v1", REVISION])
def test_every_way_to_name_a_revision(cache, monkeypatch, revision):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", cache["HF_HUB_CACHE"])
    assert load_weights("some-user/some-weights", revision).training["summary"] == "random"


def test_a_revision_that_was_not_fetched_is_refused(cache, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", cache["HF_HUB_CACHE"])
    with pytest.raises(WeightsError, match="some-user/some-weights@v2: "):
        load_weights("some-user/some-weights", "v2")


def test_without_a_cache_it_is_one_line(tmp_path):
    began = time.monotonic()
    environment = os.environ | NOWHERE | {"HF_HOME": str(tmp_path), "HF_HUB_CACHE": str(tmp_path / "hub")}
    environment.pop("HF_HUB_OFFLINE", None)
    command = [sys.executable, "-B", "app.py", "--weights", "some-user/some-weights", "--port", str(free_port())]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=150)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and not done.stdout
    assert "some-user/some-weights: " in done.stderr and "connect once, or give a folder" in done.stderr
    assert time.monotonic() - began < 120


def test_offline_by_declaration_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match="some-user/some-weights: no such folder, not in the Hub's cache"):
        load_weights("some-user/some-weights")
    with pytest.raises(WeightsError, match="no such folder"):
        load_weights("/nowhere/at/all")

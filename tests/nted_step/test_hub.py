"""Weights from the Hub: its real client, in processes of its own, against a server on this machine."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nted_step.generator import Generator
from nted_step.weights import save_weights
from tests.conftest import TINY
from tests.hub_server import Hub, digest, environment

pytestmark = pytest.mark.slow
NAME = "some-user/some-weights"
# Loads what it is told to and says which file that was, how much of the model it is, and what went wrong, in one line of JSON each.
LOAD = """
import json, sys
from nted_step import NTEDStepPipeline
from nted_step.weights import WeightsError
for revision in json.loads(sys.argv[2]):
    try:
        pipeline = NTEDStepPipeline.from_pretrained(sys.argv[1], revision=revision, device="cpu", dtype="float32")
        print(json.dumps({"sha256": pipeline.sha256, "origin": pipeline.origin}))
    except WeightsError as error:
        print(json.dumps({"error": str(error)}))
"""


@pytest.fixture
def hub():
    server = Hub()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two weights folders of the same model."""
    made = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        made.append(save_weights(tmp_path_factory.mktemp("weights"), Generator(TINY), {"summary": f"seed {seed}"}))
    return made


def sha256(folder: Path) -> str:
    return digest((folder / "model.safetensors").read_bytes())


def load(hub: Hub, home: Path, *revisions: str | None, **more: str) -> list[dict]:
    command = [sys.executable, "-c", LOAD, NAME, json.dumps(revisions or (None,))]
    done = subprocess.run(command, env=environment(hub.url, home, **more), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_fetched_once_pinned_and_then_without_the_hub(hub, folders, tmp_path):
    first, _ = (hub.commit_folder(NAME, folder) for folder in folders)
    newest, pinned, gone = load(hub, tmp_path, None, first, "0" * 40)
    assert newest == {"sha256": sha256(folders[1]), "origin": NAME} and pinned["sha256"] == sha256(folders[0]) != newest["sha256"]
    assert gone["error"].startswith(f"{NAME}@{'0' * 40}: ") and "\n" not in gone["error"]
    hub.asked.clear()
    assert load(hub, tmp_path, HF_HUB_OFFLINE="1") == [newest] and hub.asked == []
    hub.stop()
    assert load(hub, tmp_path, None, first) == [newest, pinned], "nobody answers, and nobody said so beforehand"
    (nothing,) = load(hub, tmp_path / "another")
    assert nothing["error"].startswith(f"{NAME}: no such folder, not in the Hub's cache, and the Hub cannot be reached")


def test_what_arrives_broken_is_named_and_does_not_stay(hub, folders, tmp_path):
    hub.commit_folder(NAME, folders[0])
    hub.damaged.add("model.safetensors")
    (damaged,) = load(hub, tmp_path)
    assert "model.safetensors: damaged: its SHA-256 is not the one in config.json; it is removed from the Hub's cache" in damaged["error"]
    hub.damaged.clear()
    hub.cut.add("model.safetensors")
    (cut,) = load(hub, tmp_path)
    assert cut["error"].startswith(f"{NAME}: cannot be fetched from the Hub (") and "\n" not in cut["error"]
    (offline,) = load(hub, tmp_path, HF_HUB_OFFLINE="1")
    assert "error" in offline, "half a file is not taken for the whole"
    hub.cut.clear()
    assert [one.get("sha256") for one in load(hub, tmp_path)] == [sha256(folders[0])], "the next start mends it"


def test_a_repository_without_the_file_or_none_at_all(hub, folders, tmp_path):
    (missing,) = load(hub, tmp_path)
    assert missing["error"] == f"{NAME}: no such folder here, and no such repository on the Hub"
    hub.commit(NAME, {"config.json": (folders[0] / "config.json").read_bytes()})
    (partial,) = load(hub, tmp_path)
    assert "model.safetensors: No such file" in partial["error"] and "some-weights" in partial["error"] and "\n" not in partial["error"]

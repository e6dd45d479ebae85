"""The commands of ``training/README.md``, read from the file and run in its order, with configurations that take seconds."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from nted_step.weights import load_carrier, load_weights
from tests.hub_server import TOKEN, Hub
from tests.running import ROOT
from tests.training.deepfashion_copy import write_copy
from training.__main__ import COMMANDS, main
from training.deepfashion import records
from training.figures.render import TEST_SEED

README = ROOT / "training" / "README.md"
STAGE = {"height": 32, "samples": 8, "batch": 4, "beta1": 0.9, "lr": 1e-3, "weights": {"classes": 1}}
# Options after a command's own, which then count: less of everything, and no GPU.
LESS = {
    "benchmark": "--device cpu",
    "parser": "--people 1 --batch 2 --minutes 0.01 --device cpu --precision float32",
    "figures": "--people 1 --size 32x22",
    "prepare": "--sizes 32x22 128x88 256x176 --workers 1",
    "train": "--device cpu",
    "infer": "--devices cpu",
    "evaluate": "--device cpu",
    "ablate": "--device cpu",
}


def commands() -> list[list[str]]:
    """Every command of the file, indented or between backquotes, as words."""
    found = re.findall(r"^ {4,}((?:python -m training|torchrun) .+)$|`(python -m training [^`]+)`", README.read_text(), re.MULTILINE)
    lines = (" ".join((one or other).split()) for one, other in found)
    return [shlex.split(line) for line in lines if "COMMAND" not in line]


def write_small_configurations(folder: Path) -> None:
    """The bundled configurations with two people, a small stage and small networks."""
    folder.mkdir(parents=True)
    for path in (ROOT / "training" / "configs").glob("*.yaml"):
        document = yaml.safe_load(path.read_text())
        (folder / path.name).write_text(yaml.safe_dump(small_plan(document) if "rows" in document else small(document)))


def small(document: dict) -> dict:
    live = document.get("figures", {}).get("live", False)
    carrier = document["preset"] == "carrier"
    kept = {key: document[key] for key in ("preset", "init", "carrier", "drop_finer", "data", "options") if key in document}
    if kept["preset"] in ("base", "fashion_512"):
        kept["preset"] = "lite"
    stage = {"height": 128, "samples": 4, "batch": 2, "lr": 1e-4} if carrier else STAGE
    figures = {"people": 2, "poses": 4, "seed": 50, "supersize": 256 if live else 128 if carrier else 64, "live": live}
    count = max(2, len(document["stages"])) if "init" not in document else 1  # `benchmark --stage 1` needs a second
    return kept | {"figures": figures, "stages": [stage] * (1 if carrier else count), "validation_people": 1, "workers": 1}


def small_plan(document: dict) -> dict:
    rows = dict(list(document["rows"].items())[:2])
    return document | {"people": 1, "rows": rows, "set": [f"stages={[STAGE]}"]}


@pytest.mark.slow
def test_the_commands_run_in_their_order(tmp_path, monkeypatch, capsys):
    server = Hub()
    write_small_configurations(tmp_path / "training" / "configs")
    (tmp_path / "assets").symlink_to(ROOT / "assets")
    write_copy(tmp_path / "data" / "deepfashion", [50, 51], [TEST_SEED])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # read by what fetches networks; the Hub's client has its own copy
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    for name, value in (("ENDPOINT", server.url), ("HF_HUB_OFFLINE", False), ("HF_HUB_DISABLE_XET", True)):
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
    try:
        for words in commands():
            run(words, capsys)
    finally:
        server.stop()
    assert set(server.commits) == {"user/name"}
    assert load_weights("out/weights").config.size == (256, 176) and load_weights("weights/fashion_256").config.carries
    assert load_carrier("runs/carrier_fashion_weights").sha256 == load_weights("weights/fashion_256").carrier.sha256
    assert len(list(Path("out/images").glob("*.png"))) == len(list(Path("out/images/film").glob("*.png"))) == 2
    for path in ("out/fashion_256/metrics.json", "out/space/app.py", "data/figures/test_pairs.txt", "runs/ablation"):
        assert Path(path).exists(), path


def run(words: list[str], capsys) -> None:
    if words[0] == "torchrun":
        words = [word.replace("--nproc_per_node=4", "--nproc_per_node=2") for word in words[1:]]
        command = [sys.executable, "-m", "torch.distributed.run", *words, *shlex.split(LESS["train"])]
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, timeout=500)
        assert done.returncode == 0, done.stderr
        return
    name, *arguments = words[3:]
    less = shlex.split(LESS.get(name, ""))
    if "--figures" in arguments and name == "evaluate":
        less += ["--figures", "1", "--steps", "last"]
    threads = torch.get_num_threads()
    status = main([name, *arguments, *less])
    torch.set_num_threads(threads)
    for _, folder in list(records._OPEN):
        records.close_reader(Path(folder))
    assert not status, f"{' '.join(words)}: {capsys.readouterr().err}"


def test_the_file_has_the_commands_of_every_kind_of_work():
    named = {words[3] for words in commands() if words[0] == "python"}
    assert named >= {
        "train",
        "evaluate",
        "infer",
        "download",
        "figures",
        "prepare",
        "export",
        "publish",
        "space",
        "ablate",
        "benchmark",
        "parser",
    }
    assert named <= set(COMMANDS) and any(words[0] == "torchrun" for words in commands())

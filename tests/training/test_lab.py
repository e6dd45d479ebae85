"""A lab's day: the original's own layout through prepare, train, export, infer and evaluate; and the configurations for DeepFashion."""

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from nted_step.weights import load_weights
from tests.training.deepfashion_copy import nested, write_copy
from training.__main__ import main
from training.checkpoint import load_latest
from training.deepfashion import records
from training.figures.render import TEST_SEED
from training.train import main as train

CARRIER = "assets/weights/lite/carrier"
# Of any configuration for DeepFashion, what makes a few iterations of it bearable; networks keep their channels.
TINY = [
    "workers=0", "stages.0.height=32", "stages.0.samples=8", "stages.0.batch=2", "stages.0.accumulate=1", "d_channels=8",
    "d_channels_max=16", "validation_people=1", "precision=float32", "tensorboard=false", "r1_every=2",
]  # fmt: skip


def options(*settings):
    return [part for setting in settings for part in ("--set", setting)]


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # no network weights, wherever this runs
    yield
    for _, folder in list(records._OPEN):
        records.close_reader(Path(folder))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Two people to train on and one to test on."""
    folder = tmp_path_factory.mktemp("lab")
    root = write_copy(folder / "deepfashion", [50, 51], [TEST_SEED])
    command = ["prepare", "--root", str(root), "--output", str(folder / "prepared"), "--workers", "1"]
    assert main([*command, "--sizes", "32x22", "128x88", "256x176"]) == 0
    return folder / "prepared"


def test_from_the_original_lists_to_scores(prepared, tmp_path, capsys):
    report = json.loads((prepared / "report.json").read_text())
    assert report["pairs"] == {"train": {"listed": 4, "usable": 4}, "test": {"listed": 2, "usable": 2}} and report["broken"] == []
    assert {one["order"] for one in report["pair_lists"].values()} == {"target-first"}
    run, weights, images, scores = (str(tmp_path / name) for name in ("run", "weights", "images", "scores"))
    settings = options(f"data={prepared}", f"carrier={CARRIER}", "preset=lite", *TINY)
    assert main(["train", "--config", "training/configs/fashion_256.yaml", "--output", run, "--device", "cpu", *settings]) == 0
    assert main(["export", "--checkpoint", run, "--output", weights]) == 0
    assert load_weights(weights).config.carries and load_weights(weights).carrier
    infer = ["infer", "--weights", weights, "--data", str(prepared), "--output", images, "--devices", "cpu", "--film", "1", "20"]
    assert main(infer) == 0
    front, side = nested(3, 0), nested(3, 1)
    made = {f"{a}_2_{b}.png" for a, b in ((flat(front), flat(side)), (flat(side), flat(front)))}
    assert {path.name for path in Path(images).glob("*.png")} == made == {path.name for path in Path(images, "film").iterdir()}
    with Image.open(Path(images) / made.pop()) as image:
        assert image.size == (176, 256)
    assert main(["evaluate", "--images", images, "--data", str(prepared), "--device", "cpu", "--output", scores]) == 0
    report = json.loads((tmp_path / "scores" / "metrics.json").read_text())
    row = report["steps"]["the images"]
    assert report["counts"]["pairs"] == 2 and row["size"] == [256, 176]
    assert row["masked_psnr"] == "not available" and 0 < row["psnr"] != report["copying the source"]["psnr"]


def flat(name):
    return name.removesuffix(".jpg").replace("/", "_")


@pytest.mark.slow
@pytest.mark.parametrize("choice", [[], ["--option", "published"], ["--option", "window"]], ids=["chains", "published", "window"])
@pytest.mark.parametrize("name", ["fashion_256", "fashion_512"])
def test_the_configurations_run_with_their_own_networks(prepared, tmp_path, name, choice):
    settings = options(*TINY, f"data={prepared}", *([] if choice else [f"carrier={CARRIER}"]))
    assert train(["--config", f"training/configs/{name}.yaml", "--run", str(tmp_path), "--device", "cpu", *choice, *settings]) == 0
    state = load_latest(tmp_path)
    assert state["progress"]["total_samples"] >= 8 and state["settings"]["stages"][0]["rollout"] == (choice[-1] if choice else "chains")
    assert bool(state["settings"]["carrier"]) is not bool(choice)


@pytest.mark.slow
def test_the_carrier_of_deepfashion_begins_from_the_one_in_the_box(prepared, tmp_path):
    tiny = [f"data={prepared}", "workers=0", "precision=float32", "stages.0.samples=4", "stages.0.batch=2", "validation_people=1"]
    command = ["--config", "training/configs/carrier_fashion.yaml", "--run", str(tmp_path / "run"), "--device", "cpu", *options(*tiny)]
    assert train(command) == 0
    assert main(["export", "--checkpoint", str(tmp_path / "run"), "--output", str(tmp_path / "weights")]) == 0
    assert (tmp_path / "weights" / "README.md").is_file() and os.path.getsize(tmp_path / "weights" / "model.safetensors") > 8e6

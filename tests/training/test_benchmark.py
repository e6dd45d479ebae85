"""The training benchmark, with the real trainer at a tiny size."""

import json

import pytest
import yaml

from training.evaluation import benchmark


@pytest.fixture
def config(tmp_path, tiny_config, monkeypatch):
    """Two stages, the second with a discriminator and R1 in every second update."""
    monkeypatch.setattr("training.trainer.preset", lambda name: tiny_config)
    weights = {"classes": 1, "gan": 0.3, "step": 0.3, "features": 1, "r1": 1}
    stages = [{"height": 32, "batch": 4}, {"height": 64, "batch": 3, "accumulate": 2, "weights": weights}]
    figures = {"people": 2, "poses": 2, "seed": 50, "supersize": 64}
    document = {
        "data_dir": str(tmp_path / "data"),
        "figures": figures,
        "stages": stages,
        "d_channels": 8,
        "d_channels_max": 8,
        "r1_every": 2,
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(document | {"validation_people": 2, "tensorboard": True}))
    return tmp_path / "config.yaml"


def test_the_parts_make_up_the_iteration(config, tmp_path, capsys):
    assert benchmark.main(["--config", str(config), "--iterations", "4", "--device", "cpu", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["stage"], report["size"], report["effective_batch"], report["r1_iterations"]) == (1, [64, 44], 6, 2)
    shares = report["shares"]
    assert tuple(shares) == benchmark.PHASES and sum(shares.values()) == pytest.approx(1)
    assert all(share > 0 for share in shares.values()) and shares["rest"] < 0.15, shares
    assert report["images_per_second"] == pytest.approx(6 / report["seconds"]) == pytest.approx(report["samples_per_second"])
    assert 0.1 < report["peak_memory_gb"] < 20 and report["machine"]["threads"] >= 1 and report["versions"]["torch"]
    assert {path.name for path in tmp_path.iterdir()} == {"config.yaml", "data"}, "no run is left behind"


def test_without_a_discriminator_and_for_people(config, capsys):
    arguments = ["--config", str(config), "--stage", "0", "--iterations", "2", "--device", "cpu", "--set", "stages.0.rollout=window"]
    assert benchmark.main(arguments) == 0
    text = capsys.readouterr().out
    assert "stage 0 at 32x22, window, float32, effective batch 4" in text and "over 2, 0 of them with R1" in text
    parts = {line[:26].strip(): line.split()[-1] for line in text.splitlines() if line.startswith("  ")}
    assert set(parts) == set(benchmark.PHASES) and parts["D"] == parts["R1"] == "0.0%"
    assert benchmark.main([*arguments[:2], "--stage", "2"]) == 2
    assert capsys.readouterr().err == "error: --stage 2: the configuration has stages 0 to 1\n"


def test_r1_is_what_the_discriminator_took_longer():
    watch = benchmark.Stopwatch(benchmark.choose_device("cpu"))
    watch.parts |= {
        "G forward": [3.0, 3.0],
        "losses": [1.0],
        "G backward": [4.0],
        "D": [1.0, 3.0],
        "D and R1": [7.0],
        "optimizers and average": [0.5],
    }
    watch.iterations = [benchmark.Iteration({}, 25.0, 2.0, 4)]
    assert watch.seconds() == {
        "data wait": 2, "G forward": 4, "losses": 1, "G backward": 4, "D": 6, "R1": 5, "optimizers and average": 0.5, "rest": 2.5,
    }  # fmt: skip
    watch.parts["D"] = []
    assert watch.seconds()["R1"] == 7 and watch.seconds()["D"] == 0

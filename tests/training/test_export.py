"""From a run to a weights folder, and from there to the Hub and back."""

import json
import re
import subprocess
import sys

import pytest
import torch

from nted_step.weights import WeightsError, load_weights, save_weights
from tests.hub_server import TOKEN, Hub, environment
from training import evaluate
from training.checkpoint import load_latest
from training.publish import export, hub
from training.settings import Figures, Settings, Stage
from training.trainer import Trainer

NAME = "some-user/lite"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two iterations of the preset lite at 32x22, to the end."""
    folder = tmp_path_factory.mktemp("run")
    figures = Figures(people=2, poses=2, seed=50, supersize=64)
    stage = Stage(height=32, samples=8, batch=4)
    assert Trainer(
        Settings(data_dir=str(folder / "data"), figures=figures, stages=(stage,), validation_people=2), folder, torch.device("cpu")
    ).run()
    return folder


def test_a_checkpoint_alone_is_enough(run, tmp_path, capsys):
    """File or folder; the card says what the run was; float32 keeps the average bit by bit."""
    out = tmp_path / "out"
    assert export.main(["--checkpoint", str(run), "--output", str(out), "--dtype", "float32"]) == 0
    weights, average = load_weights(out), load_latest(run)["ema"]
    kept = [key for key, value in average.items() if key in weights.state and torch.equal(weights.state[key], value)]
    assert weights.config.size == (256, 176) and len(kept) > len(average) / 2  # the rest is what a larger canvas changes
    assert json.loads((out / "config.json").read_text())["sha256"] == weights.sha256
    card = (out / "README.md").read_text()
    assert card.startswith("---\nlicense: apache-2.0\n") and "2 people in 2 poses each, seeds 50 to 51" in card
    assert re.search(r"\n8 training samples .* on \d+ cores? of a CPU .*, in these stages:\n\n- 32x22, 8 samples, chains", card)
    assert re.search(r"after 8 samples, on unseen people: loss \d\.\d{4}, \d\.\d{4} before the first iteration; masked PSNR", card)
    assert "## For what" in card and "Apache-2.0" in card and "stored as float32" in card
    checkpoint = run / (run / "latest").read_text().strip()
    assert export.main(["--checkpoint", str(checkpoint), "--output", str(tmp_path / "again"), "--dtype", "float32"]) == 0
    assert load_weights(tmp_path / "again").sha256 == weights.sha256


def test_the_card_holds_an_evaluation_of_these_weights_only(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    out, measured = tmp_path / "out", tmp_path / "measured"
    arguments = ["--checkpoint", str(run), "--output", str(out), "--metrics", str(measured / "metrics.json")]
    assert export.main(arguments[:4]) == 0
    assert evaluate.main(["--weights", str(out), "--figures", "1", "--steps", "last", "--device", "cpu", "--output", str(measured)]) == 0
    assert export.main(arguments) == 0
    card = (out / "README.md").read_text()
    report = json.loads((measured / "metrics.json").read_text())
    rows = {line.split("|")[1].strip(): line.split("|")[2:-1] for line in card.splitlines() if line.startswith("|")}
    assert set(rows) == {"", "---", "copying the source", "warping its limbs", "step 20"}
    assert float(rows["step 20"][0]) == pytest.approx(report["steps"]["step 20"]["masked_psnr"], abs=0.01)
    capsys.readouterr()
    assert export.main([*arguments, "--dtype", "float32"]) == 2
    assert capsys.readouterr().err.startswith(f"error: {measured / 'metrics.json'}: measured on other weights")


def test_what_is_no_checkpoint_is_named(run, tmp_path, capsys):
    (tmp_path / "broken.pt").write_bytes(b"no")
    old = load_latest(run)
    del old["settings"]
    torch.save(old, tmp_path / "old.pt")
    for name, message in (
        ("none.pt", "no such checkpoint or run"),
        ("broken.pt", "cannot be read as a checkpoint"),
        ("", "no checkpoint"),
        ("old.pt", "--config"),
    ):
        assert export.main(["--checkpoint", str(tmp_path / name), "--output", str(tmp_path / "out")]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"error: {tmp_path / name}") and message in line
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_pushed_weights_come_back_bit_by_bit(run, tmp_path):
    """Two processes that export, without and with a token, and one that has never seen the folder."""
    server, out = Hub(), tmp_path / "out"
    command = [sys.executable, "-m", "training.publish.export", "--checkpoint", str(run), "--output", str(out), "--push-to-hub", NAME]

    def start(command: list[str], home: str, **more: str) -> subprocess.CompletedProcess:
        return subprocess.run(command, env=environment(server.url, tmp_path / home, **more), capture_output=True, text=True, timeout=300)

    refused = start(command, "stranger")
    assert refused.returncode == 2 and refused.stderr.splitlines()[-1].startswith(f"error: {NAME}: not pushed, the Hub wants a token"), (
        refused.stderr
    )
    assert str(out) in refused.stderr and server.commits == {} and load_weights(out).sha256
    pushed = start(command, "owner", HF_TOKEN=TOKEN)
    assert pushed.returncode == 0, pushed.stderr
    ((commit, files),) = server.commits[NAME].items()
    assert pushed.stdout.splitlines()[-1].endswith(f"/{NAME}/commit/{commit}")
    assert files == {name: (out / name).read_bytes() for name in ("model.safetensors", "config.json", "README.md")}, "one commit of all"
    fetch = "import sys, torch; from nted_step.weights import load_weights; torch.save(dict(load_weights(sys.argv[1]).state), sys.argv[2])"
    assert start([sys.executable, "-c", fetch, NAME, str(tmp_path / "state.pt")], "reader").returncode == 0
    server.stop()
    state, ours = torch.load(tmp_path / "state.pt", weights_only=True), load_weights(out).state
    assert state.keys() == ours.keys() and all(torch.equal(state[key], ours[key]) for key in ours)


@pytest.mark.parametrize(
    "name,offline,message",
    [(NAME, False, "the Hub cannot be reached"), (NAME, True, "HF_HUB_OFFLINE is set"), ("a/b/c", False, "not a repository name")],
)  # fmt: skip
def test_a_push_that_fails_is_one_line(name, offline, message, tmp_path, tiny_generator, monkeypatch):
    save_weights(tmp_path, tiny_generator, {})
    (tmp_path / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")  # where nobody listens
    with pytest.raises(WeightsError, match=f"{name}: .*{message}.*; the weights are in {tmp_path}") as error:
        hub.push(tmp_path, name)
    assert "\n" not in str(error.value)

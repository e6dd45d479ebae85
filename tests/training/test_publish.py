"""Publishing weights of every kind, and the folder of a Space."""

import dataclasses
import shutil
import subprocess
import sys

import pytest
import torch

from nted_step.bundled import HUB_REPOSITORY, POSE_WEIGHTS, WEIGHTS
from nted_step.weights import WeightsError, load_carrier, load_weights
from tests.conftest import TINY, save_noise
from tests.hub_server import TOKEN, Hub, environment
from training.publish import publish, space
from training.publish.hub import contents

CARD = "---\nlicense: apache-2.0\n---\n\nA card.\n"


@pytest.fixture
def carrying(tmp_path):
    """A tiny model that carries, with the cards of both."""
    folder = save_noise(tmp_path / "weights", dataclasses.replace(TINY, carries=True))
    for card in (folder / "README.md", folder / "carrier" / "README.md"):
        card.write_text(CARD)
    return folder


def test_bundled_weights_of_every_kind_pass_their_dry_run(capsys, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")  # where nobody listens
    kinds = {"lite": "step model", "lite/carrier": "carrier", "parser": "garment parser", "pose": "pose detector"}
    for name, kind in kinds.items():
        folder = WEIGHTS.parent / name
        assert publish.main([str(folder), "--repo", "user/name", "--dry-run"]) == 0
        out = capsys.readouterr().out
        assert f"({kind}, licence apache-2.0) to user/name" in out and "nothing was uploaded" in out
        assert f"{(folder / 'model.safetensors').stat().st_size:,} bytes" in out
        assert ("carrier/model.safetensors" in out) == (name == "lite")
    assert publish.main([str(POSE_WEIGHTS), "--dry-run"]) == 0 and f"to {HUB_REPOSITORY}" in capsys.readouterr().out


@pytest.mark.slow
def test_a_model_that_carries_comes_back_with_its_carrier(carrying, tmp_path):
    """Published by one process, loaded by another that has never seen the folder; a pinned commit then needs nobody."""
    server = Hub()

    def start(command: list[str], home: str, **more: str) -> subprocess.CompletedProcess:
        return subprocess.run(command, env=environment(server.url, tmp_path / home, **more), capture_output=True, text=True, timeout=300)

    command = [sys.executable, "-m", "training", "publish", str(carrying), "--repo", "user/name"]
    refused = start(command, "stranger")
    assert refused.returncode == 2 and "not pushed, the Hub wants a token" in refused.stderr.splitlines()[-1] and not server.commits
    assert start(command, "owner", HF_TOKEN=TOKEN).returncode == 0
    ((commit, files),) = server.commits["user/name"].items()
    assert files == {name: (carrying / name).read_bytes() for name in contents(carrying).files} and len(files) == 6
    fetch = (
        "import sys, torch; from nted_step.weights import load_weights; weights = load_weights('user/name', sys.argv[1]); "
        "torch.save({**weights.state, **weights.carrier.state}, sys.argv[2])"
    )
    state = tmp_path / "state.pt"
    assert start([sys.executable, "-c", fetch, commit, str(state)], "reader").returncode == 0
    read = torch.load(state, weights_only=True)
    ours = {**load_weights(carrying).state, **load_carrier(carrying / "carrier").state}
    assert read.keys() == ours.keys() and all(torch.equal(read[key], ours[key]) for key in ours)
    server.asked.clear()
    for _ in ("the Hub answers", "nobody answers"):
        again = start([sys.executable, "-c", fetch, commit, str(state)], "reader")
        assert again.returncode == 0 and again.stderr == "" and server.asked == []
        server.stop()


def spoil_weights(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda folder: (folder / "README.md").unlink(), "README.md: no model card"),
        (lambda folder: (folder / "README.md").write_text("# A card\n"), "head that names the license"),
        (lambda folder: (folder / "carrier" / "README.md").write_text("---\n: [\n---\n"), "head that names the license"),
        (lambda folder: shutil.rmtree(folder / "carrier"), "carrier/config.json: No such file"),
        (lambda folder: (folder / "config.json").write_text('{"format": "x"}'), "'format' is none of nted_step"),
        (spoil_weights, "model.safetensors: damaged"),
    ],
)
def test_what_is_not_whole_is_not_published(carrying, damage, message, capsys):
    damage(carrying)
    assert publish.main([str(carrying), "--repo", "user/name", "--dry-run"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and message in line


def test_a_name_that_is_no_repository_is_named(carrying, capsys):
    assert publish.main([str(carrying), "--repo", "name", "--dry-run"]) == 2
    assert "not a repository name" in capsys.readouterr().err


def test_the_word_hub_is_the_default_repository(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(WeightsError, match=HUB_REPOSITORY):
        load_weights("hub")


# -- the Space -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("space") / "space"
    assert space.main(["--output", str(folder)]) == 0
    return folder


@pytest.fixture
def copy(laid_out, tmp_path):
    return shutil.copytree(laid_out, tmp_path / "space")


def test_git_itself_takes_every_large_and_binary_file_for_lfs(laid_out):
    subprocess.run(["git", "init", "-q"], cwd=laid_out, check=True)
    names = [path.relative_to(laid_out).as_posix() for path in laid_out.rglob("*") if path.is_file() and ".git" not in path.parts]
    told = subprocess.run(
        ["git", "check-attr", "filter", "--stdin"], cwd=laid_out, input="\n".join(names), capture_output=True, text=True, check=True
    ).stdout.splitlines()
    lfs = {line.split(": ")[0] for line in told if line.endswith(": lfs")}
    assert {name for name in names if (laid_out / name).stat().st_size > 10e6} <= lfs
    assert {"assets/weights/lite/model.safetensors", "assets/screenshots/desktop.webp"} <= lfs
    assert not {"app.py", "README.md", "requirements.txt", "assets/weights/lite/config.json"} & lfs
    assert not any(name.startswith(("tests/", "training/")) for name in names) and "packages.txt" in names


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda folder: (folder / ".gitattributes").unlink(), "assets/weights/lite/model.safetensors: 8,"),
        (lambda folder: (folder / "huge.txt").write_bytes(b"x" * 10_000_001), "huge.txt: 10,000,001 bytes"),
        (lambda folder: (folder / "link").symlink_to("app.py"), "link: a link"),
        (lambda folder: (folder / "app.py").unlink(), "app.py: there is no such file"),
        (lambda folder: (folder / "README.md").write_text("# NTED\n"), "without a front matter"),
        (lambda folder: replace(folder, "colorFrom: indigo", "colorFrom: mauve"), "colorFrom is none of"),
        (lambda folder: replace(folder, 'python_version: "3.12"', "python_version: 3.10"), "python_version and sdk_version"),
        (lambda folder: replace(folder, "short_description: ", f"short_description: {'x' * 60}"), "more than 60 characters"),
    ],
)
def test_what_breaks_a_rule_is_named(copy, damage, message):
    assert space.problems(copy) == []
    damage(copy)
    assert any(message in line for line in space.problems(copy)), space.problems(copy)


def replace(folder, old, new):
    path = folder / "README.md"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))


def test_a_folder_that_is_there_is_left_alone(copy, capsys):
    before = sorted(copy.rglob("*"))
    assert space.main(["--output", str(copy)]) == 2 and "is there already" in capsys.readouterr().err
    assert sorted(copy.rglob("*")) == before

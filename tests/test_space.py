"""The page as a Space starts it: its variables, an empty home, a checkout without git that it must not write to."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

import app
from nted_step.bundled import WEIGHTS
from tests.running import ROOT, START_SECONDS, free_port
from training.publish.space import lay_out, problems

PATHS = ("PATH", "LANG", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "PYTHONPATH")


def front_matter() -> dict:
    _, head, _ = (ROOT / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(head)


def requirement(name: str) -> Requirement:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return next(each for each in map(Requirement, (line for line in lines if line and line[0] != "#")) if each.name == name)


def test_the_front_matter_is_what_a_space_reads():
    head = front_matter()
    assert head["sdk"] == "gradio" and head["python_version"] == "3.12" and (ROOT / head["app_file"]).is_file()
    assert head["suggested_hardware"] == "cpu-basic" and head["license"] == "apache-2.0" and (ROOT / head["thumbnail"]).is_file()
    assert str(Version(head["sdk_version"])) == head["sdk_version"] and requirement("gradio").specifier.contains(head["sdk_version"])
    assert len(head["short_description"]) <= 60 and head["title"] and head["emoji"] and head["tags"]
    assert {head["colorFrom"], head["colorTo"]} <= {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}


def test_packages_for_apt_are_names_alone():
    names = [line for line in (ROOT / "packages.txt").read_text().splitlines() if line]
    assert {"libgl1", "libglib2.0-0"} <= set(names) and all(name == name.strip() and " " not in name and name[0] != "#" for name in names)


def test_a_variable_of_a_space_chooses_the_weights(monkeypatch):
    monkeypatch.delenv("NTED_STEP_WEIGHTS", raising=False)
    assert app.arguments([]).weights == str(WEIGHTS)
    monkeypatch.setenv("NTED_STEP_WEIGHTS", "hub")
    assert app.arguments([]).weights == "hub" and app.arguments(["--weights", "x"]).weights == "x"


def a_python() -> str:
    """The Python a Space has, where it is on this machine with what the page needs; else this one."""
    other = shutil.which("python3.12")
    with contextlib.suppress(subprocess.SubprocessError, OSError):
        if other and subprocess.run([other, "-c", "import gradio, torch, cv2"], capture_output=True, timeout=120).returncode == 0:
            return other
    return sys.executable


def listed(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file: read-only does not stop the superuser."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The folder that is uploaded, read-only (which does not bind the superuser: the files are compared as well)."""
    folder = tmp_path / "app"
    lay_out(ROOT, folder)
    assert problems(folder) == []
    for path in [*folder.rglob("*"), folder]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    return folder


@pytest.mark.slow
def test_as_a_space(checkout: Path, tmp_path: Path):
    from gradio_client import Client, handle_file

    home, temporary, port = tmp_path / "home", tmp_path / "tmp", free_port()
    home.mkdir()
    temporary.mkdir()
    environment = {key: os.environ[key] for key in PATHS if key in os.environ} | {
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "SYSTEM": "spaces",
        "SPACE_ID": "some-user/nted-step",
        "SPACE_HOST": "some-user-nted-step.hf.space",
        "SPACE_AUTHOR_NAME": "some-user",
        "SPACE_REPO_NAME": "nted-step",
        "GRADIO_SERVER_NAME": "0.0.0.0",
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_ALLOW_FLAGGING": "never",
        "GRADIO_THEME": "huggingface",
        "HF_HUB_OFFLINE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    before = listed(checkout)
    log = (tmp_path / "log").open("w+")
    process = subprocess.Popen([a_python(), "app.py"], cwd=checkout, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        url = f"http://127.0.0.1:{port}/"
        wait_for(url, process, tmp_path / "log")
        client = Client(url, verbose=False, download_files=str(tmp_path / "downloads"))
        photo, joints = handle_file(str(ROOT / "assets" / "examples" / "brown-coat.png")), standing()
        picture = client.predict(photo, {"joints": joints}, 0, 3, api_name="/generate")
        assert Path(picture).stat().st_size > 1000
        with pytest.raises(Exception, match="Steps must be"):
            client.predict(photo, {"joints": joints}, 0, 99, api_name="/generate")
        with urllib.request.urlopen(f"{url}config") as answer:
            config = json.loads(answer.read())
        assert not {"use", "use_1", "use_bundled"} & {each["api_name"] for each in config["dependencies"]}, "nobody chooses weights"
        with pytest.raises(Exception, match="use"):
            client.predict("some-user/some-weights", api_name="/use")
    finally:
        process.terminate()
        process.wait(60)
        log.close()
    assert listed(checkout) == before, "the checkout is as it was"
    outside = [path for path in home.rglob("*") if path.is_file() and ".cache" not in path.parts]
    assert not outside, "nothing in the home but caches"
    assert not list(temporary.glob("nted-step-*")), "what visitors sent is gone with it"
    said = (tmp_path / "log").read_text()
    assert "brown-coat" not in said and "generate queued" in said


def wait_for(url: str, process: subprocess.Popen, log: Path) -> None:
    began = time.monotonic()
    while time.monotonic() - began < START_SECONDS:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=10):
            return
        assert process.poll() is None, log.read_text()
        time.sleep(0.3)
    raise AssertionError(f"it did not start:\n{log.read_text()}")


def standing() -> list:
    from pose_editor import formats, presets

    return formats.to_value(presets.standing((256, 176)))["joints"]

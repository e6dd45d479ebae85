"""A page that was killed: its visitors' photos are gone when the next one starts. And nothing is put elsewhere meanwhile."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pose_editor.serving import temporary_files
from tests.running import ROOT

OTHER = """
import sys, time
from pathlib import Path
from pose_editor.serving import temporary_files
with temporary_files.own_folder() as folder:
    (folder / "photo.png").write_bytes(b"a visitor's")
    print(folder, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def base(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def other(base):
    """Another page's process, and its folder."""
    process = subprocess.Popen([sys.executable, "-c", OTHER], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    yield process, Path(process.stdout.readline().strip())
    process.kill()
    process.wait()


def test_photos_of_a_killed_page_are_deleted_by_the_next(base, other):
    process, folder = other
    assert (folder / "photo.png").exists()
    with temporary_files.own_folder() as mine:
        assert mine != folder and (folder / "photo.png").exists(), "that page is running"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (folder / "photo.png").exists()
    with temporary_files.own_folder() as mine:
        assert not folder.exists() and mine.exists()
    assert not list(base.iterdir())


def test_others_files_stay(base):
    (base / "photo.png").write_bytes(b"")
    (base / "nted-step").mkdir()
    elsewhere = base / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "letter").write_text("")
    (base / f"{temporary_files.PREFIX}link").symlink_to(elsewhere)
    with temporary_files.own_folder():
        pass
    assert (base / "photo.png").exists() and (base / "nted-step").exists() and (elsewhere / "letter").exists()


def test_every_temporary_file_of_the_process_is_in_the_folder(base, monkeypatch):
    monkeypatch.delenv("TMPDIR", raising=False)
    before = tempfile.gettempdir()
    with temporary_files.own_folder() as folder:
        assert Path(tempfile.mkdtemp()).parent == Path(os.environ["TMPDIR"]) == Path(os.environ["GRADIO_TEMP_DIR"]) == folder
        descriptor, name = tempfile.mkstemp()
        os.close(descriptor)
    assert not Path(name).exists() and "TMPDIR" not in os.environ and os.environ["GRADIO_TEMP_DIR"] == str(base)
    assert tempfile.gettempdir() == before


def used(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*"))


def test_the_limit_counts_what_the_disk_counts(tmp_path):
    for number in range(100):
        (tmp_path / f"{number}").mkdir()
        (tmp_path / f"{number}" / "photo.png").write_bytes(b"1")
    assert used(tmp_path) > 200_000
    temporary_files.sweep(tmp_path, age=3600, most=100_000)
    assert 50_000 < used(tmp_path) <= 100_000
    assert all(len(list(folder.iterdir())) == 1 for folder in tmp_path.iterdir()), "no empty folders are left of them"


def test_empty_folders_count_and_go(tmp_path):
    for number in range(100):
        (tmp_path / f"{number}" / "inner").mkdir(parents=True)
    temporary_files.sweep(tmp_path, age=3600, most=100_000)
    assert used(tmp_path) <= 100_000
    temporary_files.sweep(tmp_path, age=-1, most=100_000)
    assert not list(tmp_path.iterdir())

"""No room on the temporary disk while an MP4 is saved: one line that says so, and nothing half-written is left."""

import errno
import multiprocessing
import resource
import signal
import tempfile

import numpy as np
import pytest
from PIL import Image

from pose_editor.studio import api, export

FRAMES = [Image.fromarray(np.random.default_rng(seed).integers(0, 255, (256, 176, 3), dtype=np.uint8)) for seed in range(12)]


def with_little_room(folder, most: int) -> str:
    """What saving says in a process that may write no more than ``most`` bytes into a file."""

    def attempt(answer) -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        tempfile.tempdir = str(folder)
        try:
            answer.send(f"saved {len(export.mp4(FRAMES, {}))}")
        except ValueError as error:
            answer.send(str(error))

    here, there = multiprocessing.get_context("fork").Pipe()
    process = multiprocessing.get_context("fork").Process(target=attempt, args=(there,))
    process.start()
    assert here.poll(60)
    process.join()
    return here.recv()


@pytest.mark.parametrize("most", [0, 100, 30_000])
def test_an_mp4_that_does_not_fit(tmp_path, most):
    said = with_little_room(tmp_path, most)
    assert said.startswith("the server has no room for this file (") and "\n" not in said
    assert not list(tmp_path.iterdir())


def test_no_room_even_for_the_folder(monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(export.tempfile, "TemporaryDirectory", full)
    with pytest.raises(ValueError, match=r"no room .*No space left on device"):
        export.mp4(FRAMES, {})


def test_a_film_for_programs_leaves_no_part(tmp_path, monkeypatch):
    def torn(data, name, cache):
        path = tmp_path / api.hash_bytes(data) / name
        path.parent.mkdir()
        path.write_bytes(data[:3])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(api, "save_bytes_to_cache", torn)
    endpoints = object.__new__(api.Endpoints)
    endpoints.cache = str(tmp_path)
    with pytest.raises(ValueError, match="no room"):
        endpoints._keep("film.gif", b"GIF89a")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_other_trouble_is_not_called_a_full_disk():
    with pytest.raises(PermissionError), export.telling_of_room():
        raise PermissionError(errno.EACCES, "no")


def test_a_whole_one_is_known():
    whole = export.mp4(FRAMES, {})
    assert export.is_whole_mp4(whole)
    assert not any(export.is_whole_mp4(whole[:length]) for length in (0, 7, 20, 100, len(whole) // 2, len(whole) - 1))

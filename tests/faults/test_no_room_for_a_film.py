"""No room on the server's disk for a film: one line that says so, and nothing half-written is left."""

import errno
import multiprocessing
import resource
import signal

import numpy as np
import pytest
from PIL import Image

from pose_editor.studio import api, export

FRAMES = [Image.fromarray(np.random.default_rng(seed).integers(0, 255, (256, 176, 3), dtype=np.uint8)) for seed in range(12)]


def test_an_mp4_for_a_visitor_needs_no_room():
    """It is made in memory, in a process that may not write a single byte into a file."""

    def attempt(answer) -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        answer.send(export.mp4(FRAMES, {}))

    here, there = multiprocessing.get_context("fork").Pipe()
    process = multiprocessing.get_context("fork").Process(target=attempt, args=(there,))
    process.start()
    assert here.poll(60)
    made = here.recv()
    process.join()
    assert len(made) > 1000 and made[4:8] == b"ftyp"


def test_a_film_for_programs_leaves_no_part(tmp_path, monkeypatch):
    def torn(data, name, cache):
        path = tmp_path / api.hash_bytes(data) / name
        path.parent.mkdir()
        path.write_bytes(data[:3])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(api, "save_bytes_to_cache", torn)
    endpoints = object.__new__(api.Endpoints)
    endpoints.cache = str(tmp_path)
    with pytest.raises(ValueError, match=r"no room .*No space left on device"):
        endpoints._keep("film.gif", b"GIF89a")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_other_trouble_is_not_called_a_full_disk():
    with pytest.raises(PermissionError), export.telling_of_room():
        raise PermissionError(errno.EACCES, "no")

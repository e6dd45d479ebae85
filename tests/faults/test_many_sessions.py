"""340 sessions with a run each: memory levels off, and temporary files stay under their cap."""

import contextlib
import os
import time

import pytest

from pose_editor.serving import temporary_files
from tests.faults.conftest import photo
from tests.running import Server, Visitor

SESSIONS = 340
LEVEL = 280  # sessions; the states of the newest 256 are kept
MOST_GROWTH = 20 * 2**20  # bytes from there to the last session
MOST_FILES = 2**20  # bytes; the photos of all visitors have more than twice as much


@pytest.mark.slow
def test_memory_levels_off_and_files_stay_under_their_cap(tiny_weights, tmp_path, standing):
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "GRADIO_TEMP_DIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    server = Server(tiny_weights, "--dtype", "float32", "--temp-mib", "1", environment=environment)
    try:
        assert server.first_line
        memory = []
        for number in range(SESSIONS):
            with contextlib.closing(Visitor(server.url)) as visitor:
                shown = visitor.give(photo(number))[3]
                assert len(shown["frames"]) == 5
            memory.append(server.memory())
        growth = memory[-1] - memory[LEVEL]
        assert growth < MOST_GROWTH, [each // 2**20 for each in memory[::25]]
        assert SESSIONS * len(photo(0)) > 2 * MOST_FILES
        time.sleep(2 * temporary_files.EVERY_SECONDS)
        assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= MOST_FILES
    finally:
        server.interrupt()


def test_the_oldest_files_go_first(tmp_path):
    for number in range(10):
        (tmp_path / f"{number}").mkdir()
        path = tmp_path / f"{number}" / "photo.png"
        path.write_bytes(b"0" * 1000)
        os.utime(path, (number, number))
    temporary_files.sweep(tmp_path, age=3600, most=34_000)
    left = sorted(path.parent.name for path in tmp_path.rglob("*.png"))
    assert len(left) == 4
    temporary_files.sweep(tmp_path, age=3600, most=34_000)
    assert len(list(tmp_path.rglob("*.png"))) == 4
    temporary_files.sweep(tmp_path, age=-1, most=34_000)
    assert not list(tmp_path.rglob("*.png"))

"""The page's temporary files: in a folder of their own, limited in age and size, and deleted when the page ends."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

KEPT_SECONDS = 3300  # age at which a file is deleted; together with the time between two sweeps less than an hour
EVERY_SECONDS = 10
MOST_MIB = 2048


@contextlib.contextmanager
def own_folder(most: int = MOST_MIB * 2**20) -> Iterator[Path]:
    """A new folder for Gradio's uploads and downloads, at most ``most`` bytes of them; removed at the end."""
    base = os.environ.get("GRADIO_TEMP_DIR")
    if base:
        Path(base).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="nted-step-", dir=base, ignore_cleanup_errors=True) as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        ended = threading.Event()
        sweeper = threading.Thread(target=_sweep_until, args=(ended, Path(folder), most), daemon=True, name="sweeper")
        sweeper.start()
        try:
            yield Path(folder)
        finally:
            ended.set()
            sweeper.join()
            os.environ.pop("GRADIO_TEMP_DIR")
            if base:
                os.environ["GRADIO_TEMP_DIR"] = base


def _sweep_until(ended: threading.Event, folder: Path, most: int) -> None:
    while not ended.wait(EVERY_SECONDS):
        sweep(folder, KEPT_SECONDS, most)


def sweep(folder: Path, age: float, most: int) -> None:
    """Delete files older than ``age`` seconds, then the oldest until no more than ``most`` bytes are left."""
    found = sorted(_files(folder))
    total, now = sum(size for _, size, _ in found), time.time()
    for changed, size, path in found:
        if now - changed <= age and total <= most:
            return
        with contextlib.suppress(OSError):  # already gone
            path.unlink()
        total -= size


def _files(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """(time of the last change, bytes, path) of every file."""
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file():
                known = path.stat()
                yield known.st_ctime, known.st_size, path

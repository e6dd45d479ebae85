"""The page's temporary files: in a folder of their own, limited in age and size, and deleted when the page ends.

The folder is locked for as long as its page runs. A page that was killed leaves it behind unlocked, and the next one deletes it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows, where nothing left behind is found
    fcntl = None

KEPT_SECONDS = 3300  # age at which a file is deleted; together with the time between two sweeps less than an hour
EVERY_SECONDS = 10
MOST_MIB = 2048
PREFIX = "nted-step-page-"
VARIABLES = ("GRADIO_TEMP_DIR", "TMPDIR")  # where Gradio and everything else put temporary files


@contextlib.contextmanager
def own_folder(most: int = MOST_MIB * 2**20) -> Iterator[Path]:
    """A new folder for all temporary files of this process, of at most ``most`` bytes; removed at the end."""
    base = Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir()).absolute()
    base.mkdir(parents=True, exist_ok=True)
    delete_left_behind(base)
    with _new_folder(base) as folder, _default_for_temporary_files(folder):
        ended = threading.Event()
        sweeper = threading.Thread(target=_sweep_until, args=(ended, folder, most), daemon=True, name="sweeper")
        sweeper.start()
        try:
            yield folder
        finally:
            ended.set()
            sweeper.join()


def delete_left_behind(base: Path) -> None:
    """Delete the folders in ``base`` of pages that ended without doing so."""
    for folder in base.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # somebody else's, or already gone
            if folder.is_symlink() or not folder.is_dir() or fcntl is None or folder.stat().st_uid != os.getuid():
                continue
            with _locked(folder, wait=False):
                shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _new_folder(base: Path) -> Iterator[Path]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
        try:
            with _locked(folder, wait=True):
                if folder.exists():  # not taken for one left behind, before it was locked
                    yield folder
                    return
        except FileNotFoundError:
            continue
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path, wait: bool) -> Iterator[None]:
    """Hold the folder's lock, which ends with the process at the latest. Raises OSError when somebody else has it, unless ``wait``."""
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if wait:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _default_for_temporary_files(folder: Path) -> Iterator[None]:
    """What was the default before is restored, unless another page of this process has taken over, or its folder is gone.

    A page in a thread of another program changes Gradio's default alone: that program's other parts may outlive the page.
    """
    whole_process = threading.current_thread() is threading.main_thread()
    variables = VARIABLES if whole_process else VARIABLES[:1]
    before, directory = {name: os.environ.get(name) for name in variables}, tempfile.tempdir
    os.environ.update(dict.fromkeys(variables, str(folder)))
    if whole_process:
        tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        if tempfile.tempdir == str(folder):
            tempfile.tempdir = directory if directory and Path(directory).is_dir() else None
        for name, value in before.items():
            if os.environ.get(name) == str(folder):
                del os.environ[name]
                if value is not None and Path(value).is_dir():
                    os.environ[name] = value


def _sweep_until(ended: threading.Event, folder: Path, most: int) -> None:
    while not ended.wait(EVERY_SECONDS):
        sweep(folder, KEPT_SECONDS, most)


def sweep(folder: Path, age: float, most: int) -> None:
    """Delete files and empty folders older than ``age`` seconds, then the oldest until they take no more than ``most`` bytes."""
    files, folders = _contents(folder)
    total, now = sum(size for _, size, _ in [*files, *folders]), time.time()
    sizes = {path: size for _, size, path in folders}
    for changed, size, path in sorted(files):
        if now - changed <= age and total <= most:
            break
        with contextlib.suppress(OSError):  # already gone
            path.unlink()
        total -= size
        if _removed(path.parent) and path.parent in sizes:
            total -= sizes.pop(path.parent)
    for changed, size, path in sorted(folders, key=lambda each: (-len(each[2].parts), each[0])):
        if (now - changed > age or total > most) and path in sizes and _removed(path):
            total -= size


def _removed(folder: Path) -> bool:
    """Whether a folder was empty, and is gone now."""
    with contextlib.suppress(OSError):
        folder.rmdir()
        return True
    return False


Entry = tuple[float, int, Path]


def _contents(folder: Path) -> tuple[list[Entry], list[Entry]]:
    """(time of the last change, bytes on the disk, path) of every file, and of every folder."""
    files, folders = [], []
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            known = path.lstat()
            size = getattr(known, "st_blocks", 0) * 512 or known.st_size
            (folders if path.is_dir() and not path.is_symlink() else files).append((known.st_ctime, size, path))
    return files, folders

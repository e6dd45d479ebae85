"""Files and folders that are complete or not there."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def write_file(path: Path, data: bytes) -> None:
    """Write beside, flush to disk, rename: a reader sees the old file or the new one, never a part. Raises OSError."""
    with file_beside(path) as beside, open(beside, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_json(path: Path, document: Any) -> None:
    """A JSON document, indented, with a newline at its end, as :func:`write_file` writes."""
    write_file(path, (json.dumps(document, indent=2) + "\n").encode())


@contextmanager
def file_beside(path: Path) -> Iterator[Path]:
    """A path beside ``path``, with the same suffix, that takes its name when the block ends without an error and is removed otherwise."""
    beside = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield beside
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def folder_beside(folder: Path) -> Iterator[Path]:
    """An empty folder beside ``folder`` that takes its name when the block ends without an error.

    What an interrupted run left there is removed first.
    """
    beside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    yield beside
    beside.rename(folder)

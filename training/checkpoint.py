"""Checkpoints on disk: each is complete or does not exist, and the newest complete one is always found."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from nted_step.files import write_file

KEEP = 2  # newest checkpoints kept
_UNREADABLE = (RuntimeError, EOFError, OSError, UnpicklingError)
LATEST = "latest"  # file with the name of the newest checkpoint


def save_checkpoint(run: Path, state: dict[str, Any], samples: int) -> Path:
    """Write ``checkpoint_<samples>.pt``, then point ``latest`` to it, then remove all but the newest checkpoints.

    Also removes the incomplete files of processes that were killed. Raises OSError.
    """
    run.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    path = run / f"checkpoint_{samples:010d}.pt"
    write_file(path, buffer.getvalue())
    _flush_folder(run)  # the new name must be on disk before the pointer to it
    write_file(run / LATEST, f"{path.name}\n".encode())
    for old in (*_checkpoints(run)[:-KEEP], *run.glob(".*.part*")):
        old.unlink()
    return path


def load_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint file, or the newest of a run's folder. Raises ValueError if there is none or it cannot be read."""
    if path.is_dir():
        state = load_latest(path)
        if state is None:
            raise ValueError(f"{path}: no checkpoint; train first")
        return state
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ValueError(f"{path}: no such checkpoint or run") from None
    except _UNREADABLE as error:
        raise ValueError(f"{path}: cannot be read as a checkpoint ({_first_line(error)})") from None


def load_latest(run: Path) -> dict[str, Any] | None:
    """The newest readable checkpoint of a run, or None if it has no checkpoints.

    Raises ValueError if it has some, but none can be read.
    """
    paths = _checkpoints(run)[::-1]
    for path in paths:
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except _UNREADABLE as error:
            print(f"{path}: cannot be read ({_first_line(error)}); trying the one before", flush=True)
    if paths:
        raise ValueError(f"{run}: none of its {len(paths)} checkpoints can be read; remove them to start over")
    return None


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _flush_folder(folder: Path) -> None:
    if os.name != "posix":  # other systems cannot open a folder
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _checkpoints(run: Path) -> list[Path]:
    """All checkpoints, oldest first.

    They are found by name and not by ``latest``, which is for people and scripts: a file gets its name only when it is complete, and
    the process may have been killed before it moved the pointer.
    """
    return sorted(path for path in run.glob("checkpoint_*.pt") if re.fullmatch(r"checkpoint_\d{10}\.pt", path.name))

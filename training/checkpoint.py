"""Training state on disk: complete or not there; the newest complete one is always found."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import torch

from nted_step.weights import write_atomically

KEEP = 2  # newest checkpoints kept


def save_checkpoint(run: Path, state: dict[str, Any], samples: int) -> Path:
    """Write ``checkpoint_<samples>.pt`` beside, flush, rename; then drop all but the newest few."""
    run.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    path = run / f"checkpoint_{samples:010d}.pt"
    write_atomically(path, buffer.getvalue())
    for old in _checkpoints(run)[:-KEEP]:
        old.unlink()
    return path


def load_latest(run: Path) -> dict[str, Any] | None:
    """The newest checkpoint of a run, or None when it has none."""
    paths = _checkpoints(run)
    return torch.load(paths[-1], map_location="cpu", weights_only=True) if paths else None


def _checkpoints(run: Path) -> list[Path]:
    return sorted(path for path in run.glob("checkpoint_*.pt") if re.fullmatch(r"checkpoint_\d{10}\.pt", path.name))

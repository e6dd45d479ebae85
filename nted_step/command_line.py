"""What the command lines share: reporting errors, reading poses, parsing revisions."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import torch

from nted_step.pose import Pose
from nted_step.pose_formats import load

USAGE_ERROR, INTERRUPTED = 2, 130  # exit statuses


def run_command(parser: argparse.ArgumentParser, arguments: list[str] | None) -> int:
    """Call ``options.run(options)`` and return the exit status. An error that a person can cause is one line on stderr and status 2."""
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except (ValueError, OSError) as error:  # ours are one line each: ImageError, PoseError, WeightsError, ...
        return report_error(error)
    except KeyboardInterrupt:
        print("stopped; nothing was written", file=sys.stderr)
        return INTERRUPTED
    return 0


def report_error(error: Exception | str, status: int = USAGE_ERROR) -> int:
    """Print ``error: ...`` on stderr as one line; returns the exit status."""
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    return status


def warn_of_dtype(dtype: torch.dtype, device: torch.device) -> None:
    """A note on stderr for float16 on a CPU: its numbers end at 65,504, and no CPU that this runs on is made for it."""
    if dtype == torch.float16 and device.type == "cpu":
        print("note: float16 is for GPUs; on a CPU it may overflow and be slow, so take --dtype float32 or bfloat16", file=sys.stderr)


def parse_size(text: str) -> tuple[int, int]:
    """``HEIGHTxWIDTH``, both 16..2048, as a type for argparse."""
    try:
        height, width = (int(value) for value in text.lower().split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"a size is HEIGHTxWIDTH, for example 256x176, not {text!r}") from None
    if min(height, width) < 16 or max(height, width) > 2048:
        raise argparse.ArgumentTypeError(f"height and width must be 16..2048, not {text}")
    return height, width


def load_pose(path: str | Path, size: tuple[int, int]) -> Pose:
    """A pose file of any kind that :func:`nted_step.pose_formats.read` knows, on a canvas of ``size`` (H, W); notes go to stderr.

    Of several people the first is used; ``FILE#2`` is the second, ``FILE#3:2`` the second of the third frame. Raises PoseError naming the
    file.
    """
    file, frame, person = split_choice(str(path))
    imported = load(file, size, frame=frame, person=person)
    others = len(imported.people) > 1
    if others:
        print(f"note: {file}: {len(imported.people)} people, the first is used; {file}#{imported.numbers[1]} is the next", file=sys.stderr)
        imported = load(file, size, person=imported.numbers[0])
    for note in imported.notes:
        print(f"note: {file}: {note}", file=sys.stderr)
    return imported.people[0]


def split_choice(path: str) -> tuple[str, int | None, int | None]:
    """``file#2`` -> (file, None, 2); ``file#3:2`` -> (file, 3, 2): frame and person, from 1. A file may hold a # in its name."""
    choice = None if Path(path).exists() else re.fullmatch(r"(.+)#(?:(\d{1,6}):)?(\d{1,6})", path)
    if not choice:
        return path, None, None
    file, frame, person = choice.groups()
    return file, int(frame) if frame else None, int(person)


def split_revision(weights: str) -> tuple[str, str | None]:
    """``user/name@revision`` -> (``user/name``, ``revision``); a folder may hold an @ in its name."""
    if Path(weights).exists() or "@" not in weights:
        return weights, None
    name, _, revision = weights.rpartition("@")
    return name, revision

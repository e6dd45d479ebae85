"""What the command lines share: reporting errors, reading poses, parsing revisions."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nted_step.pose import Pose, PoseError, load_pose_text
from nted_step.pose_formats import from_json

MAX_POSE_BYTES = 1_000_000
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
    """A pose file: 18 rows of text, or OpenPose/COCO JSON (its first person). Raises PoseError naming the file."""
    path = Path(path)
    if path.suffix.lower() != ".json":
        return load_pose_text(path, size).require_drawable(size)
    try:
        with open(path, encoding="utf-8") as file:
            imported = from_json(file.read(MAX_POSE_BYTES + 1), size)
    except (OSError, UnicodeDecodeError) as error:
        raise PoseError(f"{path}: cannot be read as JSON ({getattr(error, 'strerror', None) or 'not text'})") from None
    except PoseError as error:
        raise PoseError(f"{path}: {error}") from None
    for note in imported.notes:
        print(f"note: {path}: {note}", file=sys.stderr)
    if len(imported.people) > 1:
        print(f"note: {path}: {len(imported.people)} people, the first is used", file=sys.stderr)
    try:
        return imported.people[0].require_drawable(size)
    except PoseError as error:
        raise PoseError(f"{path}: {error}") from None


def split_revision(weights: str) -> tuple[str, str | None]:
    """``user/name@revision`` -> (``user/name``, ``revision``); a folder may hold an @ in its name."""
    if Path(weights).exists() or "@" not in weights:
        return weights, None
    name, _, revision = weights.rpartition("@")
    return name, revision

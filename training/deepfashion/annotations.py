"""GFLA's annotation files: the joints of every image of a part in one csv, ``name: [y, ...]: [x, ...]``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from nted_step.pose import BASE_SIZE, FRAME_OFFSET
from training.deepfashion.pair_lists import LayoutError, inside_images, lines

HEADER = "name:keypoints_y:keypoints_x"
NECK = 1
JOINTS = 18


def annotation_files(root: Path) -> list[Path]:
    """Annotation files of a folder, by name."""
    return sorted(root.glob("fas*ion-*annotation-*.csv"))


def read_annotations(path: Path) -> dict[str, str]:
    """Image name -> the 18 rows ``x y`` of a pose file, on the frame 256 wide.

    The joints are on that frame, or, in the files for images of 176x256, on the canvas: there the necks are on average left of the middle
    between the two centres. Raises LayoutError naming the file and line.
    """
    rows = lines(path)
    if not rows or rows[0][1].replace(" ", "") != HEADER:
        raise LayoutError(f"{path}: its first line is not {HEADER}; fetch the file again, or remove it")
    read = dict(_row(path, number, line) for number, line in rows[1:])
    necks = [joints[NECK, 0] for joints in read.values() if joints[NECK].min() >= 0]
    centre = BASE_SIZE[1] / 2
    shift = FRAME_OFFSET if necks and np.mean(necks) < centre + FRAME_OFFSET / 2 else 0
    return {name: _text(joints, shift) for name, joints in read.items()}


def _row(path: Path, number: int, line: str) -> tuple[str, np.ndarray]:
    try:
        name, y, x = line.split(":")
        joints = np.array([json.loads(x), json.loads(y)], float).T
        if joints.shape != (JOINTS, 2):
            raise ValueError
    except ValueError:
        raise LayoutError(f"{path}, line {number}: expected a name and {JOINTS} y and x, found {line[:60]!r}; correct that line") from None
    return inside_images(name.strip()), joints


def _text(joints: np.ndarray, shift: int) -> str:
    return "".join("-1 -1\n" if min(x, y) < 0 else f"{x + shift:g} {y:g}\n" for x, y in joints.tolist())

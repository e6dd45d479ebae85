"""A fabricated data set in DeepFashion's layout with the lists of the original code: nested JPEGs, target first, names with a prefix."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from training.figures.dataset import write_dataset

VIEWS = ("1_front", "2_side", "3_back", "4_full")


def nested(person: int, number: int) -> str:
    return f"WOMEN/Dresses/id_{person:08d}/{number + 1:02d}_{VIEWS[number % len(VIEWS)]}.jpg"


def write_copy(root: Path, train: Sequence[int], test: Sequence[int], poses: int = 2, size: tuple[int, int] = (256, 176)) -> Path:
    """Rendered people under DeepFashion's names. ``train``, ``test``: seeds of people. Returns the folder."""
    flat = write_dataset(root.with_name(f"{root.name}_flat"), [*train, *test], poses, size, progress=False)
    people = {seed: number for number, seed in enumerate([*train, *test], 1)}
    for path in sorted((flat / "img").iterdir()):
        seed, pose = (int(part) for part in path.stem.removeprefix("person").split("_"))
        name = nested(people[seed], pose)
        for folder in ("img", "pose"):
            (root / folder / name).parent.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as image:
            image.save(root / "img" / name, quality=95)
        shutil.copy(flat / "pose" / f"{path.stem}.txt", (root / "pose" / name).with_suffix(".txt"))
    for part, seeds in (("train", train), ("test", test)):
        names = [[nested(people[seed], pose) for pose in range(poses)] for seed in seeds]
        rows = [f"img/{target},img/{source}\n" for each in names for target in each for source in each if source != target]
        (root / f"{part}_pairs.txt").write_text("".join(rows))
        (root / f"{part}.lst").write_text("".join(f"{name}\n" for each in names for name in each))
    shutil.rmtree(flat)
    return root

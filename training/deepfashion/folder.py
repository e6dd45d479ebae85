"""Layout of a DeepFashion in-shop folder: images (nested or flat), poses, lists, pairs, and optional masks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

IMAGE_FOLDERS = ("img_highres", "img")  # in order of preference
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
SPLITS = ("train", "test")


class LayoutError(ValueError):
    """A data set folder that cannot be used; the message is one line that names the file and the remedy."""


@dataclass(frozen=True)
class Layout:
    """An in-shop folder.

    Attributes:
        images, poses: folders.
        names: every image named in a list or a pair, once, in order.
        pairs: part -> (source, target) names, in the file's order.
        masks: name -> run-length masks (COCO) of the person's body and garments; empty without ``masks.json``.
    """

    images: Path
    poses: Path
    names: tuple[str, ...]
    pairs: dict[str, tuple[tuple[str, str], ...]]
    masks: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def image_file(self, name: str) -> Path | None:
        """The file of an image: at this path, or the nested file whose flat name in the published splits this is; else None."""
        path = self.images / name
        return path if path.is_file() else self._by_flat_name.get(flat_name(name))

    def pose_file(self, name: str, image: Path) -> Path:
        """The pose file of an image, which may be missing: named after the listed name, else after the image's own path."""
        listed = (self.poses / name).with_suffix(".txt")
        found = (self.poses / image.relative_to(self.images)).with_suffix(".txt")
        return found if not listed.is_file() and found.is_file() else listed

    @cached_property
    def _by_flat_name(self) -> dict[str, Path]:
        found: dict[str, Path | None] = {}
        for path in self.images.rglob("*"):
            if path.suffix.lower() in SUFFIXES:
                flat = flat_name(path.relative_to(self.images).as_posix())
                found[flat] = None if flat in found else path  # two files with one flat name: none is better than the wrong one
        return {flat: path for flat, path in found.items() if path}


def flat_name(name: str) -> str:
    """A name without its folders' separators and underscores, for comparison with the names in the published splits.

    ``WOMEN/Dresses/id_00000002/02_1_front.jpg`` and ``fashionWOMENDressesid0000000202_1front.jpg`` are the same image.
    """
    return re.sub("[/_]", "", str(PurePosixPath(name).with_suffix("")).removeprefix("fashion"))


def read_layout(root: str | Path) -> Layout:
    """Read lists, pairs and masks of a folder. Raises LayoutError."""
    root = Path(root)
    if not root.is_dir():
        raise LayoutError(f"{root}: no such folder; --root is the folder that holds img/ or img_highres/, pose/ and the lists")
    images = next((root / name for name in IMAGE_FOLDERS if (root / name).is_dir()), None)
    if images is None:
        raise LayoutError(f"{root}: has neither img_highres/ nor img/; unpack the images into one of them")
    if not (root / "pose").is_dir():
        raise LayoutError(f"{root / 'pose'}: no such folder; put the pose files there, one NAME.txt of 18 rows for each image")
    pairs = {part: _read_pairs(root / f"{part}_pairs.txt") for part in SPLITS if (root / f"{part}_pairs.txt").exists()}
    if not any(pairs.values()):
        raise LayoutError(f"{root / 'train_pairs.txt'}: no pairs; write one 'source,target' of image names on each line")
    listed = [line for part in SPLITS if (root / f"{part}.lst").exists() for _, line in _lines(root / f"{part}.lst")]
    paired = (name for part in pairs.values() for pair in part for name in pair)
    return Layout(images, root / "pose", _unique(listed, paired), pairs, _read_masks(root / "masks.json"))


def name_problem(name: str, max_bytes: int) -> str | None:
    """Why a listed name cannot be a key or a file in the image folder; None if it can."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.name:
        return "a name must lie inside the image folder"
    return f"a name of more than {max_bytes} bytes" if len(name.encode()) > max_bytes else None


def _unique(*groups: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for group in groups for name in group))


def _lines(path: Path) -> list[tuple[int, str]]:
    """Line numbers, from 1, and lines, without the blank ones."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LayoutError(
            f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}; it should name one image on each line"
        ) from None
    return [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]


def _read_pairs(path: Path) -> tuple[tuple[str, str], ...]:
    pairs = []
    for number, line in _lines(path):
        names = [name.strip() for name in line.split(",")]
        if len(names) != 2 or not all(names):
            raise LayoutError(f"{path}, line {number}: expected 'source,target', found {line[:80]!r}; correct or remove that line")
        pairs.append((names[0], names[1]))
    return tuple(pairs)


def _read_masks(path: Path) -> dict[str, list[dict[str, Any]]]:
    """COCO annotations by image name; empty if the file does not exist."""
    if not path.exists():
        return {}
    masks: dict[str, list[dict[str, Any]]] = {}
    try:
        document = json.loads(path.read_bytes())
        names = {image["id"]: image["file_name"] for image in document["images"]}
        for entry in document["annotations"]:
            masks.setdefault(names[entry["image_id"]], []).append(dict(entry["segmentation"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LayoutError(
            f"{path}: not COCO annotations ({type(error).__name__}: {error}); write it again, or remove it to do without masks"
        ) from None
    return masks

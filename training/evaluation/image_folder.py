"""A folder with one generated image for each pair of a list: how its files are named, and how they are found again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nted_step.image import ImageError, decode
from training.data.pairs import Pairs

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
JOINERS = ("2", "to")  # between source and target, without underscores
ENDINGS = ("", "vis", "generated")  # that scripts put after the target's name, without underscores

Row = tuple[str, str]


def file_name(row: Row, ending: str = "", suffix: str = ".png") -> str:
    """``SOURCE_2_TARGET`` with an ending and a suffix; folders of a listed name become part of it."""
    source, target = (str(PurePosixPath(name).with_suffix("")).replace("/", "_") for name in row)
    return f"{source}_2_{target}{ending}{suffix}"


def plain(name: str) -> str:
    """A name without what scripts write differently: folders, underscores, and the prefix of the published splits."""
    return re.sub(r"[/\\_]|fashion", "", name)


class ImageFolder:
    """The generated images of a list's pairs, N x 3 x H x W, found by their names.

    Args:
        folder: of images named ``SOURCE_2_TARGET`` or ``SOURCE_to_TARGET``, nested names flattened in any way, with or without the
            endings ``_vis`` and ``_generated``.
        rows: (source, target) names.

    Raises:
        ValueError: a pair has no image, or two; the message names it.
    """

    def __init__(self, folder: Path, rows: Sequence[Row]):
        if not folder.is_dir():
            raise ValueError(f"{folder}: no such folder of images")
        found: dict[str, list[Path]] = {}
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
                found.setdefault(plain(path.stem), []).append(path)
        self.paths = [self._find(folder, found, row) for row in rows]

    @staticmethod
    def _find(folder: Path, found: dict[str, list[Path]], row: Row) -> Path:
        source, target = (plain(str(PurePosixPath(name).with_suffix(""))) for name in row)
        paths = [path for joiner in JOINERS for ending in ENDINGS for path in found.get(f"{source}{joiner}{target}{ending}", [])]
        if len(paths) == 1:
            return paths[0]
        if paths:
            raise ValueError(f"{folder}: {paths[0].name} and {paths[1].name} are both of one pair; remove one of them")
        raise ValueError(
            f"{folder}: no image of the pair {row[0]},{row[1]}, such as {file_name(row)}; make it, or score fewer with --limit"
        )

    def __len__(self) -> int:
        return len(self.paths)

    def image(self, number: int, size: tuple[int, int]) -> Tensor:
        """One image, 3 x H x W uint8. Raises ValueError for a file that is no picture or has another size: none is resized."""
        path = self.paths[number]
        try:
            pixels = np.array(decode(path.read_bytes(), str(path)))
        except OSError as error:
            raise ImageError(f"{path}: {error.strerror or 'cannot be read'}") from None
        if pixels.shape[:2] != size:
            raise ValueError(f"{path}: is {pixels.shape[0]}x{pixels.shape[1]}, the pairs are {size[0]}x{size[1]}; no image is resized")
        return torch.from_numpy(pixels).permute(2, 0, 1)


def first_size(folder: Path) -> tuple[int, int]:
    """(H, W) of a folder's first image, by name. Raises ValueError."""
    path = next((path for path in sorted(folder.glob("*")) if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")), None)
    if path is None:
        raise ValueError(f"{folder}: no images ({', '.join(SUFFIXES)})")
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except OSError:
        raise ImageError(f"{path}: not a picture that can be read") from None


def last_step(pairs: Pairs, images: Tensor) -> list[Tensor]:
    """The images as all columns of a sheet that shows steps."""
    return [pairs.source, images.float() / 127.5 - 1]

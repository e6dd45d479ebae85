"""Figures for the parser from a folder that another process fills during training.

Each file ``<first seed:08d>.npz`` holds P people in M poses: uint8 arrays ``image`` P x M x 3 x H x W, ``classes`` and
``instances`` P x M x H x W. It gets its name only when it is complete.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from training.figures import TEST_SEED
from training.memory import upload
from training.parser.data import ParserBatch, augmented_batch, check_instances

POLL_SECONDS = 0.5  # between two searches for new files
LEAST_FIGURES = 256  # before training begins


class FigureFolder:
    """The figures read so far, as uint8 tensors on the training device; a thread adds new files of the folder.

    Memory for ``most`` figures is allocated at once, and further files are ignored. A file that cannot be used is named on standard
    error and skipped; it ends the run only while :meth:`wait` waits for the first figures.
    """

    def __init__(self, folder: Path, most: int, size: tuple[int, int], device: str = "cpu"):
        self.folder, self.size = folder, size
        self.image = torch.empty(most, 3, *size, dtype=torch.uint8, device=device)
        self.maps = torch.empty(most, 2, *size, dtype=torch.uint8, device=device)
        self.count = 0
        self.error: Exception | None = None
        self._seen: set[str] = set()
        self._closed = threading.Event()
        self._reader = threading.Thread(target=self._read_until_closed, daemon=True)
        self._reader.start()

    def __len__(self) -> int:
        return self.count

    def wait(self, least: int = LEAST_FIGURES) -> None:
        """Wait for ``least`` figures, or as many as there is room for. Raises the ValueError or OSError of a file that cannot be used."""
        while self.count < min(least, len(self.image)):
            if self.error is not None:
                raise self.error
            time.sleep(POLL_SECONDS / 5)

    def draw(self, rng: np.random.Generator, count: int, resize: tuple[int, int]) -> ParserBatch:
        """Like :meth:`training.parser.data.ParserStore.draw`, from the figures read so far."""
        rows = upload(rng.choice(self.count, count, replace=False), self.image.device)
        return augmented_batch(self.image[rows], self.maps[rows], rng, resize)

    def close(self) -> None:
        """Stop reading."""
        self._closed.set()
        self._reader.join()

    def _read_until_closed(self) -> None:
        while not self._closed.is_set() and self.count < len(self.image):
            self._read_new()
            self._closed.wait(POLL_SECONDS)

    def _read_new(self) -> None:
        for path in sorted(self.folder.glob("*.npz")):
            if path.name.startswith(".") or path.name in self._seen:
                continue
            if self._closed.is_set() or self.count == len(self.image):
                return
            self._seen.add(path.name)
            try:
                self._add(*read_figures(path, self.size))
            except (ValueError, OSError) as error:
                self.error = error
                print(f"skipped: {error}", file=sys.stderr, flush=True)

    def _add(self, image: Tensor, maps: Tensor) -> None:
        start, end = self.count, min(self.count + len(image), len(self.image))
        self.image[start:end] = image[: end - start].to(self.image.device)
        self.maps[start:end] = maps[: end - start].to(self.image.device)
        self.count = end  # last, so that only complete figures are drawn


def read_figures(path: Path, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Read one file: images N x 3 x H x W and maps N x 2 x H x W (class, instance), uint8. Raises ValueError naming the file."""
    try:
        first = int(path.stem)
        with np.load(path) as arrays:
            image, classes, instances = (arrays[name] for name in ("image", "classes", "instances"))
    except (ValueError, KeyError, EOFError, BadZipFile) as error:
        raise ValueError(f"{path}: cannot be read as figures ({error})") from None
    kinds = {values.dtype for values in (image, classes, instances)}
    if (
        kinds != {np.dtype(np.uint8)}
        or image.ndim != 5
        or image.shape[2:] != (3, *size)
        or {classes.shape, instances.shape} != {(*image.shape[:2], *size)}
    ):
        raise ValueError(f"{path}: figures must be uint8 of {size[0]} x {size[1]} pixels, not {image.shape} {image.dtype}")
    if first + len(image) > TEST_SEED:
        raise ValueError(f"{path}: people from seed {TEST_SEED} on are reserved for tests")
    check_instances(instances)
    maps = np.stack([classes.reshape(-1, *size), instances.reshape(-1, *size)], axis=1)
    return torch.from_numpy(image.reshape(-1, 3, *size)), torch.from_numpy(maps)

"""Pairs of figures that worker processes render during training, kept on the training device.

Every group of people is also written to a folder, as ``<first seed>.npz``, and is read from there if it exists: a resumed run
renders nothing twice, and another run can read the same files.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from nted_step.files import file_beside
from training.data.figure_store import as_pairs, at_canvas, eyes, joint_arrays, rendered_arrays
from training.data.pairs import Pairs, PeopleStore
from training.figures.places import places_grid
from training.memory import upload

GROUP = 4  # people per file
FIRST_PEOPLE = 128  # people to wait for, so that training does not begin with a handful
POLL_SECONDS = 0.1


class FigureStream(PeopleStore):
    """People ``seed .. seed + people - 1`` in several poses; pairs are drawn from the people rendered so far.

    Who has been rendered by a given iteration depends on the machine's speed, so two runs never see the same pairs.

    Args:
        folder: where the groups are written.
        size: (h, w) of the stage's canvas. render_size: (H, W) at which figures are rendered.
        people: rounded up to whole groups; a figure takes 1.1 MB of the device's memory at 256x176.
        workers: processes that render; 0 renders in a thread of this process.
        device: where the figures are kept and the pairs are assembled.
        first: people to wait for before the constructor returns.

    Attributes:
        available: int64, the people rendered so far, in order of arrival. It is replaced, never modified.
    """

    def __init__(
        self, folder: Path, size: tuple[int, int], people: int, poses: int, seed: int, render_size: tuple[int, int], workers: int,
        device: torch.device, first: int = FIRST_PEOPLE,
    ):  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        groups = -(-people // GROUP)
        self.people, self.poses, self.device = groups * GROUP, poses, device
        shapes = {"image": (3, *size), "classes": size, "mask": (1, *size), "skeleton": (20, *size)}
        self.tensors = {name: torch.zeros(self.people, poses, *shape, dtype=torch.uint8, device=device) for name, shape in shapes.items()}
        self.tensors |= {
            "eyes": torch.zeros(self.people, poses, 4, device=device),
            "joints": torch.zeros(self.people, poses, 18, 3, device=device),
        }
        grid = places_grid(render_size)
        self.tensors["place"] = torch.zeros(self.people, poses, poses, 2, *grid, dtype=torch.int16, device=device)
        self.tensors["seen"] = torch.zeros(self.people, poses, poses, *grid, dtype=torch.uint8, device=device)
        self.available = np.zeros(0, np.int64)
        self.failure: BaseException | None = None
        dataset = _GroupDataset(folder, groups, seed, poses, render_size, size)
        context: dict[str, Any] = (
            {"multiprocessing_context": "spawn", "prefetch_factor": 1} if workers else {}
        )  # a process that uses CUDA cannot be forked
        self.loader = DataLoader(dataset, batch_size=None, num_workers=workers, in_order=False, **context)
        self.closed, self.copying = False, threading.Lock()
        self.thread = threading.Thread(target=self._fill, name="figure stream", daemon=True)
        self.thread.start()
        while len(self.available) < min(first, self.people):
            self._check()
            time.sleep(POLL_SECONDS)

    @property
    def rendered_people(self) -> int:
        return len(self.available)

    def pause(self) -> AbstractContextManager:
        return self.copying

    def close(self) -> None:
        """Stop rendering and end the workers; the people rendered so far stay available."""
        self.closed = True
        self.thread.join()

    def pairs(self, person: np.ndarray, source_pose: np.ndarray, target_pose: np.ndarray) -> Pairs:
        people, source, target = (upload(index.copy(), self.device) for index in (person, source_pose, target_pose))
        return as_pairs(lambda name, *poses: self.tensors[name][(people, *poses)], source, target)

    def holds(self, names: np.ndarray) -> np.ndarray:
        return super().holds(names) & np.isin(names[:, 0], self.available)

    def _choose_people(self, rng: np.random.Generator, count: int) -> np.ndarray:
        self._check()
        return rng.choice(self.available, count)

    def _fill(self) -> None:
        try:
            for group, arrays in self.loader:
                rows = slice(GROUP * group, GROUP * (group + 1))
                with self.copying:
                    for name, values in arrays.items():
                        self.tensors[name][rows].copy_(values.view(GROUP, self.poses, *values.shape[1:]))
                self.available = np.append(self.available, np.arange(rows.start, rows.stop))
                if self.closed:
                    return
        except BaseException as error:  # raised in the training thread, when it asks for pairs
            self.failure = error

    def _check(self) -> None:
        if self.failure is not None:
            raise RuntimeError("figures can no longer be rendered") from self.failure


class _GroupDataset(IterableDataset):
    """(number, arrays) of every group, in the form in which it is kept; each of n workers yields every n-th."""

    def __init__(self, folder: Path, groups: int, seed: int, poses: int, render_size: tuple[int, int], size: tuple[int, int]):
        self.folder, self.groups, self.seed, self.poses, self.render_size, self.size = folder, groups, seed, poses, render_size, size

    def __iter__(self) -> Iterator[tuple[int, dict[str, Tensor]]]:
        worker = get_worker_info()
        numbers = range(self.groups) if worker is None else range(worker.id, self.groups, worker.num_workers)
        for group in numbers:
            figures = self._figures(self.seed + GROUP * group)
            pairs = {name: figures.pop(name) for name in ("place", "seen")}
            joints, visible = figures["joints"].numpy(), figures["visible"].numpy()
            face = torch.from_numpy(eyes(joints, visible, self.render_size, self.size))
            points = torch.from_numpy(joint_arrays(joints, visible, self.render_size))
            yield group, at_canvas(**figures, size=self.size) | {"eyes": face, "joints": points} | pairs

    def _figures(self, first: int) -> dict[str, Tensor]:
        """The arrays of :func:`training.data.figure_store.rendered_shapes` of a group, one figure after another.

        Files also hold the instances, which train the fashion parser.
        """
        path = self.folder / f"{first:08d}.npz"
        stored = _load(path)
        if stored is None:
            stored = rendered_arrays(range(first, first + GROUP), self.poses, self.render_size)
            _save(path, stored)
        return {name: torch.from_numpy(values).flatten(0, 1) for name, values in stored.items() if name != "instances"}


def _load(path: Path) -> dict[str, np.ndarray] | None:
    """A group on disk; None if it does not exist or was written by an older version."""
    if not path.exists():
        return None
    with np.load(path) as file:
        return dict(file) if "place" in file else None


def _save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with file_beside(path) as beside:
        np.savez(beside, allow_pickle=False, **arrays)

"""Figures that worker processes render while training goes on, kept on the training device.

Every group of people is also written to a folder, ``<first seed>.npz``, and read from there where it is there already: so a run
goes on without rendering anew, and another run can read along.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from nted_step.files import file_beside
from training.data.figure_store import Pairs, PersonPairs, as_pairs, at_canvas, eyes, joint_arrays, rendered_arrays, upload
from training.figures.places import places_grid

GROUP = 4  # people a file
FIRST = 128  # people to wait for, so that training does not begin on a handful
POLL = 0.1  # seconds


class LiveFigures(PersonPairs):
    """People ``seed .. seed + people - 1`` in several poses, of whom those are drawn that are there already.

    Which people are there at an iteration depends on the machine's speed, so two runs never see the same pairs.

    Args:
        folder: where the groups are written.
        size: (h, w) of the stage's canvas. render_size: (H, W) at which figures are rendered.
        people: rounded up to whole groups; the device holds 1.1 MB a figure at 256x176.
        workers: processes that render; 0 renders everybody at once, here.
        device: where the figures are kept and pairs are made.
        first: people to wait for before the constructor returns.
    """

    def __init__(
        self, folder: Path, size: tuple[int, int], people: int, poses: int, seed: int, render_size: tuple[int, int], workers: int,
        device: torch.device, first: int = FIRST,
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
        self.there = np.zeros(0, np.int64)  # people, in the order in which they came; replaced, never changed
        self.failure: BaseException | None = None
        groups_of = _Groups(folder, groups, seed, poses, render_size, size)
        context = {"multiprocessing_context": "spawn", "prefetch_factor": 1} if workers else {}  # a process that uses CUDA cannot be forked
        self.loader = DataLoader(groups_of, batch_size=None, num_workers=workers, in_order=False, **context)
        self.closed, self.moving = False, threading.Lock()
        self.thread = threading.Thread(target=self._fill, name="live figures", daemon=True)
        self.thread.start()
        while len(self.there) < min(first, self.people):
            self._check()
            time.sleep(POLL)

    def still(self) -> AbstractContextManager:
        """A context in which nothing is moved to the device."""
        return self.moving

    def close(self) -> None:
        """Render no more, and end the workers; who is there stays."""
        self.closed = True
        self.thread.join()

    def pairs(self, person: np.ndarray, source_pose: np.ndarray, target_pose: np.ndarray) -> Pairs:
        who, source, target = (upload(index.copy(), self.device) for index in (person, source_pose, target_pose))
        return as_pairs(lambda name, *poses: self.tensors[name][(who, *poses)], source, target)

    def holds(self, names: np.ndarray) -> np.ndarray:
        return super().holds(names) & np.isin(names[:, 0], self.there)

    def _choose_people(self, rng: np.random.Generator, count: int) -> np.ndarray:
        self._check()
        return rng.choice(self.there, count)

    def _fill(self) -> None:
        try:
            for group, arrays in self.loader:
                rows = slice(GROUP * group, GROUP * (group + 1))
                with self.moving:
                    for name, values in arrays.items():
                        self.tensors[name][rows].copy_(values.view(GROUP, self.poses, *values.shape[1:]))
                self.there = np.append(self.there, np.arange(rows.start, rows.stop))
                if self.closed:
                    return
        except BaseException as error:  # told to the training thread, which asks for pairs
            self.failure = error

    def _check(self) -> None:
        if self.failure is not None:
            raise RuntimeError("figures can no longer be rendered") from self.failure


class _Groups(IterableDataset):
    """(number, arrays) of every group, in the form in which it is kept; each worker has every n-th."""

    def __init__(self, folder: Path, groups: int, seed: int, poses: int, render_size: tuple[int, int], size: tuple[int, int]):
        self.folder, self.groups, self.seed, self.poses, self.render_size, self.size = folder, groups, seed, poses, render_size, size

    def __iter__(self) -> Iterator[tuple[int, dict[str, Tensor]]]:
        worker = get_worker_info()
        mine = range(self.groups) if worker is None else range(worker.id, self.groups, worker.num_workers)
        for group in mine:
            figures = self._figures(self.seed + GROUP * group)
            pairs = {name: figures.pop(name) for name in ("place", "seen")}
            joints, visible = figures["joints"].numpy(), figures["visible"].numpy()
            where = torch.from_numpy(eyes(joints, visible, self.render_size, self.size))
            points = torch.from_numpy(joint_arrays(joints, visible, self.render_size))
            yield group, at_canvas(**figures, size=self.size) | {"eyes": where, "joints": points} | pairs

    def _figures(self, first: int) -> dict[str, Tensor]:
        """The arrays of :func:`training.data.figure_store.rendered_shapes` of a group, the poses of a person one after another. Files also hold
        the instances, for whoever trains a parser."""
        path = self.folder / f"{first:08d}.npz"
        stored = _stored(path)
        if stored is None:
            stored = rendered_arrays(range(first, first + GROUP), self.poses, self.render_size)
            _save(path, stored)
        return {name: torch.from_numpy(values).flatten(0, 1) for name, values in stored.items() if name != "instances"}


def _stored(path: Path) -> dict[str, np.ndarray] | None:
    """A group on disk; None where it is not there, or is of an older version."""
    if not path.exists():
        return None
    with np.load(path) as file:
        return dict(file) if "place" in file else None


def _save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with file_beside(path) as beside:
        np.savez(beside, **arrays)

"""A prepared data set read ahead by DataLoader workers, with the interface of ``training.data.figure_store.FigureStore``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from training.data.figure_store import Pairs
from training.deepfashion.store import PreparedError, PreparedStore, collate

AHEAD = 4  # draws that each worker keeps ready
ALREADY = 2  # every draw of an augmented store is a pair and the same pair in the other direction


class _Draws(Dataset):
    """Draw number ``i`` of a rank, the same whenever and wherever it is read: two pairs, which are each other's inverse."""

    def __init__(self, store: PreparedStore, seed: Sequence[int]):
        self.store, self.seed = store, tuple(seed)

    def __getitem__(self, number: int) -> Pairs:
        # The error travels as a value: a DataLoader would wrap it into a traceback of the worker's.
        try:
            return self.store.draw(np.random.default_rng((*self.seed, number)), ALREADY, symmetric=True)
        except PreparedError as error:
            return error


class StreamedStore:
    """Endless pairs of a prepared set in an order that is fixed by a seed, read before they are asked for.

    A pair's name is (draw, direction, 0): from it the pair can be read again, crops included, so that a resumed run goes on
    with the very same. Pairs are kept in memory between :meth:`choose` and the moment they are no longer wanted.

    The workers open the LMDB environment on their first reading; nothing open crosses the fork.

    Args:
        store: what to draw from.
        seed: of this rank's order.
        workers: reading processes; with 0 reading happens here, when asked for.
    """

    def __init__(self, store: PreparedStore, seed: Sequence[int], workers: int):
        self.draws, self.workers = _Draws(store, seed), workers
        self.position = 0  # the next draw that nobody has had
        self.kept: dict[tuple[int, int], Pairs] = {}
        self._ahead: Iterator[Pairs] | None = None

    def choose(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Names of the next ``count`` pairs, count x 3; their directions are drawn from ``rng``."""
        names = np.zeros((count, 3), np.int64)
        names[:, 1] = rng.integers(2, size=count)
        for row in names:
            row[0] = self.position
            self.kept[row[0], row[1]] = self._next().select(torch.tensor([row[1]]))
        return names

    def pairs(self, draw: np.ndarray, direction: np.ndarray, _: np.ndarray) -> Pairs:
        """The pairs of these names; those that are not in memory are read again. Raises PreparedError."""
        keys = list(zip(draw.tolist(), direction.tolist(), strict=True))
        if missing := [key for key in dict.fromkeys(keys) if key not in self.kept]:
            for key, both in zip(missing, self._loader([draw for draw, _ in missing]), strict=True):
                self.kept[key] = _whole(both).select(torch.tensor([key[1]]))
        return collate([self.kept[key] for key in keys])

    def keep(self, names: np.ndarray) -> None:
        """Forget all pairs but these."""
        wanted = {(draw, direction) for draw, direction, _ in names.tolist()}
        self.kept = {key: pairs for key, pairs in self.kept.items() if key in wanted}

    def draw(self, rng: np.random.Generator, count: int, symmetric: bool = False) -> Pairs:
        """The next ``count`` pairs, for whoever needs them once; symmetric, the second half is the first inverted."""
        if not symmetric:
            chosen = rng.integers(2, size=count)
            return collate([self._next().select(torch.tensor([direction])) for direction in chosen])
        both = [self._next() for _ in range(-(-count // 2))]
        halves = [[pairs.select(torch.tensor([direction])) for pairs in both] for direction in (0, 1)]
        return collate(halves[0] + halves[1]).select(torch.arange(count))

    def holds(self, names: np.ndarray) -> np.ndarray:
        """Every draw below the next one exists."""
        return names[:, 0] < self.position

    def state(self) -> dict[str, Tensor]:
        return {"position": torch.tensor(self.position)}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.position = int(state.get("position", 0))
        self._ahead = None

    def _next(self) -> Pairs:
        if self._ahead is None:
            self._ahead = iter(self._loader(range(self.position, 2**62)))
        pairs = _whole(next(self._ahead))
        self.position += 1
        return pairs

    def _loader(self, order: Sequence[int]) -> DataLoader:
        return DataLoader(
            self.draws, batch_size=None, sampler=_Order(order), num_workers=self.workers,
            prefetch_factor=AHEAD if self.workers else None,
            multiprocessing_context="spawn" if self.workers else None,  # a fork would copy locks that running threads hold
        )  # fmt: skip


class _Order:
    """A sampler that goes through a sequence; a ``range`` may be longer than ``len`` allows."""

    def __init__(self, order: Sequence[int]):
        self.order = order

    def __iter__(self) -> Iterator[int]:
        return iter(self.order)


def _whole(pairs: Pairs | PreparedError) -> Pairs:
    if isinstance(pairs, PreparedError):
        raise pairs
    return pairs

"""Pairs of a prepared data set that worker processes read ahead of their use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from training.data.pairs import Pairs, PairStore, concatenate
from training.deepfashion.store import PreparedError, PreparedStore

AHEAD = 4  # draws that each worker keeps ready
DIRECTIONS = 2  # of a draw: the pair, and the same pair with source and target exchanged


class _DrawDataset(Dataset):
    """Draw number ``i`` of a rank, the same whenever and wherever it is read: a pair in both directions."""

    def __init__(self, store: PreparedStore, seed: Sequence[int]):
        self.store, self.seed = store, tuple(seed)

    def __getitem__(self, number: int) -> Pairs | PreparedError:
        # An error is returned and not raised: the DataLoader would wrap it into the worker's traceback.
        try:
            return self.store.draw(np.random.default_rng((*self.seed, number)), DIRECTIONS, symmetric=True)
        except PreparedError as error:
            return error


class PairLoader(PairStore):
    """An endless supply of pairs of a prepared set, in an order fixed by a seed.

    A pair's name is (draw, direction, 0). The pair can be read again by its name, random crops included, so a resumed run continues
    with the same pairs. Pairs stay in memory from :meth:`choose` until :meth:`keep` drops them.

    Workers open the LMDB environment at their first read, so nothing open crosses the fork.

    Args:
        store: what to draw from.
        seed: of this rank's order.
        workers: processes that read; with 0, pairs are read in this process when they are requested.
    """

    def __init__(self, store: PreparedStore, seed: Sequence[int], workers: int):
        self.dataset, self.workers = _DrawDataset(store, seed), workers
        self.position = 0  # the next unused draw
        self.cache: dict[tuple[int, int], Pairs] = {}
        self._stream: Iterator[Pairs] | None = None

    def choose(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Names of the next ``count`` pairs, count x 3; their directions are drawn from ``rng``."""
        names = np.zeros((count, 3), np.int64)
        names[:, 1] = rng.integers(DIRECTIONS, size=count)
        for row in names:
            row[0] = self.position
            self.cache[row[0], row[1]] = self._next().select(torch.tensor([row[1]]))
        return names

    def pairs(self, draw: np.ndarray, direction: np.ndarray, _: np.ndarray) -> Pairs:
        """The pairs with these names, read again if they are not in memory. Raises PreparedError."""
        keys = list(zip(draw.tolist(), direction.tolist(), strict=True))
        if missing := [key for key in dict.fromkeys(keys) if key not in self.cache]:
            for key, both in zip(missing, self._loader([draw for draw, _ in missing]), strict=True):
                self.cache[key] = _checked(both).select(torch.tensor([key[1]]))
        return concatenate([self.cache[key] for key in keys])

    def keep(self, names: np.ndarray) -> None:
        wanted = {(draw, direction) for draw, direction, _ in names.tolist()}
        self.cache = {key: pairs for key, pairs in self.cache.items() if key in wanted}

    def draw(self, rng: np.random.Generator, count: int, symmetric: bool = False) -> Pairs:
        """The next ``count`` pairs, which are not cached; if symmetric, the second half is the first with the directions exchanged."""
        if not symmetric:
            chosen = rng.integers(DIRECTIONS, size=count)
            return concatenate([self._next().select(torch.tensor([direction])) for direction in chosen])
        draws = [self._next() for _ in range(-(-count // 2))]
        halves = [[pairs.select(torch.tensor([direction])) for pairs in draws] for direction in range(DIRECTIONS)]
        return concatenate(halves[0] + halves[1]).select(torch.arange(count))

    def holds(self, names: np.ndarray) -> np.ndarray:
        """Every draw before the next one can be read again."""
        return names[:, 0] < self.position

    def state(self) -> dict[str, Tensor]:
        return {"position": torch.tensor(self.position)}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.position = int(state.get("position", 0))
        self._stream = None

    def _next(self) -> Pairs:
        if self._stream is None:
            self._stream = iter(self._loader(range(self.position, 2**62)))
        pairs = _checked(next(self._stream))
        self.position += 1
        return pairs

    def _loader(self, order: Sequence[int]) -> DataLoader:
        return DataLoader(
            self.dataset, batch_size=None, sampler=_SequenceSampler(order), num_workers=self.workers,
            prefetch_factor=AHEAD if self.workers else None,
            multiprocessing_context="spawn" if self.workers else None,  # a fork would copy locks that running threads hold
        )  # fmt: skip


class _SequenceSampler:
    """Yields a sequence in order; a ``range`` may be longer than ``len`` allows."""

    def __init__(self, order: Sequence[int]):
        self.order = order

    def __iter__(self) -> Iterator[int]:
        return iter(self.order)


def _checked(pairs: Pairs | PreparedError) -> Pairs:
    if isinstance(pairs, PreparedError):
        raise pairs
    return pairs

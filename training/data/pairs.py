"""A batch of training pairs, and the interface of every store that supplies them."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Pairs:
    """A batch of pairs: each shows one person in two poses.

    Attributes:
        source, target: B x 3 x h x w float32 in [-1, 1].
        skeleton: B x 20 x h x w float32 in [0, 1], of the target pose.
        mask: B x 1 x h x w float32, 1 on the person's pixels in the target.
        source_classes, target_classes: B x h x w int64, 0 for the background and 1..15 for the classes of
            :mod:`nted_step.classes`; None for a data set without class maps.
        face: B x 4 float32, x and y of the target's right and left eye in pixels, all -1 if either is hidden; None for a data
            set without this information.
        source_skeleton: B x 20 x h x w, of the source pose; source_joints, target_joints: B x 18 x 3, see
            :func:`nted_step.pose.joint_tensor`. None if the source pose is unknown.
        place: B x 2 x 128 x 88 float32 in [-1, 1], the position in the source of what each target cell shows;
            seen: B x 1 x 128 x 88 float32, 1 if the source shows that very point, 0.5 if it shows the same class nearby, else 0,
            in which case ``place`` is meaningless. None if the surface is unknown. See :mod:`training.figures.places`.
    """

    source: Tensor
    target: Tensor
    skeleton: Tensor
    mask: Tensor
    source_classes: Tensor | None = None
    target_classes: Tensor | None = None
    face: Tensor | None = None
    source_skeleton: Tensor | None = None
    source_joints: Tensor | None = None
    target_joints: Tensor | None = None
    place: Tensor | None = None
    seen: Tensor | None = None

    def __len__(self) -> int:
        return len(self.source)

    def map(self, function: Callable[[Tensor], Tensor]) -> Pairs:
        """The pairs with ``function`` applied to every tensor that is not None."""
        return dataclasses.replace(self, **{name: function(value) for name, value in vars(self).items() if value is not None})

    def select(self, index: Tensor) -> Pairs:
        """The pairs at these indices."""
        return self.map(lambda value: value[index])

    def channels_last(self, device: torch.device) -> Pairs:
        """The pairs on a device, images and maps in the channels-last memory format."""
        return self.map(lambda value: value.to(device, memory_format=torch.channels_last) if value.ndim == 4 else value.to(device))


def concatenate(batches: Sequence[Pairs]) -> Pairs:
    """Several batches as one; also a DataLoader's ``collate_fn``."""
    names = [name for name, value in vars(batches[0]).items() if value is not None]
    return Pairs(**{name: torch.cat([getattr(batch, name) for batch in batches]) for name in names})


class PairStore(ABC):
    """Supplies training pairs. A pair has a name of three integers; what they mean is up to the store.

    A store without state, cache, workers or background thread inherits the methods that manage them: here they do nothing.

    """

    @property
    def rendered_people(self) -> int:
        """Number of people rendered so far, by a store that renders during training; else 0."""
        return 0

    @abstractmethod
    def pairs(self, first: np.ndarray, second: np.ndarray, third: np.ndarray, /) -> Pairs:
        """The pairs named by three index arrays of length B."""

    @abstractmethod
    def draw(self, rng: np.random.Generator, count: int, symmetric: bool = False) -> Pairs:
        """``count`` pairs; if symmetric, the second half is the first half with source and target exchanged."""

    @abstractmethod
    def choose(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Names of ``count`` pairs: count x 3 int64, the columns being the arguments of :meth:`pairs`."""

    @abstractmethod
    def holds(self, names: np.ndarray) -> np.ndarray:
        """Which of the names N x 3, chosen earlier, this store can still supply: N bool."""

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint must hold for a resumed run to continue in the same order."""
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Restore what :meth:`state` returned; ``state`` may hold other keys."""
        return

    def keep(self, names: np.ndarray) -> None:
        """Forget all cached pairs except those with these names, N x 3."""
        return

    def close(self) -> None:
        """Stop background work. Pairs that are already available remain so."""
        return

    def pause(self) -> AbstractContextManager:
        """A context in which nothing is copied to the device in the background."""
        return nullcontext()


class PeopleStore(PairStore):
    """People in several poses each; a pair's name is (person, source pose, target pose).

    Attributes:
        people: number of people, at most. poses: number of poses of each.
    """

    people: int
    poses: int

    def draw(self, rng: np.random.Generator, count: int, symmetric: bool = False) -> Pairs:
        """``count`` pairs of different poses, uniformly; if symmetric, the second half is the first with the poses exchanged."""
        person, source, target = self.choose(rng, -(-count // 2) if symmetric else count).T
        if symmetric:
            person, source, target = (np.concatenate(two)[:count] for two in ((person, person), (source, target), (target, source)))
        return self.pairs(person, source, target)

    def choose(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Names of ``count`` pairs, uniformly: count x 3 int64."""
        person = self._choose_people(rng, count)
        source = rng.integers(self.poses, size=count)
        target = (source + rng.integers(1, self.poses, size=count)) % self.poses
        return np.stack([person, source, target], axis=1)

    def holds(self, names: np.ndarray) -> np.ndarray:
        return np.all(names < np.array([self.people, self.poses, self.poses]), axis=1)

    def first_pairs(self) -> Pairs:
        """One pair of each person: from the first pose to the second."""
        people = np.arange(self.people)
        return self.pairs(people, np.zeros_like(people), np.ones_like(people))

    def _choose_people(self, rng: np.random.Generator, count: int) -> np.ndarray:
        return rng.integers(self.people, size=count)

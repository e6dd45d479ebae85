"""What an evaluation measures: rendered people, or the test pairs of a prepared data set."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from nted_step.pose import Pose, skeleton_map
from training.baselines import limb_warp
from training.data import Pairs
from training.metrics import to_bytes
from training.prepared import PreparedError, PreparedStore
from training.scoring import Reference

BATCH = 8


class SomePairs(Protocol):
    """As much of ``Pairs`` as an evaluation needs."""

    def __len__(self) -> int: ...
    def select(self, index: Tensor) -> Pairs: ...


@dataclass(frozen=True)
class TestSet:
    """What is measured: pairs, what a report says of them (``count`` and ``described`` at least), and the FIDs' reference.

    Attributes:
        classes: N x H x W, the targets' class maps, where there are any.
        warped: N x 3 x H x W uint8, the sources with their limbs warped to the target poses, where the sources' poses are known.
    """

    __test__ = False  # not a test of pytest's

    pairs: SomePairs
    facts: dict[str, Any]
    reference: Reference | None = None
    reference_described: str = "the targets of the same pairs"
    classes: Tensor | None = None
    warped: Tensor | None = None


class StoredPairs:
    """The pairs of a prepared part in the order of their list, read when they are asked for."""

    def __init__(self, store: PreparedStore, count: int):
        self.store, self.count = store, count

    def __len__(self) -> int:
        return self.count

    def select(self, index: Tensor) -> Pairs:
        rows = index.numpy()
        return self.store.pairs(rows, np.zeros_like(rows), np.ones_like(rows))


class RenderedPairs:
    """People in two poses each, kept as they were rendered, an eighth of what the pairs take that are made of them when they are asked for.

    Args:
        image: N x 2 x 3 x H x W uint8. classes: N x 2 x H x W uint8. poses: the N target poses.
    """

    def __init__(self, image: Tensor, classes: Tensor, poses: list[Pose]):
        self.image, self.classes, self.poses = image, classes, poses

    def __len__(self) -> int:
        return len(self.poses)

    def select(self, index: Tensor) -> Pairs:
        image, classes = self.image[index].float() / 127.5 - 1, self.classes[index].long()
        skeletons = [skeleton_map(self.poses[i], tuple(image.shape[-2:])) for i in index.tolist()]
        return Pairs(
            source=image[:, 0], target=image[:, 1], skeleton=torch.stack(skeletons), mask=(classes[:, 1] > 0)[:, None].float(),
            source_classes=classes[:, 0], target_classes=classes[:, 1],
        )  # fmt: skip


def figure_set(count: int, seed: int, size: tuple[int, int]) -> TestSet:
    """People ``seed .. seed + count - 1``, each from pose 0 (the source) to pose 1 (the target)."""
    described = f"rendered people {seed} to {seed + count - 1}"
    facts = {"count": count, "seed": seed, "source_pose": 0, "target_pose": 1, "size": list(size), "described": described}
    parts = [_render(range(seed + i, seed + min(i + BATCH, count)), size) for i in tqdm(range(0, count, BATCH), desc="rendering", unit="batch")]
    image, classes, warped = (torch.cat([part[i] for part in parts]) for i in range(3))
    pairs = RenderedPairs(image, classes, [pose for part in parts for pose in part[3]])
    return TestSet(pairs, facts, classes=classes[:, 1], warped=warped)


def _render(people: range, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor, list[Pose]]:
    """Images, class maps and target poses as RenderedPairs has them, and the sources with the limbs warped, n x 3 x H x W uint8."""
    from training.figures import render_people

    figures = render_people(people, 2, size)
    poses = [Pose(xy, seen) for xy, seen in zip(figures.joints.numpy(), figures.visible.numpy(), strict=True)]
    sources = figures.image[::2].float() / 127.5 - 1
    warped = torch.stack([limb_warp(*each) for each in zip(sources, poses[::2], poses[1::2], strict=True)])
    in_pairs = [value.to(torch.uint8).unflatten(0, (-1, 2)) for value in (figures.image, figures.class_map)]
    return *in_pairs, to_bytes(warped), poses[1::2]


def prepared_set(folder: Path, size: tuple[int, int], limit: int | None) -> TestSet:
    """The test pairs of a prepared data set at the model's size, with all images of its training pairs as the FIDs' reference.

    ``limit`` keeps the first pairs only. Raises PreparedError.
    """
    store = PreparedStore(folder, size, "test", augment=False)
    pairs = StoredPairs(store, store.people if limit is None else min(limit, store.people))
    listed = "".join(f"{a},{b}\n" for a, b in store.rows[: len(pairs)])
    facts = {
        "count": len(pairs), "listed": store.people, "size": list(size), "sha256 of the pair list": hashlib.sha256(listed.encode()).hexdigest(),
        "described": f"the first {len(pairs)} of {store.people} usable test pairs of {folder}",
    }  # fmt: skip
    try:
        train = PreparedStore(folder, size, "train", augment=False)
    except PreparedError:
        return TestSet(pairs, facts)
    names = train.names

    def batches() -> Iterator[Tensor]:
        for first in tqdm(range(0, len(names), BATCH), desc="FID reference", unit="batch"):
            yield to_bytes(train.images(names[first : first + BATCH]))

    return TestSet(pairs, facts, Reference(len(names), batches), f"the {len(names)} images of the training pairs")

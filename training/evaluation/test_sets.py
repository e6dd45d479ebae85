"""Test sets: rendered people, or the test pairs of a prepared data set."""

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

from nted_step.pose import Pose, joint_tensor, skeleton_map
from training.data.figure_store import rendered_arrays
from training.data.pairs import Pairs
from training.deepfashion.store import PreparedError, PreparedStore
from training.evaluation.baselines import limb_warp
from training.evaluation.metrics import to_bytes
from training.evaluation.scoring import Reference
from training.figures.places import SCALE, SEEN

BATCH = 8


class IndexedPairs(Protocol):
    """Pairs that are made when they are selected; the part of :class:`Pairs` that an evaluation needs."""

    def __len__(self) -> int: ...
    def select(self, index: Tensor) -> Pairs: ...


@dataclass(frozen=True)
class TestSet:
    """The pairs to measure.

    Attributes:
        facts: what a report says about the pairs, at least ``count`` and ``described``.
        reference: of the FIDs; None: the targets.
        classes: N x H x W, the targets' class maps, if there are any.
        warped: N x 3 x H x W uint8, the sources with their limbs warped to the target poses, if the source poses are known.
    """

    __test__ = False  # not a test for pytest

    pairs: IndexedPairs
    facts: dict[str, Any]
    reference: Reference | None = None
    reference_described: str = "the targets of the same pairs"
    classes: Tensor | None = None
    warped: Tensor | None = None


class PreparedPairs:
    """The first pairs of a prepared part, in the order of their list, read when they are selected."""

    def __init__(self, store: PreparedStore, count: int):
        self.store, self.count = store, count

    @property
    def rows(self) -> list[tuple[str, str]]:
        """(source, target) names."""
        return self.store.rows[: self.count]

    def __len__(self) -> int:
        return self.count

    def select(self, index: Tensor) -> Pairs:
        rows = index.numpy()
        return self.store.pairs(rows, np.zeros_like(rows), np.ones_like(rows))


class RenderedPairs:
    """People in two poses each, stored as rendered, which takes an eighth of the memory of the pairs made from them.

    Args:
        image: N x 2 x 3 x H x W uint8. classes: N x 2 x H x W uint8. place, seen: N x 2 x h x w int16 and N x h x w uint8, see
            :mod:`training.figures.places`. poses: the N source and target poses.
    """

    def __init__(self, image: Tensor, classes: Tensor, place: Tensor, seen: Tensor, poses: list[tuple[Pose, Pose]]):
        self.image, self.classes, self.place, self.seen, self.poses = image, classes, place, seen, poses

    def __len__(self) -> int:
        return len(self.poses)

    def select(self, index: Tensor) -> Pairs:
        image, classes = self.image[index].float() / 127.5 - 1, self.classes[index].long()
        size, poses = (image.shape[-2], image.shape[-1]), list(zip(*(self.poses[i] for i in index.tolist()), strict=True))
        source_maps, maps = (torch.stack([skeleton_map(pose, size) for pose in side]) for side in poses)
        source_joints, joints = (torch.stack([joint_tensor(pose, size) for pose in side]) for side in poses)
        return Pairs(
            source=image[:, 0], target=image[:, 1], skeleton=maps, mask=(classes[:, 1] > 0)[:, None].float(),
            source_classes=classes[:, 0], target_classes=classes[:, 1], source_skeleton=source_maps, source_joints=source_joints,
            target_joints=joints, place=self.place[index].float() / SCALE, seen=self.seen[index][:, None].float() / SEEN,
        )  # fmt: skip


def figure_set(count: int, seed: int, size: tuple[int, int]) -> TestSet:
    """People ``seed .. seed + count - 1``, each from pose 0 (the source) to pose 1 (the target)."""
    described = f"rendered people {seed} to {seed + count - 1}"
    facts = {"count": count, "seed": seed, "source_pose": 0, "target_pose": 1, "size": list(size), "described": described}
    parts = [
        _render(range(seed + i, seed + min(i + BATCH, count)), size) for i in tqdm(range(0, count, BATCH), desc="rendering", unit="batch")
    ]
    names = ("image", "classes", "place", "seen")
    tensors = {name: torch.cat([getattr(part, name) for part in parts]) for name in names}
    pairs = RenderedPairs(**tensors, poses=[poses for part in parts for poses in part.poses])
    return TestSet(pairs, facts, classes=pairs.classes[:, 1], warped=torch.cat([_warp(part) for part in parts]))


def _render(people: range, size: tuple[int, int]) -> RenderedPairs:
    arrays = rendered_arrays(list(people), 2, size)
    image, classes, place, seen = (torch.from_numpy(arrays[name]) for name in ("image", "classes", "place", "seen"))
    people_joints = zip(arrays["joints"], arrays["visible"], strict=True)
    poses = [(Pose(joints[0], visible[0]), Pose(joints[1], visible[1])) for joints, visible in people_joints]
    return RenderedPairs(image, classes, place[:, 0, 1], seen[:, 0, 1], poses)


def _warp(pairs: RenderedPairs) -> Tensor:
    """The sources with their limbs warped to the target poses: N x 3 x H x W uint8."""
    sources = pairs.image[:, 0].float() / 127.5 - 1
    return to_bytes(torch.stack([limb_warp(source, *poses) for source, poses in zip(sources, pairs.poses, strict=True)]))


def prepared_set(folder: Path, size: tuple[int, int], limit: int | None) -> TestSet:
    """The test pairs of a prepared data set at the model's size, with all images of its training pairs as the FIDs' reference.

    ``limit`` keeps only the first pairs. Raises PreparedError.
    """
    store = PreparedStore(folder, size, "test", augment=False)
    pairs = PreparedPairs(store, store.people if limit is None else min(limit, store.people))
    listed = "".join(f"{a},{b}\n" for a, b in store.rows[: len(pairs)])
    facts = {
        "count": len(pairs), "listed": store.people, "size": list(size),
        "sha256 of the pair list": hashlib.sha256(listed.encode()).hexdigest(),
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

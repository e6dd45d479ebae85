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

from nted_step.pose import Pose, joint_tensor, skeleton_map
from training.data.figure_store import rendered_arrays
from training.data.pairs import Pairs
from training.deepfashion.store import PreparedError, PreparedStore
from training.evaluation.baselines import limb_warp
from training.evaluation.metrics import to_bytes
from training.evaluation.scoring import Reference
from training.figures.places import SCALE, SEEN

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
        image: N x 2 x 3 x H x W uint8. classes: N x 2 x H x W uint8. place, seen: N x 2 x h x w int16 and N x h x w uint8, see
            :mod:`training.figures.places`. poses: the N source and target poses.
    """

    def __init__(self, image: Tensor, classes: Tensor, place: Tensor, seen: Tensor, poses: list[tuple[Pose, Pose]]):
        self.image, self.classes, self.place, self.seen, self.poses = image, classes, place, seen, poses

    def __len__(self) -> int:
        return len(self.poses)

    def select(self, index: Tensor) -> Pairs:
        image, classes = self.image[index].float() / 127.5 - 1, self.classes[index].long()
        size, poses = tuple(image.shape[-2:]), list(zip(*(self.poses[i] for i in index.tolist()), strict=True))
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
    image, classes, place, seen, warped = (torch.cat([part[i] for part in parts]) for i in range(5))
    pairs = RenderedPairs(image, classes, place, seen, [poses for part in parts for poses in part[5]])
    return TestSet(pairs, facts, classes=classes[:, 1], warped=warped)


def _render(people: range, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, list[tuple[Pose, Pose]]]:
    """Images, class maps, places and what is seen as RenderedPairs has them, the sources with the limbs warped, n x 3 x H x W uint8, and poses."""
    arrays = rendered_arrays(list(people), 2, size)
    image, classes, place, seen = (torch.from_numpy(arrays[name]) for name in ("image", "classes", "place", "seen"))
    named = zip(arrays["joints"], arrays["visible"], strict=True)
    poses = [tuple(Pose(*one) for one in zip(joints, visible, strict=True)) for joints, visible in named]
    warped = [limb_warp(source.float() / 127.5 - 1, *both) for source, both in zip(image[:, 0], poses, strict=True)]
    return image, classes, place[:, 0, 1], seen[:, 0, 1], to_bytes(torch.stack(warped)), poses


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

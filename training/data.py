"""Pairs to train on: figures rendered once, kept on disk at the stage's canvas, read through memory maps."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.lib.format import open_memmap
from torch import Tensor
from tqdm import tqdm

from nted_step.pose import BASE_SIZE, Pose, skeleton_u8

CHUNK = 16  # people rendered at a time


@dataclass(frozen=True)
class Pairs:
    """A batch of one person in two poses.

    Attributes:
        source, target: B x 3 x h x w float32 in [-1, 1].
        skeleton: B x 20 x h x w float32 in [0, 1], of the target's pose.
        mask: B x 1 x h x w float32, 1 on the target's person pixels.
    """

    source: Tensor
    target: Tensor
    skeleton: Tensor
    mask: Tensor

    def __len__(self) -> int:
        return len(self.source)

    def select(self, index: Tensor) -> Pairs:
        return Pairs(self.source[index], self.target[index], self.skeleton[index], self.mask[index])


class FigureStore:
    """People in several poses on disk: ``image``, ``skeleton`` and ``mask`` as uint8 arrays, first two axes person and pose."""

    def __init__(self, folder: Path):
        self.image, self.skeleton, self.mask = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("image", "skeleton", "mask"))

    @property
    def people(self) -> int:
        return self.image.shape[0]

    @property
    def poses(self) -> int:
        return self.image.shape[1]

    def pairs(self, person: np.ndarray, source_pose: np.ndarray, target_pose: np.ndarray) -> Pairs:
        """The pairs named by three index arrays of length B."""
        return Pairs(
            source=_to_range(self.image[person, source_pose]),
            target=_to_range(self.image[person, target_pose]),
            skeleton=torch.from_numpy(self.skeleton[person, target_pose]).float() / 255,
            mask=torch.from_numpy(self.mask[person, target_pose]).float() / 255,
        )

    def draw(self, rng: np.random.Generator, count: int) -> Pairs:
        """``count`` pairs of different poses, uniformly."""
        person = rng.integers(self.people, size=count)
        source = rng.integers(self.poses, size=count)
        target = (source + rng.integers(1, self.poses, size=count)) % self.poses
        return self.pairs(person, source, target)


def _to_range(image: np.ndarray) -> Tensor:
    return torch.from_numpy(image).float() / 127.5 - 1


def figure_store(root: Path, size: tuple[int, int], people: int, poses: int, seed: int, render_size: tuple[int, int]) -> FigureStore:
    """Open the store of figures ``seed .. seed + people - 1`` at canvas ``size``, rendering it first if it is not there.

    Figures are drawn at ``render_size`` and averaged down to ``size``; skeletons are drawn at 256x176, as the finished
    model sees them, and averaged down likewise.
    """
    settings = {"size": list(size), "people": people, "poses": poses, "seed": seed, "render_size": list(render_size)}
    folder = root / f"figures_{size[0]}x{size[1]}_{seed}_{people}x{poses}"
    done = folder / "settings.json"
    if not done.exists() or json.loads(done.read_text()) != settings:
        beside = folder.with_suffix(".part")
        shutil.rmtree(beside, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
        beside.mkdir(parents=True)
        _render_store(beside, size, people, poses, seed, render_size)
        (beside / "settings.json").write_text(json.dumps(settings))
        beside.rename(folder)
    return FigureStore(folder)


def _render_store(folder: Path, size: tuple[int, int], people: int, poses: int, seed: int, render_size: tuple[int, int]) -> None:
    from training.figures import render_people  # the renderer is not needed when the store is on disk

    channels = {"image": 3, "skeleton": 20, "mask": 1}
    arrays = {
        name: open_memmap(folder / f"{name}.npy", mode="w+", dtype=np.uint8, shape=(people, poses, count, *size))
        for name, count in channels.items()
    }
    with tqdm(total=people * poses, desc=f"rendering {size[0]}x{size[1]}", unit="image", smoothing=0.05) as progress:
        for first in range(0, people, CHUNK):
            seeds = range(seed + first, seed + min(first + CHUNK, people))
            figures = render_people(seeds, poses, render_size)
            rows = slice(first, first + len(seeds))
            arrays["image"][rows] = _fold(figures.image, size, poses)
            arrays["mask"][rows] = _fold((figures.class_map > 0)[:, None] * 255, size, poses)
            arrays["skeleton"][rows] = _fold(_skeletons(figures.joints, figures.visible, render_size), size, poses)
            progress.update(len(seeds) * poses)
    for array in arrays.values():
        array.flush()


def _skeletons(joints: Tensor, visible: Tensor, canvas: tuple[int, int]) -> Tensor:
    maps = [
        skeleton_u8(Pose(xy, seen).scaled(canvas, BASE_SIZE), BASE_SIZE)
        for xy, seen in zip(joints.numpy(), visible.numpy(), strict=True)
    ]
    return torch.from_numpy(np.stack(maps))


def _fold(images: Tensor, size: tuple[int, int], poses: int) -> np.ndarray:
    """N x C x H x W 0..255 -> people x poses x C x h x w uint8, averaged down."""
    small = F.interpolate(images.float(), size=size, mode="area").round().to(torch.uint8).numpy()
    return small.reshape(-1, poses, *small.shape[1:])


def draw_forever(store: FigureStore, rng: np.random.Generator, count: int) -> Iterator[Pairs]:
    """Batches without end."""
    while True:
        yield store.draw(rng, count)

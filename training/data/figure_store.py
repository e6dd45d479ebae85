"""Pairs to train on: figures rendered once, kept on disk at the stage's canvas, read through memory maps."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.lib.format import open_memmap
from torch import Tensor
from tqdm import tqdm

from nted_step.pose import BASE_SIZE, Pose, skeleton_u8
from training.figures.places import SCALE, SEEN, exact_places, places_grid

CHUNK = 16  # people rendered at a time


@dataclass(frozen=True)
class Pairs:
    """A batch of one person in two poses.

    Attributes:
        source, target: B x 3 x h x w float32 in [-1, 1].
        skeleton: B x 20 x h x w float32 in [0, 1], of the target's pose.
        mask: B x 1 x h x w float32, 1 on the target's person pixels.
        source_classes, target_classes: B x h x w int64, 0 the background and 1..15 the classes of ``training.figures``; None
            where a data set has no such maps.
        face: B x 4 float32, x and y of the target's right and left eye in pixels, all -1 where one of them is not seen; None
            where a data set does not say.
        source_skeleton: B x 20 x h x w, of the source's pose; source_joints, target_joints: B x 18 x 3, see
            :func:`nted_step.pose.joint_tensor`. None where the source's pose is not known.
        place: B x 2 x 128 x 88 float32 in [-1, 1], where in the source every cell of the target is; seen: B x 1 x 128 x 88 float32,
            1 where the source shows that very place, 0.5 where it shows the same class nearby, else 0, and ``place`` means nothing.
            None where the surface is not known. See :mod:`training.figures.places`.
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

    def each(self, change: Callable[[Tensor], Tensor]) -> Pairs:
        """The same change made to every tensor that is there."""
        return Pairs(**{name: None if value is None else change(value) for name, value in vars(self).items()})

    def select(self, index: Tensor) -> Pairs:
        return self.each(lambda value: value[index])


class PersonPairs(ABC):
    """Pairs of people in several poses each; a pair's name is person, source pose, target pose.

    Attributes:
        people, poses: how many people there may be, and poses of each.
    """

    people: int
    poses: int

    def state(self) -> dict[str, Tensor]:
        """What has to be kept so that a resumed run goes on in the same order; most stores have nothing."""
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Go on from what :meth:`state` gave."""
        return

    def keep(self, names: np.ndarray) -> None:
        """Only these pairs will be asked for again by name."""
        return

    @abstractmethod
    def pairs(self, person: np.ndarray, source_pose: np.ndarray, target_pose: np.ndarray) -> Pairs:
        """The pairs named by three index arrays of length B."""

    def draw(self, rng: np.random.Generator, count: int, symmetric: bool = False) -> Pairs:
        """``count`` pairs of different poses, uniformly; symmetric, the second half is the first in the other direction."""
        person, source, target = self.choose(rng, -(-count // 2) if symmetric else count).T
        if symmetric:
            person, source, target = (np.concatenate(two)[:count] for two in ((person, person), (source, target), (target, source)))
        return self.pairs(person, source, target)

    def choose(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Names of ``count`` pairs, uniformly: count x 3, the arguments of :meth:`pairs`."""
        person = self._choose_people(rng, count)
        source = rng.integers(self.poses, size=count)
        target = (source + rng.integers(1, self.poses, size=count)) % self.poses
        return np.stack([person, source, target], axis=1)

    def holds(self, names: np.ndarray) -> np.ndarray:
        """Which of the pairs that were once chosen this store has, N bool."""
        return (names < (self.people, self.poses, self.poses)).all(axis=1)

    def _choose_people(self, rng: np.random.Generator, count: int) -> np.ndarray:
        return rng.integers(self.people, size=count)


class FigureStore(PersonPairs):
    """People in several poses on disk: ``image``, ``skeleton``, ``mask`` and ``classes``, uint8, first two axes person and pose.

    Args:
        folder: the figures at the stage's canvas.
        rendered: the folder of the figures at their full size: their joints, and ``place`` and ``seen`` of every ordered pair of a
            person's poses, axes person, source pose, target pose.
    """

    def __init__(self, folder: Path, rendered: Path):
        self.arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("image", "skeleton", "mask", "classes")}
        self.people, self.poses = self.arrays["image"].shape[:2]
        joints, visible, place, seen = (np.load(rendered / f"{name}.npy", mmap_mode="r") for name in ("joints", "visible", "place", "seen"))
        full, size = np.load(rendered / "classes.npy", mmap_mode="r").shape[-2:], self.arrays["image"].shape[-2:]
        self.arrays |= {
            "eyes": eyes(joints, visible, full, size),
            "joints": joint_arrays(joints, visible, full),
            "place": place,
            "seen": seen,
        }

    def pairs(self, person: np.ndarray, source_pose: np.ndarray, target_pose: np.ndarray) -> Pairs:
        return as_pairs(lambda name, *poses: torch.from_numpy(self.arrays[name][(person, *poses)]), source_pose, target_pose)


def upload(values: np.ndarray | Tensor, device: torch.device) -> Tensor:
    """A few numbers onto the device, without waiting for what a GPU is still busy with."""
    tensor = torch.as_tensor(values)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def as_pairs(take: Callable[..., Tensor], source_pose: Any, target_pose: Any) -> Pairs:
    """Stored numbers as the networks take them; ``take`` gives an array's rows for a pose, or for a source and a target pose."""
    return Pairs(
        source=take("image", source_pose).float() / 127.5 - 1,
        target=take("image", target_pose).float() / 127.5 - 1,
        skeleton=take("skeleton", target_pose).float() / 255,
        mask=take("mask", target_pose).float() / 255,
        source_classes=take("classes", source_pose).long(),
        target_classes=take("classes", target_pose).long(),
        face=take("eyes", target_pose),
        source_skeleton=take("skeleton", source_pose).float() / 255,
        source_joints=take("joints", source_pose),
        target_joints=take("joints", target_pose),
        place=take("place", source_pose, target_pose).float() / SCALE,
        seen=take("seen", source_pose, target_pose)[:, None].float() / SEEN,
    )


def joint_arrays(joints: np.ndarray, visible: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Joints ... x 18 x 2 on a canvas of ``size`` and their visibility ... x 18 as :func:`nted_step.pose.joint_tensor` has them."""
    seen = visible.astype(np.float32)[..., None]
    return np.concatenate([(joints / [size[1], size[0]] * 2 - 1) * seen, seen], axis=-1).astype(np.float32)


def eyes(joints: np.ndarray, visible: np.ndarray, full: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """Where both eyes are on a canvas of ``size``, from joints ... x 18 x 2 on one of ``full``: ... x 4, as ``Pairs.face``."""
    seen = visible[..., [14, 15]].astype(bool).all(axis=-1)
    places = joints[..., [14, 15], :] * np.array([size[1] / full[1], size[0] / full[0]], np.float32)
    return np.where(seen[..., None], places.reshape(*places.shape[:-2], 4), -1).astype(np.float32)


def figure_store(root: Path, size: tuple[int, int], people: int, poses: int, seed: int, render_size: tuple[int, int]) -> FigureStore:
    """Open the store of figures ``seed .. seed + people - 1`` at canvas ``size``, making it first if it is not there.

    Figures are rendered once at ``render_size`` and averaged down to ``size``; skeletons are drawn at 256x176, as the
    finished model sees them, and averaged down likewise. Class maps keep the class at each pixel's centre.
    """
    name = f"{seed}_{people}x{poses}"
    rendered = root / f"rendered_{render_size[0]}x{render_size[1]}_{name}"
    channels = rendered_shapes(render_size, poses)
    _make(rendered, channels, people, poses, _render_people, (seed, poses, render_size))
    folder = root / f"figures_{size[0]}x{size[1]}_{name}"
    channels = {"image": (3, *size), "classes": size, "mask": (1, *size), "skeleton": (20, *size)}
    _make(folder, channels, people, poses, _shrink, (rendered, size, poses))
    return FigureStore(folder, rendered)


def rendered_shapes(size: tuple[int, int], poses: int) -> dict[str, tuple[int, ...]]:
    """What is kept of a rendered figure, by name: the shape after the axes person and pose."""
    grid = places_grid(size)
    return {
        "image": (3, *size), "classes": size, "joints": (18, 2), "visible": (18,),
        "place": (poses, 2, *grid), "seen": (poses, *grid),
    }  # fmt: skip


def rendered_arrays(seeds: Sequence[int], poses: int, size: tuple[int, int]) -> dict[str, np.ndarray]:
    """People rendered, as :func:`rendered_shapes` has them, and their ``instances``; first two axes person and pose."""
    from training.figures import render_people  # the renderer is not needed once its images are on disk

    figures = render_people(seeds, poses, size)
    named = {
        "image": figures.image, "classes": figures.class_map, "instances": figures.instance_map, "joints": figures.joints,
        "visible": figures.visible, "surface": figures.surface,
    }  # fmt: skip
    arrays = {name: value.numpy().reshape(len(seeds), poses, *value.shape[1:]) for name, value in named.items()}
    pairs = [exact_places(*person) for person in zip(arrays.pop("surface"), arrays["classes"], strict=True)]
    return arrays | {"place": np.stack([place for place, _ in pairs]), "seen": np.stack([seen for _, seen in pairs])}


def _make(folder: Path, shapes: dict[str, tuple[int, ...]], people: int, poses: int, work: Callable, arguments: tuple) -> None:
    """Fill a folder of arrays (people x poses x shape), some people at a time in every core; renamed when complete."""
    if all((folder / f"{name}.npy").exists() for name in shapes):  # a folder that an older version made may lack some
        return
    shutil.rmtree(folder, ignore_errors=True)
    beside = folder.with_name(folder.name + ".part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    for name, shape in shapes.items():
        kind = {"joints": np.float32, "place": np.int16}.get(name, np.uint8)
        open_memmap(beside / f"{name}.npy", mode="w+", dtype=kind, shape=(people, poses, *shape)).flush()
    chunks = [range(first, min(first + CHUNK, people)) for first in range(0, people, CHUNK)]
    if len(chunks) == 1:  # not worth the start of other processes
        work(beside, chunks[0], *arguments)
        _finish(beside, folder)
        return
    from training.figures.workers import single_threaded_pool

    with single_threaded_pool(len(chunks)) as pool:
        jobs = [pool.submit(work, beside, chunk, *arguments) for chunk in chunks]
        with tqdm(total=people * poses, desc=folder.name, unit="image", smoothing=0.05) as progress:
            for job in as_completed(jobs):
                progress.update(job.result() * poses)
    _finish(beside, folder)


def _finish(beside: Path, folder: Path) -> None:
    """Flush once, not after every chunk, which took most of the time."""
    for path in beside.glob("*.npy"):
        np.load(path, mmap_mode="r+").flush()
    beside.rename(folder)


def _render_people(folder: Path, chunk: range, seed: int, poses: int, size: tuple[int, int]) -> int:
    arrays = rendered_arrays([seed + i for i in chunk], poses, size)
    _write(folder, chunk, {name: arrays[name] for name in rendered_shapes(size, poses)})
    return len(chunk)


def _shrink(folder: Path, chunk: range, rendered: Path, size: tuple[int, int], poses: int) -> int:
    rows = slice(chunk.start, chunk.stop)
    named = {name: np.load(rendered / f"{name}.npy", mmap_mode="r")[rows].copy() for name in ("image", "classes", "joints", "visible")}
    small = at_canvas(**{name: torch.from_numpy(value).flatten(0, 1) for name, value in named.items()}, size=size)
    _write(folder, chunk, {name: value.numpy().reshape(len(chunk), poses, *value.shape[1:]) for name, value in small.items()})
    return len(chunk)


def at_canvas(image: Tensor, classes: Tensor, joints: Tensor, visible: Tensor, size: tuple[int, int]) -> dict[str, Tensor]:
    """What is stored of N rendered figures, uint8.

    Args:
        image: N x 3 x H x W uint8. classes: N x H x W uint8. joints: N x 18 x 2 on that canvas. visible: N x 18.
        size: (h, w) of the stage's canvas.

    Returns:
        ``image`` N x 3 x h x w, ``classes`` N x h x w, ``mask`` N x 1 x h x w, ``skeleton`` N x 20 x h x w.
    """
    skeleton = _skeletons(joints, visible.bool(), tuple(image.shape[-2:]))
    mask = (classes[:, None] > 0).to(torch.uint8) * 255
    nearest = F.interpolate(classes[:, None].float(), size=size, mode="nearest-exact")[:, 0].to(torch.uint8)
    return {"image": _fold(image, size), "classes": nearest, "mask": _fold(mask, size), "skeleton": _fold(skeleton, size)}


def _write(folder: Path, chunk: range, arrays: dict[str, np.ndarray]) -> None:
    for name, values in arrays.items():
        stored = np.load(folder / f"{name}.npy", mmap_mode="r+")
        stored[chunk.start : chunk.stop] = values


def _skeletons(joints: Tensor, visible: Tensor, canvas: tuple[int, int]) -> Tensor:
    maps = [
        skeleton_u8(Pose(xy, seen).scaled(canvas, BASE_SIZE), BASE_SIZE) for xy, seen in zip(joints.numpy(), visible.numpy(), strict=True)
    ]
    return torch.from_numpy(np.stack(maps))


def _fold(images: Tensor, size: tuple[int, int]) -> Tensor:
    """N x C x H x W uint8 averaged down to N x C x h x w uint8."""
    if tuple(images.shape[-2:]) == tuple(size):
        return images
    return F.interpolate(images.float(), size=size, mode="area").round().to(torch.uint8)

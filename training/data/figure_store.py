"""Pairs of figures that are rendered once and kept on disk at the stage's canvas, read through memory maps."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.lib.format import open_memmap
from torch import Tensor
from tqdm import tqdm

from nted_step.files import folder_beside
from nted_step.pose import BASE_SIZE, Pose, skeleton_u8
from training.data.pairs import Pairs, PeopleStore
from training.figures.places import SCALE, SEEN, exact_places, places_grid

CHUNK = 16  # people rendered at a time


class FigureStore(PeopleStore):
    """People in several poses, on disk.

    Args:
        folder: the figures at the stage's canvas: ``image``, ``skeleton``, ``mask`` and ``classes``, uint8, first two axes person
            and pose.
        rendered: the figures at their full size: ``joints`` and ``visible``, and ``place`` and ``seen`` of every ordered pair of a
            person's poses, first three axes person, source pose and target pose.
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


def as_pairs(take: Callable[..., Tensor], source_pose: Any, target_pose: Any) -> Pairs:
    """Stored arrays in the ranges that the networks expect.

    ``take`` returns the rows of a named array for one pose, or for a source and a target pose.
    """
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
    """Joints ... x 18 x 2 on a canvas of ``size`` and their visibility ... x 18, as :func:`nted_step.pose.joint_tensor`: ... x 18 x 3."""
    seen = visible.astype(np.float32)[..., None]
    return np.concatenate([(joints / [size[1], size[0]] * 2 - 1) * seen, seen], axis=-1).astype(np.float32)


def eyes(joints: np.ndarray, visible: np.ndarray, full: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """Positions of both eyes on a canvas of ``size``, from joints ... x 18 x 2 on one of ``full``: ... x 4, as ``Pairs.face``."""
    seen = np.asarray(visible[..., [14, 15]].astype(bool).all(axis=-1))
    places = joints[..., [14, 15], :] * np.array([size[1] / full[1], size[0] / full[0]], np.float32)
    return np.where(seen[..., None], places.reshape(*places.shape[:-2], 4), -1).astype(np.float32)


def figure_store(root: Path, size: tuple[int, int], people: int, poses: int, seed: int, render_size: tuple[int, int]) -> FigureStore:
    """Open the store of figures ``seed .. seed + people - 1`` at canvas ``size``, creating it if it does not exist.

    Figures are rendered once at ``render_size`` and averaged down to ``size``. Skeletons are drawn at 256x176, as the finished
    model sees them, and averaged down as well. Class maps keep the class at each pixel's centre.
    """
    name = f"{seed}_{people}x{poses}"
    rendered = root / f"rendered_{render_size[0]}x{render_size[1]}_{name}"
    channels = rendered_shapes(render_size, poses)
    _create(rendered, channels, people, poses, _render_people, (seed, poses, render_size))
    folder = root / f"figures_{size[0]}x{size[1]}_{name}"
    channels = {"image": (3, *size), "classes": size, "mask": (1, *size), "skeleton": (20, *size)}
    _create(folder, channels, people, poses, _shrink_people, (rendered, size, poses))
    return FigureStore(folder, rendered)


def rendered_shapes(size: tuple[int, int], poses: int) -> dict[str, tuple[int, ...]]:
    """Names of the arrays that are kept of rendered figures, and their shapes after the axes person and pose."""
    grid = places_grid(size)
    return {
        "image": (3, *size), "classes": size, "joints": (18, 2), "visible": (18,),
        "place": (poses, 2, *grid), "seen": (poses, *grid),
    }  # fmt: skip


def rendered_arrays(seeds: Sequence[int], poses: int, size: tuple[int, int]) -> dict[str, np.ndarray]:
    """Render people: the arrays of :func:`rendered_shapes`, and ``instances``; first two axes person and pose."""
    from training.figures import render_people  # the renderer is not needed once its images are on disk

    figures = render_people(seeds, poses, size)
    named = {
        "image": figures.image, "classes": figures.class_map, "instances": figures.instance_map, "joints": figures.joints,
        "visible": figures.visible, "surface": figures.surface,
    }  # fmt: skip
    arrays = {name: value.numpy().reshape(len(seeds), poses, *value.shape[1:]) for name, value in named.items()}
    pairs = [exact_places(*person) for person in zip(arrays.pop("surface"), arrays["classes"], strict=True)]
    return arrays | {"place": np.stack([place for place, _ in pairs]), "seen": np.stack([seen for _, seen in pairs])}


def _create(folder: Path, shapes: dict[str, tuple[int, ...]], people: int, poses: int, work: Callable, arguments: tuple) -> None:
    """Create a folder of arrays (people x poses x shape) unless it exists, ``work`` filling it chunk by chunk on every core."""
    if all((folder / f"{name}.npy").exists() for name in shapes):  # a folder that an older version made may lack some
        return
    shutil.rmtree(folder, ignore_errors=True)
    with folder_beside(folder) as beside:
        for name, shape in shapes.items():
            dtype = {"joints": np.float32, "place": np.int16}.get(name, np.uint8)
            open_memmap(beside / f"{name}.npy", mode="w+", dtype=dtype, shape=(people, poses, *shape)).flush()
        _fill(beside, folder.name, people, poses, work, arguments)
        for path in beside.glob("*.npy"):  # once: flushing after every chunk took most of the time
            np.load(path, mmap_mode="r+").flush()


def _fill(folder: Path, title: str, people: int, poses: int, work: Callable, arguments: tuple) -> None:
    chunks = [range(first, min(first + CHUNK, people)) for first in range(0, people, CHUNK)]
    if len(chunks) == 1:  # not worth starting other processes
        work(folder, chunks[0], *arguments)
        return
    from training.figures.workers import single_threaded_pool

    with single_threaded_pool(len(chunks)) as pool:
        jobs = [pool.submit(work, folder, chunk, *arguments) for chunk in chunks]
        with tqdm(total=people * poses, desc=title, unit="image", smoothing=0.05) as progress:
            for job in as_completed(jobs):
                progress.update(job.result() * poses)


def _render_people(folder: Path, chunk: range, seed: int, poses: int, size: tuple[int, int]) -> int:
    arrays = rendered_arrays([seed + i for i in chunk], poses, size)
    _write(folder, chunk, {name: arrays[name] for name in rendered_shapes(size, poses)})
    return len(chunk)


def _shrink_people(folder: Path, chunk: range, rendered: Path, size: tuple[int, int], poses: int) -> int:
    rows = slice(chunk.start, chunk.stop)
    named = {name: np.load(rendered / f"{name}.npy", mmap_mode="r")[rows].copy() for name in ("image", "classes", "joints", "visible")}
    small = at_canvas(**{name: torch.from_numpy(value).flatten(0, 1) for name, value in named.items()}, size=size)
    _write(folder, chunk, {name: value.numpy().reshape(len(chunk), poses, *value.shape[1:]) for name, value in small.items()})
    return len(chunk)


def at_canvas(image: Tensor, classes: Tensor, joints: Tensor, visible: Tensor, size: tuple[int, int]) -> dict[str, Tensor]:
    """N rendered figures at the stage's canvas, as they are stored: uint8.

    Args:
        image: N x 3 x H x W uint8. classes: N x H x W uint8. joints: N x 18 x 2 on that canvas. visible: N x 18.
        size: (h, w) of the stage's canvas.

    Returns:
        ``image`` N x 3 x h x w, ``classes`` N x h x w, ``mask`` N x 1 x h x w, ``skeleton`` N x 20 x h x w.
    """
    skeleton = _skeletons(joints, visible.bool(), (image.shape[-2], image.shape[-1]))
    mask = (classes[:, None] > 0).to(torch.uint8) * 255
    nearest = F.interpolate(classes[:, None].float(), size=size, mode="nearest-exact")[:, 0].to(torch.uint8)
    return {
        "image": _shrink_images(image, size),
        "classes": nearest,
        "mask": _shrink_images(mask, size),
        "skeleton": _shrink_images(skeleton, size),
    }


def _write(folder: Path, chunk: range, arrays: dict[str, np.ndarray]) -> None:
    for name, values in arrays.items():
        stored = np.load(folder / f"{name}.npy", mmap_mode="r+")
        stored[chunk.start : chunk.stop] = values


def _skeletons(joints: Tensor, visible: Tensor, canvas: tuple[int, int]) -> Tensor:
    maps = [
        skeleton_u8(Pose(xy, seen).scaled(canvas, BASE_SIZE), BASE_SIZE) for xy, seen in zip(joints.numpy(), visible.numpy(), strict=True)
    ]
    return torch.from_numpy(np.stack(maps))


def _shrink_images(images: Tensor, size: tuple[int, int]) -> Tensor:
    """N x C x H x W uint8 averaged down to N x C x h x w uint8."""
    if tuple(images.shape[-2:]) == tuple(size):
        return images
    return F.interpolate(images.float(), size=size, mode="area").round().to(torch.uint8)

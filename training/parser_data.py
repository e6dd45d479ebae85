"""Figures with instance maps on disk, read through memory maps, and batches of them for Mask R-CNN."""

from __future__ import annotations

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

from appearance_control.detection import MEAN, STD
from training.figures.workers import render_groups

LEAST_PIXELS = 12  # of an instance that is asked for: below, it cannot be told from its neighbours
SOFT_SHARE = 0.35  # of the images are softened, because renderings in a pose are parsed too
SOFTEST = (0.12, 0.7)  # of the image's size that they keep
PIECES = ("image", "classes", "instances")


@dataclass(frozen=True)
class ParserBatch:
    """Images as the network takes them, and what is in them.

    Attributes:
        images: B x 3 x h x w float32, normalised, zero-padded to a multiple of 32.
        size: (h, w) before the padding.
        targets: per image ``boxes`` n x 4 continuous, ``labels`` n int64, ``masks`` n x h x w uint8 on the padded canvas.
    """

    images: Tensor
    size: tuple[int, int]
    targets: list[dict[str, Tensor]]


class ParserStore:
    """uint8 arrays of N figures: ``image`` N x 3 x H x W, ``classes`` and ``instances`` N x H x W."""

    def __init__(self, folder: Path):
        self.image, self.classes, self.instances = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in PIECES)

    def __len__(self) -> int:
        return len(self.image)

    def draw(self, rng: np.random.Generator, count: int, resize: tuple[int, int]) -> ParserBatch:
        """``count`` different figures, mirrored half of the time, softened and in changed light, resized as at inference."""
        images, maps = [], []
        for index in np.sort(rng.choice(len(self), count, replace=False)):
            image = torch.from_numpy(self.image[index].astype(np.float32))
            pair = torch.from_numpy(np.stack([self.classes[index], self.instances[index]]))
            if rng.random() < 0.5:
                image, pair = image.flip(-1), pair.flip(-1)
            images.append(relight(soften(image, rng), rng))
            maps.append(pair)
        return make_batch(torch.stack(images), torch.stack(maps), resize)


def soften(image: Tensor, rng: np.random.Generator) -> Tensor:
    """Some of the images as soft as a step's rendering: 3 x H x W shrunk to a share of its size and enlarged again."""
    if rng.random() >= SOFT_SHARE:
        return image
    share = rng.uniform(*SOFTEST)
    size = [max(1, int(side * share)) for side in image.shape[-2:]]
    small = F.interpolate(image[None], size=size, mode="bilinear", antialias=True)
    return F.interpolate(small, size=image.shape[-2:], mode="bilinear")[0].clamp(0, 255)


def relight(image: Tensor, rng: np.random.Generator) -> Tensor:
    """Brightness, contrast, tint and sensor noise of one 3 x H x W image in 0..255."""
    tint = torch.from_numpy(rng.uniform(0.85, 1.15, (3, 1, 1)).astype(np.float32)) * rng.uniform(0.8, 1.2)
    middle = image.mean()
    noise = torch.from_numpy(rng.standard_normal(image.shape, np.float32)) * rng.uniform(0, 6)
    return (((image - middle) * rng.uniform(0.8, 1.2) + middle) * tint + noise).clamp(0, 255)


def make_batch(images: Tensor, maps: Tensor, resize: tuple[int, int]) -> ParserBatch:
    """Images B x 3 x H x W in 0..255 and maps B x 2 x H x W (class, instance) at the network's size."""
    height, width = images.shape[-2:]
    scale = min(resize[1] / max(height, width), resize[0] / min(height, width))
    size = (int(height * scale + 0.5), int(width * scale + 0.5))
    mean, std = (torch.from_numpy(value).view(3, 1, 1) for value in (MEAN, STD))
    images = (F.interpolate(images, size=size, mode="bilinear", align_corners=False) - mean) / std
    padding = (0, -size[1] % 32, 0, -size[0] % 32)
    maps = F.pad(F.interpolate(maps.float(), size=size, mode="nearest-exact").to(torch.uint8), padding)
    return ParserBatch(F.pad(images, padding), size, [instances_of(*pair) for pair in maps])


def instances_of(classes: Tensor, instances: Tensor, least: int = LEAST_PIXELS) -> dict[str, Tensor]:
    """The instances of one H x W pair of maps, as torchvision takes them."""
    masks, labels, boxes = [], [], []
    for number in instances.unique().tolist():
        mask = instances == number
        rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
        if number and int(mask.sum()) >= least:
            masks.append(mask)
            labels.append(int(classes[mask][0]))
            boxes.append([int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1])
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).view(-1, 4),
        "labels": torch.tensor(labels, dtype=torch.int64),
        "masks": torch.stack(masks).to(torch.uint8) if masks else classes.new_zeros(0, *classes.shape),
    }


def parser_store(root: Path, people: int, poses: int, seed: int, size: tuple[int, int]) -> ParserStore:
    """Open the store of figures ``seed .. seed + people - 1``, rendering it first if it is not there."""
    folder = root / f"parser_{size[0]}x{size[1]}_{seed}_{people}x{poses}"
    if not folder.is_dir():
        beside = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        _render(beside, people, poses, seed, size)
        beside.rename(folder)  # last, so that a folder of that name is whole
    return ParserStore(folder)


def _render(folder: Path, people: int, poses: int, seed: int, size: tuple[int, int]) -> None:
    count, done = people * poses, 0
    shapes = {"image": (count, 3, *size), "classes": (count, *size), "instances": (count, *size)}
    stored = {name: open_memmap(folder / f"{name}.npy", mode="w+", dtype=np.uint8, shape=shape) for name, shape in shapes.items()}
    for part in tqdm(_parts(people, poses, seed, size), total=(people + 3) // 4, desc="figures", unit="group"):
        rows = slice(done, done + len(part["image"]))
        for name, values in part.items():
            stored[name][rows] = values
        done = rows.stop
    for values in stored.values():
        values.flush()


def _parts(people: int, poses: int, seed: int, size: tuple[int, int]) -> Iterator[dict[str, np.ndarray]]:
    for batch in render_groups(range(seed, seed + people), poses, size):
        yield {"image": batch.image.numpy(), "classes": batch.class_map.numpy(), "instances": batch.instance_map.numpy()}

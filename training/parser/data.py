"""Figures with instance maps on disk, read through memory maps, and their augmented batches for Mask R-CNN.

A batch is processed on the device of its arrays, and on a GPU without waiting for intermediate results.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.lib.format import open_memmap
from torch import Tensor
from tqdm import tqdm

from appearance_control.detection import MEAN, STD, to_resized
from nted_step.files import folder_beside
from training.figures.workers import render_groups
from training.memory import upload

LEAST_PIXELS = 4  # of an instance to be found: a smaller one cannot be told from its neighbours
MOST_INSTANCES = 16  # of one figure
SOFT_SHARE = 0.35  # of the images that are softened, because the model's renderings are parsed too
SOFT_SIZES = (0.12, 0.7)  # range of the share of its size to which such an image is shrunk
ARRAYS = ("image", "classes", "instances")


@dataclass(frozen=True)
class ParserBatch:
    """Images in the network's input format, and the instances in them.

    Attributes:
        images: B x 3 x h x w float32, normalised, zero-padded to a multiple of 32.
        size: (h, w) before padding.
        scale: of the resized images, relative to the figures.
        boxes: B x MOST_INSTANCES x 4 in pixels of the resized images, like the network's output; 0 where there is no instance.
        labels: B x MOST_INSTANCES int64, 0 where there is no instance; instance k of the map has index k - 1.
        classes: B x H x W uint8, the class of each pixel of the figures before resizing.
        instances: B x H x W uint8, the instance of each pixel, 0 for none.
    """

    images: Tensor
    size: tuple[int, int]
    scale: float
    boxes: Tensor
    labels: Tensor
    classes: Tensor
    instances: Tensor

    def masks(self) -> Tensor:
        """B x MOST_INSTANCES x H x W bool, at the figures' original size."""
        return masks_of(self.instances)


class ParserStore:
    """uint8 arrays of N figures: ``image`` N x 3 x H x W, ``classes`` and ``instances`` N x H x W. Batches are on ``device``."""

    def __init__(self, folder: Path, device: str = "cpu"):
        self.image, self.classes, self.instances = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS)
        self.device = device

    def __len__(self) -> int:
        return len(self.image)

    def draw(self, rng: np.random.Generator, count: int, resize: tuple[int, int]) -> ParserBatch:
        """``count`` different figures, augmented and resized as at inference."""
        rows = np.sort(rng.choice(len(self), count, replace=False))
        images, classes, instances = (
            torch.from_numpy(values[rows]).to(self.device) for values in (self.image, self.classes, self.instances)
        )
        return augmented_batch(images, torch.stack([classes, instances], 1), rng, resize)


def augmented_batch(images: Tensor, maps: Tensor, rng: np.random.Generator, resize: tuple[int, int]) -> ParserBatch:
    """Augment figures B x 3 x H x W and maps B x 2 x H x W (class, instance), both uint8: half of them mirrored, some softened."""
    mirrored = upload(rng.random(len(images)) < 0.5, images.device)[:, None, None, None]
    images, maps = torch.where(mirrored, images.flip(-1), images).float(), torch.where(mirrored, maps.flip(-1), maps)
    images = relight(torch.stack([soften(image, rng) for image in images]), rng)
    return make_batch(images, maps, resize)


def soften(image: Tensor, rng: np.random.Generator) -> Tensor:
    """With a chance of SOFT_SHARE, the image 3 x H x W shrunk and enlarged again, so that it is as soft as a step's rendering."""
    if rng.random() >= SOFT_SHARE:
        return image
    share = rng.uniform(*SOFT_SIZES)
    size = [max(1, int(side * share)) for side in image.shape[-2:]]
    small = F.interpolate(image[None], size=size, mode="bilinear", antialias=True)
    return F.interpolate(small, size=image.shape[-2:], mode="bilinear")[0].clamp(0, 255)


def relight(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Change brightness, contrast and tint of B x 3 x H x W images in 0..255, and add sensor noise."""
    shape = (len(images), 1, 1, 1)
    tint = rng.uniform(0.85, 1.15, (len(images), 3, 1, 1)) * rng.uniform(0.8, 1.2, shape)
    contrast, grain = rng.uniform(0.8, 1.2, shape), rng.uniform(0, 6, shape)
    values = upload(np.concatenate([tint, contrast, grain], axis=1).astype(np.float32), images.device)
    middle = images.mean((1, 2, 3), keepdim=True)
    lit = ((images - middle) * values[:, 3:4] + middle) * values[:, :3]
    return (lit + torch.randn_like(images) * values[:, 4:5]).clamp(0, 255)


def make_batch(images: Tensor, maps: Tensor, resize: tuple[int, int]) -> ParserBatch:
    """Images B x 3 x H x W in 0..255 and maps B x 2 x H x W uint8 (class, instance), resized for the network."""
    height, width = images.shape[-2:]
    scale = min(resize[1] / max(height, width), resize[0] / min(height, width))
    size = (int(height * scale + 0.5), int(width * scale + 0.5))
    images = F.interpolate(images, size=size, mode="bilinear", align_corners=False)
    images = torch.stack([(images[:, k] - float(MEAN[k])) / float(STD[k]) for k in range(3)], dim=1)
    images = F.pad(images, (0, -size[1] % 32, 0, -size[0] % 32))
    classes, instances = maps.unbind(1)
    boxes, labels = instances_of(classes, instances)
    boxes = to_resized(boxes, scale) * (labels > 0)[..., None]
    return ParserBatch(images, size, scale, boxes, labels, classes, instances)


def masks_of(instances: Tensor) -> Tensor:
    """B x H x W instance maps -> B x MOST_INSTANCES x H x W bool."""
    return instances[:, None] == torch.arange(1, MOST_INSTANCES + 1, device=instances.device, dtype=torch.uint8)[:, None, None]


def instances_of(classes: Tensor, instances: Tensor, least: int = LEAST_PIXELS) -> tuple[Tensor, Tensor]:
    """The instances of B x H x W maps.

    Returns:
        Boxes B x MOST_INSTANCES x 4 (x1, y1, x2, y2), float32 in pixels, x2 and y2 one beyond the last; labels
        B x MOST_INSTANCES int64. Both are 0 where no instance with that number has ``least`` pixels.
    """
    masks = masks_of(instances)
    shown = masks.sum((2, 3), dtype=torch.int32) >= least
    labels = (masks * classes[:, None]).amax((2, 3)).long() * shown
    ends = [end for filled in (masks.any(2), masks.any(3)) for end in _ends(filled)]  # x1, x2, y1, y2
    boxes = torch.stack([ends[0], ends[2], ends[1], ends[3]], dim=-1).float()
    return boxes * shown[..., None], labels


def _ends(filled: Tensor) -> tuple[Tensor, Tensor]:
    """Index of the first true value along the last axis of ... x n, and one beyond the last."""
    return filled.byte().argmax(-1), filled.shape[-1] - filled.flip(-1).byte().argmax(-1)


def check_instances(instances: np.ndarray) -> None:
    """Raises ValueError if a figure has more instances than a batch has room for."""
    if instances.max(initial=0) > MOST_INSTANCES:
        raise ValueError(f"a figure has {instances.max()} instances; at most {MOST_INSTANCES} are supported")


def parser_store(root: Path, people: int, poses: int, seed: int, size: tuple[int, int], device: str = "cpu") -> ParserStore:
    """Open the store of figures ``seed .. seed + people - 1``, rendering it first if it does not exist."""
    folder = root / f"parser_{size[0]}x{size[1]}_{seed}_{people}x{poses}"
    if not folder.is_dir():
        with folder_beside(folder) as beside:
            _render(beside, people, poses, seed, size)
    return ParserStore(folder, device)


def _render(folder: Path, people: int, poses: int, seed: int, size: tuple[int, int]) -> None:
    count, done = people * poses, 0
    shapes = {"image": (count, 3, *size), "classes": (count, *size), "instances": (count, *size)}
    stored = {name: open_memmap(folder / f"{name}.npy", mode="w+", dtype=np.uint8, shape=shape) for name, shape in shapes.items()}
    for part in tqdm(_parts(people, poses, seed, size), total=(people + 3) // 4, desc="figures", unit="group"):
        rows = slice(done, done + len(part["image"]))
        check_instances(part["instances"])
        for name, values in part.items():
            stored[name][rows] = values
        done = rows.stop
    for values in stored.values():
        values.flush()


def _parts(people: int, poses: int, seed: int, size: tuple[int, int]) -> Iterator[dict[str, np.ndarray]]:
    for batch in render_groups(range(seed, seed + people), poses, size):
        yield {"image": batch.image.numpy(), "classes": batch.class_map.numpy(), "instances": batch.instance_map.numpy()}

"""Writes rendered figures in the layout of a DeepFashion in-shop folder.

``img/NAME.png``; ``pose/NAME.txt``, 18 rows ``x y`` on a frame 256 wide and high, ``-1 -1`` for a hidden joint; ``train_pairs.txt`` and
``test_pairs.txt``, the header ``from,to`` and rows ``source,target``; ``train.lst`` and ``test.lst``, names; and ``masks.json``, in the
format of COCO with run-length-encoded masks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from pycocotools import mask as coco_mask
from tqdm import tqdm

from nted_step.classes import LABELS
from nted_step.files import write_file
from nted_step.image import encode_image
from nted_step.pose import BASE_SIZE, FRAME_OFFSET
from training.figures.render import TEST_SEED, FigureBatch
from training.figures.workers import render_groups

PAIR_HEADER = "from,to\n"


def image_name(seed: int, pose: int) -> str:
    """File name of one image."""
    return f"person{seed:08d}_{pose:02d}.png"


def pose_text(joints: np.ndarray, visible: np.ndarray, size: tuple[int, int]) -> str:
    """The 18 rows of a pose file.

    Args:
        joints: 18 x 2, (x, y) in canvas pixels.
        visible: 18 bool.
        size: (H, W) of the canvas.
    """
    h, w = size
    base_height, base_width = BASE_SIZE
    rows = []
    for (x, y), seen in zip(joints.tolist(), visible.tolist(), strict=True):
        rows.append(f"{x * base_width / w + FRAME_OFFSET:.2f} {y * base_height / h:.2f}\n" if seen else "-1 -1\n")
    return "".join(rows)


def annotations(class_map: np.ndarray, instance_map: np.ndarray) -> list[dict]:
    """COCO annotations, without ids, of one image's class and instance maps H x W uint8."""
    entries = []
    for number in np.unique(instance_map[instance_map > 0]).tolist():
        mask = instance_map == number
        encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
        entries.append(
            {
                "category_id": int(class_map[mask][0]),
                "area": int(mask.sum()),
                "bbox": [float(value) for value in coco_mask.toBbox(encoded)],
                "iscrowd": 0,
                "segmentation": {"size": [int(extent) for extent in encoded["size"]], "counts": encoded["counts"].decode("ascii")},
            }
        )
    return entries


def pairs(names: list[str]) -> list[tuple[str, str]]:
    """All ordered pairs of different images of one person."""
    return [(source, target) for source in names for target in names if source != target]


class _Writer:
    """Collects the index of a data set while its images are written."""

    def __init__(self, output: Path, size: tuple[int, int]):
        self.output, self.size = output, size
        for folder in ("img", "pose"):
            (output / folder).mkdir(parents=True, exist_ok=True)
        self.images: list[dict] = []
        self.annotations: list[dict] = []
        self.names: dict[int, list[str]] = {}

    def add(self, batch: FigureBatch) -> None:
        """Write the images and poses of a batch."""
        image = batch.image.permute(0, 2, 3, 1).cpu().numpy()
        joints, visible = batch.joints.cpu().numpy(), batch.visible.cpu().numpy()
        classes, instances, boxes = batch.class_map.cpu().numpy(), batch.instance_map.cpu().numpy(), batch.face_box.cpu().numpy()
        for i in range(len(image)):
            seed, pose = int(batch.person_seed[i]), int(batch.pose_index[i])
            name = image_name(seed, pose)
            write_file(self.output / "img" / name, encode_image(Image.fromarray(image[i])))
            write_file(self.output / "pose" / (Path(name).stem + ".txt"), pose_text(joints[i], visible[i], self.size).encode())
            number = len(self.images) + 1
            of_image = {"id": number, "file_name": name, "height": self.size[0], "width": self.size[1]}
            self.images.append({**of_image, "person": seed, "pose": pose, "face_box": boxes[i].tolist()})
            for entry in annotations(classes[i], instances[i]):
                self.annotations.append({**entry, "id": len(self.annotations) + 1, "image_id": number})
            self.names.setdefault(seed, []).append(name)

    def finish(self) -> None:
        """Write the lists and the masks."""
        train = [seed for seed in self.names if seed < TEST_SEED]
        test = sorted(seed for seed in self.names if seed >= TEST_SEED)
        for part, seeds in (("train", train), ("test", test)):
            listing = "".join(f"{name}\n" for seed in seeds for name in self.names[seed])
            paired = PAIR_HEADER + "".join(f"{source},{target}\n" for seed in seeds for source, target in pairs(self.names[seed]))
            write_file(self.output / f"{part}.lst", listing.encode())
            write_file(self.output / f"{part}_pairs.txt", paired.encode())
        categories = [{"id": label, "name": name, "supercategory": "fashion"} for name, label in LABELS.items()]
        masks = {"images": self.images, "annotations": self.annotations, "categories": categories}
        write_file(self.output / "masks.json", json.dumps(masks).encode())


def write_dataset(
    output: str | Path,
    seeds: Iterable[int],
    poses: int,
    size: tuple[int, int] = (256, 176),
    device: str | torch.device = "cpu",
    group: int = 4,
    progress: bool = True,
) -> Path:
    """Render people and write them to a folder. The lists are written last, so a folder with lists is whole.

    Args:
        output: the folder, made if need be.
        seeds: of the people.
        poses: images of each.
        size: (H, W) of the images.
        device: that renders.
        group: people rendered at a time.
        progress: whether a progress bar is shown.

    Returns:
        The folder.
    """
    output, seeds = Path(output), list(seeds)
    writer = _Writer(output, size)
    with tqdm(total=len(seeds) * poses, unit="image", disable=not progress) as bar:
        for batch in render_groups(seeds, poses, size, device, group):
            writer.add(batch)
            bar.update(len(batch.image))
    writer.finish()
    return output

"""Writes rendered figures in the layout of a DeepFashion in-shop folder.

img/NAME.png, pose/NAME.txt (18 rows `x y` on a frame 256 wide and high, -1 -1 when missing),
train_pairs.txt and test_pairs.txt (`source,target`), train.lst and test.lst, and masks.json (COCO, RLE).
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

from nted_step.classes import CLASSES
from nted_step.files import write_file
from nted_step.image import encode_image
from training.figures.render import TEST_SEED, FigureBatch
from training.figures.workers import render_groups


def image_name(seed: int, pose: int) -> str:
    """File name of one image."""
    return f"person{seed:08d}_{pose:02d}.png"


def pose_text(joints: np.ndarray, visible: np.ndarray, size: tuple[int, int]) -> str:
    """The 18 rows of a pose file: canvas pixels to the 256-wide padded frame."""
    h, w = size
    rows = [f"{x * 176 / w + 40:.2f} {y * 256 / h:.2f}" if seen else "-1 -1" for (x, y), seen in zip(joints.tolist(), visible.tolist())]
    return "\n".join(rows) + "\n"


def parse_pose(text: str, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Inverse of `pose_text`: joints (18, 2) in canvas pixels and visibility (18,)."""
    rows = np.array([[float(v) for v in line.split()] for line in text.splitlines()], np.float32)
    visible = (rows >= 0).all(1)
    return (rows - [40, 0]) * [size[1] / 176, size[0] / 256], visible


def annotations(class_map: np.ndarray, instance_map: np.ndarray) -> list[dict]:
    """COCO annotations (without ids) of one image's maps (H, W)."""
    out = []
    for number in np.unique(instance_map[instance_map > 0]).tolist():
        mask = instance_map == number
        rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
        box = [float(v) for v in coco_mask.toBbox(rle)]
        out.append(
            dict(
                category_id=int(class_map[mask][0]),
                area=int(mask.sum()),
                bbox=box,
                iscrowd=0,
                segmentation=dict(size=[int(v) for v in rle["size"]], counts=rle["counts"].decode("ascii")),
            )
        )
    return out


def pairs(names: list[str]) -> list[tuple[str, str]]:
    """All ordered pairs of different images of one person."""
    return [(a, b) for a in names for b in names if a != b]


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
        image = batch.image.permute(0, 2, 3, 1).cpu().numpy()
        joints, visible = batch.joints.cpu().numpy(), batch.visible.cpu().numpy()
        classes, instances, boxes = batch.class_map.cpu().numpy(), batch.instance_map.cpu().numpy(), batch.face_box.cpu().numpy()
        for i in range(len(image)):
            seed, pose = int(batch.person_seed[i]), int(batch.pose_index[i])
            name = image_name(seed, pose)
            write_file(self.output / "img" / name, encode_image(Image.fromarray(image[i])))
            write_file(self.output / "pose" / (Path(name).stem + ".txt"), pose_text(joints[i], visible[i], self.size).encode())
            number = len(self.images) + 1
            self.images.append(
                dict(id=number, file_name=name, height=self.size[0], width=self.size[1], person=seed, pose=pose, face_box=boxes[i].tolist())
            )
            for entry in annotations(classes[i], instances[i]):
                self.annotations.append(dict(entry, id=len(self.annotations) + 1, image_id=number))
            self.names.setdefault(seed, []).append(name)

    def finish(self) -> None:
        test = {seed for seed in self.names if seed >= TEST_SEED}
        for part, chosen in (("train", [s for s in self.names if s not in test]), ("test", sorted(test))):
            listing = "".join(f"{n}\n" for s in chosen for n in self.names[s])
            paired = "".join(f"{a},{b}\n" for s in chosen for a, b in pairs(self.names[s]))
            write_file(self.output / f"{part}.lst", listing.encode())
            write_file(self.output / f"{part}_pairs.txt", paired.encode())
        categories = [dict(id=i + 1, name=n, supercategory="fashion") for i, n in enumerate(CLASSES)]
        text = json.dumps(dict(images=self.images, annotations=self.annotations, categories=categories))
        write_file(self.output / "masks.json", text.encode())


def write_dataset(
    output: str | Path,
    seeds: Iterable[int],
    poses: int,
    size: tuple[int, int] = (256, 176),
    device: str | torch.device = "cpu",
    group: int = 4,
    progress: bool = True,
) -> Path:
    """Render people and write them to `output`; lists are written last, so a folder with lists is whole."""
    output, seeds = Path(output), list(seeds)
    writer = _Writer(output, size)
    with tqdm(total=len(seeds) * poses, unit="image", disable=not progress) as bar:
        for batch in render_groups(seeds, poses, size, device, group):
            writer.add(batch)
            bar.update(len(batch.image))
    writer.finish()
    return output

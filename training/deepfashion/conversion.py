"""Conversion of one image of a data set into its entries: decoded once, checked, and resized to every size."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from nted_step.image import ImageError, decode, encode_image
from nted_step.pose import BASE_SIZE, FRAME_OFFSET, Pose, PoseError
from training.deepfashion.records import Record

ENCODINGS: dict[str, dict[str, Any]] = {
    "png": {"kind": "PNG", "compress_level": 3},  # higher levels save a few percent and take several times as long
    "jpeg": {"kind": "JPEG", "quality": 95, "subsampling": 0},
}

SAME_ASPECT = 0.02  # relative difference: a copy's sides are rounded


@dataclass(frozen=True)
class Job:
    """An image to convert: its files, the sizes (H, W) of its entries, their encoding and stamp, and COCO masks if there are any.

    ``annotation``: the rows of a pose file, used if the pose file does not exist.
    """

    name: str
    image: Path
    pose: Path
    sizes: tuple[tuple[int, int], ...]
    encoding: str
    stamp: bytes
    masks: tuple[dict[str, Any], ...] = ()
    annotation: str = ""


@dataclass(frozen=True)
class Conversion:
    """The packed entries by size, or none and a one-line reason."""

    name: str
    entries: dict[tuple[int, int], bytes] = field(default_factory=dict)
    reason: str = ""


def convert(job: Job) -> Conversion:
    """Convert one image; runs in worker processes. A missing or broken file gives a reason, never an exception."""
    try:
        text, picture = _pose_text(job), decode(_read(job.image), str(job.image))
        poses = {size: Pose.from_text(text, size, str(job.pose)) for size in job.sizes}
        mask = _person(job.masks, picture.size, job.image)
    except (ImageError, PoseError) as error:
        return Conversion(job.name, reason=str(error))
    entries = {
        size: Record(job.stamp, poses[size], encode_image(_fitted(picture, size, Image.Resampling.BICUBIC), **ENCODINGS[job.encoding]),
                     encode_image(_fitted(mask, size, Image.Resampling.BOX), **ENCODINGS["png"]) if mask else b"").pack()
        for size in job.sizes
    }  # fmt: skip
    return Conversion(job.name, entries)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror or 'cannot be read'}") from None


def _pose_text(job: Job) -> str:
    try:
        return job.pose.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        if job.annotation:
            return job.annotation
        raise PoseError(f"{job.pose}: there is no pose file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise PoseError(f"{job.pose}: cannot be read as a pose text file ({getattr(error, 'strerror', None) or 'not text'})") from None


def _person(masks: tuple[dict[str, Any], ...], size: tuple[int, int], image: Path) -> Image.Image | None:
    """The union of all masks as one grey picture, 255 on the person. ``size`` is (W, H) of the photo.

    Masks may have been made on a smaller or larger copy of the photo, of the same aspect.
    """
    if not masks:
        return None
    try:
        covered = np.stack([coco_mask.decode(dict(rle)) for rle in masks]).any(axis=0)
    except Exception as error:  # the decoder passes on any error of its C code
        raise ImageError(f"{image}: its mask cannot be read ({type(error).__name__})") from None
    if abs(covered.shape[1] * size[1] / (covered.shape[0] * size[0]) - 1) > SAME_ASPECT:
        raise ImageError(f"{image}: its mask is {covered.shape[1]}x{covered.shape[0]}, the image {size[0]}x{size[1]}")
    mask = Image.fromarray(covered.astype(np.uint8) * 255)
    return mask if mask.size == size else mask.resize(size, Image.Resampling.NEAREST)


def _fitted(picture: Image.Image, size: tuple[int, int], filtering: Image.Resampling) -> Image.Image:
    """The picture resized to the canvas (H, W) without keeping its aspect, as published for this data set.

    A square picture is the frame with white sides that the pose files refer to; the canvas is its middle.
    """
    box = (0.0, 0.0, float(picture.width), float(picture.height))
    if picture.width == picture.height:
        side = picture.width * FRAME_OFFSET / BASE_SIZE[0]
        box = (side, 0.0, picture.width - side, float(picture.height))
    uncropped = box[2] - box[0] == picture.width
    return picture if uncropped and picture.size == (size[1], size[0]) else picture.resize((size[1], size[0]), filtering, box=box)

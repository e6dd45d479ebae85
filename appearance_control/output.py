"""What parsing and swapping write to disk: overlays, masks, coefficients, run.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from appearance_control.masks import mask_image
from appearance_control.parser import Parse
from appearance_control.swap import SwapPlan
from nted_step.classes import CLASSES
from nted_step.files import write_file
from nted_step.image import encode_image, to_pil
from nted_step.output import save_run
from nted_step.sampler import StepOutput

COLOURS = tuple(
    tuple(int(v) for v in np.array(Image.new("HSV", (1, 1), (k * 255 * 7 // 15 % 255, 200, 235)).convert("RGB"))[0, 0])
    for k in range(len(CLASSES))
)
OVERLAY = 0.55  # opacity of the class's colour


def overlay(photo: np.ndarray, parse: Parse, score: float = 0.3, named: bool = True) -> Image.Image:
    """The photo with the instances tinted, the best on top, each labelled with its class and score if ``named``."""
    shown = photo.astype(np.float32)
    instances = [instance for instance in parse.instances if instance.score > score]
    for instance in reversed(instances):
        colour = np.array(COLOURS[instance.label - 1], np.float32)
        shown[instance.mask] = photo[instance.mask] * (1 - OVERLAY) + colour * OVERLAY
    picture = Image.fromarray(shown.round().astype(np.uint8))
    if not named:
        return picture
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=max(8, photo.shape[0] // 26))
    for instance in instances:
        draw.text(instance.box[:2], f"{instance.name} {instance.score:.2f}", fill="white", font=font, stroke_width=1, stroke_fill="black")
    return picture


def save_parse(folder: str | Path, photo: np.ndarray, parse: Parse, name: str) -> Path:
    """Write ``overlay.png``, one mask per instance under ``masks/`` and, last, ``parse.json`` in COCO format."""
    folder = Path(folder)
    (folder / "masks").mkdir(parents=True, exist_ok=True)
    save_image(folder / "overlay.png", overlay(photo, parse))
    for number, instance in enumerate(parse.instances, 1):
        save_image(folder / "masks" / f"{number:02d}_{instance.name}.png", mask_image(instance.mask))
    write_file(folder / "parse.json", (json.dumps(parse.to_coco(name)) + "\n").encode())
    return folder


def save_swap(folder: str | Path, plan: SwapPlan, outputs: Sequence[StepOutput], settings: Mapping[str, Any]) -> Path:
    """Write the masks, everybody alone in the pose, ``coefficients.json``, and whatever :func:`nted_step.output.save_run` writes."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save_image(folder / "wearer.png", to_pil(plan.rendering.image))
    document = []
    for number, garment in enumerate(plan.garments, 1):
        save_image(folder / f"garment_{number}.png", to_pil(garment.rendering.image))
        save_image(folder / f"garment_{number}_mask.png", mask_image(garment.garment_mask))
        save_image(folder / f"garment_{number}_wearer_mask.png", mask_image(garment.wearer_mask))
        document.append([[round(float(v), 6) for v in share.flatten()] for share in garment.layer.coefficients])
    write_file(folder / "coefficients.json", (json.dumps({"garments": document}) + "\n").encode())
    return save_run(folder, outputs, settings)


def save_image(path: Path, image: Image.Image) -> None:
    """Write a PNG, completely or not at all."""
    write_file(path, encode_image(image))

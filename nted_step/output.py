"""Files of a run: every step, the result, a labelled strip, an animation, and the settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from nted_step.files import write_file, write_json
from nted_step.image import encode_animation, encode_image, to_pil
from nted_step.sampler import StepOutput

LABEL_HEIGHT = 18
FRAME_MS, LAST_FRAME_MS = 120, 1500


def save_run(folder: str | Path, outputs: Sequence[StepOutput], settings: Mapping[str, Any]) -> Path:
    """Write ``step_00.png`` ..., ``result.png``, ``strip.png``, ``steps.gif`` and, last, ``run.json`` (``settings``)."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    images = [to_pil(output.image) for output in outputs]
    for output, image in zip(outputs, images, strict=True):
        write_file(folder / f"step_{output.step:02d}.png", encode_image(image))
    write_file(folder / "result.png", encode_image(images[-1]))
    write_file(folder / "strip.png", encode_image(strip(images, [label(output) for output in outputs])))
    write_file(folder / "steps.gif", animation(images))
    write_json(folder / "run.json", dict(settings))
    return folder


def save_large(folder: str | Path, image: Tensor, mask: Tensor | None) -> None:
    """Write ``large.png``, and where there is a mask ``cutout.png``, the person before nothing.

    image: 3 x H x W in [-1, 1]. mask: H x W in [0, 1].
    """
    folder, picture = Path(folder), to_pil(image)
    write_file(folder / "large.png", encode_image(picture))
    if mask is not None:
        write_file(folder / "cutout.png", encode_image(cut_out(picture, mask)))


def cut_out(picture: Image.Image, mask: Tensor) -> Image.Image:
    """The picture with the mask H x W in [0, 1] as its transparency."""
    out = picture.convert("RGBA")
    out.putalpha(Image.fromarray((mask.float().clamp(0, 1).cpu().numpy() * 255).round().astype("uint8")))
    return out


def label(output: StepOutput) -> str:
    """``5: 70x48``, or ``start`` for the noisy image."""
    height, width = output.size
    return f"{output.step}: {height}x{width}" if output.step else f"start: {height}x{width}"


def strip(images: Sequence[Image.Image], labels: Sequence[str]) -> Image.Image:
    """All images in a row, each under its label."""
    width, height = images[0].size
    sheet = Image.new("RGB", (width * len(images), height + LABEL_HEIGHT), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=13)
    for i, (image, text) in enumerate(zip(images, labels, strict=True)):
        sheet.paste(image, (i * width, LABEL_HEIGHT))
        draw.text((i * width + width / 2, LABEL_HEIGHT / 2), text, fill="black", font=font, anchor="mm")
    return sheet


def animation(images: Sequence[Image.Image]) -> bytes:
    """A GIF that plays the steps and rests on the last."""
    return encode_animation(images, "GIF", [FRAME_MS] * (len(images) - 1) + [LAST_FRAME_MS])

"""What goes to the browser: pictures in URLs, notices, and the description of the weights."""

from __future__ import annotations

import base64
import html
import os
from pathlib import Path

from PIL import Image

from nted_step.image import encode_image, to_pil
from nted_step.pipeline import NTEDStepPipeline
from nted_step.sampler import StepOutput

ROOT = Path(__file__).parents[2]
LOSSLESS_HEIGHT = 130  # up to here the page shows pixels as squares, on which lossy compression would be visible


def frame(output: StepOutput) -> str:
    """A step as a data URL at its own resolution: 8x5 is 8x5 pixels, and the page enlarges them as squares."""
    height, width = output.size
    # The start is noise in every pixel; averaging would hide it, so it is sampled.
    how = Image.Resampling.BOX if output.step else Image.Resampling.NEAREST
    return data_url(to_pil(output.image).resize((width, height), how))


def data_url(image: Image.Image) -> str:
    """A picture as a WebP data URL, which needs no file on the server and no request of its own."""
    data = encode_image(image, "WEBP", lossless=image.height <= LOSSLESS_HEIGHT, quality=90, method=1)
    return "data:image/webp;base64," + base64.b64encode(data).decode()


def notice(text: str, kind: str = "info") -> str:
    """A line for the page, as HTML; ``kind`` is ``"info"`` or ``"error"``."""
    return f'<p class="notice {kind}" role="{"alert" if kind == "error" else "status"}">{html.escape(text)}</p>'


def describe_weights(pipeline: NTEDStepPipeline) -> str:
    """Which weights and where they run, with paths relative to this checkout."""
    return pipeline.description.replace(f"{ROOT}{os.sep}", "")

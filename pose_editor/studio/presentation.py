"""What goes to the browser: pictures inside URLs, and one-line notices."""

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
LOSSLESS_HEIGHT = 130  # frames up to this height are shown as squares, where lossy compression would be seen


def frame(output: StepOutput) -> str:
    """A step as a data URL at its own resolution: 8x5 is 8x5 pixels, and the page enlarges them as squares."""
    height, width = output.size
    # The start is noise in every pixel; averaging would hide it, so it is sampled.
    how = Image.Resampling.BOX if output.step else Image.Resampling.NEAREST
    return data_url(to_pil(output.image).resize((width, height), how))


def data_url(image: Image.Image) -> str:
    """WebP inside a URL: needs no file on the server and no request of its own."""
    data = encode_image(image, "WEBP", lossless=image.height <= LOSSLESS_HEIGHT, quality=90, method=1)
    return "data:image/webp;base64," + base64.b64encode(data).decode()


def notice(text: str, kind: str = "info") -> str:
    return f'<p class="notice {kind}" role="{"alert" if kind == "error" else "status"}">{html.escape(text)}</p>'


def about(pipeline: NTEDStepPipeline) -> str:
    """Which weights and where they run, without the folder this checkout happens to stand in."""
    return pipeline.description.replace(f"{ROOT}{os.sep}", "")

"""Progress reports of a run: lines on the terminal, and scalars and sheets for TensorBoard or Weights & Biases."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from training.settings import Settings

# Measures of a validation: the name for TensorBoard, and the text for the progress line.
MEASURES = {
    "loss": ("loss", "loss {:.4f}"),
    "psnr": ("masked_psnr", "masked PSNR {:.2f} dB"),
    "copied": ("masked_psnr_of_copying", "copying the source {:.2f} dB"),
    "place_error": ("place_error", "places {:.2f} px off"),
    "place_error_median": ("place_error_median", "median {:.2f} px"),
}


@dataclass(frozen=True)
class Iteration:
    """One iteration of this process.

    Attributes:
        values: name of a loss -> its value.
        seconds: its duration. waited: the part of it spent on waiting for data.
        images: pairs processed, over all processes.
    """

    values: Mapping[str, float]
    seconds: float
    waited: float
    images: int


class Reporter:
    """Collects iterations and prints a line for every few of them. Only the first rank has a reporter.

    Args:
        settings, run: the run's settings and folder.
    """

    def __init__(self, settings: Settings, run: Path):
        self.every, self.recent = settings.log_every, []
        self.tensorboard = self.wandb = None
        if settings.tensorboard:
            from torch.utils.tensorboard import SummaryWriter  # takes seconds to import, and not every run needs it

            self.tensorboard = SummaryWriter(str(run / "tensorboard"))
        if settings.wandb and find_spec("wandb"):
            import wandb

            self.wandb = wandb.init(project=settings.wandb, name=run.name, dir=str(run))
        elif settings.wandb:
            print("wandb is not installed: no report to Weights & Biases", flush=True)

    def add(self, iteration: Iteration, samples: int, stage: str, left: int, rates: Mapping[str, float]) -> None:
        """Add an iteration.

        Args:
            samples: seen so far. stage: the beginning of the line. left: images left in the stage. rates: learning rates by name.
        """
        self.recent.append(iteration)
        if len(self.recent) < self.every:
            return
        spent = sum(iteration.seconds for iteration in self.recent)
        speed = sum(iteration.images for iteration in self.recent) / spent
        wait = sum(iteration.waited for iteration in self.recent) / spent
        names = {name: None for iteration in self.recent for name in iteration.values}
        means = {name: float(np.mean([iteration.values[name] for iteration in self.recent if name in iteration.values])) for name in names}
        losses = "  ".join(f"{name} {value:.4f}" for name, value in means.items())
        print(f"{stage}  {speed:.1f} images/s  {_minutes(left / speed)} left  data wait {wait:.1%}  {losses}", flush=True)
        self._scalars({f"loss/{name}": value for name, value in means.items()}, samples)
        self._scalars(
            {"speed/images_per_second": speed, "speed/data_wait": wait} | {f"rate/{name}": v for name, v in rates.items()}, samples
        )
        self.recent.clear()

    def validated(self, numbers: Mapping[str, float], sheet: Path, samples: int, first_loss: float | None) -> None:
        """Report a validation.

        Args:
            numbers: values by their names in MEASURES. sheet: path of its picture. samples: seen so far.
            first_loss: of the validation before the first iteration, if there was one.
        """
        before = f" ({first_loss:.4f} before the first iteration)" if samples and first_loss is not None else ""
        texts = [
            f"{text.format(numbers[name])}{before if name == 'loss' else ''}" for name, (_, text) in MEASURES.items() if name in numbers
        ]
        print(f"validation at {samples} samples: {', '.join(texts)}, {sheet}", flush=True)
        self._scalars({f"validation/{MEASURES[name][0]}": value for name, value in numbers.items()}, samples)
        with Image.open(sheet) as image:
            pixels = np.array(image)
        if self.tensorboard:
            self.tensorboard.add_image("validation/sheet", pixels, samples, dataformats="HWC")
            self.tensorboard.flush()
        if self.wandb:
            import wandb

            self.wandb.log({"validation/sheet": wandb.Image(pixels)}, step=samples)

    def _scalars(self, values: Mapping[str, Any], samples: int) -> None:
        if self.tensorboard:
            for name, value in values.items():
                self.tensorboard.add_scalar(name, value, samples)
        if self.wandb:
            self.wandb.log(dict(values), step=samples)


def _minutes(seconds: float) -> str:
    minutes = math.ceil(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"

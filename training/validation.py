"""Validation during training: the whole chain of steps, from noise, on people that no run trains on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from nted_step.carrier import Carrier
from nted_step.carrying import Carried
from nted_step.execution import Eager, Execution
from nted_step.files import write_file
from nted_step.generator import Generator
from nted_step.image import encode_image, to_uint8
from nted_step.person import Person
from nted_step.sampler import sample
from nted_step.schedule import degrade, ladder, seeded_noise, start_image
from training import losses
from training.carrier_losses import carry_pairs
from training.data.pairs import Pairs, PeopleStore
from training.evaluation.metrics import psnr, to_bytes

SHOWN = 12  # people on a sheet
SHOWN_STEPS = (1, 5, 10, 15, 20)


def masked_psnr(image: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    """PSNR over person pixels, per sample, after rounding to 8 bits: B x 3 x H x W in [-1, 1], mask B x 1 x H x W -> B."""
    return psnr(to_bytes(image), to_bytes(truth), mask)


@dataclass(frozen=True)
class Validation:
    """Quality of a generator on unseen people.

    Attributes:
        loss: the pixel loss of training, mean over all steps of the chain from noise.
        psnr, copied: mean masked PSNR in dB of the last step, and of the source copied unchanged.
        sheet: path of a picture of some of the people.
    """

    loss: float
    psnr: float
    copied: float
    sheet: Path


@torch.no_grad()
def validate(
    generator: Generator, store: PeopleStore, device: torch.device, sheet: Path, emphasis: Callable[[Pairs], Tensor],
    carrier: Carrier | None = None,
) -> Validation:  # fmt: skip
    """Run the whole chain on the first pair of everyone in the store, and write ``sheet``.

    ``emphasis``: pixel weights, see :meth:`training.objective.Objective.emphasis`.
    """
    pairs = store.first_pairs()
    outputs = chain(Eager(generator), pairs, device, carried=carry_pairs(carrier, pairs, device) if carrier else None)
    weight = emphasis(pairs)
    steps = zip(outputs[1:], ladder(generator.config)[1:], strict=True)
    loss = torch.stack([losses.pixel(output, degrade(pairs.target, size), weight) for output, size in steps]).mean().item()
    last = masked_psnr(outputs[-1], pairs.target, pairs.mask).mean().item()
    copied = masked_psnr(pairs.source, pairs.target, pairs.mask).mean().item()
    save_sheet(sheet, pairs, outputs)
    return Validation(loss, last, copied, sheet)


@torch.no_grad()
def chain(execution: Execution, pairs: Pairs, device: torch.device, batch: int = 12, carried: Carried | None = None) -> list[Tensor]:
    """All steps 0..steps of every pair, from the noise of seed 0; each N x 3 x H x W on the CPU.

    ``carried``: the carried pixels of the pairs, for a generator that carries.
    """
    parts, config = [], execution.generator.config
    for index in torch.arange(len(pairs)).split(batch):
        batch_pairs = pairs.select(index)
        source, skeleton = batch_pairs.source.to(device), batch_pairs.skeleton.to(device)
        start = start_image(source, seeded_noise(0, config.size).to(device), config)
        batch_carried = carried.select(index) if carried else None
        outputs = sample(execution, Person(source, execution), skeleton, start, carried=batch_carried)
        parts.append([output.image.cpu() for output in outputs])
    return [torch.cat(step) for step in zip(*parts, strict=True)]


def save_sheet(path: Path, pairs: Pairs, outputs: list[Tensor], shown: int = SHOWN, height: int = 256) -> None:
    """One row per person: source, pose, some steps, truth."""
    last = len(outputs) - 1
    columns = [pairs.source, pairs.skeleton[:, :3] * 2 - 1, *(outputs[min(k, last)] for k in SHOWN_STEPS), pairs.target]
    scale = max(1, height // pairs.source.shape[-2])
    rows = []
    for i in range(min(shown, len(pairs))):
        cells = [F.interpolate(column[i : i + 1], scale_factor=scale, mode="nearest")[0] for column in columns]
        rows.append(np.concatenate([to_uint8(cell) for cell in cells], axis=1))
    _save_picture(path, np.concatenate(rows))


def save_rows(path: Path, columns: list[Tensor], scale: int) -> None:
    """One row per person: each column's images B x 3 x h x w in [-1, 1], enlarged."""
    large = [F.interpolate(column.float(), scale_factor=scale, mode="nearest") for column in columns]
    rows = [np.concatenate([to_uint8(column[i]) for column in large], axis=1) for i in range(len(large[0]))]
    _save_picture(path, np.concatenate(rows))


def _save_picture(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, encode_image(Image.fromarray(pixels)))

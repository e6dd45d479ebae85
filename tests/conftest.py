"""Shared fixtures: a tiny model of the real classes, its weights on disk, and random ones that carry."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nted_step.carrier import Carrier, CarrierConfig
from nted_step.config import NTEDStepConfig
from nted_step.generator import Generator
from nted_step.pipeline import NTEDStepPipeline
from nted_step.pose import Pose
from nted_step.weights import CARRIER_FOLDER, save_carrier, save_weights

TINY = NTEDStepConfig(
    size=(64, 44), steps=4, channels={16: 24, 32: 24, 64: 24}, labels={16: 4, 32: 6, 64: 0}, kernels={16: 1, 32: 3, 64: 1}
)

RANDOM = {"summary": "random", "limits": "These weights know only rendered figures, and not even those."}
SMALL_CARRIER = CarrierConfig(widths=(8, 8, 16, 24), layers=1, heads=2, cross_layers=1, cross_heads=2)


def save_noise(folder: Path, config: NTEDStepConfig) -> Path:
    """Random weights, of which only the carrying works: all of a photo whose pose is known is carried, nearly to where it was."""
    torch.manual_seed(0)
    carrier = Carrier(SMALL_CARRIER)
    carrier.half_head.bias.data[2:4] = carrier.mask_decoder.head.bias.data[:] = 9.0  # a person everywhere, seen in the photo
    save_carrier(folder / CARRIER_FOLDER, carrier, RANDOM)
    return save_weights(folder, Generator(config), RANDOM)


@dataclass(frozen=True)
class TinyCarrierConfig(CarrierConfig):
    """A carrier that takes no time, by default."""

    widths: tuple[int, int, int, int] = (8, 8, 16, 24)
    layers: int = 1
    heads: int = 2
    cross_layers: int = 1
    cross_heads: int = 2


@pytest.fixture(scope="session")
def tiny_config() -> NTEDStepConfig:
    return TINY


@pytest.fixture
def tiny_generator() -> Generator:
    torch.manual_seed(0)
    return Generator(TINY)


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory) -> str:
    torch.manual_seed(0)
    return str(save_weights(tmp_path_factory.mktemp("weights"), Generator(TINY), {"summary": "random"}, torch.float32))


@pytest.fixture
def pipeline(tiny_weights) -> NTEDStepPipeline:
    return NTEDStepPipeline.from_pretrained(tiny_weights, device="cpu", dtype="float32")


@pytest.fixture(scope="session")
def standing() -> Pose:
    """A standing person, facing us, on the 64x44 canvas."""
    rows = "22 8,22 14,17 14,15 22,14 30,27 14,29 22,30 30,19 30,18 43,18 55,25 30,26 43,26 55,21 7,23 7,20 8,24 8"
    return Pose([[float(v) for v in row.split()] for row in rows.split(",")], [True] * 18)


@pytest.fixture
def photo_file(tmp_path):
    """A 100x160 PNG (w x h) with structure."""
    rng = np.random.default_rng(0)
    pixels = np.kron(rng.integers(0, 255, (16, 10, 3)), np.ones((10, 10, 1))).astype(np.uint8)
    path = tmp_path / "photo.png"
    Image.fromarray(pixels).save(path)
    return path

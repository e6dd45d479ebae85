"""A parser of the real class, small enough for tests, with random weights."""

import numpy as np
import pytest
import torch
from PIL import Image

from appearance_control.network import ParserConfig, build_network
from appearance_control.parser import FashionParser

TINY_PARSER = ParserConfig("small", labels=16, resize=(44, 64), anchor_scale=4, widths=(8, 8, 8, 8), pyramid=8, hidden=16, proposals=20)


@pytest.fixture(scope="session")
def tiny_parser() -> FashionParser:
    torch.manual_seed(0)
    return FashionParser(build_network(TINY_PARSER), TINY_PARSER)


@pytest.fixture
def photos(tmp_path):
    """Two different 44x64 (w x h) photos on disk."""
    paths = []
    for seed in (1, 2):
        pixels = np.kron(np.random.default_rng(seed).integers(0, 255, (16, 11, 3)), np.ones((4, 4, 1))).astype(np.uint8)
        paths.append(tmp_path / f"{seed}.png")
        Image.fromarray(pixels).save(paths[-1])
    return paths

"""A desk with two examples around the tiny model, with and without the tiny parser."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from appearance_control.network import build_network
from appearance_control.parser import save_parser
from appearance_control.studio.events import GarmentDesk, Visit
from appearance_control.studio.parse_cache import Opener
from nted_step.pipeline import NTEDStepPipeline
from nted_step.pose import Pose
from pose_editor import formats
from pose_editor.studio.studio import Studio
from tests.appearance_control.conftest import TINY_PARSER

SIZE = (64, 44)


@pytest.fixture
def studio(pipeline: NTEDStepPipeline, standing: Pose, tmp_path) -> Studio:
    people = []
    for seed, name in enumerate(("ann", "bob"), 1):
        pixels = np.kron(np.random.default_rng(seed).integers(0, 255, (16, 11, 3)), np.ones((4, 4, 1))).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
        (tmp_path / f"{name}.txt").write_text(formats.to_text(standing, SIZE))
        people.append({"name": name, "title": name.title()})
    (tmp_path / "examples.json").write_text(json.dumps({"people": people}))
    return Studio(pipeline, tmp_path)


@pytest.fixture(scope="session")
def parser_folder(tmp_path_factory):
    torch.manual_seed(0)
    return save_parser(tmp_path_factory.mktemp("parser"), build_network(TINY_PARSER), TINY_PARSER, {}, torch.float32)


@pytest.fixture
def desk(studio: Studio, tmp_path) -> GarmentDesk:
    """Without a parser."""
    return GarmentDesk(studio, Opener(tmp_path / "none"))


@pytest.fixture
def seeing(studio: Studio, parser_folder) -> GarmentDesk:
    """With a parser, of random weights."""
    return GarmentDesk(studio, Opener(parser_folder))


@pytest.fixture
def visit() -> Visit:
    return Visit()


@pytest.fixture(autouse=True)
def everything_is_of_the_garment(monkeypatch) -> None:
    """A model of random weights uses every texture everywhere, and a garment is a small part of that; here hardly anything inside will do."""
    monkeypatch.setattr("appearance_control.coefficients.LEAST_SHARE", 0.001)

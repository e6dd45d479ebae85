"""The garments tab's events with two examples and the tiny model, with and without the tiny parser."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from appearance_control.network import build_network
from appearance_control.parser import save_parser
from appearance_control.studio.events import GarmentEvents
from appearance_control.studio.parse_cache import ParserLoader
from appearance_control.studio.session import SwapSession
from nted_step.pipeline import NTEDStepPipeline
from nted_step.pose import Pose
from pose_editor import formats
from pose_editor.studio.photo_reader import PhotoReader
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


def empty_streets(studio: Studio) -> PhotoReader:
    """Reads photos, and finds nobody in them."""
    return PhotoReader(studio, SimpleNamespace(find_all=lambda photo: []))


@pytest.fixture
def events(studio: Studio, tmp_path) -> GarmentEvents:
    """Without a parser."""
    return GarmentEvents(studio, ParserLoader(tmp_path / "none"), empty_streets(studio))


@pytest.fixture
def events_with_parser(studio: Studio, parser_folder) -> GarmentEvents:
    """With a parser, of random weights."""
    return GarmentEvents(studio, ParserLoader(parser_folder), empty_streets(studio))


@pytest.fixture
def session() -> SwapSession:
    return SwapSession()


@pytest.fixture(autouse=True)
def everything_is_of_the_garment(monkeypatch) -> None:
    """A model with random weights uses every texture everywhere, hardly any of it inside a garment; here a little is enough."""
    monkeypatch.setattr("appearance_control.coefficients.LEAST_SHARE", 0.001)

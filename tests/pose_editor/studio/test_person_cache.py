"""What is kept of a visitor's photos: bounded, the least recently used forgotten, and used again."""

import copy
import dataclasses
from pathlib import Path

import pytest
import torch
from PIL import Image

from nted_step.config import preset
from nted_step.generator import Generator
from nted_step.pipeline import NTEDStepPipeline
from nted_step.pose import Pose
from pose_editor import presets
from pose_editor.studio.events import PoseEvents
from pose_editor.studio.person_cache import PersonCache, kept_photos_notice
from pose_editor.studio.session import Session
from pose_editor.studio.studio import Studio

EXAMPLES = Path(__file__).parents[3] / "assets" / "examples"
SMALL = dataclasses.replace(preset("lite"), channels={16: 8, 32: 8, 64: 8, 128: 8, 256: 8}, labels={16: 2, 32: 2, 64: 2, 128: 0, 256: 0})
STANDING: Pose = presets.standing(SMALL.size)


@pytest.fixture(scope="module")
def pipeline() -> NTEDStepPipeline:
    torch.manual_seed(0)
    return NTEDStepPipeline(Generator(SMALL), device="cpu", dtype="float32")


@pytest.fixture
def encoded(pipeline: NTEDStepPipeline, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The steps whose textures were computed, as they come."""
    steps, textures = [], pipeline.execution.textures
    monkeypatch.setattr(pipeline.execution, "textures", lambda source, t: steps.append(t) or textures(source, t))
    return steps


def photo(shade: float) -> torch.Tensor:
    return torch.full((3, *SMALL.size), shade)


def rendered(pipeline: NTEDStepPipeline, kept: PersonCache, shade: float):
    """The person in a photo after a run of two steps."""
    person = kept.encode(pipeline, photo(shade))
    list(pipeline.generate(person, STANDING, steps=2))
    return person


def test_the_least_recently_used_goes_first_and_bytes_are_bounded(pipeline: NTEDStepPipeline, encoded: list[int]) -> None:
    one = rendered(pipeline, PersonCache(), 0.9).nbytes
    kept = PersonCache(most=3 * one)
    first, second, third = (rendered(pipeline, kept, shade) for shade in (0.1, 0.2, 0.3))
    assert kept.people() == [first, second, third] and sum(person.nbytes for person in kept.people()) == 3 * one
    assert kept.encode(pipeline, photo(0.1)) is first, "the same photo is the same person"
    fourth = rendered(pipeline, kept, 0.4)
    assert kept.people() == [third, first, fourth], "the second was not used for longest"
    assert second.nbytes == second.source.nbytes, "whoever holds it still holds no textures"
    for shade in torch.linspace(-1, 0, 5):
        rendered(pipeline, kept, float(shade))
        assert sum(person.nbytes for person in kept.people()) <= kept.most
    assert "photos in memory: 3" in kept_photos_notice(kept)


def test_the_person_in_use_stays_whatever_it_takes(pipeline: NTEDStepPipeline) -> None:
    kept = PersonCache(most=1)
    rendered(pipeline, kept, 0.1)
    person = rendered(pipeline, kept, 0.2)
    assert kept.people() == [person] and person.nbytes > person.source.nbytes


def test_somebody_forgotten_who_is_used_again_is_counted_again(pipeline: NTEDStepPipeline) -> None:
    kept = PersonCache(most=1)
    first, second = rendered(pipeline, kept, 0.1), rendered(pipeline, kept, 0.2)
    kept.use(pipeline, first)
    assert kept.people() == [first] and second.nbytes == second.source.nbytes


def test_other_weights_forget_everybody(pipeline: NTEDStepPipeline) -> None:
    kept = PersonCache()
    first = rendered(pipeline, kept, 0.1)
    other = NTEDStepPipeline(Generator(SMALL), device="cpu", dtype="float32")
    assert kept.encode(other, photo(0.1)) is not first and len(kept.people()) == 1


def test_there_and_back_again_computes_no_textures(pipeline: NTEDStepPipeline, encoded: list[int], tmp_path: Path) -> None:
    """Two photos in turn and an example between them, as the page's events do it."""
    studio, session = Studio(pipeline, EXAMPLES), Session()
    for name, colour in (("a.png", "red"), ("b.png", "blue")):
        Image.new("RGB", (352, 512), colour).save(tmp_path / name)

    def show(name: str | None = None, example: str | None = None) -> None:
        if name:
            session.upload = studio.upload(str(tmp_path / name), name, session.cache)
        list(PoseEvents(studio).open(studio.subject(example, session), example, example, "", session))

    encoded.clear()
    show("a.png")
    show("b.png")
    assert len(encoded) == 2 * SMALL.steps
    show(example="brown-coat")
    assert len(encoded) == 3 * SMALL.steps
    show("a.png")
    show("b.png")
    show(example="brown-coat")
    assert len(encoded) == 3 * SMALL.steps and len(session.cache.people()) == 2


def test_the_line_counts_who_is_kept_in_two_tabs_once(pipeline: NTEDStepPipeline) -> None:
    pose, garments = PersonCache(most=8_000_000), PersonCache(most=8_000_000)
    assert kept_photos_notice(pose, garments) == "Your photos in memory: none (limit 16 MB)"
    garments.use(pipeline, rendered(pipeline, pose, 0.1))
    rendered(pipeline, garments, 0.2)
    assert kept_photos_notice(pose, garments) == "Your photos in memory: 2 (1.1 of 16 MB)"


def test_every_visitor_has_an_own_one() -> None:
    """Gradio copies the state that the page starts with."""
    first, second = (copy.deepcopy(Session()) for _ in range(2))
    assert first.cache is not second.cache

"""Runs on a GPU that is lent: what crosses to the other process is plain data, and the result is the same."""

import dataclasses
import multiprocessing
import pickle
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from gradio.context import LocalContext

from appearance_control.dressing import DressedPerson, GarmentLayer
from nted_step.image import load_photo
from nted_step.person import Person
from nted_step.pipeline import NTEDStepPipeline
from nted_step.pose import Pose, PoseError
from pose_editor import formats
from pose_editor.serving import lent_gpu
from pose_editor.studio.events import PoseEvents
from pose_editor.studio.save_events import SaveEvents
from pose_editor.studio.session import Session
from pose_editor.studio.studio import Studio
from tests.conftest import save_noise

EXAMPLES = Path(__file__).parents[3] / "assets" / "examples"


@pytest.fixture(autouse=True)
def one_thread():
    """As in the process that is lent the GPU: results are equal to the last bit with the same number of threads alone."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def lend(duration: int):
    """As ZeroGPU does it: arguments and answers are pickled, and the function runs in a process that was forked for it."""

    def decorate(function):
        def lent(*arguments):
            data = pickle.dumps(arguments)
            here, there = multiprocessing.get_context("fork").Pipe()

            def work() -> None:
                torch.set_num_threads(1)
                for answer in function(*pickle.loads(data)):
                    there.send_bytes(pickle.dumps(answer))
                there.send_bytes(b"")

            process = multiprocessing.get_context("fork").Process(target=work)
            process.start()
            try:
                while True:
                    assert here.poll(60), "the other process does not answer"
                    answer = here.recv_bytes()
                    if not answer:
                        return
                    yield pickle.loads(answer)
            finally:
                process.kill()
                process.join()

        return lent

    assert duration == lent_gpu.SECONDS
    return decorate


@pytest.fixture
def lender(monkeypatch):
    """Stands in for ZeroGPU, whose far side is then on this CPU."""
    monkeypatch.setattr(lent_gpu, "spaces", SimpleNamespace(GPU=lend))
    monkeypatch.setattr(lent_gpu, "FAR", {"device": "cpu", "dtype": "float32"})


@pytest.fixture
def lent(tiny_weights, lender):
    return lent_gpu.LentPipeline.from_pretrained(tiny_weights, dtype="float32")


@pytest.fixture
def asked():
    """While a visitor's request is answered."""
    token = LocalContext.request.set(object())
    yield
    LocalContext.request.reset(token)


def person(pipeline, photo_file):
    return pipeline.encode(load_photo(photo_file, pipeline.config.size).image)


def images(outputs):
    return [output.image for output in outputs]


def test_nothing_is_lent_elsewhere():
    assert not lent_gpu.LENT and lent_gpu.pipeline_class() is NTEDStepPipeline


def test_a_run_is_the_same(lent, pipeline, photo_file, standing, asked):
    here = images(pipeline.generate(person(pipeline, photo_file), standing, seed=3))
    there = images(lent.lend(person(lent, photo_file), standing, seed=3))
    assert len(here) == len(there) == 5 and all(torch.equal(a, b) for a, b in zip(here, there, strict=True))


def test_going_on_is_the_same(lent, pipeline, photo_file, standing, asked):
    here = list(pipeline.generate(person(pipeline, photo_file), standing, seed=3))
    on = list(lent.lend(person(lent, photo_file), standing, seed=3, start=here[2]))
    assert [output.step for output in on] == [2, 3, 4] and torch.equal(on[-1].image, here[-1].image)


def test_without_a_request_nothing_is_lent(lent, photo_file, standing, monkeypatch):
    monkeypatch.setattr(lent, "run", lambda *_: pytest.fail("a GPU was asked for"))
    assert len(images(lent.lend(person(lent, photo_file), standing))) == 5


def test_a_wrong_pose_borrows_nothing(lent, photo_file, standing, asked, monkeypatch):
    monkeypatch.setattr(lent, "run", lambda *_: pytest.fail("a GPU was asked for"))
    with pytest.raises(PoseError, match="lies outside"):
        next(lent.lend(person(lent, photo_file), standing.scaled((64, 44), (640, 440))))


# --- with the photo's pixels ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def carrying(tiny_config, tmp_path_factory):
    """A folder of random weights that carry, on the page's canvas."""
    numbers = {"channels": (8, 8, 8, 8, 8), "labels": (4, 4, 4, 0, 0), "kernels": (1, 1, 1, 1, 1)}
    levels = {name: dict(zip((16, 32, 64, 128, 256), each, strict=True)) for name, each in numbers.items()}
    return save_noise(tmp_path_factory.mktemp("carrying"), dataclasses.replace(tiny_config, size=(256, 176), carries=True, **levels))


@pytest.fixture
def lent_carrying(carrying, lender):
    return lent_gpu.LentPipeline.from_pretrained(carrying, dtype="float32")


@pytest.fixture
def stand(standing):
    return standing.scaled((64, 44), (256, 176))


def plain(pipeline, shade: float, pose: Pose) -> Person:
    """Somebody in a photo of one colour, which no random weights would hit, of whom the photo's pose is known."""
    photo = torch.full((3, 256, 176), -0.9)
    photo[0] = shade
    return pipeline.encode(photo, pose, ((photo + 1) * 127.5).to(torch.uint8))


def dressed(pipeline, pose: Pose) -> DressedPerson:
    """Somebody dark in a red garment over the middle of the canvas."""
    wearer, giver, mask = plain(pipeline, -0.9, pose), plain(pipeline, 0.9, pose), np.zeros((256, 176), bool)
    mask[96:160, 58:118] = True
    shares = tuple(torch.zeros(1, 1, value.shape[-1]) for value in wearer.textures(0).values)
    return DressedPerson(wearer, [GarmentLayer(giver, frozenset(), mask, None, shares, 1.0)])


def test_a_dressed_person_keeps_the_garment_on_the_lent_gpu(lent_carrying, stand, asked, monkeypatch):
    crossed = []
    run = lent_carrying.run
    monkeypatch.setattr(lent_carrying, "run", lambda *arguments: crossed.append(arguments) or run(*arguments))
    person = dressed(lent_carrying, stand)
    here, there = (images(make(person, stand, seed=3)) for make in (lent_carrying.generate, lent_carrying.lend))
    assert len(crossed) == 1 and len(here) == len(there) == 5
    assert all(torch.equal(one, other) for one, other in zip(here, there, strict=True))
    red = there[-1][0]
    assert red[110:146, 70:106].mean() > 0.2 and red[:60].mean() < -0.5, "the garment is there, and only there"


def test_people_survive_pickling(lent_carrying, stand):
    person = plain(lent_carrying, 0.9, stand)
    for one in (person, dressed(lent_carrying, stand)):
        list(lent_carrying.generate(one, stand, steps=1))
        data = pickle.dumps(one)
        assert len(data) < 4 * one.source.nbytes, "what can be computed again does not cross"
        other = pickle.loads(data).on(lent_carrying)
        assert type(other) is type(one) and torch.equal(other.source, one.source)
        ours, theirs = one.carried(stand, (512, 352)), other.carried(stand, (512, 352))
        assert all(torch.equal(a, b) for a, b in zip(vars(ours).values(), vars(theirs).values(), strict=True))
        assert all(torch.equal(a, b) for a, b in zip(one.textures(2).values, other.textures(2).values, strict=True))
    again = pickle.loads(pickle.dumps(person)).on(lent_carrying)
    assert again.pose == person.pose and torch.equal(again.large, person.large)
    unknown = pickle.loads(pickle.dumps(lent_carrying.encode(person.source[0]))).on(lent_carrying)
    assert unknown.pose is None and unknown.large is None


def test_a_preview_never_reaches_the_lender(lent_carrying, stand, asked, monkeypatch):
    studio, session, lending = Studio(lent_carrying, EXAMPLES), Session(), []
    run = lent_carrying.run
    monkeypatch.setattr(lent_carrying, "run", lambda *_: pytest.fail("a GPU was asked for"))
    previewed = PoseEvents(studio).preview(formats.to_value(stand, 1), "brown-coat", session, {"seed": 0})
    assert previewed["kind"] == "preview" and previewed["step"] >= 1
    assert len([*SaveEvents(studio).film(studio.examples["brown-coat"].person, stand, stand, 2, 0, 1)]) == 2
    monkeypatch.setattr(lent_carrying, "run", lambda *arguments: lending.append(1) or run(*arguments))
    *_, shown = PoseEvents(studio).render(formats.to_value(stand, 2), "brown-coat", session, {"seed": 0})
    assert lending == [1] and len(shown["frames"]) == 5

"""Runs on a GPU that is lent: what crosses to the other process is plain data, and the result is the same."""

import multiprocessing
import pickle
from types import SimpleNamespace

import pytest
import torch
from gradio.context import LocalContext

from nted_step.image import load_photo
from nted_step.pipeline import NTEDStepPipeline
from pose_editor import zero_gpu


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

    assert duration == zero_gpu.SECONDS
    return decorate


@pytest.fixture
def lent(tiny_weights, monkeypatch):
    monkeypatch.setattr(zero_gpu, "spaces", SimpleNamespace(GPU=lend))
    monkeypatch.setattr(zero_gpu, "FAR", {"device": "cpu", "dtype": "float32"})
    return zero_gpu.LentPipeline.from_pretrained(tiny_weights, dtype="float32")


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
    assert not zero_gpu.LENT and zero_gpu.pipeline_class() is NTEDStepPipeline


def test_a_run_is_the_same(lent, pipeline, photo_file, standing, asked):
    here = images(pipeline.generate(person(pipeline, photo_file), standing, seed=3))
    there = images(lent.generate(person(lent, photo_file), standing, seed=3))
    assert len(here) == len(there) == 5 and all(torch.equal(a, b) for a, b in zip(here, there, strict=True))


def test_going_on_is_the_same(lent, pipeline, photo_file, standing, asked):
    here = list(pipeline.generate(person(pipeline, photo_file), standing, seed=3))
    on = list(lent.generate(person(lent, photo_file), standing, seed=3, start=here[2]))
    assert [output.step for output in on] == [2, 3, 4] and torch.equal(on[-1].image, here[-1].image)


def test_without_a_request_nothing_is_lent(lent, photo_file, standing, monkeypatch):
    monkeypatch.setattr(lent, "run", lambda *_: pytest.fail("a GPU was asked for"))
    assert len(images(lent.generate(person(lent, photo_file), standing))) == 5


def test_a_wrong_pose_borrows_nothing(lent, photo_file, standing, asked, monkeypatch):
    monkeypatch.setattr(lent, "run", lambda *_: pytest.fail("a GPU was asked for"))
    with pytest.raises(ValueError, match="lies outside"):
        next(lent.generate(person(lent, photo_file), standing.scaled((64, 44), (640, 440))))

"""An exception in mid-sampling: a message, and the next run works. Stop: the worker is free at the next step."""

import contextlib
import threading

import pytest

import nted_step.execution
from tests.faults.conftest import photo
from tests.running import Refused, Visitor

SECRET = "-".join(["my", "holiday"])  # not as it would stand in a line of code


@pytest.fixture
def visitor(here):
    with contextlib.closing(Visitor(here)) as visitor:
        yield visitor


def breaking(monkeypatch, at: int) -> None:
    """Step ``at`` raises, once."""
    real, broken = nted_step.execution.render_step, threading.Event()

    def step(generator, textures, x, skeleton, t):
        if t == at and not broken.is_set():
            broken.set()
            raise RuntimeError(f"out of memory in {SECRET}.png")
        return real(generator, textures, x, skeleton, t)

    monkeypatch.setattr("nted_step.execution.render_step", step)


def test_an_error_in_a_run_is_a_message_and_the_next_one_works(visitor, standing, monkeypatch, caplog):
    before = visitor.release(standing, "striped-dress")["frames"]
    breaking(monkeypatch, 2)
    with pytest.raises(Refused, match=r"Something went wrong on the server \(request [0-9a-f]{8}\)\. Please try again\.") as refused:
        visitor.release(standing, "striped-dress")
    assert visitor.release(standing, "striped-dress")["frames"] == before
    assert str(refused.value).partition("request ")[2][:8] in caplog.text and "RuntimeError" in caplog.text
    assert "nted_step/sampler.py" in caplog.text and SECRET not in caplog.text, "where it happened, not what was said"


def test_an_error_in_an_endpoint(visitor, joints, monkeypatch):
    file = visitor.upload(photo())
    before = visitor.generate(file, joints)
    breaking(monkeypatch, 1)
    with pytest.raises(Refused, match="Something went wrong"):
        visitor.generate(file, joints)
    assert visitor.generate(file, joints) == before


def test_an_error_in_a_preview_does_not_end_the_drag(visitor, standing, monkeypatch):
    breaking(monkeypatch, 0)
    drag = (visitor.value(standing), "striped-dress", None, {"seed": 0})
    with pytest.raises(Refused, match="Something went wrong"):
        visitor.call("preview", *drag)
    assert visitor.release(standing, "striped-dress")["kind"] == "steps"


def test_stop_frees_the_worker_at_the_next_step(visitor, here, standing, monkeypatch):
    """Every step waits to be let go, so that the stop comes between two of them."""
    real, begun, go, seen = nted_step.execution.render_step, threading.Semaphore(0), threading.Semaphore(0), []

    def step(generator, textures, x, skeleton, t):
        seen.append(t)
        begun.release()
        assert go.acquire(timeout=60)
        return real(generator, textures, x, skeleton, t)

    value = visitor.value(standing)
    monkeypatch.setattr("nted_step.execution.render_step", step)
    event = visitor.ask("render", value, "striped-dress", None, {"seed": 0})
    for _ in range(2):  # the first step is let go, the second has begun
        assert begun.acquire(timeout=60)
        go.release()
    with contextlib.closing(Visitor(here)) as hand:  # as the page does it beside its running request
        hand.session = visitor.session
        hand.http.post("gradio_api/run/stop", json={"data": [None], "session_hash": visitor.session, "fn_index": hand.events["stop"]["id"]})
    for _ in range(4):
        go.release()
    shown = visitor.answer(event)[0]
    assert seen == list(range(len(seen))) and len(seen) < 4, "later steps were never begun"
    assert shown is None or len(shown["frames"]) < 5
    monkeypatch.setattr("nted_step.execution.render_step", real)
    with contextlib.closing(Visitor(here)) as other:
        assert len(other.release(standing, "striped-dress")["frames"]) == 5
    visitor.edit += 2
    assert len(visitor.release(standing, "striped-dress")["frames"]) == 5

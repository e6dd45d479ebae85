"""A film that nobody waits for is not made to its end, and is logged as left."""

import contextlib
import logging
import time

import pytest

from pose_editor.serving import listening, request_log
from pose_editor.studio.save_events import SaveEvents
from tests.faults.conftest import photo
from tests.faults.test_log import lines
from tests.running import Refused, Visitor

POSES = 60


@pytest.fixture
def slow_poses(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Films take at least six seconds; grows by one with every pose that was made."""
    made: list[int] = []
    iterate = SaveEvents.film

    def slowly(*arguments, **options):
        for image in iterate(*arguments, **options):
            made.append(1)
            time.sleep(0.1)
            yield image

    monkeypatch.setattr(SaveEvents, "film", slowly)
    return made


def outcome(caplog, event: str, seconds: float = 30) -> str:
    """How the log says that a request ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = [each["outcome"] for each in lines(caplog.text) if each["id"] == event[:8]]
        if found:
            return found[0]
        time.sleep(0.1)
    return "nothing"


def hear(visitor: Visitor, kind: str) -> None:
    """Listen until the server has said something of a kind, and close the connection."""
    with contextlib.closing(visitor.messages()) as messages:
        next(message for message in messages if message["msg"] == kind)


def test_a_program_that_closes_its_connection(here, joints, caplog, slow_poses):
    with contextlib.closing(Visitor(here)) as visitor, caplog.at_level(logging.INFO, logger=request_log.LOG.name):
        event = visitor.ask("tween", visitor.upload(photo()), joints, joints, POSES, 0, "gif")
        hear(visitor, "process_starts")
        assert outcome(caplog, event) == "left"
    assert len(slow_poses) < POSES


def test_a_visitor_who_closes_the_page(here, standing, caplog, slow_poses):
    with contextlib.closing(Visitor(here)) as visitor, caplog.at_level(logging.INFO, logger=request_log.LOG.name):
        settings = {"seed": 0, "save": {"kind": "film-gif", "step": 1, "frames": POSES}}
        event = visitor.ask("save_film", visitor.value(standing), "striped-dress", None, settings)
        hear(visitor, "process_generating")
        time.sleep(3)
        made = len(slow_poses)
        time.sleep(1)
        assert len(slow_poses) == made < POSES
        with contextlib.closing(Visitor(here)) as other:
            other.release(standing, "striped-dress")
        assert outcome(caplog, event) == "left"


def test_films_that_nobody_ever_asks_about(here, joints, caplog, slow_poses, monkeypatch):
    monkeypatch.setattr(listening, "UNHEARD_SECONDS", 1)
    monkeypatch.setattr(listening, "GRACE_SECONDS", 0.3)
    with contextlib.closing(Visitor(here)) as visitor, caplog.at_level(logging.INFO, logger=request_log.LOG.name):
        file = visitor.upload(photo())
        events = [visitor.ask("tween", file, joints, joints, POSES, 0, "gif") for _ in range(3)]
        assert [outcome(caplog, event) for event in events] == ["left"] * 3
    assert len(slow_poses) < POSES


def test_a_film_that_somebody_waits_for_is_finished(here, joints, slow_poses, monkeypatch):
    monkeypatch.setattr(listening, "UNHEARD_SECONDS", 1)
    with contextlib.closing(Visitor(here)) as visitor:
        assert visitor.call("tween", visitor.upload(photo()), joints, joints, 20, 0, "gif")[0]["path"]
    assert len(slow_poses) == 20


def test_others_do_not_wait_for_a_film(here, joints, slow_poses):
    with contextlib.closing(Visitor(here)) as visitor, contextlib.closing(Visitor(here)) as other:
        event = visitor.ask("tween", visitor.upload(photo()), joints, joints, POSES, 0, "gif")
        other.generate(other.upload(photo()), joints)
        assert len(slow_poses) < POSES, "the picture came first"
        hear(visitor, "process_starts")
    assert event


def test_films_go_to_their_own_event(visitor, standing, works):
    film, picture = ({"seed": 0, "save": {"kind": kind, "step": 1, "frames": 2}} for kind in ("film-gif", "result"))
    value = visitor.value(standing)
    assert "on their own" in visitor.call("save", value, "striped-dress", None, film)[0]["said"]
    assert "only films" in visitor.call("save_film", value, "striped-dress", None, picture)[0]["said"].lower()
    assert visitor.call("save_film", value, "striped-dress", None, film)[0]["name"] == "film.gif"
    with pytest.raises(Refused):
        visitor.call("save_film", value, "striped-dress", None, {"seed": 0, "save": {"kind": "film-gif", "step": 1, "frames": 10**9}})
    works()

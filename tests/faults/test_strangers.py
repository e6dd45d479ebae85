"""Strangers who only open the page, or ask as programs, drive no visitor's photo out of memory."""

import contextlib

from pose_editor.studio.session import Session
from tests.faults.conftest import photo
from tests.running import Visitor

STRANGERS = 70  # more than there once were states


def test_seventy_programs_and_onlookers(visitor, server, standing, joints):
    visitor.give(photo())
    with contextlib.closing(Visitor(server.url)) as stranger:
        file = stranger.upload(photo(1))
        for number in range(STRANGERS):
            stranger.session = f"stranger{number}"
            if number % 2:
                stranger.generate(file, joints, steps=1)
            else:
                stranger.http.get("config")
                stranger.call("stop", None)
    assert visitor.release(standing)["kind"] == "steps", "the photo is still there"


def test_a_session_knows_what_it_holds():
    session = Session()
    assert session.nbytes() == 0 and not session.kept

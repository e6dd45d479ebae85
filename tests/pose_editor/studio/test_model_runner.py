"""Which of a visitor's runs is in force."""

import pytest

from pose_editor.studio.model_runner import ModelRunner
from pose_editor.studio.session import EDIT, PREVIEW, STEPS, Session


@pytest.fixture
def runner():
    return ModelRunner()


def test_a_late_edit_does_not_run(runner):
    session = Session()
    assert runner.claim(session, 5) == 5 * EDIT + STEPS
    assert runner.claim(session, 4) == 0 and runner.claim(session, 5) == 0
    assert session.edit == 5 and session.run == 5 * EDIT + STEPS, "the newer one goes on"
    assert runner.claim(session, 6, preview=True) == 6 * EDIT + PREVIEW


def test_an_edits_steps_go_before_its_previews(runner):
    session = Session()
    assert runner.claim(session, 1, preview=True) and runner.claim(session, 1)
    assert runner.claim(session, 1, preview=True) == 0


def test_a_stopped_edit_does_not_run_again_but_the_next_does(runner):
    session = Session()
    run = runner.claim(session, 1)
    runner.stop(session)
    assert session.run > run and runner.claim(session, 1) == 0 and runner.claim(session, 2)


def test_an_announced_edit_ends_older_ones_and_may_itself_run(runner):
    session = Session()
    run = runner.claim(session, 1)
    runner.announce(session, 2)
    assert session.run > run and runner.claim(session, 1) == 0 and runner.claim(session, 2, preview=True)

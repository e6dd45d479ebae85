"""Ten more runs than the queue holds: those are refused as busy, the accepted ones finish. And nobody fills it alone."""

import contextlib

import pytest

from app import WAITING
from pose_editor.serving.request_log import MAX_WAITING
from tests.faults.conftest import photo
from tests.running import Refused, Visitor


def asked(visitor: Visitor, count: int, joints: dict) -> tuple[list[str], list[Refused]]:
    """Ask for a film so many times at once, faster than they are made: the events that were taken, and the refusals."""
    events, refusals = [], []
    film = (visitor.upload(photo()), joints, joints, 20, 0, "gif")
    for _ in range(count):
        try:
            events.append(visitor.ask("tween", *film))
        except Refused as refused:
            refusals.append(refused)
    return events, refusals


@pytest.fixture
def others(server):
    assert server.first_line
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(contextlib.closing(Visitor(server.url))) for _ in range(3)]


def test_extras_are_refused_and_accepted_ones_finish(others, server, joints, works):
    runs = [asked(visitor, (WAITING + 10) // 3, joints) for visitor in others]
    refusals = [refused for _, refused_here in runs for refused in refused_here]
    assert len(refusals) >= 8, "one or two may have begun meanwhile"
    assert all(refused.status == 503 and "Queue is full" in str(refused) for refused in refusals)
    assert others[0].http.get("config").status_code == 200, "the page itself still opens"
    paths = {answer[0]["path"] for visitor, (events, _) in zip(others, runs, strict=True) for answer in visitor.answers(events)}
    assert len(paths) == 1, "all of them the same film"
    assert "http queue busy 503" in server.said()
    works()


def test_one_visitor_alone_does_not_fill_it(others, joints, standing):
    events, refusals = asked(others[0], WAITING, joints)
    assert MAX_WAITING <= len(events) <= MAX_WAITING + 2 and all("Queue is full for you" in str(refused) for refused in refusals)
    assert others[1].ask("generate", others[1].upload(photo()), joints, 0, 4), "there is room for others"
    assert len(others[0].answers(events)) == len(events)

"""12. Ten more runs than the queue holds: those are refused as busy, the accepted ones finish."""

import contextlib

from app import WAITING
from tests.faults.conftest import photo
from tests.running import Refused, Visitor


def test_extras_are_refused_and_accepted_ones_finish(visitor, server, joints, works):
    file = visitor.upload(photo())
    film = (file, joints, joints, 60, 0, "gif")
    events, busy = [], 0
    for _ in range(WAITING + 10):
        try:
            events.append(visitor.ask("tween", *film))
        except Refused as refused:
            assert refused.status == 503 and "Queue is full" in str(refused)
            busy += 1
    assert busy >= 8 and len(events) >= WAITING, "one or two may have begun meanwhile"
    with contextlib.closing(Visitor(server.url)) as other:
        assert other.http.get("config").status_code == 200, "the page itself still opens"
    paths = {answer[0]["path"] for answer in visitor.answers(events)}
    assert len(paths) == 1, "all of them the same film"
    assert "http queue busy 503" in server.said()
    works()

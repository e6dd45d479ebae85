"""Whose photos are kept: bounded in bytes, number and age; and who goes first."""

import gc
import time
from collections import OrderedDict
from types import SimpleNamespace

import pytest

from appearance_control.studio.session import SwapSession
from pose_editor.serving.session_states import SessionStates
from pose_editor.studio import memory, visitor_store
from pose_editor.studio.session import Session
from pose_editor.studio.visitor_store import VisitorStore


class Holding(Session):
    """A session of a given size."""

    size = 10

    def nbytes(self) -> int:
        return self.size

    def forget(self) -> None:
        super().forget()
        self.size = 0


def test_the_least_recently_used_are_emptied_when_bytes_run_out() -> None:
    store, sessions = VisitorStore(most=30), [Holding() for _ in range(4)]
    for session in sessions[:3]:
        store.touch(session)
    store.touch(sessions[0])
    store.touch(sessions[3])
    assert [session.kept for session in sessions] == [True, False, True, True] and store.taken == 30


def test_the_one_in_use_stays_whatever_it_takes() -> None:
    store, small, large = VisitorStore(most=30), Holding(), Holding()
    large.size = 1000
    store.touch(small)
    store.touch(large)
    assert large.kept and not small.kept


def test_number_and_age_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    store, sessions = VisitorStore(visitors=2, seconds=60), [Holding() for _ in range(4)]
    for session in sessions[:3]:
        store.touch(session)
    assert [session.kept for session in sessions] == [False, True, True, False]
    now = visitor_store.time.monotonic()
    monkeypatch.setattr(visitor_store, "time", SimpleNamespace(monotonic=lambda: now + 61))
    store.touch(sessions[3])
    assert [session.kept for session in sessions] == [False, False, False, True]


def test_whoever_holds_nothing_is_not_counted_and_nobody_is_kept_alive() -> None:
    store, session = VisitorStore(visitors=1), Holding()
    store.touch(session)
    for _ in range(70):
        store.touch(Session())
    assert session.kept
    del session
    gc.collect()
    store.touch(Session())
    assert store.taken == 0


def test_everything_is_dropped() -> None:
    session = SwapSession(planned=object(), asked=object(), kept=True)
    session.upload = SimpleNamespace(person=SimpleNamespace(nbytes=5), picture="data:", given=SimpleNamespace(picture="data:"))
    assert session.nbytes() > 5
    session.forget()
    assert session.nbytes() == 0 and not session.kept and session.upload is session.asked is None


def states(**kept: bool) -> SessionStates:
    found = {name: SimpleNamespace(state_data={0: Session(kept=value)}) for name, value in kept.items()}
    return SessionStates(OrderedDict(found), lambda value: value.kept)


def test_strangers_go_first_and_the_newest_never() -> None:
    assert states(a=True, b=False, c=True).popitem(last=False)[0] == "b"
    assert states(a=True, b=True, c=False).popitem(last=False)[0] == "a"
    assert states(a=False, b=True).popitem()[0] == "b"


def test_memory_goes_back_without_complaint(monkeypatch: pytest.MonkeyPatch) -> None:
    while memory._waiting:  # of a photo in another test
        memory._waiting.pop().cancel()
    calls = []
    monkeypatch.setattr(memory, "_call", lambda *arguments: calls.append(arguments))
    monkeypatch.setattr(memory, "AFTER_SECONDS", 0.2)
    memory.configure()
    memory.give_back()
    memory.give_back()
    time.sleep(1)
    assert calls == [("mallopt", -8, memory.ARENAS), ("malloc_trim", 0)]
    monkeypatch.undo()
    assert memory._call("no_such_function", 1) is None

"""Whether anybody still waits for an answer, told by Gradio's own notes of its events."""

import queue
import time
from types import SimpleNamespace

import pytest
from gradio.context import LocalContext

from pose_editor.serving import listening
from pose_editor.serving.listening import LeftError, Listener

EVENT, SESSION = "event", "session"


@pytest.fixture
def asked():
    """An event that was just asked for, with one message that nobody has fetched yet: (Gradio's queue, the event)."""
    event = SimpleNamespace(session_hash=SESSION, enqueue_time=time.monotonic(), alive=True)
    notes = SimpleNamespace(event_ids_to_events={EVENT: event}, pending_messages_per_session={SESSION: queue.Queue()})
    notes.pending_messages_per_session[SESSION].put("it has begun")
    tokens = LocalContext.blocks.set(SimpleNamespace(_queue=notes)), LocalContext.event_id.set(EVENT)
    yield notes, event
    LocalContext.blocks.reset(tokens[0])
    LocalContext.event_id.reset(tokens[1])


def test_outside_events_somebody_waits():
    assert not Listener().is_gone()


def test_who_fetches_messages_is_there(asked, monkeypatch):
    monkeypatch.setattr(listening, "UNHEARD_SECONDS", 0.2)
    listener = Listener()
    asked[0].pending_messages_per_session[SESSION].get()
    time.sleep(0.3)
    listener.require()


def test_who_fetches_none_is_gone_after_a_while(asked, monkeypatch):
    listener = Listener()
    assert not listener.is_gone()
    monkeypatch.setattr(listening, "UNHEARD_SECONDS", 0.2)
    time.sleep(0.3)
    with pytest.raises(LeftError):
        listener.require()


def test_who_waited_in_the_queue_without_listening_gets_a_moment(asked, monkeypatch):
    monkeypatch.setattr(listening, "GRACE_SECONDS", 0.2)
    asked[1].enqueue_time -= 10 * listening.UNHEARD_SECONDS
    listener = Listener()
    assert not listener.is_gone()
    time.sleep(0.3)
    assert listener.is_gone()


@pytest.mark.parametrize("leave", [
    lambda notes, event: setattr(event, "alive", False), lambda notes, event: notes.event_ids_to_events.clear(),
    lambda notes, event: notes.pending_messages_per_session.clear(),
])  # fmt: skip
def test_who_closes_the_connection_is_gone_at_once(asked, leave):
    listener = Listener()
    leave(*asked)
    assert listener.is_gone()

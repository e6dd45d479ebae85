"""Whether anybody still waits for the answer to an event, so that long work can end when nobody does."""

from __future__ import annotations

import time
from typing import Any

from gradio.context import LocalContext

UNHEARD_SECONDS = 60  # in the queue and at work, after which an event that nobody has come to hear about is given up
GRACE_SECONDS = 2  # for a message that has just been written to be fetched


class LeftError(Exception):
    """Nobody waits for the answer any more."""


class Listener:
    """Whoever waits for the event that this thread works on; made where the work begins. Outside events somebody always waits.

    Gradio marks the events of a browser or program that closed its connection. One that never opened a connection is told by the
    messages that are not fetched.
    """

    def __init__(self) -> None:
        self._queue: Any = getattr(LocalContext.blocks.get(None), "_queue", None)
        self._id = LocalContext.event_id.get(None)
        self._event = None if self._queue is None else self._queue.event_ids_to_events.get(self._id)
        if self._event is not None:
            self._heard = max(self._event.enqueue_time, time.monotonic() - UNHEARD_SECONDS + GRACE_SECONDS)

    def is_gone(self) -> bool:
        """Whether there is nobody to hear the answer."""
        if self._event is None:
            return False
        messages = self._queue.pending_messages_per_session.get(self._event.session_hash)
        if not self._event.alive or self._id not in self._queue.event_ids_to_events or messages is None:
            return True
        now = time.monotonic()
        if messages.qsize() == 0:
            self._heard = now
        return now - self._heard > UNHEARD_SECONDS

    def require(self) -> None:
        """Raises LeftError once there is nobody to hear the answer."""
        if self.is_gone():
            raise LeftError

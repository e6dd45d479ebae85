"""One line in the log for every request of the page: its id, what was asked, how long it waited and ran, how it ended.

Nothing of what a visitor sent gets in: no picture, no file's name, no message that could hold one.

    12:00:00 INFO nted_step.page 1f6c09e2 generate queued 0.01 s ran 0.84 s done
"""

from __future__ import annotations

import logging
import time
import traceback
import uuid
from dataclasses import dataclass
from typing import Any

import gradio as gr

from pose_editor.serving.gradio_workarounds import WholeUpdates

LOG = logging.getLogger("nted_step.page")
FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"
MOST_OF_ONE = 20
BUSY = f"Queue is full for you: {MOST_OF_ONE} of your requests are waiting. Please wait for them."
REFUSED = "The server cannot use what was sent."


def begin(verbose: bool) -> None:
    """Write the log to the standard error stream; ``verbose`` with previews and the page's small questions, and by whom."""
    logging.basicConfig(format=FORMAT, datefmt="%H:%M:%S")
    LOG.setLevel(logging.DEBUG if verbose else logging.INFO)


@dataclass
class Asked:
    """A request that is being answered. ``level`` is that of its line in the log."""

    id: str
    endpoint: str
    session: str
    level: int
    queued: float
    began: float
    answers: int = 0

    def end(self, outcome: str) -> None:
        line = f"{self.id} {self.endpoint} queued {self.queued:.2f} s ran {time.monotonic() - self.began:.2f} s {outcome}"
        if LOG.isEnabledFor(logging.DEBUG):
            line += f" (visitor {self.session}, {self.answers} answers)"
        LOG.log(self.level, "%s", line)


class Page(WholeUpdates):
    """Blocks that keep the log, and tell a visitor in one line when something went wrong inside."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.asked: dict[str, Asked] = {}  # by event id; a run that streams comes back for every answer

    def queue(self, **arguments: Any) -> Page:
        """As in gradio, but no visitor may have more than ``MOST_OF_ONE`` events waiting, so that there is room for others."""
        super().queue(**arguments)
        queue = self._queue
        push = queue.push

        async def checked(body: Any, request: Any, username: str | None) -> Any:
            waiting = (event for lane in queue.event_queue_per_concurrency_id.values() for event in lane.queue)
            if body.session_hash and sum(event.session_hash == body.session_hash for event in waiting) >= MOST_OF_ONE:
                return False, BUSY, "queue_full"
            return await push(body=body, request=request, username=username)

        queue.push = checked
        return self

    async def process_api(self, block_fn: Any, inputs: list[Any], **more: Any) -> dict[str, Any]:
        asked = self._asked(block_fn, more.get("event_id"), more.get("session_hash"))
        try:
            response = await super().process_api(block_fn, inputs, **more)
        except Exception as error:
            self.asked.pop(more.get("event_id"), None)
            raise _answer(asked, error) from None
        asked.answers += 1
        if not response.get("is_generating"):
            self.asked.pop(more.get("event_id"), None)
            asked.end("done")
        return response

    def _asked(self, block_fn: Any, event_id: str | None, session: str | None) -> Asked:
        """The request that an event belongs to; it is new when the event comes for the first time."""
        if event_id in self.asked:
            return self.asked[event_id]
        waiting = self._queue.event_ids_to_events
        for gone in [key for key in self.asked if key not in waiting]:
            self.asked.pop(gone).end("left")  # whoever asked did not wait for the end
        now = time.monotonic()
        event = waiting.get(event_id)
        quick = not block_fn.queue or block_fn.concurrency_id == "preview"
        name = block_fn.api_name or getattr(block_fn.fn, "__name__", "script")
        asked = Asked(
            (event_id or uuid.uuid4().hex)[:8], str(name), (session or "none")[:4], logging.DEBUG if quick else logging.INFO,
            now - event.enqueue_time if event else 0.0, now,
        )  # fmt: skip
        if event:
            self.asked[event_id] = asked
        return asked


def _answer(asked: Asked, error: Exception) -> gr.Error:
    """Log how a request ended, and what to tell whoever asked. The exception's own text can hold a file's name, so it is left out."""
    if isinstance(error, gr.Error):
        asked.end("refused")
        error.print_exception = False
        return error
    if any(frame.name == "preprocess_data" for frame in traceback.extract_tb(error.__traceback__)):  # gradio could not even take it
        asked.end(f"refused {type(error).__name__}")
        return gr.Error(REFUSED, print_exception=False)
    asked.level = logging.ERROR
    asked.end(f"failed {told(error)}")
    return gr.Error(f"Something went wrong on the server (request {asked.id}). Please try again.", print_exception=False)


def told(error: Exception) -> str:
    """An error's kind and where it happened, without its text."""
    return f"{type(error).__name__}\n" + "".join(traceback.format_tb(error.__traceback__)).rstrip()

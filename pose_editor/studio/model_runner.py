"""Serialises work on the model: one piece at a time, and only the newest run of every visitor."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from nted_step.sampler import StepOutput
from pose_editor.studio.session import EDIT, PREVIEW, STEPS, Session

Result = TypeVar("Result")


class ModelRunner:
    """Does all work on the model in one thread, because two pieces at once would only slow each other down.

    It is always the same thread because OpenMP keeps a team of threads for each thread that computes. With more of those than cores they
    sleep between two operations, and every operation waits until they are awake.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._lock = threading.Lock()  # around the run numbers of sessions

    def run(self, work: Callable[..., Result], *arguments: Any) -> Result:
        """``work(*arguments)``, in the model's thread with the caller's context, to which Gradio's request belongs."""
        return self._pool.submit(contextvars.copy_context().run, work, *arguments).result()

    def iterate(self, outputs: Iterator[StepOutput], is_wanted: Callable[[], bool] = lambda: True) -> Iterator[StepOutput]:
        """The same steps while they are wanted, leaving the model to others between two of them."""
        while is_wanted():
            output = self.run(next, outputs, None)
            if output is None:
                return
            yield output

    def announce(self, session: Session, edit: int) -> None:
        """A newer edit is waiting in the queue: whatever runs for an older one ends at its next step."""
        with self._lock:
            session.run = max(session.run, EDIT * edit)

    def claim(self, session: Session, edit: int, *, preview: bool = False) -> int:
        """Start the visitor's only run. Returns its number, or 0 when a newer one has been started.

        A newer edit goes before an older one, and all steps of an edit go before its previews.
        """
        run = EDIT * edit + (PREVIEW if preview else STEPS)
        with self._lock:
            if run <= session.run:
                return 0
            session.edit, session.run = edit, run
            return run

    def stop(self, session: Session) -> None:
        """End whatever runs for this visitor at its next step. The next edit runs as usual."""
        with self._lock:
            session.run += 1

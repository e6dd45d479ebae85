"""What the page does about Gradio's own behaviour, all in one place. Written for Gradio 6.31.0.

``tests/pose_editor/test_gradio_workarounds.py`` shows each behaviour on plain Gradio, so a test fails once a newer version
no longer needs the workaround. One behaviour is met where it occurs rather than here: Gradio clears the outputs of a generator that
ends without yielding, so the generators among the page's events always yield something, if only "no change".
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
import traceback
import types
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr
import uvicorn
from gradio import component_meta, http_server, route_utils, routes
from gradio.context import LocalContext
from gradio.route_utils import FnIndexInferError

__all__ = [
    "LAUNCH_OPTIONS",
    "ComponentMeta",
    "FullUpdateBlocks",
    "HTMLComponent",
    "UnknownEventError",
    "event_payload",
    "failed_before_the_function",
    "is_answering_a_visitor",
    "limit_files_of_an_upload",
    "limit_waiting_events",
    "queued_events",
    "server_options",
    "start_time_to_live",
]  # fmt: skip

LAUNCH_OPTIONS: dict[str, Any] = {"_frontend": False}
"""For ``Blocks.launch``: without it Gradio asks its own server for the page and gives up when the answer takes three seconds, as it can
on busy cores (https://github.com/gradio-app/gradio/issues/8671)."""

UnknownEventError = FnIndexInferError
"""Raised through Gradio's server, which answers 500, when a request names an event that does not exist."""

_stub_lock = threading.Lock()
_MultiPartParser = route_utils.GradioMultiPartParser  # as Gradio has it


class ComponentMeta(component_meta.ComponentMeta):
    """Makes component classes without writing a ``.pyi`` file next to their source.

    Gradio writes one for every component class when it is defined, without a switch to turn that off. Type checkers prefer such a file
    to the source, although it lacks the module's other names.
    """

    def __new__(cls, *arguments: Any, **options: Any) -> Any:
        with _without_stubs():
            return super().__new__(cls, *arguments, **options)


@contextlib.contextmanager
def _without_stubs() -> Iterator[None]:
    with _stub_lock:
        write = component_meta.create_or_modify_pyi
        component_meta.create_or_modify_pyi = lambda *_: None
        try:
            yield
        finally:
            component_meta.create_or_modify_pyi = write


class HTMLComponent(gr.HTML, metaclass=ComponentMeta):
    """A base for components made of ``gr.HTML``."""

    def get_config(self) -> dict[str, Any]:
        """What the browser is told, without the constructor's own arguments.

        ``gr.HTML`` looks those up as attributes and takes every name that its script quotes for an event. The listeners it finds refer to
        the whole page, which Gradio would copy at every visit. The arguments' values reach the browser among the props anyway.
        """
        return {name: value for name, value in super().get_config().items() if not isinstance(value, functools.partial)}


class FullUpdateBlocks(gr.Blocks):
    """Blocks whose component updates arrive even when the browser is slower than the server.

    From its second answer on, Gradio sends the answers of a streaming event as differences, which the browser applies in place to the
    answer before. If that one has not been drawn yet, what it alone said is lost: for example a new photo that is followed by "no
    change" and the first step. So updates are sent in full, each as an object of its own. Plain values, like the growing list of a
    run's frames, still travel as differences, because there the newest says everything.
    """

    def handle_streaming_diffs(
        self, block_fn: Any, data: list[Any], session_hash: str | None, run: str | None, final: bool, simple_format: bool = False
    ) -> list[Any]:
        """What is sent for an event's answer ``data``: for each output the value itself, or its differences from the answer before."""
        previous = self.pending_diff_streams.get(session_hash, {}).get(run)
        before, now = list(previous or ()), list(data)
        sent = super().handle_streaming_diffs(block_fn, data, session_hash, run, final, simple_format)
        if final or simple_format or not before:
            return sent  # these are sent in full already
        return [_full_if_update(*each) for each in zip(before, now, sent, strict=True)]


def _full_if_update(before: Any, now: Any, differences: list[Any]) -> list[Any]:
    """The differences, replaced by a single one that sets everything where either side is an update."""
    return [["replace", [], now]] if differences and (_is_update(before) or _is_update(now)) else differences


def _is_update(answer: Any) -> bool:
    return isinstance(answer, dict) and "__type__" in answer


def limit_waiting_events(blocks: gr.Blocks, limits: Callable[[Any, list[Any]], str | None]) -> None:
    """Refuse events of a visitor who has enough of them waiting. Gradio bounds the queue only as a whole.

    Args:
        limits: what a request is refused with, or None, given the request's body and the events that wait.
    """
    queue = blocks._queue
    push = queue.push

    async def limited(body: Any, request: Any, username: str | None) -> Any:
        refusal = limits(body, [event for lane in queue.event_queue_per_concurrency_id.values() for event in lane.queue])
        if refusal:
            return False, refusal, "queue_full"
        return await push(body=body, request=request, username=username)

    queue.push = limited


def limit_files_of_an_upload(most: int) -> None:
    """Refuse an upload of more files than this with 400, and keep nothing of one that breaks off.

    Gradio allows a thousand files, and of an upload that breaks off it keeps what has arrived.
    """

    class LimitedParser(_MultiPartParser):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.max_files = min(self.max_files, most)

        async def parse(self) -> Any:
            try:
                return await super().parse()
            except BaseException:
                for file in self._files_to_close_on_error:
                    file.close()
                    with contextlib.suppress(OSError):
                        os.unlink(file.name)
                raise

    routes.GradioMultiPartParser = route_utils.GradioMultiPartParser = LimitedParser


@contextlib.contextmanager
def server_options(**options: Any) -> Iterator[None]:
    """Let ``Blocks.launch`` start its server with more options of uvicorn. It passes none on."""
    with _stub_lock:
        http_server.uvicorn = types.SimpleNamespace(Config=functools.partial(uvicorn.Config, **options))
        try:
            yield
        finally:
            http_server.uvicorn = uvicorn


def queued_events(blocks: gr.Blocks) -> dict[str, Any]:
    """The events in the queue, waiting or running, by their ids. Gradio has no public way to ask when one was put there."""
    return blocks._queue.event_ids_to_events


def start_time_to_live(event: Any, state: gr.State, **options: Any) -> None:
    """Let a state's ``time_to_live`` count from this event on. Gradio counts it only from the last time that the state was an output.

    It follows the event rather than listening beside it: a second listener would make the browser read the event's inputs later, when
    what a run bar has to restore is gone.
    """
    event.then(_same, [state], [state], **options)


def _same(value: Any) -> Any:
    return value


def failed_before_the_function(error: BaseException) -> bool:
    """Whether an event failed while Gradio read its inputs. Gradio raises the same kinds of errors there as the event itself may."""
    return any(frame.name == "preprocess_data" for frame in traceback.extract_tb(error.__traceback__))


def event_payload(event: gr.EventData) -> Any:
    """What a component's script sent along with an event. As attributes Gradio offers only names that it does not use itself."""
    return event._data


def is_answering_a_visitor() -> bool:
    """Whether this thread answers a request. Gradio tells a function so only through an argument of its own."""
    return LocalContext.request.get(None) is not None

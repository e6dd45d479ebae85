"""Each test begins with plain Gradio. It fails there when Gradio no longer needs the workaround, which can then be removed."""

from __future__ import annotations

import functools
import importlib.util
import inspect
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import gradio as gr
import httpx
import pytest
from fastapi.testclient import TestClient
from gradio import http_server, networking, route_utils, routes
from gradio.routes import App
from gradio.state_holder import SessionState
from starlette.datastructures import Headers

from pose_editor import gradio_workarounds
from pose_editor.gradio_workarounds import LAUNCH_OPTIONS, FullUpdateBlocks, UnknownEventError, limit_files_of_an_upload, server_options
from tests import asynchronous

SKIP = {"__type__": "update"}
CHOSEN = {"__type__": "update", "value": "@1"}
EVENT = SimpleNamespace(outputs=["viewer", "picker"])


def sent(blocks: gr.Blocks, answers: list) -> list:
    """What is sent of the answers of one event."""
    return [blocks.handle_streaming_diffs(EVENT, list(answer), session_hash="s", run="r", final=False) for answer in answers]


def test_an_update_is_sent_in_full_and_a_growing_value_as_differences() -> None:
    steps = [{"edit": 1, "frames": ["a", "b"]}, {"edit": 1, "frames": ["a", "b", "c"]}]
    answers = [[SKIP, SKIP], [SKIP, CHOSEN], [steps[0], SKIP], [steps[1], SKIP]]
    assert sent(gr.Blocks(), answers)[1] == [[], [["add", ["value"], "@1"]]], "Gradio changes the update before in place"
    blocks = FullUpdateBlocks()
    first, second, third, fourth = sent(blocks, answers)
    assert first == [SKIP, SKIP]
    assert second == [[], [["replace", [], CHOSEN]]], "where nothing changed, nothing is said"
    assert third == [[["replace", [], steps[0]]], [["replace", [], SKIP]]], "what was chosen stays an object that nobody changes"
    assert fourth == [[["add", ["frames", 2], "c"]], []]
    assert blocks.handle_streaming_diffs(EVENT, [None, None], session_hash="s", run="r", final=True) == answers[3]
    assert not blocks.pending_diff_streams


def test_an_answer_on_its_own_is_left_as_it_is() -> None:
    assert FullUpdateBlocks().handle_streaming_diffs(EVENT, [SKIP, "a"], session_hash=None, run=None, final=True) == [SKIP, "a"]


COMPONENT = """
import gradio as gr
from pose_editor.gradio_workarounds import HTMLComponent

class Component({base}):
    def __init__(self, zoomed=None, **arguments):
        super().__init__(zoomed=zoomed, js_on_load='watch("zoomed")', **arguments)
"""


@pytest.fixture(params=["gr.HTML", "HTMLComponent"])
def component_module(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module with a component on plain Gradio, and on the workaround."""
    path = tmp_path / "component_of_a_test.py"
    path.write_text(COMPONENT.format(base=request.param))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, path.stem, module)
    spec.loader.exec_module(module)
    module.IS_PLAIN = request.param == "gr.HTML"
    return module


def test_a_component_class_writes_no_stub_beside_its_source(component_module: ModuleType) -> None:
    assert Path(component_module.__file__).with_suffix(".pyi").exists() == component_module.IS_PLAIN


def test_a_quoted_argument_of_a_component_is_no_event_in_its_config(component_module: ModuleType) -> None:
    config = component_module.Component(zoomed=5).get_config()
    assert isinstance(config.get("zoomed"), functools.partial) == component_module.IS_PLAIN
    assert config["props"]["zoomed"] == 5


def test_a_slow_first_answer_does_not_end_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = []

    def too_slow(url: str, timeout: float, **options: object) -> None:
        waited.append(timeout)
        raise httpx.ReadTimeout("no answer yet")

    monkeypatch.setattr(networking.httpx, "head", too_slow)
    with gr.Blocks() as plain, pytest.raises(ValueError, match="localhost is not accessible"):
        try:
            plain.launch(prevent_thread_lock=True, quiet=True, ssr_mode=False)
        finally:
            plain.close(verbose=False)
    assert waited == [3], "it asks once, and waits for three seconds"
    with gr.Blocks() as blocks:
        blocks.launch(prevent_thread_lock=True, quiet=True, ssr_mode=False, **LAUNCH_OPTIONS)
        blocks.close(verbose=False)


def page(**options: object) -> gr.Blocks:
    with gr.Blocks() as blocks:
        number = gr.Number()
        gr.Button().click(lambda number: number, number, number)
    return blocks.queue(**options)


def join(client: TestClient, visitor: str) -> int:
    """Put an event in the queue; the status of the answer."""
    return client.post("/gradio_api/queue/join", json={"data": [1], "fn_index": 0, "session_hash": visitor}).status_code


def test_one_visitor_alone_cannot_fill_the_queue() -> None:
    plain = page(max_size=8)
    client = TestClient(App.create_app(plain))  # whose queue is not worked on
    assert [join(client, "one") for _ in range(9)] == [200] * 8 + [503]
    blocks = page(max_size=8)
    gradio_workarounds.limit_waiting_events(
        blocks, lambda body, waiting: "wait" if len(waiting) == 3 and body.session_hash == "one" else None
    )
    client = TestClient(App.create_app(blocks))
    assert [join(client, "one") for _ in range(4)] == [200] * 3 + [503] and join(client, "two") == 200


def test_an_event_in_the_queue_tells_when_it_came() -> None:
    blocks = page()
    client = TestClient(App.create_app(blocks))
    join(client, "one")
    (event,) = gradio_workarounds.queued_events(blocks).values()
    assert event.enqueue_time > 0


def test_an_upload_may_have_a_thousand_files_and_what_breaks_off_stays(tmp_path: Path) -> None:
    """And neither once the files of an upload are limited."""

    async def breaks_off() -> AsyncIterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\nhalf'
        raise OSError

    def parse(kind: type) -> Any:
        headers = Headers({"content-type": "multipart/form-data; boundary=x"})
        parser = kind(headers, breaks_off(), upload_dir=tmp_path, max_file_size=10**6)
        with pytest.raises(OSError):
            asynchronous.run(parser.parse())
        return parser

    assert parse(gradio_workarounds._MultiPartParser).max_files == 1000
    (left,) = tmp_path.iterdir()
    left.unlink()
    limit_files_of_an_upload(8)
    try:
        assert parse(routes.GradioMultiPartParser).max_files == 8 and not list(tmp_path.iterdir())
    finally:
        routes.GradioMultiPartParser = route_utils.GradioMultiPartParser = gradio_workarounds._MultiPartParser


def test_the_server_takes_no_options_of_uvicorns() -> None:
    assert not {"http", "ws", "server_header", "timeout_graceful_shutdown"} & set(inspect.signature(gr.Blocks.launch).parameters)
    with server_options(server_header=False):
        assert not http_server.uvicorn.Config("app").server_header
    assert http_server.uvicorn.Config("app").server_header, "as before"


def test_an_unknown_event_is_an_error_inside_the_server() -> None:
    with pytest.raises(UnknownEventError):
        TestClient(App.create_app(page())).post("/gradio_api/call/nothing", json={"data": [1]})


def test_a_state_that_is_only_read_never_expires() -> None:
    with gr.Blocks() as blocks:
        state = gr.State(0, time_to_live=0)
        event = gr.Button().click(lambda value: None, state, None)
    session = SessionState(blocks)
    assert session[state._id] == 0 and not [*session.state_components], "time does not count yet"
    session[state._id] = 1
    assert [(known, value) for known, value, _ in session.state_components] == [(state, 1)]
    with blocks:
        gradio_workarounds.start_time_to_live(event, state)
    *_, following = blocks.fns.values()
    assert following.inputs == following.outputs == [state] and following.trigger_after == event["id"]


def process(blocks: gr.Blocks, inputs: list, **options: object) -> dict:
    return asynchronous.run(blocks.process_api(blocks.fns[0], inputs, state=SessionState(blocks), **options))


def test_inputs_that_cannot_be_read_fail_with_any_kind_of_error() -> None:
    with gr.Blocks() as blocks:
        gr.Button().click(lambda path: None, gr.File(), None)
    with pytest.raises(Exception) as failure:
        process(blocks, [{"nothing": "known"}])
    assert not isinstance(failure.value, gr.Error) and gradio_workarounds.failed_before_the_function(failure.value)
    with gr.Blocks() as blocks:
        number = gr.Number()
        gr.Button().click(lambda number: 1 / number, number, number)
    with pytest.raises(ZeroDivisionError) as failure:
        process(blocks, [0])
    assert not gradio_workarounds.failed_before_the_function(failure.value)


def test_data_of_an_event_may_be_named_as_gradios_own_attributes() -> None:
    event = gr.EventData(None, {"target": 5, "x": 1})
    assert event.x == 1 and event.target is None and gradio_workarounds.event_payload(event) == {"target": 5, "x": 1}


def test_a_function_is_told_of_the_request_only_as_an_argument() -> None:
    asked = []
    with gr.Blocks() as blocks:
        gr.Button().click(lambda: asked.append(gradio_workarounds.is_answering_a_visitor()), None, None)
    process(blocks, [], request=gr.Request(username="one"))
    assert asked == [True] and not gradio_workarounds.is_answering_a_visitor()


def test_a_generator_without_a_yield_clears_its_outputs() -> None:
    """Why the page's events always yield something."""

    def nothing(number: float):
        yield from ()

    with gr.Blocks() as blocks:
        number = gr.Number(7)
        gr.Button().click(nothing, number, number)
    assert process(blocks, [7])["data"] == [None]

"""A visitor of a public page cannot make it read a folder or fetch a repository; whoever sits at the computer can."""

import contextlib
import os

import httpx
import pytest

from tests.running import Refused, Server, Visitor

ASKED = ["/etc", "/proc/self", "some-user/some-weights", "some-user/some-weights@main", "../../..", "~/weights", "C:\\weights"]
ELSEWHERE = [
    {"host": "demo.example"},
    {"x-forwarded-for": "203.0.113.7"},
    {"x-forwarded-host": "demo.example"},
    {"forwarded": "for=203.0.113.7"},
    {"origin": "https://demo.example"},
]


@pytest.fixture(scope="module")
def public(tiny_weights):
    """The page as a Space starts it. The Hub is not out of reach by declaration, so asking it would take a while."""
    environment = os.environ | {"SPACE_ID": "some-user/some-space", "SYSTEM": "spaces", "OMP_NUM_THREADS": "1"}
    server = Server(tiny_weights, "--dtype", "float32", environment=environment)
    assert server.first_line
    yield server.url
    assert server.interrupt()[0] == 0


def use(url: str, name: str, **headers: str) -> str:
    with contextlib.closing(Visitor(url)) as visitor:
        visitor.http.headers.update(headers)
        return str(visitor.call("use", name)[0])


def test_a_public_page_has_no_such_event(public):
    with contextlib.closing(Visitor(public)) as visitor:
        assert not {"use", "use_1", "use_bundled"} & visitor.events.keys()
        shown = {each["props"].get("elem_id") for each in visitor.http.get("config").json()["components"]}
        assert "upload" in shown and not {"weights", "weights-row", "weights-said"} & shown


@pytest.mark.parametrize("name", ASKED)
def test_nor_another_way_in(public, name):
    """Neither by a name, by a number beside the events there are, nor as the input of one that is there."""
    with contextlib.closing(Visitor(public)) as visitor:
        for route in ("call/use", "run/use", "api/use", "call/load", "run/predict"):
            assert visitor.http.post(f"gradio_api/{route}", json={"data": [name], "session_hash": visitor.session}).status_code >= 400
        with pytest.raises(KeyError):
            visitor.ask("use", name)
        for number in (-1, len(visitor.events), 10_000):
            body = {"data": [name], "fn_index": number, "session_hash": visitor.session}
            with contextlib.suppress(httpx.RemoteProtocolError):
                assert visitor.http.post("gradio_api/queue/join", json=body).status_code >= 400
        answer = visitor.http.post(
            "gradio_api/component_server", json={"data": [name], "component_id": 0, "fn_name": "load", "session_hash": visitor.session}
        )
        assert answer.status_code >= 400
        with pytest.raises(Refused):
            visitor.generate({"path": name, "meta": {"_type": "gradio.FileData"}}, {"joints": []})


@pytest.mark.parametrize("headers", ELSEWHERE)
@pytest.mark.parametrize("name", ["/etc", "some-user/some-weights"])
def test_a_local_page_that_somebody_passes_on(server, name, headers):
    """A tunnel or another server in front of it, or a page of somebody else in the same browser."""
    assert server.first_line
    assert "only on the computer that runs this page" in use(server.url, name, **headers)


def test_the_local_page_itself_takes_them(server, tiny_weights):
    assert server.first_line
    assert "new weights are in use" in use(server.url, tiny_weights)
    assert "no such folder" in use(server.url, "/nowhere").lower()

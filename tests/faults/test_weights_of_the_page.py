"""A visitor of a public page cannot make it read a folder or fetch a repository; whoever sits at the computer can."""

import contextlib
import os
import re
import time

import httpx
import pytest

from tests.faults.conftest import photo
from tests.running import Refused, Server, Visitor, free_port

ASKED = ["/etc", "/proc/self", "some-user/some-weights", "some-user/some-weights@main", "../../..", "~/weights", "C:\\weights"]
ELSEWHERE = [
    {"origin": ""},
    {"origin": "http://localhost:1"},
    {"x-real-ip": "203.0.113.7"},
    {"via": "1.1 proxy"},
    {"cf-connecting-ip": "203.0.113.7"},
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


@pytest.fixture(scope="module")
def own(tiny_weights):
    """The page as its owner starts it to try weights: (address, token)."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    environment.pop("SPACE_ID", None)
    server = Server(tiny_weights, "--dtype", "float32", "--weights-panel", environment=environment)
    assert server.first_line
    printed = []
    while not printed:
        time.sleep(0.1)
        printed = re.findall(r"^Token of the weights panel: (\S+)\n", server.said(), re.MULTILINE)
    yield server.url, printed[0]
    assert server.interrupt()[0] == 0


def use(url: str, token: str, name: str, **headers: str) -> str:
    """What the page says to weights of this name after a token, all asked for with these headers."""
    with contextlib.closing(Visitor(url)) as visitor:
        visitor.http.headers.update({"origin": url.rstrip("/")} | headers)
        visitor.call("unlock", token)
        return str(visitor.call("use", name)[0])


def test_a_public_page_has_no_such_event(public):
    check_no_panel(public)


def test_nor_has_a_local_page_that_nobody_asked_for_it(server):
    assert server.first_line
    check_no_panel(server.url)


def check_no_panel(url: str) -> None:
    with contextlib.closing(Visitor(url)) as visitor:
        assert not {"use", "unlock", "use_1", "use_bundled"} & visitor.events.keys()
        shown = {each["props"].get("elem_id") for each in visitor.http.get("config").json()["components"]}
        assert "upload" in shown and not {"weights", "weights-row", "weights-said"} & shown


@pytest.mark.parametrize("name", ASKED)
def test_nor_another_way_in(public, name, joints):
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
        assert visitor.generate(visitor.upload(photo()), joints), "with a photo of one's own it works"
        with pytest.raises(Refused):
            visitor.generate({"path": name, "meta": {"_type": "gradio.FileData"}}, joints)


@pytest.mark.parametrize("headers", ELSEWHERE)
@pytest.mark.parametrize("name", ["/etc", "some-user/some-weights"])
def test_a_local_page_that_somebody_passes_on(own, name, headers):
    """A tunnel or another server in front of it, or a page of somebody else in the same browser."""
    assert "only on the computer that runs this page" in use(*own, name, **headers)


def test_nobody_without_the_token(own):
    assert "Give the token first" in use(own[0], "guessed", "/etc")
    with contextlib.closing(Visitor(own[0])) as visitor:  # the state of the page is not the client's to send
        visitor.http.headers.update({"origin": own[0].rstrip("/")})
        assert "Give the token first" in str(visitor.call("use", "/etc", True)[0])


def test_the_local_page_itself_takes_them(own, tiny_weights):
    assert "new weights are in use" in use(*own, tiny_weights)
    assert "no such folder" in use(*own, "/nowhere").lower()


def test_the_panel_is_refused_where_others_can_open_the_page(tiny_weights):
    import app

    options = ["--weights", tiny_weights, "--weights-panel", "--host", "0.0.0.0", "--port", str(free_port())]
    assert app.main(options) == 1

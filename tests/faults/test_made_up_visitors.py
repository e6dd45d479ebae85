"""Hundreds of runs under made-up session names from one address: others still find room."""

import contextlib
import json
import uuid
from types import SimpleNamespace

import pytest

from app import WAITING
from pose_editor.serving import client_address, request_log
from pose_editor.serving.request_log import MAX_WAITING, MAX_WAITING_OF_ADDRESS
from tests.faults.conftest import photo
from tests.running import Server, Visitor


def test_one_address_does_not_fill_the_queue(server, visitor, joints, works):
    event = visitor.events["tween"]
    film = [visitor.upload(photo()), joints, joints, 8, 0, "gif"]
    body = {"fn_index": event["id"], "data": [*film, *[None] * (len(event["inputs"]) - len(film))]}
    answers, sessions = [], []
    for _ in range(50):
        sessions.append(uuid.uuid4().hex)
        content = json.dumps(body | {"session_hash": sessions[-1]})
        answers.append(visitor.http.post("gradio_api/queue/join", content=content, headers={"content-type": "application/json"}))
    taken = [session for session, answer in zip(sessions, answers, strict=True) if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert len(taken) >= MAX_WAITING_OF_ADDRESS and refused and all("from your address" in each.text for each in refused)
    for session in taken:
        with contextlib.closing(Visitor(server.url)) as reader:
            reader.session = session
            assert any(message["msg"] == "process_completed" for message in reader.messages())
    works()


def waiting(*clients: str) -> list[SimpleNamespace]:
    return [SimpleNamespace(session_hash=uuid.uuid4().hex, request=SimpleNamespace(client=(each, 1))) for each in clients]


def refusal(client: str, session: str | None, events: list) -> str | None:
    return request_log.refusal(SimpleNamespace(session_hash=session, request=SimpleNamespace(client=(client, 1))), events)


def test_by_address_and_by_session():
    assert MAX_WAITING < MAX_WAITING_OF_ADDRESS < WAITING
    full = waiting(*["192.0.2.1"] * MAX_WAITING_OF_ADDRESS)
    assert "from your address" in refusal("192.0.2.1", "new", full) and "from your address" in refusal("192.0.2.1", None, full)
    assert refusal("192.0.2.2", "new", full) is None
    network = waiting(*(f"2001:db8::{k}" for k in range(MAX_WAITING_OF_ADDRESS)))
    assert refusal("2001:db8::ffff", "new", network) and not refusal("2001:db8:1::", "new", network)


@pytest.mark.parametrize(
    ("client", "address"),
    [
        (("192.0.2.1", 5), "192.0.2.1"),
        (("::ffff:192.0.2.1", 5, 0, 0), "192.0.2.1"),
        (("fe80::1%eth0", 5, 0, 0), "fe80::/64"),
        (("made up", 5), "unknown"),
        (None, "unknown"),
        ("", "unknown"),
    ],
)
def test_addresses(client, address):
    assert client_address.client_address(client) == address


def test_forwarded_addresses_are_believed_of_proxies_alone(monkeypatch):
    monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)
    monkeypatch.delenv("SPACE_ID", raising=False)
    assert client_address.default_proxies() == ""
    monkeypatch.setenv("SPACE_ID", "a/b")
    assert "10.0.0.0/8" in client_address.default_proxies()


@pytest.mark.parametrize("proxy", ["", "127.0.0.1"])
def test_forwarded_addresses_at_the_page(tiny_weights, proxy, bodies_of):
    """The limit of simultaneous bodies shows whom the page takes a client for."""
    server = Server(tiny_weights, "--dtype", "float32", "--proxy", proxy)
    try:
        assert server.first_line
        assert bodies_of(server) == (200 if proxy else 429)
    finally:
        server.interrupt()


@pytest.fixture
def bodies_of():
    from tests.faults.test_half_sent_requests import HALF, connect, settled

    def ask(server: Server) -> int:
        with contextlib.ExitStack() as stack:
            for _ in range(9):
                stack.enter_context(connect(server.url)).sendall(HALF.replace(b"Host: x", b"Host: x\r\nX-Forwarded-For: 192.0.2.1"))
            assert settled(lambda: "refused 429" in server.said())
            with contextlib.closing(Visitor(server.url)) as visitor:
                answer = visitor.http.post(
                    "gradio_api/upload", files={"files": ("a.png", photo())}, headers={"x-forwarded-for": "192.0.2.2"}
                )
                return answer.status_code

    return ask

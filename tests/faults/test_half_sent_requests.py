"""Uploads that stop halfway, hundreds of them, a thousand files at once, and connections that never say anything."""

import asyncio
import contextlib
import re
import socket
import threading
import time

import httpx
import pytest
import uvicorn

from app import FILES
from pose_editor.serving import connections, request_limits
from pose_editor.serving.request_limits import BODY_BYTES, MAX_BODIES, MAX_BODIES_OF_ONE, UPLOAD_BYTES, RequestLimits
from tests import asynchronous
from tests.faults.conftest import photo
from tests.running import LOG_LINE, free_port

HALF = (
    b"POST /gradio_api/upload HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 100000\r\n\r\n"
    b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\nhalf of it'
)


def connect(url: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(url.split(":")[2].rstrip("/"))), timeout=20)


def settled(condition, seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
    return condition()


def status(visitor) -> int | None:
    """Of an upload; None while the client has too many connections."""
    with contextlib.suppress(httpx.TransportError):
        return visitor.http.post("gradio_api/upload", files={"files": ("a.png", photo())}).status_code
    return None


def test_three_hundred_of_one_client(server, visitor, works, temporary):
    before, files = len(server.said()), set(temporary.rglob("*"))
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            with contextlib.suppress(OSError):
                stack.enter_context(connect(server.url)).sendall(HALF)
        assert settled(lambda: "refused 429" in server.said()[before:])
        assert settled(lambda: status(visitor) == 429), "no more of this client's"
        assert visitor.http.get("config").status_code == 200, "the page itself still opens"
    assert settled(lambda: len(re.findall("broken off|refused 408", server.said()[before:])) >= MAX_BODIES_OF_ONE)
    said = server.said()[before:]
    assert not LOG_LINE.sub("", said) and len(said) < 40_000
    assert settled(lambda: not [path for path in set(temporary.rglob("*")) - files if path.is_file()]), "nothing is kept of them"
    works()


def test_a_thousand_files_at_once(visitor, works, temporary):
    files = set(temporary.rglob("*"))
    answer = visitor.http.post("gradio_api/upload", files=[("files", (f"{k}.png", b"%d" % k)) for k in range(999)])
    assert answer.status_code == 400 and str(FILES) in answer.text
    assert set(temporary.rglob("*")) == files
    works()


def scope(client: str = "192.0.2.1", **headers: str) -> dict:
    fields = [(b"host", b"x"), *((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items())]
    return {"type": "http", "method": "POST", "path": "/gradio_api/upload", "headers": fields, "client": (client, 1)}


async def read_all(_, receive, send) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def ask(limits: RequestLimits, pieces: list[float], **options: str) -> int:
    """The status of a request whose pieces come after so many seconds each."""
    sent = []

    async def receive() -> dict:
        if not pieces:
            await asyncio.sleep(60)
        await asyncio.sleep(pieces.pop(0))
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def send(message: dict) -> None:
        sent.append(message)

    await limits(scope(content_length="1000", **options), receive, send)
    return sent[0]["status"]


@pytest.mark.parametrize("path", ["/gradio_api/upload", "/gradio_api/queue/join"])
def test_an_announced_length_is_refused_before_anything_is_read(path):
    sent, most = [], UPLOAD_BYTES if path.endswith("upload") else BODY_BYTES

    async def receive() -> dict:
        pytest.fail("it was read")

    async def send(message: dict) -> None:
        sent.append(message)

    limits = RequestLimits(read_all)
    asynchronous.run(limits(scope(content_length=str(most + 1)) | {"path": path}, receive, send))
    assert sent[0]["status"] == 413 and not limits.arriving


@pytest.mark.parametrize(("pieces", "stalled", "whole"), [([0.0, 0.0], 0.3, 60.0), ([0.1] * 200, 60.0, 1.0)])
def test_a_body_that_stalls_or_takes_too_long(monkeypatch, pieces, stalled, whole):
    monkeypatch.setattr(request_limits, "STALLED_SECONDS", stalled)
    monkeypatch.setattr(request_limits, "BODY_SECONDS", whole)
    limits, began = RequestLimits(read_all), time.monotonic()
    assert asynchronous.run(ask(limits, list(pieces))) == 408 and time.monotonic() - began < 10 and not limits.arriving


def test_so_many_at_a_time(monkeypatch):
    monkeypatch.setattr(request_limits, "STALLED_SECONDS", 1.0)
    limits = RequestLimits(read_all)

    async def many(*clients: str) -> list[int]:
        return await asyncio.gather(*(ask(limits, [0.0], client=client) for client in clients))

    counted = asynchronous.run(many(*["192.0.2.1"] * (MAX_BODIES_OF_ONE + 3), "192.0.2.2"))
    assert counted.count(429) == 3 and counted[-1] == 408
    assert asynchronous.run(many(*(f"192.0.2.{k}" for k in range(MAX_BODIES + 2)))).count(429) == 2
    network = [f"2001:db8::{k}" for k in range(MAX_BODIES_OF_ONE + 1)]
    assert asynchronous.run(many(*network)).count(429) == 1, "an IPv6 client has a network of addresses"
    assert not limits.arriving


@pytest.fixture
def bare():
    """A server of limited connections around nothing; its port."""
    port = free_port()
    config = uvicorn.Config(read_all, port=port, http=connections.LimitedConnection, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert settled(lambda: server.started)
    yield port
    server.should_exit = True
    thread.join()
    assert not connections.LimitedConnection.open_by_address


def closed(connection: socket.socket) -> bool:
    with contextlib.suppress(ConnectionError):
        while connection.recv(1000):
            pass
    return True


def test_connections_that_say_nothing(bare, monkeypatch):
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.5)
    for beginning in (b"", b"GET / HTTP/1.1\r\nHost: x\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n"):
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", bare), timeout=10) as connection:
            connection.sendall(beginning)
            if beginning.count(b"GET") == 2:
                assert connection.recv(1000)
            assert closed(connection) and time.monotonic() - began < 9


def test_so_many_connections_of_one_client(bare, monkeypatch):
    monkeypatch.setattr(connections, "MAX_FROM_ONE", 5)
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.create_connection(("127.0.0.1", bare), timeout=10)) for _ in range(5)]
        held[0].sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert held[0].recv(1000), "these are served"
        with socket.create_connection(("127.0.0.1", bare), timeout=10) as extra:
            assert closed(extra)
        monkeypatch.setenv("FORWARDED_ALLOW_IPS", "127.0.0.1")
        with socket.create_connection(("127.0.0.1", bare), timeout=10) as proxy:
            proxy.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert proxy.recv(1000), "a proxy speaks for many"


def test_as_many_files_as_allowed(monkeypatch):
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1000, soft), hard))
    try:
        connections.allow_many_files()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == hard
        assert 0 < connections.most_connections() < hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

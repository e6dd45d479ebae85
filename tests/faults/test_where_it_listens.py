"""IPv6 addresses, impossible ports, a path behind a proxy, strange Host headers, and an end within five seconds."""

import contextlib
import signal
import socket
import subprocess
import sys
import time

import pytest

import app
from tests.faults.conftest import photo
from tests.faults.test_half_sent_requests import HALF, connect
from tests.running import LOG_LINE, ROOT, Server, Visitor


def test_an_impossible_port_is_one_line():
    done = subprocess.run([sys.executable, "app.py", "--port", "99999"], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1 and done.stdout == "" and done.stderr == "app.py: --port must be from 1 to 65535, not 99999\n"


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_ports_are_checked_before_weights(port):
    with pytest.raises(ValueError, match="--port must be"):
        app.check_port("127.0.0.1", port)


def has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
@pytest.mark.parametrize("host", ["::1", "[::]"])
def test_ipv6(tiny_weights, host):
    server = Server(tiny_weights, "--dtype", "float32", "--host", host)
    try:
        assert server.first_line.startswith("NTED Step at http://[::")
        with contextlib.closing(Visitor(server.url.replace("127.0.0.1", "[::1]"))) as visitor:
            assert visitor.upload(photo())["path"].endswith("photo.png")
    finally:
        assert server.interrupt() == (0, "\nStopped.\n")


def test_below_a_path_of_a_proxy(tiny_weights):
    """A proxy takes the path off, or leaves it on."""
    server = Server(tiny_weights, "--dtype", "float32", "--root-path", "/step")
    try:
        assert server.first_line
        with contextlib.closing(Visitor(server.url)) as visitor:
            for prefix in ("", "step/"):
                assert visitor.http.get(f"{prefix}config").json()["root"].endswith("/step")
                assert visitor.http.get(f"{prefix}gradio_api/info").status_code == 200
                assert visitor.http.get(f"{prefix}openapi.json").status_code == 404
                assert '"root":"' in visitor.http.get(prefix).text.replace(" ", "")
            assert visitor.upload(photo())
    finally:
        server.interrupt()


@pytest.mark.parametrize("host", [b"[", b"[::1", b"a b", b"x:99999999", b"user@x", b"x/y", b"\xe9", b"", b"x\r\nHost: y"])
@pytest.mark.parametrize("path", [b"/", b"/config", b"/gradio_api/info"])
def test_a_strange_host_is_one_line(server, host, path):
    assert server.first_line
    before = len(server.said())
    with connect(server.url) as connection:
        connection.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")
    said = server.said()[before:]
    assert LOG_LINE.fullmatch(said) and "refused 400" in said


def test_good_hosts(server):
    for host in (b"localhost:1", b"[::1]:7860", b"user-space.hf.space", b"a_b.example:80"):
        with connect(server.url) as connection:
            connection.sendall(b"GET /config HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n")
            assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_the_end_comes_within_five_seconds(tiny_weights, joints):
    """Whatever is going on: a run, somebody who listens, and an upload that has stopped."""
    server = Server(tiny_weights, "--dtype", "float32")
    assert server.first_line
    with contextlib.closing(Visitor(server.url)) as visitor, connect(server.url) as half:
        half.sendall(HALF)
        visitor.ask("tween", visitor.upload(photo()), joints, joints, 60, 0, "gif")
        with visitor.http.stream("GET", "gradio_api/queue/data", params={"session_hash": visitor.session}):
            time.sleep(0.5)
            began = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            server.process.wait(timeout=60)
    assert time.monotonic() - began < 5 and server.process.returncode == 0
    assert "Stopped." in server.said() and "Traceback" not in server.said()

"""The page under attack: reached over the loopback interface alone, and its process seen from outside as far as the system tells."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pose_editor import formats, presets
from pose_editor.serving.temporary_files import PREFIX
from tests.running import Refused, Visitor

STRANGER = "127.0.0.2"  # where attacks come from; visitors, who must not notice, come from 127.0.0.1
SAMPLES_SECONDS = 0.02
PATIENCE_SECONDS = 120


def require_loopback(url: str) -> tuple[str, int]:
    """(host, port) of a page on this computer. Raises ValueError for any other: attacks are for pages of one's own."""
    parts = urlsplit(url)
    try:
        is_ours = parts.scheme == "http" and ipaddress.IPv4Address(parts.hostname or "").is_loopback and parts.port is not None
    except ValueError:
        is_ours = False
    if not is_ours:
        raise ValueError(f"{url}: only a page on this computer is attacked; give its address as http://127.0.0.1:PORT/")
    return str(parts.hostname), int(parts.port or 0)


class Target:
    """A page on this computer.

    Args:
        url: ``http://127.0.0.1:PORT/``.
    """

    def __init__(self, url: str) -> None:
        self.host, self.port = require_loopback(url)
        self.url = f"http://{self.host}:{self.port}/"
        self.process = process_listening(self.port)

    @contextlib.contextmanager
    def visitor(self, address: str | None = None, timeout: float = PATIENCE_SECONDS) -> Iterator[Visitor]:
        with contextlib.closing(Visitor(self.url, timeout, address)) as visitor:
            yield visitor

    def stranger(self) -> contextlib.AbstractContextManager[Visitor]:
        return self.visitor(STRANGER)

    def connect(self, address: str = STRANGER) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout=20, source_address=(address, 0))

    def canvas(self) -> tuple[int, int]:
        with self.visitor() as visitor:
            shown = visitor.http.get("config").json()["components"]
        return tuple(next(each["props"]["props"]["canvas"] for each in shown if "d-editor" in (each["props"].get("elem_classes") or [])))

    def pose(self, name: str = "wave") -> dict[str, Any]:
        """A pose as programs send it."""
        canvas = self.canvas()
        return {"joints": formats.to_value(presets.posed(name, presets.standing(canvas), canvas))["joints"]}

    def memory(self) -> int:
        """Bytes of memory that the page has now."""
        line = next(line for line in Path(f"/proc/{self.process}/status").read_text().splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) * 1024

    def temporary_folder(self) -> Path:
        """Where the page keeps its temporary files: the folder that it holds locked."""
        for descriptor in Path(f"/proc/{self.process}/fd").iterdir():
            with contextlib.suppress(OSError):
                path = Path(os.readlink(descriptor))
                if path.name.startswith(PREFIX):
                    return path
        raise ValueError("the page has no temporary folder of its own")

    def files(self) -> int:
        return sum(path.is_file() for path in self.temporary_folder().rglob("*"))


def process_listening(port: int) -> int:
    """The process that listens on a port of the loopback interface. Raises ValueError when it is not one of this user's."""
    sockets = {
        f"socket:[{fields[9]}]"
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for fields in (line.split() for line in Path(table).read_text().splitlines()[1:] if Path(table).exists())
        if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port
    }
    for folder in Path("/proc").glob("[0-9]*/fd"):
        with contextlib.suppress(OSError):
            if any(os.readlink(each) in sockets for each in folder.iterdir()):
                return int(folder.parent.name)
    raise ValueError(f"nothing of yours listens on port {port}")


class Peak(threading.Thread):
    """The most memory that the page takes beyond what it has now, while a ``with`` block runs."""

    def __init__(self, target: Target) -> None:
        super().__init__(daemon=True)
        self.target, self.ended = target, threading.Event()
        self.before = self.most = target.memory()

    def __enter__(self) -> Peak:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.join()

    def run(self) -> None:
        while not self.ended.wait(SAMPLES_SECONDS):
            self.most = max(self.most, self.target.memory())

    @property
    def mib(self) -> int:
        return (self.most - self.before) // 2**20


def told(work: Callable[[], Any]) -> str:
    """What a visitor reads when work is refused, and ``"accepted"`` otherwise."""
    try:
        work()
    except Refused as refused:
        return str(refused)
    return "accepted"


def settled(condition: Callable[[], bool], seconds: float = 30) -> bool:
    """Whether something comes true in time."""
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.1)
    return condition()

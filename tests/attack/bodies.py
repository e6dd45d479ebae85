"""Uploads that stop halfway and connections that say nothing, hundreds of them."""

from __future__ import annotations

import contextlib
import re
import time

from tests.attack import pictures
from tests.attack.report import Attack, Seen
from tests.attack.target import STRANGER, Target, settled
from tests.faults.test_half_sent_requests import HALF

COUNT = 300
OPEN_SECONDS = 5  # in which another visitor gets the page


def half_sent(target: Target) -> Seen:
    before = target.files()
    with contextlib.ExitStack() as stack:
        for _ in range(COUNT):
            with contextlib.suppress(OSError):
                stack.enter_context(target.connect()).sendall(HALF)
        began = time.monotonic()
        with target.visitor() as visitor:
            status = visitor.http.get("config").status_code
            uploaded = bool(visitor.upload(pictures.small(2))["path"])
        seconds = time.monotonic() - began
    gone = settled(lambda: target.files() <= before + 1)
    held = status == 200 and uploaded and seconds < OPEN_SECONDS and gone
    return Seen(f"page and upload in {seconds:.1f} s, {'nothing' if gone else 'files'} kept", held)


def silent(target: Target) -> Seen:
    with contextlib.ExitStack() as stack:
        opened = []
        for _ in range(COUNT):
            with contextlib.suppress(OSError):
                opened.append(stack.enter_context(target.connect()))
        with target.visitor() as visitor:
            status = visitor.http.get("config").status_code
        answered = 0
        for connection in opened:
            connection.settimeout(5)
            with contextlib.suppress(OSError):
                connection.sendall(b"GET /config HTTP/1.1\r\nHost: x\r\n\r\n")
                answered += connection.recv(20).startswith(b"HTTP/1.1 200")
    return Seen(f"{answered} of {COUNT} were kept, the page opened: {status == 200}", status == 200 and 0 < answered <= 100)


def slow(target: Target) -> Seen:
    """A body that stalls is given up."""
    with target.connect(STRANGER) as connection:
        connection.sendall(HALF)
        connection.settimeout(40)
        began = time.monotonic()
        answer = connection.recv(1000).decode(errors="replace")
    status = (re.match(r"HTTP/1\.1 (\d+)", answer) or ["", "nothing"])[1]
    return Seen(f"{status} after {time.monotonic() - began:.0f} s", status == "408" and time.monotonic() - began < 30)


ATTACKS = [
    Attack("half-sent uploads", f"{COUNT} at once", f"others are served within {OPEN_SECONDS} s", half_sent),
    Attack("silent connections", f"{COUNT} at once", "at most 100 of one address stay open", silent),
    Attack("a body that stalls", "one, for half a minute", "408", slow),
]

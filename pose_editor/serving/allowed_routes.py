"""Which of Gradio's routes are open. The page and the programs that use its API need these; every other one is refused.

Gradio also serves, for example, its developers' tools, recordings of the screen, links that store a visitor's state, and OAuth.
"""

from __future__ import annotations

import re

_PAGE = ("", "config/?", "theme[.]css", r"favicon[.]ico", "robots[.]txt", "manifest[.]json", "static/.+", "assets/.+")
_ASKED = (
    "info/?", "startup-events", "theme[.]css", "queue/data", "call/[^/]+/[^/]+", "upload_progress", "heartbeat/[^/]+", "file=.+",
)  # fmt: skip
_SENT = ("upload", "queue/join", "call/[^/]+/?", "run/[^/]+/?", "component_server/?", "cancel", "reset/?")

API = "/gradio_api/"
_READ = re.compile(f"/(?:{'|'.join(_PAGE)})|{API}(?:{'|'.join(_ASKED)})", re.DOTALL)
_WRITTEN = re.compile(f"{API}(?:{'|'.join(_SENT)})", re.DOTALL)
_METHODS = {"GET": (_READ,), "HEAD": (_READ,), "POST": (_WRITTEN,), "OPTIONS": (_READ, _WRITTEN)}

KINDS = ("upload", "queue", "call", "run", "file", "component_server", "cancel", "reset")


def is_open(method: str, path: str) -> bool:
    """Whether a request may reach Gradio. ``path`` is as Gradio's router sees it, decoded and without the root path."""
    return any(known.fullmatch(path) for known in _METHODS.get(method, ()))


def route_kind(path: str) -> str:
    """The kind of a URL path for the log, without the names in it."""
    parts = path.removeprefix(API).strip("/").replace("=", "/").split("/")
    return parts[0] if parts[0] in KINDS else "page"

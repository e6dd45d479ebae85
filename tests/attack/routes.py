"""Gradio's routes that the page does not use, and what every answer tells a browser."""

from __future__ import annotations

from tests.attack.report import Attack, Seen
from tests.attack.target import Target
from tests.running import Visitor

CLOSED = (
    "openapi.json", "gradio_api/openapi.json", "docs", "redoc", "monitoring", "monitoring/summary", "gradio_api/dev/reload",
    "gradio_api/app_id", "gradio_api/deep_link", "gradio_api/proxy=http://127.0.0.1:1/x", "gradio_api/mcp/sse", "gradio_api/vibe-code",
    "gradio_api/queue/status", "gradio_api/user", "gradio_api/profiling/traces", "gradio_api/file/etc/passwd",
)  # fmt: skip
WRITTEN = ("process_recording", "vibe-edit", "stream/x", "api/predict", "profiling/clear")
METHODS = ("PUT", "DELETE", "PATCH", "TRACE")
HEADERS = {"x-content-type-options": "nosniff", "referrer-policy": "same-origin"}


def record(target: Target) -> Seen:
    before = target.files()
    with target.stranger() as visitor:
        answers = {
            visitor.http.post(f"gradio_api/{route}", files={"video": ("a.mp4", bytes(2**20))}, headers={"origin": "https://a.example"})
            for route in WRITTEN
            for _ in range(4)
        }
    statuses = sorted({answer.status_code for answer in answers})
    more = target.files() - before
    return Seen(f"{statuses}, {more} more files", statuses == [404] and more <= 0)


def read(target: Target) -> Seen:
    asked = [*(("GET", route) for route in CLOSED), *((method, "config") for method in METHODS)]
    with target.stranger() as visitor:
        open_ones = [" ".join(each) for each in asked if status(visitor, *each) != 404]
    return Seen(f"{len(open_ones)} open {', '.join(open_ones[:2])}".strip(), not open_ones)


def status(visitor: Visitor, method: str, route: str) -> int:
    """Without waiting for the rest of an answer, of which some have no end."""
    with visitor.http.stream(method, route, timeout=10) as answer:
        return answer.status_code


def headers(target: Target) -> Seen:
    missing = []
    with target.stranger() as visitor:
        for route in ("", "config", "nothing", "gradio_api/file=/etc/passwd"):
            found = visitor.http.get(route).headers
            missing += [f"{name} of /{route}" for name, value in HEADERS.items() if found.get(name) != value]
            policy = found.get("content-security-policy", "")
            missing += [
                f"{word} of /{route}" for word in ("default-src 'self'", "frame-ancestors", "object-src 'none'") if word not in policy
            ]
            missing += ["server is named"] if "server" in found else []
    return Seen("; ".join(missing) or "all there", not missing)


ATTACKS = [
    Attack("recordings", f"1 MiB, four times, to {len(WRITTEN)} routes that store", "404, no file on the disk", record),
    Attack("routes to read", f"{len(CLOSED)} routes, {len(METHODS)} methods", "404", read),
    Attack("security headers", "pages, data, errors", "policy, nosniff, referrer, no server", headers),
]

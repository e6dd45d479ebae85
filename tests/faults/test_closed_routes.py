"""Routes of Gradio that the page does not need: refused, and no temporary file comes of them. Those it needs stay open."""

import contextlib
import json
import re

import httpx
import pytest

from pose_editor.serving.allowed_routes import is_open, route_kind
from tests.faults.conftest import photo
from tests.running import LOG_LINE

READ = [
    "openapi.json", "gradio_api/openapi.json", "docs", "redoc", "logout", "gradio_api/dev/reload", "gradio_api/app_id",
    "gradio_api/user", "gradio_api/token", "gradio_api/login_check", "gradio_api/queue/status", "monitoring", "monitoring/summary",
    "monitoring/x", "gradio_api/deep_link", "gradio_api/runs", "gradio_api/proxy=http://127.0.0.1:1/x", "gradio_api/file/x",
    "gradio_api/custom_component/1/client/component/x.js", "svelte/svelte.js", "pwa_icon", "gradio_api/mcp/sse", "gradio_api/vibe-code",
    "gradio_api/profiling/traces", "gradio_api/stream/a/b/1/playlist.m3u8", "nothing",
]  # fmt: skip
WRITTEN = [
    "process_recording",
    "vibe-edit",
    "undo-vibe-edit",
    "vibe-code",
    "vibe-starter-queries",
    "stream/x",
    "api/predict",
    "profiling/clear",
]


@pytest.mark.parametrize("route", READ)
def test_reading(visitor, route):
    answer = visitor.http.get(route, timeout=10)
    assert answer.status_code == 404 and answer.text == "not found"


@pytest.mark.parametrize("route", WRITTEN)
def test_writing(visitor, temporary, route):
    before = sorted(temporary.rglob("*"))
    answer = visitor.http.post(f"gradio_api/{route}", files={"video": ("a.mp4", b"\0" * 100)}, timeout=10)
    assert answer.status_code == 404 and sorted(temporary.rglob("*")) == before
    assert visitor.http.post("login", data={"username": "a", "password": "b"}).status_code == 404


def test_the_list_alone():
    assert not any(is_open("GET", f"/{route}") for route in READ)
    assert not any(is_open(method, f"/gradio_api/{route}") for method in ("GET", "POST", "PUT") for route in WRITTEN)
    assert is_open("POST", "/gradio_api/upload") and is_open("GET", "/config") and not is_open("PUT", "/gradio_api/upload")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"])
def test_other_methods(visitor, method):
    assert visitor.http.request(method, "config").status_code == 404


def test_what_the_page_needs_is_open(visitor, works):
    for route in ("", "config", "theme.css", "robots.txt", "manifest.json", "gradio_api/info", "gradio_api/startup-events"):
        assert visitor.http.get(route).status_code == 200, route
    page = visitor.http.get("").text
    for address in re.findall(r'(?:src|href)="\.(/assets/[^"]+)"', page):
        assert visitor.http.get(address).status_code == 200, address
    assert visitor.http.head("").status_code == 200
    answer = visitor.http.options("config", headers={"origin": "http://127.0.0.1:1", "access-control-request-method": "GET"})
    assert answer.status_code == 200, "a page elsewhere may ask whether it may ask"
    works()


def test_the_log_names_the_kind_alone(server, visitor):
    before = len(server.said())
    visitor.http.get("gradio_api/file=/etc/my-holiday")
    visitor.http.get("my-holiday")
    said = server.said()[before:]
    assert "http file refused" in said and "http page refused 404" in said and "holiday" not in said
    assert not LOG_LINE.sub("", said)


@pytest.mark.parametrize("path", ["//config", "/gradio_api//upload", "/gradio_api/upload/../process_recording", "/config\n", "/CONFIG", ""])
def test_no_other_spelling(path):
    assert not is_open("GET", path) and not is_open("POST", path) and route_kind(path) in ("page", "upload")


def test_every_answer_has_the_headers(visitor):
    file = visitor.upload(photo())
    answers = [
        visitor.http.get(route) for route in ("", "config", "nothing", f"gradio_api/file={file['path']}", "gradio_api/file=/etc/passwd")
    ]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff" and answer.headers["referrer-policy"] == "same-origin"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy and "object-src 'none'" in policy and "https://huggingface.co" in policy
        assert "server" not in answer.headers
    assert json.loads(answers[1].text)["root"] == str(visitor.http.base_url).rstrip("/")


def test_listening_for_a_visitor_who_asked_nothing(server, visitor, works):
    before = len(server.said())
    with contextlib.suppress(httpx.TransportError):
        visitor.http.get("gradio_api/queue/data", params={"session_hash": "nobody"}, timeout=20)
    assert not LOG_LINE.sub("", server.said()[before:])
    works()

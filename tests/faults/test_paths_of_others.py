"""``/etc/passwd`` as a path, ``file=`` with traversal, another visitor's file: refused."""

import contextlib

import pytest

from tests.faults.conftest import photo
from tests.running import ROOT, Refused, Visitor

META = {"meta": {"_type": "gradio.FileData"}}
CANARY = ROOT / "pyproject.toml"
PATHS = [
    "/etc/passwd",
    "app.py",
    str(CANARY),
    "../../../../etc/passwd",
    "/proc/self/environ",
    "assets/weights/lite/config.json",
    ".gitignore",
]


@pytest.mark.parametrize("path", PATHS)
def test_as_a_photo(visitor, joints, works, path):
    for file in ({"path": path, **META}, {"path": path, "url": f"file://{path}", **META}, path):
        with pytest.raises(Refused) as refused:
            visitor.generate(file, joints)
        assert "root:" not in str(refused.value) and path not in str(refused.value)
        with pytest.raises(Refused):
            visitor.call("given", file, None, {"seed": 0})
    works()


@pytest.mark.parametrize("prefix", ["", "..%2f..%2f", "/%2e%2e/", "....//"])
@pytest.mark.parametrize("path", PATHS)
def test_as_an_address(visitor, path, prefix):
    for route in ("gradio_api/file=", "file=", "gradio_api/file/", "static/", "assets/", "svelte/"):
        answer = visitor.http.get(f"{route}{prefix}{path}")
        assert answer.status_code >= 400 or b"<!doctype html>" in answer.content[:200].lower()
        assert b"root:" not in answer.content and CANARY.read_bytes()[:60] not in answer.content


def test_a_name_that_climbs_stays_in_its_folder(visitor, temporary, works):
    for name in ("../../../../climbed.png", "..\\..\\climbed.png", "/tmp/climbed.png", "a/../../climbed.png"):
        path = visitor.upload(photo(), name)["path"]
        assert path.startswith(f"{temporary}/") and ".." not in path.split("/")
    works()


def test_links_to_elsewhere_are_not_followed(visitor, joints, server, works):
    """The server fetches nothing on a visitor's word, itself least of all."""
    for url in (f"{server.url}config", "http://169.254.169.254/latest/meta-data/", "ftp://127.0.0.1/x", "gopher://127.0.0.1/x"):
        for file in ({"path": url, **META}, {"path": "x.png", "url": url, **META}):
            with pytest.raises(Refused):
                visitor.generate(file, joints)
    works()


def test_a_result_is_not_known_to_others(server, joints):
    """What one visitor gets lies under an address that nobody guesses: it holds a digest of the content."""
    with contextlib.closing(Visitor(server.url)) as one, contextlib.closing(Visitor(server.url)) as other:
        made = one.call("generate", one.upload(photo(5)), joints, 0, 4)[0]
        assert len(made["path"].split("/")[-2]) == 64
        folder = made["path"].rpartition("/")[0]
        for address in (folder, folder.rpartition("/")[0]):
            assert other.http.get(f"gradio_api/file={address}").status_code >= 400, "no folder can be listed"


@pytest.mark.parametrize(
    "route", ["gradio_api/proxy=http://127.0.0.1:1/x", "monitoring", "monitoring/summary", "gradio_api/runs", "deep_link"]
)
def test_other_doors_are_closed(visitor, route, works):
    assert visitor.http.get(route, timeout=10).status_code >= 400
    works()


def test_an_event_of_the_page_is_not_told_to_programs(visitor):
    named = {name.strip("/") for name in visitor.http.get("gradio_api/info").json()["named_endpoints"]}
    private = {name for name, event in visitor.events.items() if event["api_visibility"] == "private"}
    assert {"generate", "steps", "tween", "trace"} <= named and {"render", "given"} <= private and not named & private

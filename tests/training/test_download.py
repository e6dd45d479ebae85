"""Files fetched from a server on this machine that breaks off, changes its mind and answers with pages."""

from __future__ import annotations

import hashlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch

from training import catalogue, download, fetching
from training.fetching import Checks, FetchError, fetch

CONTENT = np.random.default_rng(0).bytes(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves ``content`` under every path; breaks off after ``cut`` bytes as often as ``cuts`` says.

    Attributes:
        ranges: the Range header of every request, or None.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.tag, self.cut, self.cuts, self.status, self.resumes = CONTENT, '"one"', 0, 0, 200, True
        self.ranges: list[str | None] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/file.bin"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        server, asked = self.server, self.headers.get("Range")
        server.ranges.append(asked)
        if server.status != 200:
            return self.answer(server.status, b"")
        first = int(re.match(r"bytes=(\d+)-", asked)[1]) if asked and server.resumes and self.headers["If-Range"] == server.tag else 0
        if first >= len(server.content):
            return self.answer(416, b"", {"Content-Range": f"bytes */{len(server.content)}"})
        headers = {"ETag": server.tag}
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(server.content) - 1}/{len(server.content)}"
        self.answer(206 if first else 200, server.content[first:], headers)

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.server.cuts:
            self.server.cuts -= 1
            body = body[: self.server.cut]
        self.wfile.write(body)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(fetching, "PAUSE_SECONDS", 0.01)
    running = Server()
    yield running
    running.shutdown()
    running.server_close()


def part(path):
    return path.with_name(f"{path.name}.part")


def test_a_file_is_whole_and_nothing_else_stays(server, tmp_path):
    path = tmp_path / "new" / "file.bin"
    fetch(server.url, path, Checks(len(CONTENT), SHA256), progress=False)
    assert path.read_bytes() == CONTENT and [*path.parent.iterdir()] == [path] and server.ranges == [None]


def test_connections_that_break_off_are_taken_up_where_they_broke(server, tmp_path):
    server.cut, server.cuts = 700_000, 3
    path = tmp_path / "file.bin"
    fetch(server.url, path, Checks(None, SHA256[:8]), progress=False)
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=700000-", "bytes=1400000-", "bytes=2100000-"]


def test_a_later_call_goes_on_and_a_changed_file_begins_anew(server, tmp_path):
    path = tmp_path / "file.bin"
    server.cut, server.cuts = 1_000_000, 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fetching.time, "sleep", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            fetch(server.url, path, Checks(), progress=False)
    assert part(path).stat().st_size == 1_000_000 and not path.exists()
    server.content, server.tag = CONTENT[::-1], '"two"'
    fetch(server.url, path, Checks(), progress=False)
    assert path.read_bytes() == CONTENT[::-1] and server.ranges[-1] == "bytes=1000000-"


def test_a_server_that_cannot_go_on_sends_all_again(server, tmp_path):
    server.cut, server.cuts, server.resumes = 1_000_000, 1, False
    path = tmp_path / "file.bin"
    fetch(server.url, path, Checks(sha256=SHA256), progress=False)
    assert path.read_bytes() == CONTENT and len(server.ranges) == 2


def test_a_part_that_was_whole_already_is_taken(server, tmp_path):
    path = tmp_path / "file.bin"
    part(path).write_bytes(CONTENT)
    path.with_name("file.bin.tag.part").write_text('"one"')
    fetch(server.url, path, Checks(sha256=SHA256), progress=False)
    assert path.read_bytes() == CONTENT and server.ranges == [f"bytes={len(CONTENT)}-"]


@pytest.mark.parametrize(
    "content, checks, message",
    [
        (b"\n<!DOCTYPE html><title>Confirm</title>", Checks(), "answers with a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", Checks(), "Git LFS pointer"),
        (CONTENT, Checks(size=5), "has 3,000,000 bytes instead of 5"),
        (CONTENT, Checks(sha256="0" * 64), f"its SHA-256 is {SHA256}, not 0000"),
    ],
)
def test_what_fails_a_check_is_not_kept(server, tmp_path, content, checks, message):
    server.content = content
    with pytest.raises(FetchError, match=message) as error:
        fetch(server.url, tmp_path / "file.bin", checks, progress=False)
    assert "\n" not in str(error.value) and [*tmp_path.iterdir()] == []


def test_refusals_are_final_and_trouble_is_tried_again(server, tmp_path):
    server.status = 404
    with pytest.raises(FetchError, match=r"the server answers 404 .*; check the address"):
        fetch(server.url, tmp_path / "file.bin", Checks(), progress=False)
    assert len(server.ranges) == 1
    server.status = 503
    with pytest.raises(FetchError, match="the server answers 503"):
        fetch(server.url, tmp_path / "file.bin", Checks(), progress=False)
    assert len(server.ranges) == 1 + fetching.TRIES


def test_the_command_fetches_skips_and_goes_on_after_what_fails(server, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "cache"))
    common = ["--output", str(tmp_path), "--url", f"nted-256={server.url}", "--url", f"vgg19={server.url}"]
    sums = ["--sha256", f"vgg19={SHA256}"]
    assert download.main(["images", "lists", "nted-256", "vgg19", *common, *sums]) == 1
    said = capsys.readouterr()
    assert (tmp_path / "nted_256.pt").read_bytes() == CONTENT
    assert (tmp_path / "cache" / "checkpoints" / "vgg19-dcbb9e9d.pth").read_bytes() == CONTENT
    assert "CC BY-NC 4.0" in said.out
    errors = [line for line in said.err.splitlines() if line.startswith("error")]
    assert "images: needs a password" in errors[0] and "lists: its address is not known here" in errors[1] and len(errors) == 2
    requests = len(server.ranges)
    assert download.main(["nted-256", "vgg19", *common, *sums]) == 0 and len(server.ranges) == requests
    assert download.main(["vgg19", *common]) == 1 and "is there, but it is not the file" in capsys.readouterr().err


def test_the_list_says_what_is_known_of_every_item(tmp_path, capsys):
    assert download.main(["--output", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    for item in catalogue.CATALOGUE:
        assert item.name in out and f"licence: {item.licence}" in out
        assert item.url or item.where, "an address, or who links it"
    assert "needs a password of its authors" in out and "address not known here, to be had from" in out
    assert len({item.name for item in catalogue.CATALOGUE}) == len(catalogue.CATALOGUE)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["nothing"], "no such item; choose from images"),
        (["--url", "nted-256=ftp://x"], "expected NAME=ADDRESS"),
        (["--url", "nted=http://x"], "no such item"),
        (["--sha256", "nted-256=xyz"], "hexadecimal digits"),
    ],
)
def test_wrong_arguments_are_one_line(arguments, message, capsys):
    assert download.main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and message in line

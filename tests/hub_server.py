"""A small server that speaks as much of the Hugging Face Hub's protocol as its client needs to read and to commit model files."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TOKEN = "hf_of_the_tests"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Hub(ThreadingHTTPServer):
    """Repositories in memory: ``commits[repository]`` is commit hash -> file name -> bytes, ``main`` the newest commit.

    Attributes:
        cut: names of files whose body is sent by half, under the length of the whole.
        damaged: names of files in which one byte is sent wrong.
        asked: (method, path) of every request.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.commits: dict[str, dict[str, dict[str, bytes]]] = {}
        self.objects: dict[str, bytes] = {}
        self.cut, self.damaged, self.asked = set(), set(), []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def commit(self, repository: str, files: dict[str, bytes]) -> str:
        """A new revision with these files over those of the last; returns its hash."""
        commits = self.commits.setdefault(repository, {})
        files = (list(commits.values())[-1] if commits else {}) | files
        name = hashlib.sha1(repr((repository, len(commits), sorted(files))).encode()).hexdigest()
        commits[name] = files
        return name

    def commit_folder(self, repository: str, folder: Path) -> str:
        return self.commit(repository, {path.name: path.read_bytes() for path in Path(folder).iterdir() if path.is_file()})

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self._path()
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+?)(?:/(revision|tree)/([^/]+))?", path):
            repository, what, revision = match.groups()
            found = self._files(repository, revision or "main")
            if found:
                self._json(self._tree(found[1]) if what == "tree" else self._info(repository, *found))
        elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            repository, revision, name = match.groups()
            found = self._files(repository, revision)
            if found and name not in found[1]:
                self._error(404, "EntryNotFound")
            elif found:
                self._file(name, found[1][name], found[0])
        else:
            self._error(404, "RepoNotFound")

    def do_POST(self) -> None:
        path, body = self._path(), self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._error(401, None)
        elif path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            there = name in self.server.commits
            self.server.commits.setdefault(name, {})
            self._json({"name": name, "url": f"{self.server.url}/{name}"}, 409 if there else 200)
        elif re.fullmatch(r"/api/models/[^/]+/[^/]+/preupload/main", path):
            mode = lambda name: "lfs" if name.endswith(".safetensors") else "regular"  # noqa: E731
            files = [{"path": file["path"], "uploadMode": mode(file["path"]), "shouldIgnore": False} for file in json.loads(body)["files"]]
            self._json({"files": files})
        elif path.endswith(".git/info/lfs/objects/batch"):
            place = lambda oid: {"upload": {"href": f"{self.server.url}/objects/{oid}"}}  # noqa: E731
            objects = [{"oid": one["oid"], "size": one["size"], "actions": place(one["oid"])} for one in json.loads(body)["objects"]]
            self._json({"transfer": "basic", "objects": objects})
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/main", path):
            self._commit(match[1], [json.loads(line) for line in body.splitlines()])
        else:
            self._error(404, "RepoNotFound")

    def do_PUT(self) -> None:
        oid = self._path().rpartition("/")[2]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if digest(body) != oid:
            return self._error(400, None)
        self.server.objects[oid] = body
        self._send(200, b"")

    def _path(self) -> str:
        path = self.path.partition("?")[0]
        self.server.asked.append((self.command, path))
        return path

    def _files(self, repository: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """The commit that a revision names and its files; answers by itself when there is none."""
        commits = self.server.commits.get(repository)
        if not commits:
            return self._error(404, "RepoNotFound")
        name = list(commits)[-1] if revision == "main" else revision
        return (name, commits[name]) if name in commits else self._error(404, "RevisionNotFound")

    def _info(self, repository: str, commit: str, files: dict[str, bytes]) -> dict:
        return {
            "_id": "0",
            "id": repository,
            "modelId": repository,
            "sha": commit,
            "private": False,
            "siblings": [{"rfilename": name} for name in files],
        }

    def _tree(self, files: dict[str, bytes]) -> list[dict]:
        return [{"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()} for name, data in files.items()]

    def _file(self, name: str, data: bytes, commit: str) -> None:
        headers = {"ETag": f'"{digest(data)}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        first = int(match[1]) if (match := re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))) else 0
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
        body = data[first:]
        if name in self.server.damaged:
            body = bytes([body[0] ^ 1]) + body[1:]
        self._send(206 if first else 200, body, headers, cut=name in self.server.cut)

    def _commit(self, repository: str, lines: list[dict]) -> None:
        files = {}
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.objects[value["oid"]]
        name = self.server.commit(repository, files)
        self._json({"success": True, "commitOid": name, "commitUrl": f"{self.server.url}/{repository}/commit/{name}"})

    def _json(self, value: object, status: int = 200) -> None:
        self._send(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _error(self, status: int, code: str | None) -> None:
        self._send(status, b"{}", {"X-Error-Code": code} if code else {})

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None, cut: bool = False) -> None:
        self.send_response(status)
        for key, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.close_connection = True


def environment(endpoint: str, home: Path, **more: str) -> dict[str, str]:
    """For a process whose Hub this is: an own cache, no token, and uploads as the client does them without its Rust extension."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
    root = str(Path(__file__).parent.parent)
    return kept | {
        "HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]), "NO_PROXY": "127.0.0.1", **more,
    }  # fmt: skip

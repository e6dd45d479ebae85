"""What stays on the disk: a killed page's photos, thousands of files, and states of strangers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pose_editor import presets
from tests.attack import pictures
from tests.attack.report import Attack, Seen
from tests.attack.target import Target
from tests.running import ROOT

MULTIPART = {"content-type": "multipart/form-data; boundary=b"}
PAGE = """
import sys
from pose_editor.serving import temporary_files
with temporary_files.own_folder() as folder:
    (folder / "photo.png").write_bytes(b"a visitor's")
    print(folder, flush=True)
    sys.stdin.read()
"""


def killed_page(_: Target) -> Seen:
    """The folder of a page, not the page itself, which others need."""
    with tempfile.TemporaryDirectory() as base:
        environment = os.environ | {"GRADIO_TEMP_DIR": base}
        command = [sys.executable, "-c", PAGE]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT, "env": environment}
        with subprocess.Popen(command, **pipes) as killed:
            folder = Path(killed.stdout.readline().strip())
            killed.send_signal(signal.SIGKILL)
        left = folder.exists()
        with subprocess.Popen(command, **pipes) as after:
            after.stdout.readline()
            gone = not folder.exists()
            after.communicate("")
        return Seen(f"left behind: {left}; gone at the next start: {gone}", left and gone and not list(Path(base).iterdir()))


def many_files(target: Target) -> Seen:
    before = target.files()
    with target.stranger() as visitor:
        answer = visitor.http.post("gradio_api/upload", files=[("files", (f"{k}.png", b"%d" % k)) for k in range(999)])
    more = target.files() - before
    return Seen(f"{answer.status_code}, {more} more files", answer.status_code == 400 and more <= 0)


def unannounced() -> Iterator[bytes]:
    """40 MiB of a file, piece by piece, so that no length is announced."""
    yield b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    for _ in range(40):
        yield bytes(2**20)
    yield b"\r\n--b--\r\n"


def too_large(target: Target) -> Seen:
    before, statuses = target.files(), []
    with target.stranger() as visitor:
        statuses.append(visitor.http.post("gradio_api/upload", files={"files": ("a.png", bytes(21 * 2**20))}).status_code)
        statuses.append(visitor.http.post("gradio_api/upload", content=unannounced(), headers=MULTIPART).status_code)
        body = b'{"data": ["' + b"x" * (29 * 2**20) + b'"]}'
        statuses.append(visitor.http.post("gradio_api/queue/join", content=body).status_code)
    more = target.files() - before
    return Seen(f"{statuses}, {more} more files", statuses == [413] * 3 and more <= 0)


def many_strangers(target: Target) -> Seen:
    """A visitor's photo outlives seventy programs and onlookers."""
    canvas = target.canvas()
    with target.visitor() as visitor, target.stranger() as stranger:
        visitor.give(pictures.small(1))
        for number in range(70):
            stranger.session = f"stranger{number}"
            stranger.http.get("config")
            stranger.call("stop", None)
        shown = visitor.release(presets.standing(canvas))
    kind = shown["kind"] if isinstance(shown, dict) else shown
    return Seen(f"the visitor got {kind}", kind == "steps")


ATTACKS = [
    Attack("a killed page", "SIGKILL while a visitor's photo lies there", "gone at the next start", killed_page),
    Attack("999 files", "in one upload", "400, no file on the disk", many_files),
    Attack("large bodies", "21 MiB, 40 MiB in pieces, 29 MiB of JSON", "413, no file on the disk", too_large),
    Attack("seventy strangers", "each with a state of its own", "a visitor's photo is still there", many_strangers),
]

"""``python app.py`` as a process of its own, and a visitor who speaks HTTP with it as the page's own script does."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from nted_step.pose import Pose
from pose_editor import formats
from pose_editor.serving.temporary_files import VARIABLES

ROOT = Path(__file__).parents[1]
START_SECONDS = 180
LOG_LINE = re.compile(r"\d\d:\d\d:\d\d (INFO|DEBUG) nted_step\.page .*\n")  # of the page's log, where nothing went wrong


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Server:
    """``python app.py`` as a person would start it."""

    def __init__(
        self,
        weights: Path | str,
        *arguments: str,
        root: Path = ROOT,
        environment: Mapping[str, str] | None = None,
        python: str = sys.executable,
    ) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/"
        # A pipe that nobody empties would stop the server.
        self.output = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by stop)
        # A shell may have told its background jobs to ignore Ctrl+C; a person's terminal does not.
        listen = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)  # noqa: E731
        command = [python, "-B", "app.py", "--device", "cpu", "--weights", str(weights), "--port", str(port), *arguments]
        if environment is None:  # without the temporary folder of a page in this process, which may end sooner
            environment = {key: value for key, value in os.environ.items() if key not in VARIABLES} | {"HF_HUB_OFFLINE": "1"}
        self.process = subprocess.Popen(
            command, cwd=root, text=True, stdout=self.output, stderr=subprocess.STDOUT, preexec_fn=listen, env=environment
        )

    def said(self) -> str:
        """Everything printed so far."""
        with open(f"/proc/self/fd/{self.output.fileno()}") as own_place:  # read without moving where the server writes
            return own_place.read()

    def complaints(self) -> str:
        """What was printed without the log of requests that went as they should."""
        return LOG_LINE.sub("", self.said())

    @functools.cached_property
    def first_line(self) -> str:
        """Waits for the line that says where it runs. Everything printed before it is a complaint."""
        began = time.monotonic()
        while time.monotonic() - began < START_SECONDS and self.process.poll() is None:
            for line in self.said().splitlines(keepends=True):
                if line.startswith("NTED Step at ") and line.endswith("\n"):
                    return line
            time.sleep(0.1)
        self.process.kill()
        raise AssertionError(f"app.py did not start:\n{self.said()}")

    def interrupt(self) -> tuple[int, str]:
        """Ctrl+C: exit code, and what it printed after the first line beside the log."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(timeout=60)  # what is being computed is finished first
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        return self.process.returncode, self.complaints().partition(self.first_line)[2]

    def memory(self, key: str = "VmRSS") -> int:
        """Bytes of memory in use now, or at most so far with ``"VmHWM"``."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{key}:\s+(\d+) kB", text)[1]) * 1024


class Refused(Exception):
    """The page's answer was an error; its text is what a visitor reads. ``status`` is that of HTTP, 200 for a refusal by an event."""

    def __init__(self, text: str, status: int = 200) -> None:
        super().__init__(text)
        self.status = status


class Visitor:
    """A session of the page. Events are asked for by the names of the functions that answer them.

    Args:
        address: of this computer, that the visitor comes from.
    """

    def __init__(self, url: str, timeout: float = 120, address: str | None = None) -> None:
        self.http = httpx.Client(base_url=url, timeout=timeout, trust_env=False, transport=httpx.HTTPTransport(local_address=address))
        self.session = uuid.uuid4().hex
        self.edit = 0

    def close(self) -> None:
        self.http.close()

    @functools.cached_property
    def events(self) -> dict[str, dict[str, Any]]:
        return {each["api_name"]: each for each in self.http.get("config").json()["dependencies"]}

    def upload(self, data: bytes, name: str = "photo.png") -> dict[str, Any]:
        """Send a file; what stands for it in later events."""
        answer = self.http.post("gradio_api/upload", files={"files": (name, data)})
        if answer.status_code != 200:
            raise Refused(answer.text, answer.status_code)
        return {"path": answer.json()[0], "orig_name": name, "meta": {"_type": "gradio.FileData"}}

    def ask(self, name: str, *data: Any, event_data: Any = None) -> str:
        """Put an event in the queue; its id. As with Gradio's clients, what comes last and may be None can be left out.

        Raises Refused with status 503 when the queue is full.
        """
        event = self.events[name]
        values = [*data, *[None] * (len(event["inputs"]) - len(data))]
        body = {"data": values, "fn_index": event["id"], "session_hash": self.session, "event_data": event_data, "trigger_id": None}
        # As the browser's script writes numbers; json of httpx refuses NaN.
        answer = self.http.post("gradio_api/queue/join", content=json.dumps(body), headers={"content-type": "application/json"})
        if answer.status_code != 200:
            raise Refused(answer.text, answer.status_code)
        return answer.json()["event_id"]

    def messages(self) -> Iterator[dict[str, Any]]:
        """What the server says about this session's events, until all are answered."""
        with self.http.stream("GET", "gradio_api/queue/data", params={"session_hash": self.session}) as stream:
            for line in stream.iter_lines():
                if line.startswith("data:"):
                    message = json.loads(line.removeprefix("data:"))
                    if message["msg"] == "close_stream":
                        return
                    yield message

    def answer(self, event: str) -> list[Any]:
        """Wait for the end of one event; its outputs. Raises Refused."""
        return self.answers([event])[0]

    def answers(self, events: list[str]) -> list[list[Any]]:
        found: dict[str, list[Any]] = {}
        with contextlib.closing(self.messages()) as messages:
            for message in messages:
                if message["msg"] == "process_completed" and message["event_id"] in events:
                    if not message["success"]:
                        raise Refused(str(message["output"].get("error")))
                    found[message["event_id"]] = message["output"]["data"]
                if len(found) == len(events):
                    break
        return [found[event] for event in events]

    def call(self, name: str, *data: Any, event_data: Any = None) -> list[Any]:
        return self.answer(self.ask(name, *data, event_data=event_data))

    def fetch(self, file: Mapping[str, Any]) -> bytes:
        """A file that the server made."""
        return self.http.get(file["url"]).raise_for_status().content

    # --- what a visitor does ---------------------------------------------------------------------------------------

    def value(self, pose: Pose) -> dict[str, Any]:
        """The editor's value after another change."""
        self.edit += 1
        return formats.to_value(pose, self.edit)

    def give(self, data: bytes, name: str = "photo.png", seed: int = 0) -> list[Any]:
        """Use the own photo, as the button does: [editor, picker, message, viewer] in the end."""
        file = self.upload(data, name)
        self.call("_same", None)
        answer = self.call("given", file, None, {"seed": seed})
        if isinstance(answer[3], dict) and "edit" in answer[3]:
            self.edit = answer[3]["edit"]
        return answer

    def release(self, pose: Pose | dict[str, Any], chosen: str | None = None, seed: int = 0) -> Any:
        """Finish a change of the pose: what the viewer shows in the end."""
        value = self.value(pose) if isinstance(pose, Pose) else pose
        return self.call("render", value, chosen, None, {"seed": seed})[0]

    def generate(self, file: Any, pose: Any, seed: Any = 0, steps: Any = 4) -> bytes:
        """The endpoint for programs: PNG bytes."""
        return self.fetch(self.call("generate", file, pose, seed, steps)[0])

"""The panel that changes the weights, from a browser elsewhere, a proxy, or without its token; and a checkpoint that asks for memory."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from tests.attack.report import Attack, Seen
from tests.attack.target import Target
from tests.running import ROOT

HEADERS = (
    {}, {"origin": ""}, {"origin": "https://a.example"}, {"origin": "http://localhost:1"}, {"x-real-ip": "203.0.113.7"},
    {"via": "1.1 proxy"}, {"cf-connecting-ip": "203.0.113.7"}, {"x-forwarded-for": "203.0.113.7"}, {"host": "a.example"},
)  # fmt: skip
PANEL = ("use", "use_1", "use_bundled", "unlock", "unlock_1")
MOST_BYTES = 6 * 2**30  # of addresses; torch alone takes two or three
LEVELS = ("1000000", "999", "20")


def panel(target: Target) -> Seen:
    """On a page without the panel no such event is there; with it, none works for a stranger."""
    loaded = []
    for headers in HEADERS:
        with target.stranger() as visitor:
            visitor.http.headers.update({"origin": target.url.rstrip("/")} | headers)
            for event in PANEL:
                if "host" not in headers and event in visitor.events:
                    answer = str(visitor.call(event, "/etc", True))
                    loaded += [] if "token first" in answer or "only on the computer" in answer or "not the token" in answer else [event]
                for route in (f"call/{event}", f"run/{event}"):
                    answered = visitor.http.post(f"gradio_api/{route}", json={"data": ["/etc"], "session_hash": visitor.session})
                    loaded += [route] if answered.status_code < 400 and event not in visitor.events else []
    return Seen(f"{len(loaded)} answered", not loaded)


def huge_checkpoint(_: Target) -> Seen:
    """The command, not the page: what it would be given is read in a process that may not have more memory than it needs."""
    answers = []
    with tempfile.TemporaryDirectory() as folder:
        for level in LEVELS:
            path = Path(folder) / "checkpoint.pt"
            torch.save({"net_G_ema": {f"target_image_renderer.convs.{level}.conv0.conv.weight": torch.zeros(1)}}, path)
            command = [sys.executable, "-m", "nted_step", "convert", "--from", "nted_step", str(path), "--output", f"{folder}/out"]
            limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))  # noqa: E731
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, preexec_fn=limit)
            said = done.stderr.splitlines()[-1:]  # after the notice about licences
            answers.append(done.returncode == 2 and "checkpoint.pt: " in str(said) and "Traceback" not in done.stderr)
    return Seen(f"{answers.count(True)} of {len(answers)} refused by name", all(answers))


ATTACKS = [
    Attack("weights panel", f"without the token, from {len(HEADERS)} kinds of places", "no folder is looked at", panel),
    Attack("huge checkpoints", f"levels {', '.join(LEVELS)} of a model", f"refused, within {MOST_BYTES // 2**30} GiB", huge_checkpoint),
]

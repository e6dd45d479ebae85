"""Many visitors at once, and one who drags without pause: does the page stay right, fair and small?

    python -m tests.load [--clients 16] [--requests 25] [--json] [--url http://...] [--weights FOLDER]

Starts the page itself, or drives the one at ``--url`` (then memory and files are not looked at). Every image must equal that of the
same request made alone, to the last bit; a full queue is asked again and counted; everything else that goes wrong is an error.
The exit code is 1 when a judgement fails.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, ImageEnhance

from pose_editor import formats, presets
from pose_editor.serving import temporary_files
from tests.running import ROOT, Refused, Server, Visitor

EXAMPLES = sorted((ROOT / "assets" / "examples").glob("*.png"))
DIFFERENT = 48  # different requests; with more, making each of them alone would take most of the time
TEMP_MIB = 64
GROWTH = 0.05  # of the server's memory, over the last half of the load
GROWTH_BYTES = 48 * 2**20  # or this, whichever is more
SLOWER, SLOWER_SECONDS = 3.0, 1.0  # others may wait so many times as long, and so much, while somebody drags
FAIR_CLIENTS, FAIR_REQUESTS = 3, 4
FLOOD = 12  # previews that somebody sends at a time who waits for no answer
BUSY_SECONDS = 0.25


@dataclass(frozen=True)
class Job:
    """A request that is unlike the others."""

    photo: bytes
    pose: dict[str, Any]
    seed: int


@dataclass
class Count:
    """What happened while requests were made. Seconds are of a request from its first attempt on, waiting included."""

    seconds: list[float] = field(default_factory=list)
    busy: int = 0
    wrong: int = 0
    errors: list[str] = field(default_factory=list)

    def percentiles(self) -> dict[str, float]:
        ordered = sorted(self.seconds) or [float("nan")]
        at = {
            name: ordered[min(int(share * len(ordered)), len(ordered) - 1)] for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))
        }
        return {name: round(value, 3) for name, value in (at | {"max": ordered[-1]}).items()}


def jobs(count: int, canvas: tuple[int, int]) -> list[Job]:
    """Different photos, poses and seeds; the same ones every time."""
    rng, made = random.Random(0), []
    names = list(presets.PRESETS)
    for number in range(count):
        image = ImageEnhance.Color(Image.open(EXAMPLES[number % len(EXAMPLES)]).convert("RGB")).enhance(rng.uniform(0.3, 1.7))
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        pose = presets.posed(names[number % len(names)], presets.standing(canvas), canvas)
        made.append(Job(buffer.getvalue(), {"joints": formats.to_value(pose)["joints"]}, rng.randrange(2**32)))
    return made


def ask(visitor: Visitor, job: Job, steps: int, count: Count) -> str | None:
    """The digest of a request's picture, or None and an error in ``count``. Asks again while the queue is full."""
    began = time.perf_counter()
    while True:
        try:
            data = visitor.generate(visitor.upload(job.photo), job.pose, job.seed, steps)
        except Refused as refused:
            if refused.status != 503:
                count.errors.append(f"HTTP {refused.status}: {refused}"[:200])
                return None
            count.busy += 1
            time.sleep(BUSY_SECONDS)
        except Exception as error:  # whatever a client sees is what is counted here
            count.errors.append(f"{type(error).__name__}: {error}"[:200])
            return None
        else:
            count.seconds.append(time.perf_counter() - began)
            return hashlib.sha256(data).hexdigest()


def many(url: str, clients: int, requests: int, made: list[Job], steps: int, expected: list[str] | None = None) -> Count:
    """All clients at once, each with a session of its own and requests one after another."""
    count = Count()

    def client(number: int) -> None:
        with contextlib.closing(Visitor(url, timeout=600)) as visitor:
            for k in range(requests):
                which = (number * requests + k * 7) % len(made)
                digest = ask(visitor, made[which], steps, count)
                if expected and digest and digest != expected[which]:
                    count.wrong += 1

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(client, range(clients)))
    return count


class Watch(threading.Thread):
    """The server's memory and temporary files, twice a second."""

    def __init__(self, server: Server, folder: Path) -> None:
        super().__init__(daemon=True)
        self.server, self.folder, self.ended = server, folder, threading.Event()
        self.memory: list[int] = []
        self.files: list[int] = []

    def run(self) -> None:
        while not self.ended.wait(0.5):
            self.memory.append(self.server.memory())
            total = 0
            for path in self.folder.rglob("*"):
                with contextlib.suppress(OSError):
                    total += path.stat().st_size if path.is_file() else 0
            self.files.append(total)

    def growth(self) -> tuple[int, int]:
        """(bytes by which the last quarter's median lies above the third quarter's, that median)."""
        quarter = max(len(self.memory) // 4, 1)
        third, last = statistics.median(self.memory[-2 * quarter : -quarter] or self.memory), statistics.median(self.memory[-quarter:])
        return int(last - third), int(third)


# --- fairness -------------------------------------------------------------------------------------------------------


def drag(url: str, canvas: tuple[int, int], ended: threading.Event) -> int:
    """Somebody who drags a joint and asks for the next preview as soon as the last one is there. How many there were."""
    number = 0
    with contextlib.closing(Visitor(url, timeout=600)) as visitor:
        chosen = EXAMPLES[0].stem
        while not ended.is_set():
            pose = presets.posed(["wave", "star"][number % 2], presets.standing(canvas), canvas)
            visitor.call("preview", visitor.value(pose), chosen, None, {"seed": 0})
            number += 1
    return number


def flood(url: str, canvas: tuple[int, int], ended: threading.Event) -> int:
    """Somebody whose script sends previews without waiting for answers, as many as the server takes. How many it took."""
    taken = 0
    with contextlib.closing(Visitor(url, timeout=600)) as visitor:
        while not ended.is_set():
            events = []
            for _ in range(FLOOD):
                with contextlib.suppress(Refused):
                    drag_to = visitor.value(presets.standing(canvas))
                    events.append(visitor.ask("preview", drag_to, EXAMPLES[0].stem, None, {"seed": 0}))
            visitor.answers(events)
            taken += len(events)
    return taken


@contextlib.contextmanager
def beside(work: Callable[..., int], *arguments: Any) -> Iterator[list[int]]:
    """Run something meanwhile; its result is in the list afterwards."""
    ended, result = threading.Event(), []
    thread = threading.Thread(target=lambda: result.append(work(*arguments, ended)), daemon=True)
    thread.start()
    try:
        yield result
    finally:
        ended.set()
        thread.join(60)


# --- all of it ------------------------------------------------------------------------------------------------------


def props(components: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Of the first part of the page with that class."""
    return next(each["props"]["props"] for each in components if name in (each["props"].get("elem_classes") or []))


def measure(url: str, options: argparse.Namespace, watch: Watch | None) -> dict[str, Any]:
    """Every number, and under ``failed`` what is not as it must be."""
    with contextlib.closing(Visitor(url)) as visitor:
        components = visitor.http.get("config").json()["components"]
        steps, canvas = len(props(components, "d-viewer")["sizes"]) - 1, tuple(props(components, "d-editor")["canvas"])
    made = jobs(min(DIFFERENT, options.clients * options.requests), canvas)
    alone = Count()
    say(options, f"{len(made)} requests alone…")
    with contextlib.closing(Visitor(url, timeout=600)) as visitor:
        expected = [ask(visitor, job, steps, alone) for job in made]
    say(options, f"{options.clients} clients with {options.requests} requests each…")
    if watch:
        watch.start()
    began = time.perf_counter()
    load = many(url, options.clients, options.requests, made, steps, expected)
    wall = time.perf_counter() - began
    if watch:
        watch.ended.set()
        watch.join()
    say(options, "one who drags…")
    calm = many(url, FAIR_CLIENTS, FAIR_REQUESTS, made, steps, expected)
    fair: dict[str, Any] = {"calm": calm.percentiles()}
    counts = [alone, load, calm]
    failed = []
    for name, work in (("drag", drag), ("flood", flood)):
        with beside(work, url, canvas) as previews:
            count = many(url, FAIR_CLIENTS, FAIR_REQUESTS, made, steps, expected)
        counts.append(count)
        fair[name] = count.percentiles() | {"previews": previews[0] if previews else None, "busy": count.busy}
        if not previews or not previews[0]:
            failed.append(f"{name}: the previews themselves got no answer")
        for percentile in ("p50", "max"):
            most = SLOWER * fair["calm"][percentile] + SLOWER_SECONDS
            if not count.seconds or count.percentiles()[percentile] > most:
                failed.append(f"{name}: {percentile} of the others is {count.percentiles()[percentile]} s, more than {most:.1f} s")
    errors = [error for count in counts for error in count.errors]
    wrong = sum(count.wrong for count in counts)
    if errors:
        failed.append(f"{len(errors)} errors, the first: {errors[0]}")
    if wrong:
        failed.append(f"{wrong} images unlike those of the same request alone")
    found: dict[str, Any] = {
        "clients": options.clients,
        "requests": options.requests,
        "different": len(made),
        "steps": steps,
        "seconds": round(wall, 1),
        "images_per_second": round(len(load.seconds) / wall, 3),
        "alone": alone.percentiles(),
        "load": load.percentiles(),
        "busy": load.busy,
        "errors": len(errors),
        "wrong_images": wrong,
        "fairness": fair,
    }
    if watch:
        growth, level = watch.growth()
        most = max(int(GROWTH * level), GROWTH_BYTES)
        found |= {
            "memory_mib": [round(each / 2**20) for each in watch.memory[:: max(len(watch.memory) // 12, 1)]],
            "memory_growth_mib": round(growth / 2**20, 1),
            "files_mib_at_most": round(max(watch.files, default=0) / 2**20, 1),
        }
        if growth > most:
            failed.append(f"memory grew by {growth / 2**20:.0f} MiB over the last half, more than {most / 2**20:.0f} MiB")
        allowed = TEMP_MIB + 20 * options.clients * temporary_files.EVERY_SECONDS  # what can come in between two looks
        if max(watch.files, default=0) > allowed * 2**20:
            failed.append(f"temporary files reached {max(watch.files) / 2**20:.0f} MiB, more than {allowed} MiB")
    return found | {"failed": failed}


def say(options: argparse.Namespace, text: str) -> None:
    if not options.quiet:
        print(text, file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--requests", type=int, default=25, help="of each client")
    parser.add_argument("--url", help="of a page that runs already")
    parser.add_argument("--weights", default=str(ROOT / "assets" / "weights" / "lite"), help="of the page that is started")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    options = parser.parse_args(arguments)
    if options.url:
        found = measure(options.url.rstrip("/") + "/", options, None)
    else:
        with tempfile.TemporaryDirectory() as folder:
            environment = os.environ | {"HF_HUB_OFFLINE": "1", "GRADIO_TEMP_DIR": folder}
            server = Server(options.weights, "--temp-mib", str(TEMP_MIB), environment=environment)
            try:
                assert server.first_line
                found = measure(server.url, options, Watch(server, Path(folder)))
            finally:
                server.interrupt()
    print(json.dumps(found) if options.json else json.dumps(found, indent=1))
    return 1 if found["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())

"""How long a visitor waits for the first picture and for a dragged joint: a real server with the weights in the box, a real browser.

python -m tests.e2e.latency [--drags 20] [--json]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import time
from pathlib import Path

import torch

from tests.e2e.conftest import ARGUMENTS, CHROMIUM, LITE, Server
from tests.e2e.visitor import DESKTOP, LEFT_WRIST, centre, edit, wait_done, wait_drawn

AIMS = {"pointer-move to preview": 200, "pointer-up to step 1": 150, "pointer-up to step 20": 1500}  # ms
MOVES, PAUSE_MS, HELD_MS = 12, 16, 1000  # a drag: moves at the pace of a screen, then the joint is held still, then let go

# Notes when the pointer moved and was let go, and when which picture was there. One clock, the browser's. A step whose picture the preview
# of the same pose has left on screen is there as soon as the viewer says so: nothing is loaded then.
WATCH = """() => {
  const root = document.querySelector('.sv-root'), image = document.querySelector('.sv-image');
  const watch = window.watch = { moved: 0, released: 0, shown: [] };
  addEventListener('pointermove', (event) => { if (event.buttons) watch.moved = event.timeStamp; }, true);
  addEventListener('pointerup', (event) => { watch.released = event.timeStamp; }, true);
  const note = () => {
    const { edit, state, step } = root.dataset;
    if (image.complete) watch.shown.push({ at: performance.now(), edit: +edit, preview: state === 'preview', step: +step });
  };
  image.addEventListener('load', note);
  new MutationObserver(note).observe(root, { attributeFilter: ['data-edit', 'data-state', 'data-step'] });
}"""


def one_drag(page, up: bool) -> dict[str, float]:
    """Drag a wrist, wait for everything, and tell the three times in ms."""
    before, way = edit(page), 1 if up else -1  # there and back, so that the joint does not end at the edge
    x, y = centre(page, LEFT_WRIST)
    page.evaluate("window.watch.shown = []")
    page.mouse.move(x, y)
    page.mouse.down()
    for k in range(1, MOVES + 1):
        page.mouse.move(x + way * k, y - 5 * way * k)
        page.wait_for_timeout(PAUSE_MS)
    page.wait_for_timeout(HELD_MS)
    page.mouse.up()
    wait_done(page, after=before)
    page.wait_for_timeout(200)  # the last picture is decoded
    watched = page.evaluate("window.watch")
    released = max(each["edit"] for each in watched["shown"])  # the release is an edit of its own, after that of the last move

    def first(**wanted) -> float:
        return next(each["at"] for each in watched["shown"] if wanted.items() <= each.items())

    return {
        "pointer-move to preview": first(preview=True, edit=released - 1) - watched["moved"],
        "pointer-up to step 1": first(preview=False, edit=released) - watched["released"],
        "pointer-up to step 20": first(preview=False, edit=released, step=20) - watched["released"],
    }


def measure(drags: int) -> tuple[dict[str, float], list[dict[str, float]]]:
    """Start the app and visit it.

    Returns:
        (``server_s`` from the command to the line that says it listens, ``first_picture_s`` from the command to all steps of the
        first person on screen, ``resident_mb`` of the server then; the times of every drag, ms).
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        page = browser.new_context(**DESKTOP, reduced_motion="reduce").new_page()
        began, server = time.monotonic(), Server(LITE)
        try:
            assert server.first_line
            listens = time.monotonic() - began
            page.goto(server.url)
            wait_drawn(page)
            start = {"server_s": listens, "first_picture_s": time.monotonic() - began, "resident_mb": resident_mb(server.process.pid)}
            page.evaluate(WATCH)
            one_drag(page, True)  # the first of a process is slower than all others and counted by nobody
            return start, [one_drag(page, bool(index % 2)) for index in range(drags)]
        finally:
            server.interrupt()


def resident_mb(process: int) -> float:
    """Memory of a process on Linux, in 10^6 bytes."""
    line = next(line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024 / 1e6


def percentile(values: list[float], share: float) -> float:
    """The smallest value that is not exceeded in that share of the cases."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--drags", type=int, default=20, help="at least 10 (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    if options.drags < 10:
        parser.error("fewer than 10 drags say nothing")
    start, taken = measure(options.drags)
    start = {name: round(value, 1) for name, value in start.items()}
    machine = {
        "cores": len(os.sched_getaffinity(0)),
        "torch_threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "drags": options.drags,
    }
    result = {}
    for name, aim in AIMS.items():
        values = [each[name] for each in taken]
        result[name] = {"median_ms": round(statistics.median(values)), "p95_ms": round(percentile(values, 0.95)), "aim_ms": aim}
    if options.json:
        print(json.dumps({"machine": machine, "start": start, "latency": result}, indent=1))
        return
    print(f"{machine['cores']} cores, {machine['torch_threads']} torch threads, torch {machine['torch']}, {options.drags} drags; ms")
    print(
        f"listens after {start['server_s']} s, first picture whole after {start['first_picture_s']} s, "
        f"{start['resident_mb']:.0f} MB resident then"
    )
    print(f"{'':26}{'median':>8}{'p95':>8}{'aim':>8}")
    for name, each in result.items():
        print(f"{name:26}{each['median_ms']:>8}{each['p95_ms']:>8}{each['aim_ms']:>8}")


if __name__ == "__main__":
    main()

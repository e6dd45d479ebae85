"""Many visitors with photos of all sizes, one after another: does the page's memory level off?

    python -m tests.memory [--sessions 300] [--weights FOLDER] [--plot assets/memory.svg]

Starts the page as users do, in the environment as it is. Every visitor gives a photo as a phone or camera makes it, of 1 to 24
megapixels, and sees the first result. Over the last half of them memory must stay within 5% of its median there. The exit code is 1
when it does not. With the bundled weights, 300 sessions take about a quarter of an hour on two free cores.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from tests.running import ROOT, Server, Visitor

FLAT = 0.05  # of the median of the last half
SMOOTHED = 9  # sessions of which the median counts, since a photo in the middle of its decoding is no growth
MEGAPIXELS = (1.0, 24.0)
WIDTH, HEIGHT, MARGIN = 640, 240, 40


def photo(number: int) -> bytes:
    """A JPEG of a size and a shape of its own; another one for every number."""
    rng = np.random.default_rng(number)
    pixels, aspect = rng.uniform(*MEGAPIXELS) * 1e6, rng.uniform(0.55, 1.0)
    coarse = Image.fromarray(rng.integers(0, 255, (64, 44, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    coarse.resize((round((pixels * aspect) ** 0.5), round((pixels / aspect) ** 0.5)), Image.Resampling.BILINEAR).save(buffer, "JPEG")
    return buffer.getvalue()


def measure(server: Server, sessions: int) -> list[int]:
    """Bytes of memory after each session."""
    memory = []
    for number in range(sessions):
        with contextlib.closing(Visitor(server.url, timeout=600)) as visitor:
            assert visitor.give(photo(number), "photo.jpg")[3]["frames"], "every visitor sees a result"
        memory.append(server.memory())
    return memory


def spread(memory: list[int]) -> float:
    """How far smoothed memory strays from its median over the last half, as a fraction of that."""
    half = memory[len(memory) // 2 :]
    smooth = [statistics.median(half[at : at + SMOOTHED]) for at in range(max(len(half) - SMOOTHED + 1, 1))]
    level = statistics.median(half)
    return max(abs(each - level) for each in smooth) / level


def plot(memory: list[int], path: Path) -> None:
    """MiB over sessions, as an SVG."""
    most = max(memory) * 1.1
    across, down = (WIDTH - 2 * MARGIN) / max(len(memory) - 1, 1), (HEIGHT - 2 * MARGIN) / most
    points = " ".join(f"{MARGIN + k * across:.1f},{HEIGHT - MARGIN - each * down:.1f}" for k, each in enumerate(memory))
    low, high, floor = min(memory) // 2**20, max(memory) // 2**20, HEIGHT - MARGIN
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n'
        f'<path d="M{MARGIN} {MARGIN}V{floor}H{WIDTH - MARGIN}" fill="none" stroke="#888"/>\n'
        f'<polyline points="{points}" fill="none" stroke="#4f46e5" stroke-width="2"/>\n'
        f'<text x="{MARGIN}" y="{MARGIN - 12}">memory of the page, {low} to {high} MiB</text>\n'
        f'<text x="{WIDTH - MARGIN}" y="{floor + 20}" text-anchor="end">{len(memory)} sessions</text>\n'
        f'<text x="{MARGIN}" y="{floor + 20}">0</text>\n</svg>\n'
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], prog="python -m tests.memory")
    parser.add_argument("--sessions", type=int, default=300)
    parser.add_argument("--weights", default=str(ROOT / "assets" / "weights" / "lite"), help="default: the bundled ones")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg")
    options = parser.parse_args(arguments)
    server = Server(options.weights)
    try:
        assert server.first_line
        memory = measure(server, options.sessions)
    finally:
        server.interrupt()
    if options.plot:
        plot(memory, options.plot)
    strays = spread(memory)
    print(f"{memory[0] >> 20} MiB after the first of {len(memory)} sessions, {memory[-1] >> 20} after the last")
    print(f"over the last half within {strays:.1%} of its median, {'as it should be' if strays <= FLAT else f'more than {FLAT:.0%}'}")
    return int(strays > FLAT)


if __name__ == "__main__":
    sys.exit(main())

"""Two sessions at once with different photos and seeds: each sees what it would see alone, to the last bit."""

import contextlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from nted_step.pose import Pose
from tests.faults.conftest import photo
from tests.running import Visitor

RUNS = 6


def poses(standing: Pose, step: float) -> list[Pose]:
    return [Pose(standing.xy + np.array((k * step % 4, 0)), standing.visible) for k in range(RUNS)]


def visit(url: str, standing: Pose, number: int) -> list:
    """One visitor's afternoon: a photo, then poses, each with a seed."""
    with contextlib.closing(Visitor(url)) as visitor:
        seen = [visitor.give(photo(10 + number), seed=number)[3]["frames"]]
        for k, pose in enumerate(poses(standing, 1 + number)):
            shown = visitor.release(pose, seed=10 * number + k)
            seen.append(shown["frames"])
        return seen


def test_each_equals_its_solo_run(server, standing):
    assert server.first_line
    alone = [visit(server.url, standing, number) for number in (0, 1)]
    assert alone[0] != alone[1] and len({str(frames) for frames in alone[0]}) == RUNS + 1
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(visit, [server.url] * 4, [standing] * 4, [0, 1, 0, 1]))
    assert together == alone * 2

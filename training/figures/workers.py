"""Rendering on every core: separate processes with one thread each, because the renderer's many small operations gain little from
threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import torch

from nted_step.hardware import available_cores
from training.figures.render import FigureBatch, render_people

AHEAD = 8  # groups rendered ahead of the one that is asked for


def single_threaded_pool(most: int | None = None) -> ProcessPoolExecutor:
    """A process per core, or ``most`` if those are fewer, with one thread each."""
    cores = available_cores()
    return ProcessPoolExecutor(min(cores, most or cores), get_context("spawn"), torch.set_num_threads, (1,))


def render_groups(
    seeds: Sequence[int], poses: int, size: tuple[int, int], device: str | torch.device = "cpu", group: int = 4
) -> Iterator[FigureBatch]:
    """Render people in groups, in order. On the CPU several groups are rendered by one process per core, few of them ahead.

    Args:
        seeds: of the people.
        poses: images of each.
        size: (H, W) of the images.
        device: that renders.
        group: people in a batch; the last may have fewer.
    """
    groups = [seeds[start : start + group] for start in range(0, len(seeds), group)]
    if torch.device(device).type != "cpu" or len(groups) == 1:
        yield from (render_people(some, poses, size, device) for some in groups)
        return
    waiting: deque = deque()
    with single_threaded_pool(len(groups)) as pool:
        for some in groups:
            waiting.append(pool.submit(_render, some, poses, size))
            if len(waiting) > AHEAD:
                yield _batch(waiting.popleft().result())
        while waiting:
            yield _batch(waiting.popleft().result())


def _render(seeds: Sequence[int], poses: int, size: tuple[int, int]) -> dict[str, np.ndarray]:
    # As arrays: a tensor would travel as shared memory and hold a file descriptor.
    return {name: value.numpy() for name, value in vars(render_people(seeds, poses, size)).items()}


def _batch(arrays: dict[str, np.ndarray]) -> FigureBatch:
    return FigureBatch(**{name: torch.from_numpy(value) for name, value in arrays.items()})

"""Timing of calls, by the host's clock and by the GPU's."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

TIMING_SECONDS = 10.0  # after which a timing is not repeated again
REPEATS = 10  # of a call that is timed on the device
HEAD_START = 2_000_000  # clock cycles, about a millisecond, in which the calls of a timing are queued


def fastest_call(device: torch.device, call: Callable[[], Any], repeats: int) -> float:
    """Seconds of the fastest of some calls, until the device is done."""
    best, start = float("inf"), time.perf_counter()
    for _ in range(repeats):
        synchronise(device)
        began = time.perf_counter()
        call()
        synchronise(device)
        best = min(best, time.perf_counter() - began)
        if time.perf_counter() - start > TIMING_SECONDS:
            break
    return best


def device_seconds(call: Callable[[], Any]) -> float:
    """Seconds of one call on the current CUDA device, without what the host takes to launch it: the launches queue up while it waits."""
    for _ in range(2):
        call()
    began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda._sleep(HEAD_START)
    began.record()
    for _ in range(REPEATS):
        call()
    ended.record()
    ended.synchronize()
    return began.elapsed_time(ended) / REPEATS / 1000


def synchronise(device: torch.device) -> None:
    """Wait until a CUDA device has done what it was given; others are done when a call returns."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)

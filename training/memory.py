"""Memory of the host: kept between iterations, and copied to a GPU without waiting."""

from __future__ import annotations

import contextlib
import ctypes

import numpy as np
import torch
from torch import Tensor

# From glibc's malloc.h.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8


def keep_freed_memory() -> None:
    """Stop glibc from returning freed memory to the system; does nothing without glibc.

    By default every large tensor is returned when it is freed and requested again in the next iteration, and the system zeroes it
    page by page: at 128x88 on two cores that took up to a third of an iteration. Call it before any thread starts.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        for parameter, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, -1), (M_TOP_PAD, 256 << 20), (M_ARENA_MAX, 1)):
            mallopt(parameter, value)


def upload(values: np.ndarray | Tensor, device: torch.device) -> Tensor:
    """Copy a small array to the device, without waiting for the work that a GPU has queued."""
    tensor = torch.as_tensor(values)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)

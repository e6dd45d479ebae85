"""Optimisations for inference: the same function, computed faster."""

from __future__ import annotations

import torch

from nted_step.execution import Eager, Execution
from nted_step.generator import Generator
from nted_step.optimisation.cuda_graphs import accelerate
from nted_step.optimisation.folding import fold
from nted_step.optimisation.packing import can_pack, pack

__all__ = ["optimise"]


def optimise(generator: Generator, device: torch.device, dtype: torch.dtype, *, graphs: bool = True) -> Execution:
    """Move a generator to a device for inference alone, changing it in place, and give what computes with it.

    Constants are folded into the weights everywhere; on a processor with oneDNN the weights are packed into its layouts; on a CUDA
    device the quickest way of smoothing is chosen by timing and both halves of a step are recorded as graphs.

    Args:
        generator: its state dict no longer has the published names and values afterwards.
        graphs: on a CUDA device, record the steps once and repeat the recording; a process too short-lived for that says False.
    """
    fold(generator.eval().requires_grad_(False)).to(device, dtype).to(memory_format=torch.channels_last)
    if can_pack(device, dtype):
        pack(generator)
    return accelerate(generator) if graphs and device.type == "cuda" else Eager(generator)

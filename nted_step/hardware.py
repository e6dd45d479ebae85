"""Descriptions of the hardware, for reports."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor_name() -> str:
    """The processor's name where the system tells it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def device_name(device: torch.device) -> str:
    """A GPU's name, a processor's with the instruction set that PyTorch uses, or the device's type."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{processor_name()} ({torch.backends.cpu.get_cpu_capability()})" if device.type == "cpu" else device.type


def describe_hardware(device: torch.device, count: int = 1) -> str:
    """The hardware of a run, in words for a model card: ``2 x NVIDIA H100``, ``2 cores of an Intel(R) Xeon(R) Processor``."""
    if device.type == "cuda":
        return f"{count} x {torch.cuda.get_device_name(device)}"
    if device.type != "cpu":
        return device.type
    cores = available_cores()
    return f"{cores} {'core' if cores == 1 else 'cores'} of a CPU ({processor_name()})"

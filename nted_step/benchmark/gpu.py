"""The benchmark's part for CUDA devices: milliseconds of a whole chain, the lower bound that the device sets, and where the time goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from nted_step.execution import Eager, Execution, render_step
from nted_step.generator import DownLevel, Generator, StyledConv
from nted_step.layers import Blur, EqualConv2d, Upsample
from nted_step.optimisation.blur import FusedConv
from nted_step.optimisation.cuda_graphs import CudaRecorder, Graphs
from nted_step.person import Person
from nted_step.pipeline import NTEDStepPipeline
from nted_step.pose import Pose, skeleton_map
from nted_step.schedule import seeded_noise, start_image
from nted_step.timing import fastest_call

COPIED = 2**30  # bytes that are copied to measure the memory's bandwidth: more than any cache holds


@torch.no_grad()
def gpu_report(
    pipeline: NTEDStepPipeline, photo: Tensor, pose: Pose, gflop: float, peak: float, repeats: int, search: bool = False
) -> dict[str, Any]:
    """Measure a pipeline that has recorded graphs.

    Args:
        gflop: operations of a step with known textures, in 1e9.
        peak: rate of matrix products, in 1e9 operations a second.
        search: also measure with cuDNN's search of algorithms, which may take a minute.

    Returns:
        ``new_pose_ms``: milliseconds of all steps of a known person, by the host's clock, waited for once at the end
        (``queued``), or after every step and with the drawing of the pose, as a caller of ``generate`` has it (``streamed``);
        beside them the same as ``queued`` without graphs (``eager``), and with algorithms that cuDNN searched (``searched``).
        ``pose_map_ms``: the drawing of the pose alone. ``new_person_ms``: ``streamed`` with textures.
        ``floor``: see :func:`floor`. ``blurs``: see :func:`blur_report`.
    """
    device, person, generator = pipeline.device, pipeline.encode(photo), pipeline.generator
    chain = _Chain(pipeline, person, pose)

    def seconds(call: Callable[[], Any]) -> float:
        call()  # textures, and whatever is recorded
        return fastest_call(device, call, repeats)

    queued = seconds(lambda: chain.run(pipeline.execution))
    new_pose = {
        "queued": queued,
        "streamed": seconds(lambda: list(pipeline.generate(person, pose))),
        "eager": seconds(lambda: chain.run(Eager(generator))),
    }
    if search:
        new_pose["searched"] = _elsewhere(lambda: seconds(partial(chain.run, _searching(pipeline))))
    return {
        "new_pose_ms": {name: value * 1000 for name, value in new_pose.items()},
        "pose_map_ms": seconds(lambda: skeleton_map(pose, pipeline.config.size)) * 1000,
        "new_person_ms": seconds(lambda: list(pipeline.generate(pipeline.encode(photo), pose))) * 1000,
        "floor": floor(pipeline, chain.inputs(0), gflop, peak, queued / pipeline.config.steps),
        "blurs": blur_report(generator),
    }


class _Chain:
    """All steps of one person in one pose, of which nothing is waited for."""

    def __init__(self, pipeline: NTEDStepPipeline, person: Person, pose: Pose):
        size, device = pipeline.config.size, pipeline.device
        self.person, self.steps = person, pipeline.config.steps
        self.condition = pipeline.condition(person, pose, 0)
        self.start = start_image(person.source, seeded_noise(0, size).to(device), pipeline.config)

    @torch.no_grad()
    def run(self, execution: Execution) -> Tensor:
        x = self.start
        for t in range(self.steps):
            x = execution.step(self.person.textures(t), x, self.condition, t)
        return x

    def inputs(self, t: int) -> tuple[Any, ...]:
        return self.person.textures(t), self.start, self.condition, t


def _searching(pipeline: NTEDStepPipeline) -> Graphs:
    return Graphs(pipeline.generator, CudaRecorder(pipeline.device, search=True))


def _elsewhere(call: Callable[[], float]) -> float:
    """In a thread of its own, since cuDNN keeps for a thread what it chose first."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()


def floor(pipeline: NTEDStepPipeline, inputs: tuple[Any, ...], gflop: float, peak: float, seconds: float) -> dict[str, float]:
    """What a step could take at least on this device, were only its arithmetic or only its memory traffic to be paid for.

    Returns milliseconds of a step: ``operations_ms`` at the rate of matrix products, ``bytes_ms`` at the rate of a copy,
    ``step_ms`` measured, ``share``: the larger of the two over the measured. Beside them ``gbytes`` and ``gbytes_per_second``.
    """
    traffic, rate = step_bytes(pipeline.generator, inputs), copy_bandwidth(pipeline.device)
    least = {"operations_ms": gflop / peak * 1000, "bytes_ms": traffic / rate * 1000}
    return least | {
        "step_ms": seconds * 1000, "share": max(least.values()) / (seconds * 1000), "gbytes": traffic / 1e9,
        "gbytes_per_second": rate / 1e9,
    }  # fmt: skip


def step_bytes(generator: Generator, inputs: tuple[Any, ...]) -> int:
    """Bytes of a step with known textures: its weights once, and the input and output of each of its convolutions once."""
    halves = (generator.skeleton_encoder, generator.target_image_renderer)
    total = sum(weight.nbytes for half in halves for weight in half.parameters())

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        total += inputs[0].nbytes + output.nbytes

    kinds = (EqualConv2d, FusedConv, Blur, Upsample)
    hooks = [module.register_forward_hook(count) for half in halves for module in half.modules() if isinstance(module, kinds)]
    try:
        render_step(generator, *inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return total


def copy_bandwidth(device: torch.device) -> float:
    """Bytes a second, read and written, of the fastest of some large copies."""
    source, target = (torch.empty(COPIED, dtype=torch.uint8, device=device) for _ in range(2))
    return 2 * COPIED / fastest_call(device, lambda: target.copy_(source), repeats=8)


@torch.no_grad()
def blur_report(generator: Generator) -> dict[str, str]:
    """Place of each smoothing -> which way is taken, in :func:`nted_step.optimisation.blur.choose_filters`."""
    places = ((name, module) for name, module in generator.named_modules() if isinstance(module, (DownLevel, StyledConv)))
    taken = {
        name: "fused" if isinstance(module.get_submodule("conv"), FusedConv) else getattr(module.blur, "way", "") for name, module in places
    }
    return {name: way for name, way in taken.items() if way}


def format_gpu(report: dict[str, Any]) -> list[str]:
    """Lines for people."""
    pose, least = report["new_pose_ms"], report["floor"]
    return [
        f"all steps of a new pose: {pose['queued']:.1f} ms queued, {pose['streamed']:.1f} ms streamed with the pose's map "
        f"({report['pose_map_ms']:.1f} ms); {pose['eager']:.1f} ms without graphs"
        + (f", {pose['searched']:.1f} ms with searched algorithms" if "searched" in pose else ""),
        f"all steps of a new person: {report['new_person_ms']:.1f} ms streamed",
        f"a step: {least['step_ms']:.3f} ms; its operations alone {least['operations_ms']:.3f} ms, its {least['gbytes']:.3f} GB alone "
        f"{least['bytes_ms']:.3f} ms at {least['gbytes_per_second']:.0f} GB/s: {least['share']:.0%} of the floor's speed",
        "smoothing: " + ", ".join(f"{count} {way}" for way, count in Counter(report["blurs"].values()).items()),
    ]

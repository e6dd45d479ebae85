"""How fast a preset runs here: seconds per step for a new person and for a new pose, against the machine's own peak."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from nted_step.benchmark.reference import plain, plain_steps
from nted_step.config import preset
from nted_step.execution import render_step
from nted_step.generator import Generator
from nted_step.hardware import device_name
from nted_step.person import Person
from nted_step.pipeline import NTEDStepPipeline, choose_device
from nted_step.pose import Pose, skeleton_map
from nted_step.sampler import sample
from nted_step.schedule import seeded_noise, start_image
from nted_step.timing import TIMING_SECONDS, fastest_call, synchronise

MATRIX_SIDE = {"cuda": 8192}  # of the peak's square matrices; elsewhere 1024
DTYPES = ("float32", "bfloat16")
CHAIN_SECONDS = 30.0  # after which the chain that bf16 is compared on is cut short; many CPUs only emulate bf16


def benchmark(
    name: str,
    device: str = "auto",
    steps: int = 3,
    repeats: int = 3,
    compare_plain: bool = False,
    batches: Sequence[int] = (),
    search: bool = False,
) -> dict[str, Any]:
    """Measure a preset with random weights (speed does not depend on them).

    Args:
        name: preset.
        device: where to run.
        steps: steps timed in a row, per repeat; the fastest repeat counts, because others share the machine.
        repeats: how often.
        compare_plain: also time the loop of ``nted_step.benchmark.reference`` in this run.
        batches: also measure images a second, every one of another person, at these batch sizes.
        search: on a GPU, also measure with algorithms that cuDNN searched.

    Returns:
        Per dtype: ``cold`` and ``warm`` seconds per step, GFLOP per step of each, the machine's ``peak`` in GFLOP/s for
        that dtype, the ``fraction`` of it that the warm loop reaches; and ``psnr_bf16``, dB between both dtypes' images
        of step ``psnr_step`` for an image range of 2. That is the last step, or as far as bf16 gets in half a minute.
        ``best`` is the faster dtype and ``peak_fraction`` its fraction; compared, ``plain`` is the plain loop's seconds per
        step, ``cold_speedup`` and ``warm_speedup`` how many times faster the best dtype is, and ``psnr_plain`` how near its
        float32 images are. ``images_per_second`` maps a batch size to whole images (all steps, textures included) a second in the
        best dtype; ``peak_memory`` is the GPU's in bytes, None elsewhere. On a GPU also ``peak_reserved``, with what graphs and
        caches hold, per dtype the seconds to prepare the model (``load``) and of the first chain (``first``), and ``gpu``, see
        ``nted_step.benchmark.gpu``.
    """
    where = choose_device(device)
    torch.manual_seed(0)
    generator = Generator(preset(name))
    pose, photo = _standing_pose(generator.config.size), torch.rand(3, *generator.config.size) * 2 - 1
    state = {key: value.clone() for key, value in generator.state_dict().items()}
    report: dict[str, Any] = {
        "preset": name, "size": list(generator.config.size), "device": device_name(where), "threads": torch.get_num_threads(),
        "torch": torch.__version__, "python": platform.python_version(),
    }  # fmt: skip
    chains, pipelines = {}, {}
    with tqdm(total=len(DTYPES) * (2 * repeats + 1), desc=f"benchmark {name}", unit="part") as progress:
        for dtype in DTYPES:
            generator = Generator(preset(name))
            generator.load_state_dict(state)
            began = time.perf_counter()
            pipeline = pipelines[dtype] = NTEDStepPipeline(generator, device=str(where), dtype=dtype)
            loaded = time.perf_counter()
            person = pipeline.encode(photo)
            chains[dtype] = _chain(pipeline, person, pose)
            first = time.perf_counter()
            progress.update()
            cold = _fastest(partial(_run_new_person, pipeline, photo, pose, steps), steps, repeats, progress)
            warm = _fastest(partial(_run, pipeline, person, pose, steps), steps, repeats, progress)
            peak = matrix_peak(where, pipeline.dtype)
            flop = _flop(pipeline, person, pose)
            report[dtype] = {
                "cold": cold, "warm": warm, "peak": peak, "fraction": flop["warm"] / warm / peak, "gflop_cold": flop["cold"],
                "gflop_warm": flop["warm"],
            }  # fmt: skip
            if where.type == "cuda":
                report[dtype] |= {"load": loaded - began, "first": first - loaded}
    last = min(len(images) for images in chains.values()) - 1
    error = (chains["float32"][last] - chains["bfloat16"][last]).square().mean().item()
    report |= {"psnr_bf16": _decibels(error), "psnr_step": last, "best": min(DTYPES, key=lambda dtype: report[dtype]["warm"])}
    best = report[report["best"]]
    report["peak_fraction"] = best["fraction"]
    pipeline = pipelines[report["best"]]
    if where.type == "cuda":  # the memory of running the best dtype, without the other one's and that of the matrices
        pipelines.clear()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(where)
        _chain(pipeline, pipeline.encode(photo), pose)
    report["images_per_second"] = {count: throughput(pipeline, photo, pose, count, repeats) for count in batches}
    report["peak_memory"] = torch.cuda.max_memory_allocated(where) if where.type == "cuda" else None
    if where.type == "cuda":
        from nted_step.benchmark.gpu import gpu_report

        report["peak_reserved"] = torch.cuda.max_memory_reserved(where)
        report["gpu"] = gpu_report(pipeline, photo, pose, best["gflop_warm"], best["peak"], repeats, search)
    if compare_plain:
        seconds, images = _plain_loop(state, name, photo, pose, where, steps, repeats)
        report |= {
            "plain": seconds, "cold_speedup": seconds / best["cold"], "warm_speedup": seconds / best["warm"],
            "psnr_plain": _decibels((images[-1] - chains["float32"][len(images)].cpu()).square().mean().item()),
        }  # fmt: skip
    return report


@torch.no_grad()
def throughput(pipeline: NTEDStepPipeline, photo: torch.Tensor, pose: Pose, count: int, repeats: int) -> float:
    """Whole images a second when ``count`` people are computed at once, as evaluation does."""
    size = pipeline.config.size
    source = photo[None].expand(count, -1, -1, -1).to(pipeline.device, pipeline.dtype, memory_format=torch.channels_last)
    skeleton = skeleton_map(pose, size)[None].to(source).expand(count, -1, -1, -1)
    start = start_image(source.float(), seeded_noise(0, size).to(pipeline.device), pipeline.config)

    def images() -> None:
        for _ in sample(pipeline.execution, Person(source, pipeline.execution), skeleton, start):
            pass

    return count / fastest_call(pipeline.device, images, repeats)


def _plain_loop(
    state: dict[str, torch.Tensor], name: str, photo: torch.Tensor, pose: Pose, device: torch.device, steps: int, repeats: int
) -> tuple[float, list[torch.Tensor]]:
    """Seconds per step of the fastest run, and its images."""
    generator = Generator(preset(name)).eval().requires_grad_(False)
    generator.load_state_dict(state)
    twin, size = plain(generator).to(device), generator.config.size
    source, skeleton = photo[None].to(device), skeleton_map(pose, size)[None].to(device)
    start = start_image(source, seeded_noise(0, size).to(device), generator.config)
    best, images = float("inf"), []
    for _ in tqdm(range(repeats), desc="plain loop", unit="run"):
        synchronise(device)
        began = time.perf_counter()
        images = [image[0].cpu() for image in islice(plain_steps(twin, source, skeleton, start), steps)]
        best = min(best, time.perf_counter() - began)
    return best / steps, images


def _decibels(error: float) -> float:
    """PSNR for a mean squared error and an image range of 2."""
    return -10 * math.log10(max(error, 1e-20) / 4)


def matrix_peak(device: torch.device, dtype: torch.dtype, repeats: int = 8) -> float:
    """GFLOP/s of the fastest of some square matrix products, written as such and as a 1x1 convolution.

    Both, because libraries differ: where bf16 is emulated the plain product may be a hundred times the slower.
    """
    side = MATRIX_SIDE.get(device.type, 1024)
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    image = a.t().reshape(1, side, side // 32, 32).to(memory_format=torch.channels_last)
    products = (lambda: F.conv2d(image, b[:, :, None, None]), lambda: a @ b)
    return 2 * side**3 / min(fastest_call(device, product, repeats) for product in products) / 1e9


def format_report(report: dict[str, Any]) -> str:
    """The report as a table for people."""
    height, width = report["size"]
    lines = [
        f"{report['preset']} at {height}x{width} on {report['device']}, {report['threads']} threads, torch {report['torch']}",
        f"{'dtype':10}{'cold s/step':>13}{'warm s/step':>13}{'GFLOP cold':>12}{'GFLOP warm':>12}{'peak GFLOP/s':>14}{'fraction':>10}",
    ]
    for dtype in DTYPES:
        row = report[dtype]
        lines.append(
            f"{dtype:10}{row['cold']:13.4f}{row['warm']:13.4f}{row['gflop_cold']:12.2f}{row['gflop_warm']:12.2f}"
            f"{row['peak']:14.0f}{row['fraction']:10.1%}"
        )
    if "plain" in report:
        lines.append(
            f"plain loop (float32, nothing kept): {report['plain']:.4f} s/step; "
            f"{report['best']} is {report['cold_speedup']:.1f} times faster "
            f"cold, {report['warm_speedup']:.1f} warm; float32 images agree to {report['psnr_plain']:.0f} dB"
        )
    lines += [f"batch {count}: {rate:.2f} images/s, textures included" for count, rate in report["images_per_second"].items()]
    if "gpu" in report:
        from nted_step.benchmark.gpu import format_gpu

        lines += format_gpu(report["gpu"])
        lines.append(f"peak GPU memory {report['peak_memory'] / 1e9:.2f} GB in tensors, {report['peak_reserved'] / 1e9:.2f} GB reserved")
    lines.append(f"bfloat16 against float32 at step {report['psnr_step']}: {report['psnr_bf16']:.1f} dB")
    return "\n".join(lines)


def _run(pipeline: NTEDStepPipeline, person: Person, pose: Pose, steps: int) -> float:
    return sum(output.seconds for output in pipeline.generate(person, pose, steps=steps))


def _run_new_person(pipeline: NTEDStepPipeline, photo: torch.Tensor, pose: Pose, steps: int) -> float:
    return _run(pipeline, pipeline.encode(photo), pose, steps)


def _chain(pipeline: NTEDStepPipeline, person: Person, pose: Pose) -> list[torch.Tensor]:
    """Images of steps 0, 1, ... until the last, or until the time is up."""
    images, began = [], time.perf_counter()
    for output in pipeline.generate(person, pose):
        images.append(output.image)
        if time.perf_counter() - began > CHAIN_SECONDS:
            break
    return images


def _fastest(run: Callable[[], float], steps: int, repeats: int, progress: tqdm) -> float:
    best, began = float("inf"), time.perf_counter()
    for _ in range(repeats):
        if time.perf_counter() - began < TIMING_SECONDS:
            best = min(best, run())
        progress.update()
    return best / steps


@torch.enable_grad()
def _flop(pipeline: NTEDStepPipeline, person: Person, pose: Pose) -> dict[str, float]:
    """GFLOP of one step (a multiply-add is two), with and without the reference encoder.

    Counted as it runs where gradients are wanted: PyTorch's counter does not know the packed convolutions, which do the same.
    """
    condition = pipeline.condition(person, pose, 0)
    source, t = person.source.to(pipeline.dtype), torch.zeros(1, dtype=torch.int64, device=pipeline.device)
    with FlopCounterMode(display=False) as reference:
        textures = pipeline.generator.encode_reference(source, t)
    with FlopCounterMode(display=False) as warm:
        render_step(pipeline.generator, textures, person.source, condition, 0)
    return {"warm": warm.get_total_flops() / 1e9, "cold": (warm.get_total_flops() + reference.get_total_flops()) / 1e9}


def _standing_pose(size: tuple[int, int]) -> Pose:
    rows = "88 34,88 58,70 60,62 92,58 122,106 60,114 92,118 122,76 122,74 172,74 222,100 122,102 172,102 222,84 30,92 30,79 33,97 33"
    xy = torch.tensor([[float(value) for value in row.split()] for row in rows.split(",")]).numpy()
    return Pose(xy, np.ones(18, bool)).scaled((256, 176), size)

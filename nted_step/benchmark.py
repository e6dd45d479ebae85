"""How fast a preset runs here: seconds per step for a new person and for a new pose, against the machine's own peak."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from nted_step.config import preset
from nted_step.generator import Generator
from nted_step.pipeline import NTEDStepPipeline, Person, choose_device
from nted_step.pose import Pose
from nted_step.sampler import step

MATRIX_SIDE = 2048
DTYPES = ("float32", "bfloat16")
PSNR_STEPS = 20


def benchmark(name: str, device: str = "auto", steps: int = 3, repeats: int = 3) -> dict[str, Any]:
    """Measure a preset with random weights (speed does not depend on them).

    Args:
        name: preset.
        device: where to run.
        steps: steps timed in a row, per repeat; the fastest repeat counts, because others share the machine.
        repeats: how often.

    Returns:
        Per dtype: ``cold`` and ``warm`` seconds per step, GFLOP per step of each, the machine's ``peak`` in GFLOP/s for
        that dtype, the ``fraction`` of it that the warm loop reaches; and ``psnr_bf16``, dB between the last step's
        images in both dtypes for an image range of 2.
    """
    where = choose_device(device)
    torch.manual_seed(0)
    generator = Generator(preset(name))
    pose, photo = _standing_pose(generator.config.size), torch.rand(3, *generator.config.size) * 2 - 1
    state = {key: value.clone() for key, value in generator.state_dict().items()}
    report: dict[str, Any] = {
        "preset": name, "size": list(generator.config.size), "device": _device_name(where), "threads": torch.get_num_threads(),
        "torch": torch.__version__, "python": platform.python_version(),
    }  # fmt: skip
    finals = {}
    with tqdm(total=len(DTYPES) * (2 * repeats + 1), desc=f"benchmark {name}", unit="part") as progress:
        for dtype in DTYPES:
            generator = Generator(preset(name))
            generator.load_state_dict(state)
            pipeline = NTEDStepPipeline(generator, device=where.type, dtype=dtype)
            person = pipeline.encode(photo)
            finals[dtype] = [output.image for output in pipeline.generate(person, pose, steps=PSNR_STEPS)][-1]
            progress.update()
            cold = _fastest(lambda p=pipeline: _run(p, p.encode(photo), pose, steps), steps, repeats, progress)
            warm = _fastest(lambda p=pipeline, who=person: _run(p, who, pose, steps), steps, repeats, progress)
            peak = matrix_peak(where, pipeline.dtype)
            flop = _flop(pipeline, person, pose)
            report[dtype] = {
                "cold": cold, "warm": warm, "peak": peak, "fraction": flop["warm"] / warm / peak, "gflop_cold": flop["cold"],
                "gflop_warm": flop["warm"],
            }  # fmt: skip
    error = (finals["float32"] - finals["bfloat16"]).square().mean().item()
    report["psnr_bf16"] = float(-10 * torch.log10(torch.tensor(max(error, 1e-20) / 4)))
    return report


def matrix_peak(device: torch.device, dtype: torch.dtype, repeats: int = 8) -> float:
    """GFLOP/s of the fastest of some square matrix products."""
    a, b = (torch.randn(MATRIX_SIDE, MATRIX_SIDE, device=device, dtype=dtype) for _ in range(2))
    best = float("inf")
    for _ in range(repeats):
        _synchronise(device)
        began = time.perf_counter()
        a @ b
        _synchronise(device)
        best = min(best, time.perf_counter() - began)
    return 2 * MATRIX_SIDE**3 / best / 1e9


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
    lines.append(f"bfloat16 against float32 at step {PSNR_STEPS}: {report['psnr_bf16']:.1f} dB")
    return "\n".join(lines)


def _run(pipeline: NTEDStepPipeline, person: Person, pose: Pose, steps: int) -> float:
    return sum(output.seconds for output in pipeline.generate(person, pose, steps=steps))


def _fastest(run: Callable[[], float], steps: int, repeats: int, progress: tqdm) -> float:
    best = float("inf")
    for _ in range(repeats):
        best = min(best, run())
        progress.update()
    return best / steps


@torch.no_grad()
def _flop(pipeline: NTEDStepPipeline, person: Person, pose: Pose) -> dict[str, float]:
    """GFLOP of one step (a multiply-add is two), with and without the reference encoder."""
    from nted_step.pose import skeleton_map

    skeleton = skeleton_map(pose, pipeline.config.size)[None].to(pipeline.device, pipeline.dtype)
    with FlopCounterMode(display=False) as warm:
        step(pipeline.generator, person.textures(0), person.source, skeleton, 0)
    with FlopCounterMode(display=False) as reference:
        person.extraction(0)
    return {"warm": warm.get_total_flops() / 1e9, "cold": (warm.get_total_flops() + reference.get_total_flops()) / 1e9}


def _standing_pose(size: tuple[int, int]) -> Pose:
    rows = "88 34,88 58,70 60,62 92,58 122,106 60,114 92,118 122,76 122,74 172,74 222,100 122,102 172,102 222,84 30,92 30,79 33,97 33"
    xy = torch.tensor([[float(value) for value in row.split()] for row in rows.split(",")]).numpy()
    return Pose(xy, [True] * 18).scaled((256, 176), size)


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({torch.backends.cpu.get_cpu_capability()})" if device.type == "cpu" else device.type

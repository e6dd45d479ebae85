"""Speed of training with a configuration on this machine, and how an iteration's time is divided.

    python -m training benchmark --config training/configs/lite_figures.yaml --stage 1
    python -m training benchmark --config training/configs/lite_figures.yaml --set precision=float32 --json

It times iterations of the real trainer in one stage, from new weights, and keeps nothing but the rendered figures.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import resource
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from tqdm import tqdm

from nted_step.command_line import report_error
from nted_step.hardware import available_cores, device_name
from nted_step.pipeline import choose_device
from training.memory import keep_freed_memory
from training.progress import Iteration
from training.settings import Settings, SettingsError, load_settings
from training.trainer import Trainer

WARM_UP = 3  # iterations not timed: they allocate, choose kernels and compile
PHASES = ("data wait", "G forward", "losses", "G backward", "D", "R1", "optimizers and average", "rest")


class Stopwatch:
    """Seconds of every part of the iterations, by its name in the loop; also takes the place of the trainer's reporter."""

    def __init__(self, device: torch.device):
        self.device = device
        self.clear()

    def clear(self) -> None:
        self.parts: dict[str, list[float]] = defaultdict(list)
        self.iterations: list[Iteration] = []

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        began = self._now()
        yield
        self.parts[part].append(self._now() - began)

    def add(self, iteration: Iteration, *rest: Any) -> None:
        self.iterations.append(iteration)

    def _now(self) -> float:
        if self.device.type == "cuda":  # its work is queued: without waiting, a part would include the one before
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def seconds(self) -> dict[str, float]:
        """Seconds of each of PHASES, over all iterations.

        R1 shares a backward pass with D's other losses: it counts as the additional time of D's iterations with R1. If every iteration
        has R1, all of D counts as R1.
        """
        measured = {part: sum(several) for part, several in self.parts.items()}
        plain, with_r1 = self.parts["D"], self.parts["D and R1"]
        usual = sum(plain) / len(plain) if plain else 0.0
        r1 = sum(max(0.0, seconds - usual) for seconds in with_r1)
        waited = sum(iteration.waited for iteration in self.iterations)
        parts = {
            "data wait": waited, "G forward": measured["G forward"] - waited, "losses": measured["losses"],
            "G backward": measured["G backward"],
            "D": sum(plain) + sum(with_r1) - r1, "R1": r1, "optimizers and average": measured["optimizers and average"],
        }  # fmt: skip
        return parts | {"rest": sum(iteration.seconds for iteration in self.iterations) - sum(parts.values())}


def benchmark(settings: Settings, stage: int, iterations: int, device: torch.device) -> dict[str, Any]:
    """Time ``iterations`` iterations of one stage of a run.

    Returns ``images_per_second`` (pairs) and ``samples_per_second`` (steps of pairs), ``seconds`` of an iteration,
    ``shares`` of PHASES in it, ``r1_iterations``, the ``effective_batch``, and the process's ``peak_memory_gb`` (resident;
    on a GPU also ``peak_gpu_memory_gb``, allocated); also what was run, and on which hardware. Raises SettingsError for
    a stage that does not exist.
    """
    if not 0 <= stage < len(settings.stages):
        raise SettingsError(f"--stage {stage}: the configuration has stages 0 to {len(settings.stages) - 1}")
    chosen = dataclasses.replace(settings, stages=(settings.stages[stage],), tensorboard=False, wandb="")
    with TemporaryDirectory() as run, redirect_stdout(sys.stderr):  # the trainer's messages are not part of the report
        trainer, watch = Trainer(chosen, Path(run), device), Stopwatch(device)
    trainer.reporter, trainer.timed = watch, watch.timed
    for _ in range(WARM_UP):
        trainer.iterate()
    watch.clear()
    trainer.d_updates = 0  # so that the first has R1, and multiples of ``r1_every`` show its true share
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    before = trainer.progress.total_samples
    for _ in tqdm(range(iterations), desc="benchmark", unit="iteration"):
        trainer.iterate()
    seconds = sum(iteration.seconds for iteration in watch.iterations)
    config = trainer.generator.config
    return {
        "preset": settings.preset, "stage": stage, "size": list(config.size), "steps": config.steps, "rollout": trainer.stage.rollout,
        "precision": settings.precision, "compile": settings.compile, "effective_batch": trainer.effective_batch,
        "iterations": iterations, "r1_iterations": len(watch.parts["D and R1"]) // trainer.stage.accumulate,
        "images_per_second": sum(iteration.images for iteration in watch.iterations) / seconds,
        "samples_per_second": (trainer.progress.total_samples - before) / seconds, "seconds": seconds / iterations,
        "shares": {part: spent / seconds for part, spent in watch.seconds().items()},
        "peak_memory_gb": _peak_bytes() / 1e9,
        **({"peak_gpu_memory_gb": torch.cuda.max_memory_allocated(device) / 1e9} if device.type == "cuda" else {}),
        "machine": {"device": device_name(device), "cores": available_cores(), "threads": torch.get_num_threads()},
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }  # fmt: skip


def _peak_bytes() -> int:
    """Peak resident memory of this process."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def format_report(report: dict[str, Any]) -> str:
    """The report as text."""
    height, width = report["size"]
    machine, versions = report["machine"], report["versions"]
    gpu = f", {report['peak_gpu_memory_gb']:.2f} GB on the GPU" if "peak_gpu_memory_gb" in report else ""
    return "\n".join([
        f"{report['preset']}, stage {report['stage']} at {height}x{width}, {report['rollout']}, {report['precision']}, "
        f"effective batch {report['effective_batch']}",
        f"{machine['device']}, {machine['cores']} cores, {machine['threads']} threads, "
        f"torch {versions['torch']}, Python {versions['python']}",
        f"{report['images_per_second']:.2f} images/s, {report['samples_per_second']:.2f} samples/s, {report['seconds']:.3f} s "
        f"per iteration over {report['iterations']}, {report['r1_iterations']} of them with R1",
        *(f"  {part:24}{share:7.1%}" for part, share in report["shares"].items()),
        f"peak memory {report['peak_memory_gb']:.2f} GB{gpu}",
    ])  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training benchmark", description="Time training's iterations and their parts.")
    parser.add_argument("--config", required=True, help="YAML file, see training/configs")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting, e.g. stages.0.batch=8")
    parser.add_argument("--stage", type=int, help="which stage, from 0 (default: the last)")
    parser.add_argument(
        "--iterations", type=int, default=32, help="how many are timed; a multiple of r1_every shows R1's true share (default: 32)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    keep_freed_memory()
    try:
        if options.iterations < 1:
            raise ValueError("--iterations must be at least 1")
        settings = load_settings(options.config, options.set)
        stage = len(settings.stages) - 1 if options.stage is None else options.stage
        report = benchmark(settings, stage, options.iterations, choose_device(options.device))
    except ValueError as error:
        return report_error(error)
    print(json.dumps(report, indent=2) if options.json else format_report(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())

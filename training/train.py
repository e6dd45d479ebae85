"""Train a generator, or the carrier (``preset: carrier``).

One process:

    python -m training train --config training/configs/tiny_figures.yaml

Four GPUs of one machine (``batch`` is per process, so the effective batch is four times as large; torchrun has an option ``--run`` of
its own, so here it is ``--output``):

    torchrun --nproc_per_node=4 --max-restarts=3 -m training.train --config training/configs/fashion_256.yaml --output runs/fashion_256

Two machines with eight GPUs each, the same command on both, HOST being the name of the first; only the first machine reads and
writes the run's folder, but both need the data:

    torchrun --nnodes=2 --nproc_per_node=8 --rdzv_backend=c10d --rdzv_endpoint=HOST:29500 --rdzv_id=nted --max-restarts=3 \\
        -m training.train --config training/configs/fashion_256.yaml --output runs/fashion_256

Two processes on the CPU: torchrun --nproc_per_node=2 -m training.train --device cpu ...

Continues from the newest checkpoint in the run's folder if there is one. Ctrl+C and SIGTERM save a checkpoint first. A loss that is not
finite on any rank stops all ranks with status 1; the last checkpoint stays.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import torch

from nted_step.command_line import INTERRUPTED, report_error
from nted_step.pipeline import choose_device
from training.carrier_trainer import CarrierTrainer
from training.distributed import Ranks, joined
from training.memory import keep_freed_memory
from training.run import DivergedError
from training.settings import Settings, load_settings
from training.trainer import Trainer

CARRIER = "carrier"  # the preset that trains a carrier instead of a generator
DIVERGED = 1  # exit status


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m training train", description="Train a generator on rendered figures or a prepared data set."
    )
    parser.add_argument("--config", required=True, help="YAML file, see training/configs")
    parser.add_argument(
        "--run",
        "--output",
        type=Path,
        help="folder for checkpoints and sheets (default: runs/ and the configuration's name; torchrun takes --run for its own)",
    )
    parser.add_argument(
        "--option", action="append", default=[], metavar="NAME", help="settings that the file has under this name in options"
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting, e.g. stages.0.batch=8")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    options = parser.parse_args(arguments)
    keep_freed_memory()
    try:
        settings = load_settings(options.config, options.set, options.option)
        with joined(choose_device(options.device)) as (ranks, device):
            return _train(settings, options.run or Path("runs", Path(options.config).stem), device, ranks)
    except ValueError as error:
        return report_error(error)


def _train(settings: Settings, run: Path, device: torch.device, ranks: Ranks) -> int:
    trainer = (CarrierTrainer if settings.preset == CARRIER else Trainer)(settings, run, device, ranks)
    try:
        finished = trainer.run(stop_requested())
    except DivergedError as error:
        return report_error(f"{error}; the last checkpoint is kept", DIVERGED)
    except KeyboardInterrupt:
        print("stopped without saving; the last checkpoint is kept", file=sys.stderr)
        return INTERRUPTED
    if ranks.first:
        print("finished" if finished else "stopped; saved", flush=True)
    return 0


def stop_requested() -> Callable[[], bool]:
    """A function that tells whether Ctrl+C or SIGTERM came. A second Ctrl+C does not wait for the iteration and the checkpoint."""
    asked = threading.Event()

    def handle(number: int, frame: object) -> None:
        if asked.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.set()

    for number in (signal.SIGINT, signal.SIGTERM):  # also if a shell started us in the background with SIGINT ignored
        signal.signal(number, handle)
    return asked.is_set


if __name__ == "__main__":
    sys.exit(main())

"""Train a generator, or the carrier (``preset: carrier``).

One process:

    python -m training train --config training/configs/tiny_figures.yaml

Four GPUs of one machine (``batch`` counts per process, so the effective batch is four times as large; torchrun
would take ``--run`` for an option of its own, so it is ``--output`` here):

    torchrun --nproc_per_node=4 --max-restarts=3 -m training.train --config training/configs/fashion_256.yaml --output runs/fashion_256

Two machines with eight GPUs each, the same command on both, HOST being the first one's name; the run's folder is read and
written by the first machine alone, the data must be on both:

    torchrun --nnodes=2 --nproc_per_node=8 --rdzv_backend=c10d --rdzv_endpoint=HOST:29500 --rdzv_id=nted --max-restarts=3 \\
        -m training.train --config training/configs/fashion_256.yaml --output runs/fashion_256

Two processes on the CPU: torchrun --nproc_per_node=2 -m training.train --device cpu ...

Goes on from the newest checkpoint in the run's folder when there is one. Ctrl+C, and being terminated, save first. A loss that
is not finite on any rank stops all of them with status 1; the last checkpoint stays.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import torch

from nted_step.pipeline import choose_device
from training.carrier_trainer import CarrierTrainer
from training.distributed import Ranks, joined
from training.memory import keep_freed_memory
from training.run import DivergedError
from training.settings import Settings, SettingsError, load_settings
from training.trainer import Trainer

CARRIER = "carrier"  # the preset that is not a generator's


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
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting, e.g. stages.0.batch=8")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    options = parser.parse_args(arguments)
    keep_freed_memory()
    try:
        settings = load_settings(options.config, options.set)
        with joined(choose_device(options.device)) as (ranks, device):
            return _train(settings, options.run or Path("runs", Path(options.config).stem), device, ranks)
    except (SettingsError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _train(settings: Settings, run: Path, device: torch.device, ranks: Ranks) -> int:
    trainer = (CarrierTrainer if settings.preset == CARRIER else Trainer)(settings, run, device, ranks)
    try:
        finished = trainer.run(stop_requested())
    except DivergedError as error:
        print(f"error: {error}; the last checkpoint is kept", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped without saving; the last checkpoint is kept", file=sys.stderr)
        return 130
    if ranks.first:
        print("finished" if finished else "stopped; saved", flush=True)
    return 0


def stop_requested() -> Callable[[], bool]:
    """Whether Ctrl+C or a termination was asked for. A second Ctrl+C does not wait for the iteration and the saving."""
    asked = threading.Event()

    def handle(number: int, frame: object) -> None:
        if asked.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.set()

    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell started us in the background, SIGINT ignored
        signal.signal(number, handle)
    return asked.is_set


if __name__ == "__main__":
    sys.exit(main())

"""Train a generator.

    python -m training.train --config training/configs/lite_figures.yaml --run runs/lite

Goes on from the newest checkpoint in the run's folder when there is one. Ctrl+C, and being terminated, save first.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from nted_step.pipeline import choose_device
from training.loop import DivergedError, Trainer
from training.settings import SettingsError, load_settings


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.train", description="Train a generator on rendered figures.")
    parser.add_argument("--config", required=True, help="YAML file, see training/configs")
    parser.add_argument("--run", required=True, type=Path, help="folder for checkpoints and sheets")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting, e.g. stages.0.batch=8")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    options = parser.parse_args(arguments)
    try:
        settings = load_settings(options.config, options.set)
        trainer = Trainer(settings, options.run, choose_device(options.device))
    except (SettingsError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("perceptual loss: none (VGG19 is not used); discriminator feature matching takes its place in stages with weights.features", flush=True)
    try:
        finished = trainer.run(_stop_requested())
    except DivergedError as error:
        print(f"error: {error}; the last checkpoint is kept", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped without saving; the last checkpoint is kept", file=sys.stderr)
        return 130
    print("finished" if finished else "stopped; saved", flush=True)
    return 0


def _stop_requested() -> Callable[[], bool]:
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

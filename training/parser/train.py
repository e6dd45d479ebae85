"""Train the small fashion parser on rendered figures: ``python -m training parser --output RUN --minutes M``.

With ``--figures FOLDER`` it reads the figures that another process writes there during training; otherwise it renders them first.
It ends when the minutes of training are used up, or at Ctrl+C or SIGTERM; the same command then continues. Every checkpoint also
writes the moving average to ``RUN/weights``, ready for ``FashionParser.from_pretrained``.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from appearance_control.network import SMALL, ParserConfig, build_network
from appearance_control.parser import save_parser
from nted_step.command_line import INTERRUPTED, report_error
from nted_step.hardware import describe_hardware
from nted_step.pipeline import choose_device
from training.checkpoint import load_latest, save_checkpoint
from training.figures import TEST_SEED
from training.memory import keep_freed_memory
from training.parser.data import ParserBatch, ParserStore, parser_store
from training.parser.figure_stream import FigureFolder
from training.parser.losses import losses

AVERAGE = 0.998  # share of the moving average that an iteration keeps, after the first iterations
WARMUP = 0.03  # share of the minutes over which the learning rate rises
CLIP = 10.0  # largest norm of the gradient
SIZE = (256, 176)  # of a figure


class ParserTrainer:
    """The network, its optimizer and its moving average; ``elapsed`` counts the seconds of training over all sessions."""

    def __init__(self, config: ParserConfig, *, minutes: float, lr: float, seed: int = 0, precision: str = "bfloat16", device: str = "cpu"):
        torch.manual_seed(seed)
        self.config, self.seconds, self.lr = config, minutes * 60, lr
        self.precision, self.device = precision, device
        self.network = build_network(config).to(device, memory_format=torch.channels_last).train()
        self.average = build_network(config).to(device, memory_format=torch.channels_last).eval().requires_grad_(False)
        self.average.load_state_dict(self.network.state_dict())
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        others = [p for p in self.network.parameters() if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": 0.02}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=lr, fused=torch.device(device).type == "cuda")
        self.iteration, self.elapsed, self.images = 0, 0.0, 0
        self.rng = np.random.default_rng([seed, 0])

    @property
    def finished(self) -> bool:
        return self.elapsed >= self.seconds

    def rate(self) -> float:
        """The current learning rate: a linear rise, then a half cosine down to zero at the end of the run."""
        done = min(self.elapsed / self.seconds, 1.0)
        rise = min(1.0, (done + 1e-3) / WARMUP)
        return self.lr * rise * (0.02 + 0.98 * (1 + math.cos(math.pi * done)) / 2)

    def step(self, batch: ParserBatch) -> dict[str, Tensor]:
        """One optimizer step; returns each loss. A gradient that is not finite changes no weight."""
        with self.timed():
            for group in self.optimizer.param_groups:
                group["lr"] = self.rate()
            parts = losses(self.network, self.config, batch, self.precision)
            self.optimizer.zero_grad(set_to_none=True)
            sum(parts.values()).backward()
            norm = nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
            if torch.isfinite(norm):  # the only place where the CPU waits for a GPU
                self.optimizer.step()
                self._average()
            self.iteration += 1
            self.images += len(batch.images)
        return {name: value.detach() for name, value in parts.items()}

    @contextlib.contextmanager
    def timed(self):
        """Count the time of the block as training."""
        began = time.perf_counter()
        yield
        self.elapsed += time.perf_counter() - began

    @torch.no_grad()
    def _average(self) -> None:
        keep = min(AVERAGE, (1 + self.iteration) / (10 + self.iteration))
        pairs = list(zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True))
        averages, weights = zip(*(pair for pair in pairs if pair[0].is_floating_point()), strict=True)
        torch._foreach_lerp_(averages, weights, 1 - keep)
        counts = [pair for pair in pairs if not pair[0].is_floating_point()]
        torch._foreach_copy_(*zip(*counts, strict=True))

    def state(self) -> dict[str, Any]:
        return {
            "config": self.config.to_dict(),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "progress": {"iteration": self.iteration, "elapsed": self.elapsed, "images": self.images},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint. Raises ValueError if it is of another network."""
        if ParserConfig.from_dict(state["config"]) != self.config:
            raise ValueError("the checkpoint in this folder is of another parser configuration; use another --output")
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.iteration, self.elapsed, self.images = (state["progress"][key] for key in ("iteration", "elapsed", "images"))
        self.rng = np.random.default_rng([int(self.images), 1])

    def save(self, run: Path, figures: str) -> Path:
        """Write a checkpoint, and the moving average as weights in half precision; returns the weights folder."""
        save_checkpoint(run, self.state(), self.images)
        hardware = describe_hardware(torch.device(self.device))
        summary = f"small Mask R-CNN, {self.images} images of {figures}, {self.elapsed / 60:.0f} minutes on {hardware}"
        return save_parser(run / "weights", self.average, self.config, {"summary": summary, "licence": "Apache-2.0"})


def train(
    trainer: ParserTrainer, store: ParserStore | FigureFolder, run: Path, *, batch: int, save_minutes: float, figures: str, log=print
) -> None:
    """Train until the minutes are used up; whatever ends it, a checkpoint is saved.

    ``figures`` describes the training data in words; ``{count}`` in it becomes the number of figures at the time.
    """
    saved = time.monotonic()
    recent: list[dict[str, Tensor]] = []
    try:
        while not trainer.finished:
            recent.append(trainer.step(trainer_batch(trainer, store, batch)))
            if trainer.iteration % 50 == 0:
                means = {name.removeprefix("loss_"): float(torch.stack([row[name] for row in recent]).mean()) for name in recent[0]}
                text = " ".join(f"{name} {value:.3f}" for name, value in means.items())
                log(
                    f"{trainer.elapsed / 60:6.1f} min  {trainer.images:7d} images  {trainer.images / trainer.elapsed:5.1f}/s  "
                    f"of {len(store)}  {text}",
                    flush=True,
                )
                recent.clear()
            if time.monotonic() - saved > save_minutes * 60:
                trainer.save(run, figures.format(count=len(store)))
                saved = time.monotonic()
    finally:
        trainer.save(run, figures.format(count=len(store)))


def trainer_batch(trainer: ParserTrainer, store: ParserStore | FigureFolder, count: int) -> ParserBatch:
    """The trainer's next batch; drawing it counts as training."""
    with trainer.timed():
        return store.draw(trainer.rng, min(count, len(store)), trainer.config.resize)


def open_store(options: argparse.Namespace, device: str) -> ParserStore | FigureFolder:
    """The figures to train on; waits until a folder that another process fills has enough of them to begin."""
    if options.figures is None:
        return parser_store(Path(options.data), options.people, options.poses, options.people_seed, SIZE, device)
    store = FigureFolder(Path(options.figures), options.people * options.poses, SIZE, device)
    store.wait()
    return store


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    keep_freed_memory()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    run = Path(options.output)
    try:
        device = str(choose_device(options.device))
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True  # every batch has the same shapes
        trainer = ParserTrainer(
            SMALL, minutes=options.minutes, lr=options.lr, seed=options.seed, precision=options.precision, device=device
        )
        if (state := load_latest(run)) is not None:
            trainer.restore(state)
            print(f"continuing at {trainer.elapsed / 60:.1f} minutes", flush=True)
        store = open_store(options, device)
        figures = "{count} rendered figures" if options.figures else f"{options.people} rendered people in {options.poses} poses"
        train(trainer, store, run, batch=options.batch, save_minutes=options.save_minutes, figures=figures)
    except KeyboardInterrupt:
        print("stopped; the same command continues from here", file=sys.stderr)
        return INTERRUPTED
    except (ValueError, OSError) as error:
        return report_error(error)
    print(run / "weights")
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training parser", description="Train the small fashion parser on rendered figures.")
    parser.add_argument("--output", required=True, help="folder of the run: checkpoints and weights")
    parser.add_argument("--minutes", type=float, default=40, help="of training over all sessions, without rendering")
    parser.add_argument("--people", type=int, default=1500, help="rendered people")
    parser.add_argument("--poses", type=int, default=4, help="images of each person")
    parser.add_argument("--people-seed", type=int, default=0, help="seed of the first person")
    parser.add_argument("--data", default="runs/data", help="folder in which rendered people are kept")
    parser.add_argument("--figures", help="folder that another process fills with figures; at most --people times --poses are read")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--lr", type=float, default=1e-3, help="largest learning rate (AdamW)")
    parser.add_argument("--seed", type=int, default=0, help="of initial weights and data order")
    parser.add_argument("--precision", choices=("bfloat16", "float32"), default="bfloat16")
    parser.add_argument("--save-minutes", type=float, default=5)
    options = parser.parse_args(arguments)
    if min(options.minutes, options.people, options.poses, options.batch, options.lr) <= 0 or options.people_seed < 0:
        parser.error("numbers must be positive")
    if options.people_seed + options.people > TEST_SEED:
        parser.error(f"people from seed {TEST_SEED} on are reserved for tests")
    return options


if __name__ == "__main__":
    sys.exit(main())

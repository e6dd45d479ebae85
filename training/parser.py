"""Train the small fashion parser on rendered figures: ``python -m training.parser --output RUN --minutes M``.

Ends when the minutes of training are used up, or at Ctrl+C or SIGTERM, after which the same command goes on. The weights of
the moving average are written to ``RUN/weights`` at every checkpoint, ready for ``FashionParser.from_pretrained``.
"""

from __future__ import annotations

import argparse
import math
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler
from torchvision.models.detection.image_list import ImageList

from appearance_control.network import SMALL, ParserConfig, build_network
from appearance_control.parser import save_parser
from training.checkpoint import load_latest, save_checkpoint
from training.figures import TEST_SEED
from training.memory import keep_freed_memory
from training.parser_data import ParserBatch, ParserStore, parser_store

AVERAGE = 0.998  # share of the moving average that one iteration keeps, once it is under way
WARMUP = 0.03  # share of the minutes over which the learning rate rises
CLIP = 10.0  # bound of the gradient's norm
RPN_SAMPLES, BOX_SAMPLES = 128, 64  # anchors and boxes an image that losses are taken from
PROPOSALS = 300  # boxes a level before, and an image after, overlaps are dropped


class ParserTrainer:
    """The network, its optimiser and its moving average; ``elapsed`` counts seconds of training over all sittings."""

    def __init__(self, config: ParserConfig, *, minutes: float, lr: float, seed: int = 0, precision: str = "bfloat16"):
        torch.manual_seed(seed)
        self.config, self.seconds, self.lr = config, minutes * 60, lr
        self.precision = precision
        self.network = prepared_for_training(build_network(config)).train()
        self.average = build_network(config).eval().requires_grad_(False)
        self.average.load_state_dict(self.network.state_dict())
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        others = [p for p in self.network.parameters() if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.02}, {"params": others, "weight_decay": 0.0}], lr=lr)
        self.iteration, self.elapsed, self.images = 0, 0.0, 0
        self.rng = np.random.default_rng([seed, 0])

    @property
    def finished(self) -> bool:
        return self.elapsed >= self.seconds

    def rate(self) -> float:
        """Learning rate now: a linear rise, then a half cosine to nothing, over the minutes given."""
        done = min(self.elapsed / self.seconds, 1.0)
        rise = min(1.0, (done + 1e-3) / WARMUP)
        return self.lr * rise * (0.02 + 0.98 * (1 + math.cos(math.pi * done)) / 2)

    def step(self, batch: ParserBatch) -> dict[str, float]:
        """One optimiser step; returns each loss. A gradient that is not finite changes no weight."""
        began = time.perf_counter()
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        found = losses(self.network, batch, self.precision)
        self.optimizer.zero_grad(set_to_none=True)
        sum(found.values()).backward()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
        if torch.isfinite(norm):
            self.optimizer.step()
            self._average()
        self.iteration += 1
        self.images += len(batch.images)
        self.elapsed += time.perf_counter() - began
        return {name: float(value.detach()) for name, value in found.items()}

    @torch.no_grad()
    def _average(self) -> None:
        keep = min(AVERAGE, (1 + self.iteration) / (10 + self.iteration))
        for mine, theirs in zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True):
            if mine.is_floating_point():
                mine.lerp_(theirs, 1 - keep)
            else:
                mine.copy_(theirs)

    def state(self) -> dict[str, Any]:
        return {
            "config": self.config.to_dict(),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "progress": {"iteration": self.iteration, "elapsed": self.elapsed, "images": self.images},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint. Raises ValueError when it is of another network."""
        if ParserConfig.from_dict(state["config"]) != self.config:
            raise ValueError("the checkpoint in this folder is of a parser of another shape; use another --output")
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.iteration, self.elapsed, self.images = (state["progress"][key] for key in ("iteration", "elapsed", "images"))
        self.rng = np.random.default_rng([int(self.images), 1])

    def save(self, run: Path, figures: str) -> Path:
        """A checkpoint, and the moving average as weights in half precision."""
        save_checkpoint(run, self.state(), self.images)
        summary = f"small Mask R-CNN, {self.images} images of {figures}, {self.elapsed / 60:.0f} minutes on a CPU"
        return save_parser(run / "weights", self.average, self.config, {"summary": summary, "licence": "Apache-2.0"})


def prepared_for_training(network: MaskRCNN) -> MaskRCNN:
    """Fewer boxes an image than torchvision takes, which only cost time at this size."""
    network.rpn.fg_bg_sampler = BalancedPositiveNegativeSampler(RPN_SAMPLES, 0.5)
    network.rpn._pre_nms_top_n = {"training": PROPOSALS, "testing": PROPOSALS}
    network.rpn._post_nms_top_n = {"training": PROPOSALS, "testing": PROPOSALS}
    network.roi_heads.fg_bg_sampler = BalancedPositiveNegativeSampler(BOX_SAMPLES, 0.25)
    return network


def losses(network: MaskRCNN, batch: ParserBatch, precision: str = "float32") -> dict[str, Tensor]:
    """The five losses of Mask R-CNN. Convolutions of the backbone run in ``precision``, all else in float32."""
    images = batch.images.contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        features = network.backbone(images)
    features = {name: level.float() for name, level in features.items()}
    listed = ImageList(batch.images, [batch.size] * len(batch.images))
    proposals, first = network.rpn(listed, features, batch.targets)
    padded = [tuple(batch.images.shape[-2:])] * len(batch.images)
    _, second = network.roi_heads(features, proposals, padded, batch.targets)
    return {**first, **second}


def train(trainer: ParserTrainer, store: ParserStore, run: Path, *, batch: int, save_minutes: float, figures: str, log=print) -> None:
    """Until the minutes are used up; KeyboardInterrupt and SystemExit save before they pass on."""
    saved = time.monotonic()
    recent: list[dict[str, float]] = []
    try:
        while not trainer.finished:
            recent.append(trainer.step(trainer_batch(trainer, store, batch)))
            if trainer.iteration % 50 == 0:
                means = {name.removeprefix("loss_"): np.mean([row[name] for row in recent]) for name in recent[0]}
                text = " ".join(f"{name} {value:.3f}" for name, value in means.items())
                log(f"{trainer.elapsed / 60:6.1f} min  {trainer.images:7d} images  {trainer.images / trainer.elapsed:5.1f}/s  {text}", flush=True)
                recent.clear()
            if time.monotonic() - saved > save_minutes * 60:
                trainer.save(run, figures)
                saved = time.monotonic()
    finally:
        trainer.save(run, figures)


def trainer_batch(trainer: ParserTrainer, store: ParserStore, count: int) -> ParserBatch:
    """The trainer's next batch."""
    return store.draw(trainer.rng, min(count, len(store)), trainer.config.resize)


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    keep_freed_memory()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    run = Path(options.output)
    try:
        trainer = ParserTrainer(SMALL, minutes=options.minutes, lr=options.lr, seed=options.seed, precision=options.precision)
        if (state := load_latest(run)) is not None:
            trainer.restore(state)
            print(f"going on at {trainer.elapsed / 60:.1f} minutes", flush=True)
        size = (256, 176)
        store = parser_store(Path(options.data), options.people, options.poses, options.people_seed, size)
        figures = f"{options.people} rendered people in {options.poses} poses"
        train(trainer, store, run, batch=options.batch, save_minutes=options.save_minutes, figures=figures)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    print(run / "weights")
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.parser", description="Train the small fashion parser on rendered figures.")
    parser.add_argument("--output", required=True, help="folder of the run: checkpoints and weights")
    parser.add_argument("--minutes", type=float, default=40, help="of training, rendering not counted, over all sittings")
    parser.add_argument("--people", type=int, default=1500, help="rendered people")
    parser.add_argument("--poses", type=int, default=4, help="images of each")
    parser.add_argument("--people-seed", type=int, default=0, help="seed of the first person")
    parser.add_argument("--data", default="runs/data", help="folder in which rendered people are kept")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--lr", type=float, default=1e-3, help="largest learning rate (AdamW)")
    parser.add_argument("--seed", type=int, default=0, help="of initial weights and data order")
    parser.add_argument("--precision", choices=("bfloat16", "float32"), default="bfloat16")
    parser.add_argument("--save-minutes", type=float, default=5)
    options = parser.parse_args(arguments)
    if min(options.minutes, options.people, options.poses, options.batch, options.lr) <= 0 or options.people_seed < 0:
        parser.error("numbers must be positive")
    if options.people_seed + options.people > TEST_SEED:
        parser.error(f"people from seed {TEST_SEED} on are kept for tests")
    return options


if __name__ == "__main__":
    sys.exit(main())

"""What every training run does, whatever it trains: stages, learning rate, moving average, reports, checkpoints, on one process or many."""

from __future__ import annotations

import dataclasses
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nted_step.hardware import describe_hardware
from training.checkpoint import load_latest, save_checkpoint
from training.data.figure_stream import LiveFigures
from training.distributed import Ranks
from training.progress import Iteration, Reporter
from training.settings import Settings, Stage, to_document


class DivergedError(RuntimeError):
    """A loss is no longer finite."""


@dataclass
class Progress:
    """Where a run stands. Counting is in samples: one sample is one step of one pair, on any rank."""

    stage: int = 0
    stage_samples: int = 0
    stage_seconds: float = 0.0
    finished: list[int] = field(default_factory=list)  # samples of each stage that is over
    people: int = 0  # rendered so far, where figures are live
    total_samples: int = 0
    seconds: float = 0.0  # spent training, over all sessions
    first_loss: float | None = None  # of the validation before the first iteration
    last_validation: dict[str, float] | None = None  # loss, psnr and copied of the newest, and after how many samples


class Run(ABC):
    """Trains to the end of the last stage; subclasses say what an iteration is.

    Every rank has one. Parameters, averages and optimizers are equal on all of them; data order, chains and noise are each
    rank's own. The first rank alone reports, validates and writes.

    Attributes:
        networks: names of the attributes whose state dicts make a checkpoint; two of them are ``network`` and ``ema``'s.
        store: where the stage's pairs come from.
    """

    networks: tuple[str, ...]
    store: Any

    def __init__(self, settings: Settings, run: Path, device: torch.device, ranks: Ranks | None = None):
        if not settings.stages:
            raise ValueError("the configuration has no stages")
        if settings.precision not in ("float32", "bfloat16"):
            raise ValueError(f"precision must be float32 or bfloat16, not {settings.precision!r}")
        if any(min(stage.batch, stage.accumulate) < 1 for stage in settings.stages):
            raise ValueError("batch and accumulate must be at least 1")
        self.settings, self.run_dir, self.device, self.ranks = settings, run, device, ranks or Ranks()
        self.progress = Progress()
        torch.manual_seed(settings.seed)
        self.rng = np.random.default_rng(self._seed())
        self.reporter = Reporter(settings, run) if self.ranks.first else None
        self.store = None

    def _resume(self) -> None:
        """Go on from the newest checkpoint, or begin. The last thing that a constructor does."""
        state = self.ranks.from_first(load_latest(self.run_dir) if self.ranks.first else None)
        if state is None:
            self._begin()
        else:
            self.progress = Progress(**state["progress"])
            self._load(state)
            self._load_own_of(state)

    @abstractmethod
    def _begin(self) -> None:
        """Enter the first stage with new networks."""

    @abstractmethod
    def _load(self, state: dict[str, Any]) -> None:
        """Enter the stage of ``progress`` with the networks of a checkpoint."""

    @abstractmethod
    def _next_stage(self) -> None:
        """Enter the stage after this one."""

    @abstractmethod
    def iterate(self) -> dict[str, float]:
        """One update; counts it in ``progress`` and returns the losses."""

    @abstractmethod
    def _validate(self) -> None:
        """Measure on people whom no run trains on, and write a sheet; on the first rank alone."""

    @abstractmethod
    def _rollout_state(self) -> dict[str, Tensor]:
        """What differs between ranks beside their random numbers."""

    @abstractmethod
    def _load_rollout(self, state: dict[str, Tensor]) -> None: ...

    @abstractmethod
    def _average_of(self) -> tuple[nn.Module, nn.Module]:
        """The moving average and the network that it follows."""

    def _seed(self, *more: int) -> int | list[int]:
        """Of this rank's own random numbers; the first rank's do not depend on how many ranks there are."""
        return self.settings.seed if self.ranks.first and not more else [self.settings.seed, self.ranks.rank, *more]

    @property
    def stage(self) -> Stage:
        return self.settings.stages[self.progress.stage]

    @property
    def effective_batch(self) -> int:
        """Pairs per update, over all ranks."""
        return self.stage.batch * self.stage.accumulate * self.ranks.count

    def _close_store(self) -> None:
        if isinstance(self.store, LiveFigures):
            self.store.close()

    def run(self, stop: Callable[[], bool] = lambda: False) -> bool:
        """Train until the last stage is over, or ``stop()`` on any rank after an iteration; saves, and returns whether it is over.

        Raises DivergedError, on every rank, when a loss of any rank is not finite; the last checkpoint stays.
        """
        try:
            return self._run(stop)
        finally:
            self._close_store()

    def _run(self, stop: Callable[[], bool]) -> bool:
        saved = sheet = time.monotonic()
        (stopping,) = self.ranks.any(stop())
        if self.progress.total_samples == 0 and not stopping:
            self._validate()
        while not stopping:
            if self._share() >= 1:
                self._validate()
                if self.progress.stage + 1 == len(self.settings.stages):
                    self.save()
                    return True
                self._next_stage()
                self.save()
            values = self.iterate()
            now = time.monotonic()
            due = (60 * self.settings.save_minutes, 60 * self.settings.sheet_minutes)
            first = self.ranks.first  # whose clock it is
            stopping, diverged, save, show = self.ranks.any(
                stop(), not all(map(math.isfinite, values.values())), first and now - saved > due[0], first and now - sheet > due[1]
            )
            if diverged:
                raise DivergedError(f"a loss is not finite after {self.progress.total_samples} samples: {values}")
            if save and not stopping:
                self.save()
                saved = now
            if show:
                self._validate()
                sheet = time.monotonic()
        self.save()
        return False

    def _share(self) -> float:
        """How much of the stage is over: 0..1, of its samples or of its minutes, whichever end first."""
        share = self.progress.stage_samples / self.stage.samples
        if self.stage.minutes:
            (seconds,) = self.ranks.mean([self.progress.stage_seconds])  # clocks differ, and learning rates must not
            share = max(share, seconds / (60 * self.stage.minutes))
        return min(share, 1.0)

    def _rate(self) -> float:
        """The learning rate now: a cosine from the stage's first to its last, after a warm-up."""
        rate = self.stage.lr_end + (self.stage.lr - self.stage.lr_end) * (1 + math.cos(math.pi * self._share())) / 2
        return rate * min(1.0, (self.progress.stage_samples + self.effective_batch) / max(self.stage.warmup, 1))

    def _count_stage(self) -> None:
        """The stage is over; the next one begins."""
        self.progress.stage += 1
        self.progress.finished.append(self.progress.stage_samples)
        self.progress.stage_samples, self.progress.stage_seconds = 0, 0.0

    @torch.no_grad()
    def _update_average(self, count: int) -> None:
        # A short memory at first, so that the average does not drag the untrained weights along.
        memory = min(self.settings.ema_samples, 0.1 * (self.progress.stage_samples + count))
        decay = 0.5 ** (count / max(memory, 1e-6))
        average, network = self._average_of()
        torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - decay)

    # -- what a person sees, and what stays ----------------------------------------------------------------------------

    def _report(self, iteration: Iteration, samples: int, size: tuple[int, int], rates: Mapping[str, float]) -> None:
        """Count an iteration of ``samples`` samples and tell of it now and then; ``rates``: learning rates by name."""
        self.progress.stage_samples += samples
        self.progress.total_samples += samples
        self.progress.seconds += iteration.seconds
        self.progress.stage_seconds += iteration.seconds
        share = self._share()  # asked of every rank, of which the first alone reports
        if self.reporter is None:
            return
        done = self.progress.stage_samples
        left = done * (1 - share) / share
        text = f"stage {self.progress.stage} {size[0]}x{size[1]}  {done}/{done + left:.0f} samples"
        self.reporter.add(iteration, self.progress.total_samples, text, left * iteration.images / samples, rates)

    def save(self) -> None:
        """Write a checkpoint now. Raises DivergedError instead where a weight is not finite."""
        finite = torch.stack([value.isfinite().all() for value in self._average_of()[1].parameters()]).all().item()
        (broken,) = self.ranks.any(not finite)
        if broken:
            raise DivergedError(f"a weight is not finite after {self.progress.total_samples} samples")
        if isinstance(self.store, LiveFigures):
            self.progress.people = len(self.store.there) * self.ranks.count
        own = self.ranks.gather(self._own_state())
        if self.ranks.first:
            save_checkpoint(self.run_dir, self._state(own), self.progress.total_samples)
        self.ranks.wait()

    def _own_state(self) -> dict[str, Any]:
        """What differs between ranks."""
        state = {"rollout": self._rollout_state(), "rng": self.rng.bit_generator.state, "torch_rng": torch.get_rng_state()}
        return state | ({"cuda_rng": torch.cuda.get_rng_state(self.device)} if self.device.type == "cuda" else {})

    def _state(self, own: list[dict[str, Any]]) -> dict[str, Any]:
        """The first rank's own state stands at the top, the other ranks' under ``others``."""
        return {name: getattr(self, name).state_dict() for name in self.networks} | own[0] | {
            "progress": dataclasses.asdict(self.progress),
            "settings": to_document(self.settings),
            "hardware": describe_hardware(self.device, self.ranks.count),
            "others": own[1:],
        }  # fmt: skip

    def _load_own_of(self, state: dict[str, Any]) -> None:
        own = [state, *state.get("others", [])]
        if self.ranks.rank < len(own):
            self._load_own(own[self.ranks.rank])
        else:  # more ranks than there were: the new ones start with chains and an order of their own
            self.rng.bit_generator.state = np.random.default_rng(self._seed(self.progress.total_samples)).bit_generator.state

    def _load_own(self, state: dict[str, Any]) -> None:
        self._load_rollout(state["rollout"])
        self.rng.bit_generator.state = state["rng"]
        torch.set_rng_state(state["torch_rng"])
        if "cuda_rng" in state and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda_rng"], self.device)

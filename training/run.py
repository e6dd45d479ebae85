"""What every training run does, on one process or many: stages, learning rates, the moving average, reports and checkpoints."""

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
from training.data.pairs import PairStore
from training.distributed import Ranks
from training.progress import Iteration, Reporter
from training.settings import Settings, Stage, to_document


class DivergedError(RuntimeError):
    """A loss or a weight is no longer finite."""


@dataclass
class Progress:
    """How far a run has got, counted in samples: one sample is one step of one pair, on any rank."""

    stage: int = 0
    stage_samples: int = 0
    stage_seconds: float = 0.0
    finished: list[int] = field(default_factory=list)  # samples of each completed stage
    people: int = 0  # rendered so far, if figures are rendered during training
    total_samples: int = 0
    seconds: float = 0.0  # spent on training, over all sessions
    first_loss: float | None = None  # of the validation before the first iteration
    last_validation: dict[str, float] | None = None  # loss, psnr and copied of the latest, and after how many samples


class Run(ABC):
    """Trains to the end of the last stage; a subclass defines what an iteration is.

    Every rank has one. Parameters, averages and optimizers are equal on all ranks; data order, chains and noise are each rank's
    own. Only the first rank reports, validates and writes.

    Attributes:
        networks: names of the attributes whose state dicts go into a checkpoint.
        store: where the stage's pairs come from; None before the first stage is entered.
    """

    networks: tuple[str, ...]
    store: PairStore | None

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
        """Continue from the newest checkpoint, or begin. A subclass's constructor calls it last."""
        state = self.ranks.from_first(load_latest(self.run_dir) if self.ranks.first else None)
        if state is None:
            self._begin()
        else:
            self.progress = Progress(**state["progress"])
            self._load(state)
            self._load_rank_states(state)

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
        """Measure on people that no run trains on, and write a sheet; only on the first rank."""

    @abstractmethod
    def _rollout_state(self) -> dict[str, Tensor]:
        """What differs between ranks besides their random number generators."""

    @abstractmethod
    def _load_rollout(self, state: dict[str, Tensor]) -> None:
        """Continue from what :meth:`_rollout_state` returned."""

    @abstractmethod
    def _average_of(self) -> tuple[nn.Module, nn.Module]:
        """The moving average, and the network that it is the average of."""

    def _seed(self, *more: int) -> int | list[int]:
        """Seed of this rank's random numbers; the first rank's does not depend on the number of ranks."""
        return self.settings.seed if self.ranks.first and not more else [self.settings.seed, self.ranks.rank, *more]

    @property
    def stage(self) -> Stage:
        return self.settings.stages[self.progress.stage]

    @property
    def effective_batch(self) -> int:
        """Pairs per update, over all ranks."""
        return self.stage.batch * self.stage.accumulate * self.ranks.count

    def _close_store(self) -> None:
        if self.store is not None:
            self.store.close()

    def run(self, stop: Callable[[], bool] = lambda: False) -> bool:
        """Train to the end of the last stage, or until ``stop()`` is true on any rank after an iteration; then save.

        Returns whether the last stage is completed. Raises DivergedError, on every rank, if a loss on any rank is not finite; the last
        checkpoint stays.
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
            first = self.ranks.first  # its clock decides
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
        """The completed share of the stage, 0..1: of its samples or of its minutes, whichever is larger."""
        share = self.progress.stage_samples / self.stage.samples
        if self.stage.minutes:
            (seconds,) = self.ranks.mean([self.progress.stage_seconds])  # clocks differ, but learning rates must not
            share = max(share, seconds / (60 * self.stage.minutes))
        return min(share, 1.0)

    def _rate(self) -> float:
        """The current learning rate: a cosine from the stage's first to its last rate, after a warm-up."""
        rate = self.stage.lr_end + (self.stage.lr - self.stage.lr_end) * (1 + math.cos(math.pi * self._share())) / 2
        return rate * min(1.0, (self.progress.stage_samples + self.effective_batch) / max(self.stage.warmup, 1))

    def _count_stage(self) -> None:
        """Count the stage as completed and begin the next one."""
        self.progress.stage += 1
        self.progress.finished.append(self.progress.stage_samples)
        self.progress.stage_samples, self.progress.stage_seconds = 0, 0.0

    @torch.no_grad()
    def _update_average(self, count: int) -> None:
        # A short memory at first, so that the average soon forgets the untrained weights.
        memory = min(self.settings.ema_samples, 0.1 * (self.progress.stage_samples + count))
        decay = 0.5 ** (count / max(memory, 1e-6))
        average, network = self._average_of()
        torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - decay)

    # -- reports and checkpoints ---------------------------------------------------------------------------------------

    def _report(self, iteration: Iteration, samples: int, size: tuple[int, int], rates: Mapping[str, float]) -> None:
        """Count an iteration of ``samples`` samples and pass it to the reporter; ``rates``: learning rates by name."""
        self.progress.stage_samples += samples
        self.progress.total_samples += samples
        self.progress.seconds += iteration.seconds
        self.progress.stage_seconds += iteration.seconds
        share = self._share()  # before the return: every rank takes part in it
        if self.reporter is None:
            return
        done = self.progress.stage_samples
        left = done * (1 - share) / share
        text = f"stage {self.progress.stage} {size[0]}x{size[1]}  {done}/{done + left:.0f} samples"
        self.reporter.add(iteration, self.progress.total_samples, text, round(left * iteration.images / samples), rates)

    def save(self) -> None:
        """Write a checkpoint now. Raises DivergedError, and writes nothing, if a weight is not finite."""
        finite = torch.stack([value.isfinite().all() for value in self._average_of()[1].parameters()]).all().item()
        (broken,) = self.ranks.any(not finite)
        if broken:
            raise DivergedError(f"a weight is not finite after {self.progress.total_samples} samples")
        if self.store is not None and self.store.rendered_people:
            self.progress.people = self.store.rendered_people * self.ranks.count
        own = self.ranks.gather(self._rank_state())
        if own is not None:  # the first rank
            save_checkpoint(self.run_dir, self._state(own), self.progress.total_samples)
        self.ranks.wait()

    def _rank_state(self) -> dict[str, Any]:
        """What differs between ranks."""
        state = {"rollout": self._rollout_state(), "rng": self.rng.bit_generator.state, "torch_rng": torch.get_rng_state()}
        return state | ({"cuda_rng": torch.cuda.get_rng_state(self.device)} if self.device.type == "cuda" else {})

    def _state(self, own: list[dict[str, Any]]) -> dict[str, Any]:
        """The first rank's state is at the top level, the other ranks' states under ``others``."""
        return {name: getattr(self, name).state_dict() for name in self.networks} | own[0] | {
            "progress": dataclasses.asdict(self.progress),
            "settings": to_document(self.settings),
            "hardware": describe_hardware(self.device, self.ranks.count),
            "others": own[1:],
        }  # fmt: skip

    def _load_rank_states(self, state: dict[str, Any]) -> None:
        own = [state, *state.get("others", [])]
        if self.ranks.rank < len(own):
            self._load_rank_state(own[self.ranks.rank])
        else:  # more ranks than before: the new ones start with chains and an order of their own
            self.rng.bit_generator.state = np.random.default_rng(self._seed(self.progress.total_samples)).bit_generator.state

    def _load_rank_state(self, state: dict[str, Any]) -> None:
        self._load_rollout(state["rollout"])
        self.rng.bit_generator.state = state["rng"]
        torch.set_rng_state(state["torch_rng"])
        if "cuda_rng" in state and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda_rng"], self.device)

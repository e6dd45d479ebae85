"""The training loop: stages, one iteration, moving average, checkpoints, on one process or many. Losses are elsewhere and pure."""

from __future__ import annotations

import copy
import dataclasses
import math
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nted_step.config import NTEDStepConfig, preset
from nted_step.generator import Generator
from nted_step.weights import load_weights
from training.checkpoint import load_latest, save_checkpoint
from training.discriminator import COARSEST, Discriminator
from training.distributed import Ranks, without_averaging
from training.graphed import GraphedGenerator
from training.growing import at_stage, stage_config
from training.live import LiveFigures
from training.metrics import NotAvailable
from training.objective import Objective, without_vgg
from training.perceptual import VGGFeatures, open_vgg
from training.progress import Iteration, Reporter
from training.rollout import ChainRollout, WindowRollout
from training.settings import LossWeights, Settings, Stage, to_document
from training.smoothing import smooth_on_gpu
from training.sources import training_store, validation_store
from training.validation import validate
from training.widening import can_widen, widen

NETWORKS = ("generator", "ema", "discriminator", "optimizer_g", "optimizer_d")


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


def model_config(settings: Settings) -> NTEDStepConfig:
    """The finished model of a run. Raises ValueError for an unknown preset."""
    config = preset(settings.preset)
    return dataclasses.replace(config, steps=settings.steps) if settings.steps else config


class Trainer:
    """Owns the networks, the optimizers and the stage; :meth:`run` trains to the end of the last stage.

    Every rank has one. Parameters, averages and optimizers are equal on all of them; data order, chains and noise are each
    rank's own. The first rank alone reports, validates and writes.
    """

    def __init__(self, settings: Settings, run: Path, device: torch.device, ranks: Ranks | None = None):
        _check(settings)
        self.settings, self.run_dir, self.device, self.ranks = settings, run, device, ranks or Ranks()
        _check_graphs(settings, device, self.ranks)
        self.final = model_config(settings)
        self.progress = Progress()
        self.vgg = self._open_vgg()
        self.time_scale = 1.0  # that the generator started with
        torch.manual_seed(settings.seed)
        self.rng = np.random.default_rng(self._seed())
        self.timed: Callable[[str], AbstractContextManager] = lambda part: nullcontext()  # around each part of an iteration
        self.reporter = Reporter(settings, run) if self.ranks.first else None
        self.store = None
        state = self.ranks.from_first(load_latest(run) if self.ranks.first else None)
        if state is None:
            self._enter_stage(self._first_generator())
        else:
            self._load(state)

    def _seed(self, *more: int) -> int | list[int]:
        """Of this rank's own random numbers; the first rank's do not depend on how many ranks there are."""
        return self.settings.seed if self.ranks.first and not more else [self.settings.seed, self.ranks.rank, *more]

    def _first_generator(self) -> Generator:
        height = self.settings.stages[0].height
        if not self.settings.init:
            return Generator(stage_config(self.final, height))
        weights = load_weights(self.settings.init)
        if not can_widen(dataclasses.replace(weights.config, time_scale=self.final.time_scale), self.final):
            raise ValueError(f"{self.settings.init}: not weights of the preset {self.settings.preset!r}, nor of one with fewer channels")
        self.time_scale = weights.config.time_scale
        if self.time_scale < 1 and not self.settings.time_ramp:
            raise ValueError(f"{self.settings.init}: a one-step model; say with time_ramp over how many samples its time embedding rises")
        generator = at_stage(weights.build(), weights.config, height, lose=self.settings.drop_finer)
        target = dataclasses.replace(stage_config(self.final, height), time_scale=self.time_scale)
        return generator if generator.config == target else widen(generator, target)

    def _open_vgg(self) -> VGGFeatures | None:
        """The perceptual network, on all ranks or on none; None also where no stage asks for it."""
        if not any(stage.weights.needs_vgg for stage in self.settings.stages):
            return None
        vgg, reason = None, ""
        try:
            with self.ranks.one_after_the_first():
                vgg = open_vgg(self.device)
        except NotAvailable as error:
            reason = str(error)
        (missing,) = self.ranks.any(vgg is None)
        if missing and self.ranks.first:
            print(f"perceptual loss: not available ({reason or 'on another rank'}); discriminator feature matching takes its place", flush=True)
        return None if missing else vgg

    # -- stages ------------------------------------------------------------------------------------------------------

    @property
    def stage(self) -> Stage:
        return self.settings.stages[self.progress.stage]

    @property
    def weights(self) -> LossWeights:
        """The stage's, with feature matching in the place of what cannot be had."""
        return self.stage.weights if self.vgg is not None else without_vgg(self.stage.weights)

    @property
    def effective_batch(self) -> int:
        """Pairs per update, over all ranks."""
        return self.stage.batch * self.stage.accumulate * self.ranks.count

    def _enter_stage(self, generator: Generator, ema: Generator | None = None) -> None:
        """Build everything that a stage needs around a generator of its canvas."""
        layout = torch.channels_last
        self.generator = generator.to(self.device, memory_format=layout).train().requires_grad_(True)
        self.ranks.same(self.generator)
        self.ema = (ema or copy.deepcopy(generator)).to(self.device, memory_format=layout).eval().requires_grad_(False)
        config = generator.config
        self.discriminator = Discriminator(config.size, self._d_channels(config.size[0]), config.steps)
        self.discriminator.to(self.device, memory_format=layout)
        self.ranks.same(self.discriminator)
        if self.device.type == "cuda":
            smooth_on_gpu(self.generator, self.discriminator)
        if self.settings.compile and generator._compiled_call_impl is None:
            generator.compile()
        self.wrapped_g, self.wrapped_d = (self.ranks.wrap(module, self.device) for module in (self.generator, self.discriminator))
        beta2_d = self.settings.beta2_d or self.settings.beta2
        # Fused: one pass over a tensor instead of a dozen, which pays on a CPU as well.
        betas_g, betas_d = (self.stage.beta1, self.settings.beta2), (self.stage.beta1, beta2_d)
        self.optimizer_g = torch.optim.Adam(self._parameter_groups(), self.stage.lr, betas=betas_g, fused=True)
        self.optimizer_d = torch.optim.Adam(self.discriminator.parameters(), self.stage.lr_d, betas=betas_d, fused=True)
        self.d_updates = 0
        self.objective = Objective(self.settings, self.weights, self.vgg if self.weights.needs_vgg else None, self.device.type)
        with self.ranks.one_after_the_first():  # the first renders the figures that are not on disk yet
            self._open_store(config)
            self.validation = validation_store(self.settings, config, self.settings.validation_people) if self.ranks.first else None
        self.rollout = self._rollout(config)
        if self.settings.graphs:
            self._record()
        if self.ranks.first:
            print(
                f"stage {self.progress.stage}: {config.size[0]}x{config.size[1]}, {self.stage.rollout}, effective batch {self.effective_batch} = "
                f"{self.stage.batch} pairs x {self.stage.accumulate} accumulated x {self.ranks.count} processes",
                flush=True,
            )

    def _record(self) -> None:
        """Call the generator as CUDA graphs from now on; nothing else may use the device while they are recorded."""
        autocast = torch.autocast("cuda", torch.bfloat16, self.settings.precision == "bfloat16", cache_enabled=False)
        with self.store.still() if isinstance(self.store, LiveFigures) else nullcontext():
            self.wrapped_g = GraphedGenerator(self.generator, self.stage.batch, autocast)

    def _open_store(self, config: NTEDStepConfig) -> None:
        """Another canvas needs another store; live figures are then rendered no more at the old one."""
        if self.store is not None and self.store_size == config.size:
            return
        self._close_store()
        self.store, self.store_size = training_store(self.settings, config, self.ranks, self.device), config.size

    def _close_store(self) -> None:
        if isinstance(self.store, LiveFigures):
            self.store.close()

    def _rollout(self, config: NTEDStepConfig) -> WindowRollout | ChainRollout:
        arguments, stage = (config, self.store, self.rng, self.stage.batch), self.stage
        if stage.rollout == "chains":
            return ChainRollout(*arguments, stage.pool, stage.stride, self.device)
        return WindowRollout(*arguments, published=stage.rollout == "published", symmetric=stage.symmetric)

    def _parameter_groups(self) -> list[dict[str, Any]]:
        """The extraction filters learn faster than the rest.

        They act on features of unit length and are scaled down by their fan-in, so that their logits start near zero and
        the attention near uniform. At the common rate it takes thousands of updates until an extraction looks anywhere.
        """
        named = list(self.generator.named_parameters())
        fast = [p for name, p in named if "semantic_extraction_filter" in name]
        rest = [p for name, p in named if "semantic_extraction_filter" not in name]
        return [{"params": rest, "factor": 1.0}, {"params": fast, "factor": self.settings.extraction_lr}]

    def _next_stage(self) -> None:
        self.progress.stage += 1
        self.progress.finished.append(self.progress.stage_samples)
        self.progress.stage_samples, self.progress.stage_seconds = 0, 0.0
        config = stage_config(self.final, self.stage.height)
        if config.size == self.generator.config.size:
            self._enter_stage(self.generator, self.ema)
        else:
            # Grown from the moving average, which is the better generator; its copy starts the new average.
            self._enter_stage(at_stage(self.ema.cpu(), self.final, config.size[0]))

    def _d_channels(self, height: int) -> dict[int, int]:
        levels = [height >> i for i in range(int(math.log2(height // COARSEST)) + 1)]
        return {level: min(self.settings.d_channels << i, self.settings.d_channels_max) for i, level in enumerate(levels)}

    # -- the run -----------------------------------------------------------------------------------------------------

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

    def iterate(self) -> dict[str, float]:
        """One iteration: roll out and add up gradients for each part of the batch, update G, D and the average."""
        began = time.monotonic()
        self._set_learning_rate()
        adversarial, parts = self.objective.adversarial, self.stage.accumulate
        regularise = adversarial and self.weights.r1 > 0 and self.d_updates % self.settings.r1_every == 0
        values: dict[str, list[Tensor]] = {}
        count = images = 0
        self.optimizer_g.zero_grad(set_to_none=True)
        self.optimizer_d.zero_grad(set_to_none=True)
        for part in range(parts):
            more = part + 1 < parts
            with without_averaging(self.wrapped_g, more):
                with self.timed("G forward"), self.objective.autocast():
                    steps = self.rollout.run(self.wrapped_g, self.device)
                with self.timed("losses"):
                    total, losses = self.objective.generator(steps, self.discriminator)
                with self.timed("G backward"):
                    (total / parts).backward()
            if adversarial:
                with self.timed("D and R1" if regularise else "D"), without_averaging(self.wrapped_d, more):
                    total, others = self.objective.discriminator(steps, self.wrapped_d, regularise)
                    (total / parts).backward()
                losses |= others
            for name, value in losses.items():
                values.setdefault(name, []).append(value.detach())
            count += sum(len(step.t) for step in steps)
            images += self.stage.batch
        count = round(self.ranks.mean([count])[0] * self.ranks.count)  # windows may be cut to different lengths
        with self.timed("optimizers and average"):
            self.optimizer_g.step()
            if adversarial:
                self.optimizer_d.step()
                self.d_updates += 1
            self._update_average(count)
        # All numbers at once: a GPU would otherwise be waited for at every one of them.
        means = dict(zip(values, torch.stack([torch.stack(several).mean() for several in values.values()]).tolist(), strict=True))
        self.progress.stage_samples += count
        self.progress.total_samples += count
        self._report(Iteration(means, time.monotonic() - began, self.rollout.take_waited(), images * self.ranks.count), count / (images * self.ranks.count))
        return means

    def _share(self) -> float:
        """How much of the stage is over: 0..1, of its samples or of its minutes, whichever end first."""
        share = self.progress.stage_samples / self.stage.samples
        if self.stage.minutes:
            (seconds,) = self.ranks.mean([self.progress.stage_seconds])  # clocks differ, and learning rates must not
            share = max(share, seconds / (60 * self.stage.minutes))
        return min(share, 1.0)

    def _set_learning_rate(self) -> None:
        share = self._share()
        rate = self.stage.lr_end + (self.stage.lr - self.stage.lr_end) * (1 + math.cos(math.pi * share)) / 2
        rate *= min(1.0, (self.progress.stage_samples + self.effective_batch) / max(self.stage.warmup, 1))
        for group in self.optimizer_g.param_groups:
            group["lr"] = rate * group["factor"]
        if self.time_scale < 1:
            risen = min(self.progress.total_samples / self.settings.time_ramp, 1.0)
            self.generator.time_scale = self.ema.time_scale = self.time_scale + (1 - self.time_scale) * risen

    @torch.no_grad()
    def _update_average(self, count: int) -> None:
        # A short memory at first, so that the average does not drag the untrained weights along.
        memory = min(self.settings.ema_samples, 0.1 * (self.progress.stage_samples + count))
        decay = 0.5 ** (count / max(memory, 1e-6))
        average, current = list(self.ema.parameters()), list(self.generator.parameters())
        torch._foreach_lerp_(average, current, 1 - decay)

    # -- what a person sees, and what stays ----------------------------------------------------------------------------

    def _report(self, iteration: Iteration, steps_per_image: float) -> None:
        self.progress.seconds += iteration.seconds
        self.progress.stage_seconds += iteration.seconds
        share = self._share()  # asked of every rank, of which the first alone reports
        if self.reporter is None:
            return
        height, width = self.generator.config.size
        done = self.progress.stage_samples
        left = done * (1 - share) / share
        text = f"stage {self.progress.stage} {height}x{width}  {done}/{done + left:.0f} samples"
        rates = {"g": self.optimizer_g.param_groups[0]["lr"], "d": self.optimizer_d.param_groups[0]["lr"]}
        self.reporter.add(iteration, self.progress.total_samples, text, left / steps_per_image, rates)

    def _validate(self) -> None:
        if self.ranks.first:
            path = self.run_dir / "sheets" / f"{self.progress.total_samples:010d}.png"
            validation = validate(self.ema, self.validation, self.device, path, self.objective.emphasis)
            if self.progress.total_samples == 0:
                self.progress.first_loss = validation.loss
            numbers = {name: getattr(validation, name) for name in ("loss", "psnr", "copied")}
            self.progress.last_validation = numbers | {"samples": self.progress.total_samples}
            self.reporter.validated(validation, self.progress.total_samples, self.progress.first_loss)
        self.ranks.wait()

    def save(self) -> None:
        """Write a checkpoint now. Raises DivergedError instead where a weight is not finite."""
        finite = torch.stack([value.isfinite().all() for value in self.generator.parameters()]).all().item()
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
        state = {"rollout": self.rollout.state(), "rng": self.rng.bit_generator.state, "torch_rng": torch.get_rng_state()}
        return state | ({"cuda_rng": torch.cuda.get_rng_state(self.device)} if self.device.type == "cuda" else {})

    def _state(self, own: list[dict[str, Any]]) -> dict[str, Any]:
        """The first rank's own state stands at the top, the other ranks' under ``others``."""
        return {name: getattr(self, name).state_dict() for name in NETWORKS} | own[0] | {
            "progress": dataclasses.asdict(self.progress),
            "d_updates": self.d_updates,
            "time_scale": self.generator.time_scale,
            "first_time_scale": self.time_scale,
            "vgg": self.vgg is not None,
            "settings": to_document(self.settings),
            "hardware": self._hardware(),
            "others": own[1:],
        }  # fmt: skip

    def _hardware(self) -> str:
        """Where this runs, for a model card."""
        if self.device.type == "cuda":
            return f"{self.ranks.count} x {torch.cuda.get_device_name(self.device)}"
        return f"{os.cpu_count()} CPU cores" if self.device.type == "cpu" else self.device.type

    def _load(self, state: dict[str, Any]) -> None:
        self.progress = Progress(**state["progress"])
        self.time_scale = state.get("first_time_scale", 1.0)
        self._enter_stage(Generator(stage_config(self.final, self.stage.height)))
        for name in NETWORKS:
            getattr(self, name).load_state_dict(state[name])
        self.generator.time_scale = self.ema.time_scale = state.get("time_scale", 1.0)
        self.d_updates = state["d_updates"]
        own = [state, *state.get("others", [])]
        if self.ranks.rank < len(own):
            self._load_own(own[self.ranks.rank])
        else:  # more ranks than there were: the new ones start with chains and an order of their own
            self.rng.bit_generator.state = np.random.default_rng(self._seed(self.progress.total_samples)).bit_generator.state

    def _load_own(self, state: dict[str, Any]) -> None:
        self.rollout.load_state(state["rollout"])
        self.rng.bit_generator.state = state["rng"]
        torch.set_rng_state(state["torch_rng"])
        if "cuda_rng" in state and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda_rng"], self.device)


def _check(settings: Settings) -> None:
    if not settings.stages:
        raise ValueError("the configuration has no stages")
    if settings.precision not in ("float32", "bfloat16"):
        raise ValueError(f"precision must be float32 or bfloat16, not {settings.precision!r}")
    for stage in settings.stages:
        if stage.rollout not in ("chains", "window", "published"):
            raise ValueError(f"rollout must be chains, window or published, not {stage.rollout!r}")
        if min(stage.batch, stage.accumulate) < 1:
            raise ValueError("batch and accumulate must be at least 1")
    if settings.compile and settings.time_ramp:
        raise ValueError("compile and time_ramp exclude each other: every new share would compile anew; compile after the ramp")


def _check_graphs(settings: Settings, device: torch.device, ranks: Ranks) -> None:
    """Raises ValueError for what recorded graphs cannot do."""
    if not settings.graphs:
        return
    if device.type != "cuda" or ranks.count > 1:
        raise ValueError("graphs need one process and a CUDA device")
    if settings.compile or settings.time_ramp or any(stage.rollout != "chains" or stage.accumulate > 1 for stage in settings.stages):
        raise ValueError("graphs repeat one recorded call: they need rollout chains and accumulate 1, without compile and time_ramp")

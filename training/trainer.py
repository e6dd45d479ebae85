"""Training of the step model: growing stages, rollouts, generator and discriminator."""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nted_step.carrier import Carrier
from nted_step.config import NTEDStepConfig, preset
from nted_step.generator import Generator
from nted_step.weights import load_carrier, load_weights
from training.cuda import GraphedGenerator, choose_blurs
from training.data.stores import training_store, validation_store
from training.discriminator import COARSEST, Discriminator
from training.distributed import Ranks, without_averaging
from training.efficientnet import open_efficientnet
from training.evaluation.metrics import NotAvailable
from training.growing import EXTRACTION, at_stage, can_widen, stage_config, widen
from training.objective import Objective, without_vgg
from training.perceptual import VGGFeatures, open_vgg
from training.progress import Iteration
from training.rollout import ChainRollout, PairCarrier, Rollout, WindowRollout
from training.run import Run
from training.settings import LossWeights, Settings
from training.validation import validate


def model_config(settings: Settings) -> NTEDStepConfig:
    """Configuration of a run's finished model, of any preset: with a carrier it carries the photo's pixels, without one it does not.

    Raises ValueError for an unknown preset.
    """
    config = preset(settings.preset)
    return dataclasses.replace(config, steps=settings.steps or config.steps, carries=bool(settings.carrier))


class Trainer(Run):
    """Owns generator, discriminator and their optimizers; :meth:`run` trains to the end of the last stage."""

    networks = ("generator", "ema", "discriminator", "optimizer_g", "optimizer_d")

    def __init__(self, settings: Settings, run: Path, device: torch.device, ranks: Ranks | None = None):
        super().__init__(settings, run, device, ranks)
        _check(settings)
        _check_graphs(settings, device, self.ranks)
        self.final = model_config(settings)
        self.carrier = self._open_carrier()
        self.vgg = self._open_vgg()
        self.efficientnet = open_efficientnet(device) if any(stage.weights.el0 for stage in settings.stages) else None
        self.time_scale = 1.0  # of the generator that the run started with
        self.timed: Callable[[str], AbstractContextManager] = lambda part: nullcontext()  # around each part of an iteration
        self._resume()

    def _begin(self) -> None:
        self._enter_stage(self._first_generator())

    def _open_carrier(self) -> Carrier | None:
        """The trained carrier of a model that carries, used as it will be after training; its weights stay fixed."""
        if not self.final.carries:
            return None
        return load_carrier(self.settings.carrier).build().to(self.device, memory_format=torch.channels_last)

    def _first_generator(self) -> Generator:
        height = self.settings.stages[0].height
        if not self.settings.init:
            return Generator(stage_config(self.final, height))
        weights = load_weights(self.settings.init)
        if not can_widen(dataclasses.replace(weights.config, time_scale=self.final.time_scale), self.final):
            raise ValueError(f"{self.settings.init}: not weights of the preset {self.settings.preset!r}, nor of one with fewer channels")
        self.time_scale = weights.config.time_scale
        if self.time_scale < 1 and not self.settings.time_ramp:
            raise ValueError(f"{self.settings.init}: a one-step model; set time_ramp, the samples over which its time embedding rises")
        generator = at_stage(weights.build(), weights.config, height, discard=self.settings.drop_finer)
        target = dataclasses.replace(stage_config(self.final, height), time_scale=self.time_scale)
        return generator if generator.config == target else widen(generator, target)

    def _open_vgg(self) -> VGGFeatures | None:
        """The perceptual network, on all ranks or on none; also None if no stage needs it."""
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
            print(
                f"perceptual loss: not available ({reason or 'on another rank'}); discriminator feature matching takes its place",
                flush=True,
            )
        return None if missing else vgg

    # -- stages ------------------------------------------------------------------------------------------------------

    @property
    def weights(self) -> LossWeights:
        """The stage's loss weights, with feature matching in place of perceptual losses that are not available."""
        return self.stage.weights if self.vgg is not None else without_vgg(self.stage.weights)

    def _enter_stage(self, generator: Generator, ema: Generator | None = None) -> None:
        """Build everything that a stage needs around a generator at its canvas."""
        layout = torch.channels_last
        self.generator = generator.to(self.device, memory_format=layout).train().requires_grad_(True)
        self.ranks.same(self.generator)
        self.ema = (ema or copy.deepcopy(generator)).to(self.device, memory_format=layout).eval().requires_grad_(False)
        config = generator.config
        self.discriminator = Discriminator(config.size, self._d_channels(config.size[0]), config.steps)
        self.discriminator.to(self.device, memory_format=layout)
        self.ranks.same(self.discriminator)
        if self.device.type == "cuda":
            choose_blurs(self.generator, self.discriminator)
        if self.settings.compile and generator._compiled_call_impl is None:
            generator.compile()
        self.wrapped_g, self.wrapped_d = (self.ranks.wrap(module, self.device) for module in (self.generator, self.discriminator))
        beta2_d = self.settings.beta2_d or self.settings.beta2
        # Fused: one pass over a tensor instead of a dozen, which is faster on a CPU as well.
        betas_g, betas_d = (self.stage.beta1, self.settings.beta2), (self.stage.beta1, beta2_d)
        self.optimizer_g = torch.optim.Adam(self._parameter_groups(), self.stage.lr, betas=betas_g, fused=True)
        self.optimizer_d = torch.optim.Adam(self.discriminator.parameters(), self.stage.lr_d, betas=betas_d, fused=True)
        self.d_updates = 0
        vgg, efficientnet = (self.vgg if self.weights.needs_vgg else None), (self.efficientnet if self.weights.el0 else None)
        self.objective = Objective(self.settings, self.weights, vgg, self.device.type, efficientnet)
        with self.ranks.one_after_the_first():  # the first renders the figures that are not yet on disk
            self._open_store(config)
            self.validation = validation_store(self.settings, config, self.settings.validation_people) if self.ranks.first else None
        self.rollout = self._rollout(config)
        if self.settings.graphs:
            self._record_graphs()
        if self.ranks.first:
            print(
                f"stage {self.progress.stage}: {config.size[0]}x{config.size[1]}, {self.stage.rollout}, "
                f"effective batch {self.effective_batch} = "
                f"{self.stage.batch} pairs x {self.stage.accumulate} accumulated x {self.ranks.count} processes",
                flush=True,
            )

    def _record_graphs(self) -> None:
        """Replace the generator by its CUDA graphs; nothing else may use the device while they are recorded."""
        autocast = torch.autocast("cuda", torch.bfloat16, self.settings.precision == "bfloat16", cache_enabled=False)
        with self.store.pause():
            self.wrapped_g = GraphedGenerator(self.generator, self.stage.batch, autocast)

    def _open_store(self, config: NTEDStepConfig) -> None:
        """Open the store of this canvas, if it is not open already, and close the one of the former canvas."""
        if self.store is not None and self.store_size == config.size:
            return
        self._close_store()
        self.store, self.store_size = training_store(self.settings, config, self.ranks, self.device), config.size

    def _rollout(self, config: NTEDStepConfig) -> Rollout:
        arguments, stage = (config, self.store, self.rng, self.stage.batch), self.stage
        carrier = PairCarrier(self.carrier, self.rng, self.device) if self.carrier else None
        if stage.rollout == "chains":
            return ChainRollout(*arguments, stage.pool, stage.stride, self.device, carrier)
        return WindowRollout(*arguments, published=stage.rollout == "published", symmetric=stage.symmetric, carrier=carrier)

    def _parameter_groups(self) -> list[dict[str, Any]]:
        """Parameter groups with a higher learning rate for the extraction filters.

        These act on features of unit length and are scaled down by their fan-in, so their logits start near zero and the attention
        near uniform. At the common rate it takes thousands of updates until an extraction attends to anything.
        """
        named = list(self.generator.named_parameters())
        fast = [p for name, p in named if EXTRACTION in name]
        rest = [p for name, p in named if EXTRACTION not in name]
        return [{"params": rest, "factor": 1.0}, {"params": fast, "factor": self.settings.extraction_lr}]

    def _next_stage(self) -> None:
        self._count_stage()
        config = stage_config(self.final, self.stage.height)
        if config.size == self.generator.config.size:
            self._enter_stage(self.generator, self.ema)
        else:
            # Grown from the moving average, which is the better generator; the new average starts as its copy.
            self._enter_stage(at_stage(self.ema.cpu(), self.final, config.size[0]))

    def _d_channels(self, height: int) -> dict[int, int]:
        levels = [height >> i for i in range(int(math.log2(height // COARSEST)) + 1)]
        return {level: min(self.settings.d_channels << i, self.settings.d_channels_max) for i, level in enumerate(levels)}

    def iterate(self) -> dict[str, float]:
        """One iteration: accumulate gradients over the parts of the batch, then update G, D and the moving average."""
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
        # All numbers at once, so that the CPU waits for a GPU only once.
        means = dict(zip(values, torch.stack([torch.stack(several).mean() for several in values.values()]).tolist(), strict=True))
        rates = {"g": self.optimizer_g.param_groups[0]["lr"], "d": self.optimizer_d.param_groups[0]["lr"]}
        iteration = Iteration(means, time.monotonic() - began, self.rollout.take_waited(), images * self.ranks.count)
        self._report(iteration, count, self.generator.config.size, rates)
        return means

    def _set_learning_rate(self) -> None:
        rate = self._rate()
        for group in self.optimizer_g.param_groups:
            group["lr"] = rate * group["factor"]
        if self.time_scale < 1:
            risen = min(self.progress.total_samples / self.settings.time_ramp, 1.0)
            self.generator.time_scale = self.ema.time_scale = self.time_scale + (1 - self.time_scale) * risen

    def _validate(self) -> None:
        if self.ranks.first:
            path = self.run_dir / "sheets" / f"{self.progress.total_samples:010d}.png"
            validation = validate(self.ema, self.validation, self.device, path, self.objective.emphasis, self.carrier)
            if self.progress.total_samples == 0:
                self.progress.first_loss = validation.loss
            numbers = {name: getattr(validation, name) for name in ("loss", "psnr", "copied")}
            self.progress.last_validation = numbers | {"samples": self.progress.total_samples}
            self.reporter.validated(numbers, path, self.progress.total_samples, self.progress.first_loss)
        self.ranks.wait()

    def _load(self, state: dict[str, Any]) -> None:
        self.time_scale = state.get("first_time_scale", 1.0)
        self._enter_stage(Generator(stage_config(self.final, self.stage.height)))
        for name in self.networks:
            getattr(self, name).load_state_dict(state[name])
        self.generator.time_scale = self.ema.time_scale = state.get("time_scale", 1.0)
        self.d_updates = state["d_updates"]

    def _state(self, own: list[dict[str, Any]]) -> dict[str, Any]:
        return super()._state(own) | {
            "d_updates": self.d_updates,
            "time_scale": self.generator.time_scale,
            "first_time_scale": self.time_scale,
            "vgg": self.vgg is not None,
        }

    def _rollout_state(self) -> dict[str, Tensor]:
        return self.rollout.state()

    def _load_rollout(self, state: dict[str, Tensor]) -> None:
        self.rollout.load_state(state)

    def _average_of(self) -> tuple[nn.Module, nn.Module]:
        return self.ema, self.generator


def _check(settings: Settings) -> None:
    for stage in settings.stages:
        if stage.rollout not in ("chains", "window", "published"):
            raise ValueError(f"rollout must be chains, window or published, not {stage.rollout!r}")
    if settings.compile and settings.time_ramp:
        raise ValueError("compile and time_ramp exclude each other: each new value of the ramp compiles again; compile after the ramp")


def _check_graphs(settings: Settings, device: torch.device, ranks: Ranks) -> None:
    """Raises ValueError for settings that recorded graphs cannot support."""
    if not settings.graphs:
        return
    if device.type != "cuda" or ranks.count > 1:
        raise ValueError("graphs need one process and a CUDA device")
    if settings.compile or settings.time_ramp or any(stage.rollout != "chains" or stage.accumulate > 1 for stage in settings.stages):
        raise ValueError("graphs repeat one recorded call: they need rollout chains and accumulate 1, without compile and time_ramp")

"""The training loop: stages, one iteration, moving average, checkpoints. Losses are elsewhere and pure."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nted_step.config import NTEDStepConfig, preset
from nted_step.generator import Generator
from nted_step.weights import load_weights
from training import losses
from training.checkpoint import load_latest, save_checkpoint
from training.data import FigureStore, Pairs, figure_store
from training.discriminator import COARSEST, Discriminator
from training.growing import at_stage, stage_config
from training.rollout import ChainRollout, TrainedStep, WindowRollout
from training.settings import Settings, Stage
from training.validation import validate

VALIDATION_SEED = 8_000_000  # people never trained on, and not the test people either
VALIDATION_PEOPLE = 24
FACE = 15  # in the figures' class maps


class DivergedError(RuntimeError):
    """A loss is no longer finite."""


@dataclass
class Progress:
    """Where a run stands. Counting is in samples: one sample is one step of one pair."""

    stage: int = 0
    stage_samples: int = 0
    total_samples: int = 0
    seconds: float = 0.0  # spent training, over all sessions


class Trainer:
    """Owns the networks, the optimizers and the stage; :meth:`run` trains to the end of the last stage."""

    def __init__(self, settings: Settings, run: Path, device: torch.device):
        if not settings.stages:
            raise ValueError("the configuration has no stages")
        if settings.precision not in ("float32", "bfloat16"):
            raise ValueError(f"precision must be float32 or bfloat16, not {settings.precision!r}")
        self.settings, self.run_dir, self.device = settings, run, device
        self.final = preset(settings.preset)
        self.progress = Progress()
        self.recent: list[tuple[dict[str, float], float]] = []  # losses and seconds since the last line
        torch.manual_seed(settings.seed)
        self.rng = np.random.default_rng(settings.seed)
        state = load_latest(run)
        if state is None:
            self._enter_stage(self._first_generator())
        else:
            self._load(state)

    def _first_generator(self) -> Generator:
        height = self.settings.stages[0].height
        if not self.settings.init:
            return Generator(stage_config(self.final, height))
        weights = load_weights(self.settings.init)
        if weights.config != self.final:
            raise ValueError(f"{self.settings.init}: not weights of the preset {self.settings.preset!r}")
        return at_stage(weights.build(), self.final, height)

    # -- stages ------------------------------------------------------------------------------------------------------

    @property
    def stage(self) -> Stage:
        return self.settings.stages[self.progress.stage]

    def _enter_stage(self, generator: Generator, ema: Generator | None = None) -> None:
        """Build everything that a stage needs around a generator of its canvas."""
        layout = torch.channels_last
        self.generator = generator.to(self.device, memory_format=layout).train().requires_grad_(True)
        self.ema = (ema or copy.deepcopy(generator)).to(self.device, memory_format=layout).eval().requires_grad_(False)
        config = generator.config
        self.discriminator = Discriminator(config.size, self._d_channels(config.size[0]), config.steps)
        self.discriminator.to(self.device, memory_format=layout)
        betas = (self.stage.beta1, self.settings.beta2)
        self.optimizer_g = torch.optim.Adam(self._parameter_groups(), self.stage.lr, betas=betas)
        self.optimizer_d = torch.optim.Adam(self.discriminator.parameters(), self.stage.lr_d, betas=betas)
        self.d_updates = 0
        self.store, self.validation = self._store(self.settings.figures.seed), self._store(VALIDATION_SEED)
        self.rollout = self._rollout(config)

    def _rollout(self, config: NTEDStepConfig) -> WindowRollout | ChainRollout:
        arguments = (config, self.store, self.rng, self.stage.batch)
        return WindowRollout(*arguments) if self.stage.rollout == "window" else ChainRollout(*arguments, self.stage.pool, self.stage.stride)

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
        self.progress.stage_samples = 0
        config = stage_config(self.final, self.stage.height)
        if config.size == self.generator.config.size:
            self._enter_stage(self.generator, self.ema)
        else:
            # Grown from the moving average, which is the better generator; its copy starts the new average.
            self._enter_stage(at_stage(self.ema.cpu(), self.final, config.size[0]))

    def _d_channels(self, height: int) -> dict[int, int]:
        levels = [height >> i for i in range(int(math.log2(height // COARSEST)) + 1)]
        return {level: min(self.settings.d_channels << i, self.settings.d_channels_max) for i, level in enumerate(levels)}

    def _store(self, seed: int) -> FigureStore:
        figures, config = self.settings.figures, self.generator.config
        height = max(figures.supersize, config.size[0])
        render_size = (height, height * config.size[1] // config.size[0])
        people, poses = (VALIDATION_PEOPLE, 2) if seed == VALIDATION_SEED else (figures.people, figures.poses)
        return figure_store(Path(self.settings.data_dir), config.size, people, poses, seed, render_size)

    # -- the run -----------------------------------------------------------------------------------------------------

    def run(self, stop: Callable[[], bool] = lambda: False) -> bool:
        """Train until the last stage is over, or ``stop()`` after an iteration; saves, and returns whether it is over."""
        saved = sheet = time.monotonic()
        while not stop():
            if self.progress.stage_samples >= self.stage.samples:
                if self.progress.stage + 1 == len(self.settings.stages):
                    self._validate()
                    self.save()
                    return True
                self._validate()
                self._next_stage()
                self.save()
            began = time.monotonic()
            values = self._iterate()
            now = time.monotonic()
            self.progress.seconds += now - began
            self._report(values, now - began)
            if now - saved > 60 * self.settings.save_minutes:
                self.save()
                saved = now
            if now - sheet > 60 * self.settings.sheet_minutes:
                self._validate()
                sheet = time.monotonic()
        self.save()
        return False

    def _iterate(self) -> dict[str, float]:
        """One iteration: roll out, update G, update D, update the average."""
        self._set_learning_rate()
        with self._autocast():
            steps = self.rollout.run(self.generator, self.device)
        values = self._update_generator(steps)
        if self.stage.weights.gan or self.stage.weights.step or self.stage.weights.features:
            values |= self._update_discriminator(steps)
        if not all(math.isfinite(value) for value in values.values()):
            raise DivergedError(f"a loss is not finite after {self.progress.total_samples} samples: {values}")
        count = sum(len(step.t) for step in steps)
        self._update_average(count)
        self.progress.stage_samples += count
        self.progress.total_samples += count
        return values

    def _set_learning_rate(self) -> None:
        share = min(self.progress.stage_samples / self.stage.samples, 1.0)
        rate = self.stage.lr_end + (self.stage.lr - self.stage.lr_end) * (1 + math.cos(math.pi * share)) / 2
        rate *= min(1.0, (self.progress.stage_samples + self.stage.batch) / max(self.stage.warmup, 1))
        for group in self.optimizer_g.param_groups:
            group["lr"] = rate * group["factor"]

    def _update_generator(self, steps: list[TrainedStep]) -> dict[str, float]:
        weights = self.stage.weights
        output, target = _joined(steps)
        parts = {"pixel": losses.pixel(output, target, torch.cat([self._emphasis(step.pairs) for step in steps]))}
        parts["attention"] = torch.stack([_attention(step) for step in steps]).mean()
        if weights.classes and steps[0].pairs.source_classes is not None:
            parts["classes"] = torch.stack([_classes(step, self.settings.person) for step in steps]).mean()
        if weights.gan or weights.step or weights.features:
            self.discriminator.requires_grad_(False)
            with self._autocast():
                fake = self.discriminator(output)
            parts["gan"] = losses.generator_gan(fake.logit)
            parts["step"] = losses.step_prediction(fake.step_logprob, _times(steps))
            if weights.features:
                with torch.no_grad(), self._autocast():
                    real = self.discriminator(target)
                parts["features"] = losses.feature_matching(real.features, fake.features)
            self.discriminator.requires_grad_(True)
        total = sum(getattr(weights, name) * value for name, value in parts.items())
        self.optimizer_g.zero_grad(set_to_none=True)
        total.backward()
        self.optimizer_g.step()
        return {name: value.item() for name, value in parts.items()}

    def _update_discriminator(self, steps: list[TrainedStep]) -> dict[str, float]:
        weights = self.stage.weights
        output, target = _joined(steps)
        t = _times(steps)
        regularise = weights.r1 > 0 and self.d_updates % self.settings.r1_every == 0
        real_images = target.detach().requires_grad_(regularise)
        with self._autocast(enabled=not regularise):  # the penalty is a second derivative: float32
            real, fake = self.discriminator(real_images), self.discriminator(output.detach())
        parts = {
            "d_gan": losses.discriminator_gan(real.logit, fake.logit),
            "d_step": losses.step_prediction(real.step_logprob, t) + losses.step_prediction(fake.step_logprob, t),
        }
        total = weights.gan * parts["d_gan"] + weights.step * parts["d_step"]
        if regularise:  # summed with the other losses into one backward, as distributed training needs
            penalty = losses.r1_penalty(real.logit, real_images) + losses.r1_penalty(real.step_logprob, real_images)
            parts["r1"] = penalty
            total = total + weights.r1 / 2 * self.settings.r1_every * penalty
        self.optimizer_d.zero_grad(set_to_none=True)
        total.backward()
        self.optimizer_d.step()
        self.d_updates += 1
        return {name: value.item() for name, value in parts.items()}

    def _emphasis(self, pairs: Pairs) -> Tensor:
        """How much every pixel counts in the pixel loss, B x 1 x h x w."""
        weight = 1 + self.settings.person * pairs.mask
        if pairs.target_classes is None:
            return weight
        return weight + self.settings.face * (pairs.target_classes == FACE)[:, None]

    def _autocast(self, enabled: bool = True) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled and self.settings.precision == "bfloat16")

    @torch.no_grad()
    def _update_average(self, count: int) -> None:
        # A short memory at first, so that the average does not drag the untrained weights along.
        memory = min(self.settings.ema_samples, 0.1 * (self.progress.stage_samples + count))
        decay = 0.5 ** (count / max(memory, 1e-6))
        average, current = list(self.ema.parameters()), list(self.generator.parameters())
        torch._foreach_lerp_(average, current, 1 - decay)

    # -- what a person sees, and what stays ----------------------------------------------------------------------------

    def _report(self, values: dict[str, float], seconds: float) -> None:
        self.recent.append((values, seconds))
        if len(self.recent) < 20:
            return
        spent = sum(second for _, second in self.recent)
        rate = len(self.recent) * self.stage.batch / spent
        names = {name: None for step_values, _ in self.recent for name in step_values}
        means = {n: np.mean([v[n] for v, _ in self.recent if n in v]) for n in names}
        left = (self.stage.samples - self.progress.stage_samples) / rate / 60
        text = "  ".join(f"{name} {value:.4f}" for name, value in means.items())
        height, width = self.generator.config.size
        print(
            f"stage {self.progress.stage} {height}x{width}  {self.progress.stage_samples}/{self.stage.samples} samples  "
            f"{rate:.1f}/s  {left:.0f} min left  {text}",
            flush=True,
        )
        self.recent.clear()

    def _validate(self) -> None:
        path = self.run_dir / "sheets" / f"{self.progress.total_samples:010d}.png"
        psnr, copied = validate(self.ema, self.validation, self.device, path)
        print(f"validation at {self.progress.total_samples} samples: masked PSNR {psnr:.2f} dB, copying the source {copied:.2f} dB, {path}", flush=True)

    def save(self) -> None:
        """Write a checkpoint now."""
        save_checkpoint(self.run_dir, self._state(), self.progress.total_samples)

    def _state(self) -> dict[str, Any]:
        parts = ("generator", "ema", "discriminator", "optimizer_g", "optimizer_d")
        return {name: getattr(self, name).state_dict() for name in parts} | {
            "progress": vars(self.progress).copy(),
            "d_updates": self.d_updates,
            "rollout": self.rollout.state(),
            "rng": self.rng.bit_generator.state,
            "torch_rng": torch.get_rng_state(),
        }

    def _load(self, state: dict[str, Any]) -> None:
        self.progress = Progress(**state["progress"])
        self._enter_stage(Generator(stage_config(self.final, self.stage.height)))
        for name in ("generator", "ema", "discriminator", "optimizer_g", "optimizer_d"):
            getattr(self, name).load_state_dict(state[name])
        self.d_updates = state["d_updates"]
        self.rollout.load_state(state["rollout"])
        self.rng.bit_generator.state = state["rng"]
        torch.set_rng_state(state["torch_rng"])


def _joined(steps: list[TrainedStep]) -> tuple[Tensor, Tensor]:
    """Outputs and targets of all steps, one after another."""
    return torch.cat([step.rendering.image.float() for step in steps]), torch.cat([step.target for step in steps])


def _times(steps: list[TrainedStep]) -> Tensor:
    return torch.cat([step.t for step in steps])


def _classes(step: TrainedStep, person: float) -> Tensor:
    pairs, carried = step.pairs, (step.textures.attention, step.rendering.distribution)
    return losses.class_reconstruction(pairs.source_classes, pairs.target_classes, *carried, person)


def _attention(step: TrainedStep) -> Tensor:
    return losses.attention_reconstruction(
        step.pairs.source, step.target, step.textures.attention, step.rendering.distribution, mode="area"
    )

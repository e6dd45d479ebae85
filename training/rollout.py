"""Which steps an iteration trains, and on which inputs: the published three-step window, or persistent chains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nted_step.config import NTEDStepConfig
from nted_step.generator import Generator, Rendering, Textures
from nted_step.schedule import degrade, ladder, start_image
from training.data import FigureStore, Pairs

RESTART_CHANCE = 0.02  # of a chain, per iteration, so that chains do not march in step


@dataclass(frozen=True)
class TrainedStep:
    """One step t -> t+1 of a batch, with its graph.

    Attributes:
        pairs: the people.
        t: B int64, the step trained for each sample (class t of the step head).
        target: B x 3 x H x W, the true image at level t+1.
        rendering, textures: what the generator returned.
    """

    pairs: Pairs
    t: Tensor
    target: Tensor
    rendering: Rendering
    textures: Textures


def degrade_each(image: Tensor, level: Tensor, config: NTEDStepConfig) -> Tensor:
    """``degrade`` with a level (0..steps) per sample: image B x 3 x H x W, level B."""
    sizes = ladder(config)
    out = image.clone()
    for k in level.unique().tolist():
        if sizes[k] != tuple(image.shape[-2:]):
            chosen = level == k
            out[chosen] = degrade(image[chosen], sizes[k])
    return out


def train_step(generator: Generator, config: NTEDStepConfig, pairs: Pairs, x_t: Tensor, t: Tensor) -> TrainedStep:
    """Run G once on x_t and attach the truth of the level it aims at."""
    rendering, textures = generator(pairs.source, x_t, pairs.skeleton, t)
    return TrainedStep(pairs, t, degrade_each(pairs.target, t + 1, config), rendering, textures)


class WindowRollout:
    """Consecutive steps from a random start, as published: the start is the degraded truth, later inputs are G's outputs.

    Starts are spread so that every step 0..steps-1 is trained equally often: windows may begin before step 0 or run past
    the last step, and what lies outside is not trained.
    """

    def __init__(self, config: NTEDStepConfig, store: FigureStore, rng: np.random.Generator, batch: int, window: int = 3):
        self.config, self.store, self.rng, self.batch, self.window = config, store, rng, batch, window

    def run(self, generator: Generator, device: torch.device) -> list[TrainedStep]:
        pairs = _to(self.store.draw(self.rng, self.batch), device)
        start = torch.from_numpy(self.rng.integers(1 - self.window, self.config.steps, size=self.batch)).to(device)
        x = self._start(pairs, start.clamp(min=0))
        trained = []
        for offset in range(self.window):
            t = start + offset
            inside = ((t >= 0) & (t < self.config.steps)).nonzero()[:, 0]
            if len(inside):
                step = train_step(generator, self.config, pairs.select(inside), x[inside], t[inside])
                x = x.index_copy(0, inside, step.rendering.image.detach().float())
                trained.append(step)
        return trained

    def _start(self, pairs: Pairs, t: Tensor) -> Tensor:
        x = degrade_each(pairs.target, t, self.config)
        from_noise = t == 0
        x[from_noise] = start_image(pairs.source, _noise(self.rng, pairs.source), self.config)[from_noise]
        return x

    def state(self) -> dict[str, Tensor]:
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """A window keeps nothing between iterations."""


class ChainRollout:
    """Persistent chains: every sample keeps its own step and image from one iteration to the next.

    Each iteration trains t -> t+1; the detached output is the same sample's next input. A chain that has reached the last
    step, or with a small chance any chain, gives way to a new pair that starts from noise. So every input is the model's
    own output (no exposure bias), every step is trained equally often, and an iteration costs one pass.
    """

    def __init__(self, config: NTEDStepConfig, store: FigureStore, rng: np.random.Generator, batch: int):
        self.config, self.store, self.rng, self.batch = config, store, rng, batch
        self.people = np.zeros((batch, 3), np.int64)  # person, source pose, target pose
        self.t = torch.full((batch,), config.steps)
        self.x = torch.zeros(batch, 3, *config.size)
        self.fresh = True

    def run(self, generator: Generator, device: torch.device) -> list[TrainedStep]:
        self._restart()
        pairs = _to(self.store.pairs(*self.people.T), device)
        t = self.t.to(device)
        step = train_step(generator, self.config, pairs, self.x.to(device), t)
        self.x = step.rendering.image.detach().float().cpu()
        self.t = self.t + 1
        return [step]

    def _restart(self) -> None:
        over = (self.t >= self.config.steps).numpy() | (self.rng.random(self.batch) < RESTART_CHANCE)
        index = np.flatnonzero(over)
        if not len(index):
            return
        person = self.rng.integers(self.store.people, size=len(index))
        source = self.rng.integers(self.store.poses, size=len(index))
        target = (source + self.rng.integers(1, self.store.poses, size=len(index))) % self.store.poses
        self.people[index] = np.stack([person, source, target], axis=1)
        pairs = self.store.pairs(person, source, target)
        x = start_image(pairs.source, _noise(self.rng, pairs.source), self.config)
        # At the very beginning chains start at different steps, from the degraded truth, or all would march together.
        t = torch.from_numpy(self.rng.integers(self.config.steps, size=len(index))) if self.fresh else torch.zeros(len(index), dtype=torch.int64)
        truth = degrade_each(pairs.target, t, self.config)
        self.x[index] = torch.where((t > 0)[:, None, None, None], truth, x)
        self.t[index] = t
        self.fresh = False

    def state(self) -> dict[str, Tensor]:
        return {"people": torch.from_numpy(self.people), "t": self.t, "x": self.x, "fresh": torch.tensor(self.fresh)}

    def load_state(self, state: dict[str, Tensor]) -> None:
        # A run may go on with another batch size or with fewer figures: chains without a place or a person end here.
        kept = min(self.batch, len(state["t"]))
        self.people[:kept], self.t[:kept], self.x[:kept] = state["people"][:kept].numpy(), state["t"][:kept], state["x"][:kept]
        self.fresh = bool(state["fresh"])
        gone = (self.people >= (self.store.people, self.store.poses, self.store.poses)).any(axis=1)
        self.people[gone], self.t[torch.from_numpy(gone)] = 0, self.config.steps


ROLLOUTS = {"window": WindowRollout, "chains": ChainRollout}


def _noise(rng: np.random.Generator, like: Tensor) -> Tensor:
    return torch.from_numpy(rng.standard_normal(like.shape, dtype=np.float32)).to(like.device)


def _to(pairs: Pairs, device: torch.device) -> Pairs:
    layout = torch.channels_last
    return Pairs(*(value.to(device, memory_format=layout) for value in (pairs.source, pairs.target, pairs.skeleton, pairs.mask)))

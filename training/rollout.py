"""Which steps an iteration trains, and on which inputs: the published three-step window, or persistent chains."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from nted_step.carrier import Carrier
from nted_step.carrying import Carried, at_level
from nted_step.config import CARRIED_CHANNELS, NTEDStepConfig
from nted_step.generator import Generator, Rendering, Textures
from nted_step.schedule import degrade, ladder, start_image
from training.carrier_losses import carry_pairs
from training.data.pairs import Pairs, PairStore
from training.memory import upload

NOTHING_CHANCE = 0.08  # that a pair is trained as if the pose in the photo were unknown
RESTART_CHANCE = 0.02  # of a chain, per visit, so that chains do not advance in lockstep
PAIRS_AT_ONCE = 64  # read at a time while chains are started
CPU = torch.device("cpu")
Result = TypeVar("Result")


@dataclass(frozen=True)
class TrainedStep:
    """One step t -> t+1 of a batch, with its graph.

    Attributes:
        pairs: the batch.
        t: B int64, the step trained for each sample (class t of the step head).
        target: B x 3 x H x W, the true image at level t+1.
        rendering, textures: what the generator returned; for a model that carries, the image is already blended.
        carried: the photo's pixels that the step was given.
    """

    pairs: Pairs
    t: Tensor
    target: Tensor
    rendering: Rendering
    textures: Textures
    carried: Carried | None = None


def degrade_each(image: Tensor, level: Tensor, config: NTEDStepConfig) -> Tensor:
    """``degrade`` with a level (0..steps) per sample: image B x 3 x H x W, level B.

    Resizing is linear and separable, so a level is one matrix for each axis and the whole batch is one product. Selecting the
    samples of each level would make a GPU wait for the CPU twice per level.
    """
    rows, columns = _degradations(ladder(config), image.device)
    with torch.autocast(image.device.type, enabled=False):
        return rows[level][:, None] @ image @ columns[level][:, None]


@lru_cache(maxsize=4)
def _degradations(sizes: tuple[tuple[int, int], ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """The matrices of every level: levels x H x H, which multiply from the left, and levels x W x W, from the right."""
    height, width = sizes[-1]
    rows = torch.stack([degrade(torch.eye(height)[None, None], (h, height))[0, 0] for h, _ in sizes])
    columns = torch.stack([degrade(torch.eye(width)[None, None], (width, w))[0, 0] for _, w in sizes])
    return rows.to(device), columns.to(device)


def train_step(
    generator: Generator, config: NTEDStepConfig, pairs: Pairs, x_t: Tensor, t: Tensor, carried: Carried | None = None
) -> TrainedStep:
    """Run G once on ``x_t``, and add the true image at the level that it should reach. ``carried``: for a model that carries."""
    if carried is None:
        rendering, textures = generator(pairs.source, x_t, pairs.skeleton, t)
    else:
        here = at_level(carried, lambda planes: degrade_each(planes, t + 1, config))
        rendering, textures = generator(pairs.source, x_t, torch.cat([pairs.skeleton, here.condition], dim=1), t)
        rendering = Rendering(here.blend(rendering.image.float()), rendering.distribution)
    return TrainedStep(pairs, t, degrade_each(pairs.target, t + 1, config), rendering, textures, carried)


class PairCarrier:
    """Carries the photos of pairs into their target poses, as the model will receive them.

    For a few pairs it carries nothing, as for a photo whose pose is unknown.
    """

    def __init__(self, carrier: Carrier, rng: np.random.Generator, device: torch.device):
        self.carrier, self.rng, self.device = carrier, rng, device

    @torch.no_grad()
    def __call__(self, pairs: Pairs) -> Carried:
        """B x ... float32, on the carrier's device. Raises ValueError if the source poses are unknown."""
        carried = carry_pairs(self.carrier, pairs, self.device)
        kept = torch.from_numpy(self.rng.random(len(pairs)) >= NOTHING_CHANCE).to(self.device).float()[:, None, None, None]
        return Carried(carried.pixels * kept, carried.person * kept, carried.alpha * kept)


class Rollout(ABC):
    """Chooses the steps that an iteration trains.

    Args:
        config: of the stage's model.
        store: where the pairs come from.
        rng: decides which pairs, steps and noise.
        batch: samples per forward pass.
        carrier: for a model that carries.
    """

    def __init__(self, config: NTEDStepConfig, store: PairStore, rng: np.random.Generator, batch: int, carrier: PairCarrier | None):
        self.config, self.store, self.rng, self.batch, self.carrier = config, store, rng, batch, carrier
        self._waited = 0.0

    @abstractmethod
    def run(self, generator: Generator, device: torch.device) -> list[TrainedStep]:
        """Train the steps of one iteration's batch; the losses and the backward pass are the caller's."""

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint must hold to continue, the store's state included."""
        return self.store.state()

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Continue from what :meth:`state` returned, of this kind of rollout or of the other."""
        self.store.load_state(state)

    def take_waited(self) -> float:
        """Seconds spent on reading pairs since the last call."""
        waited, self._waited = self._waited, 0.0
        return waited

    def _read(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """``function(*arguments)``, its time counted as waiting for data."""
        began = time.monotonic()
        result = function(*arguments)
        self._waited += time.monotonic() - began
        return result


class WindowRollout(Rollout):
    """A window of consecutive steps from a random start, as published: it starts from the degraded truth and continues with G's outputs.

    Starts are spread so that every step 0..steps-1 is trained equally often: a window may begin before step 0 or extend past the
    last step, and what lies outside is not trained.

    Args:
        window: steps in a window.
        published: draw starts as the paper's code does, uniformly over 0..steps-window with the batch's first at 0, which trains the
            first and last steps least.
        symmetric: make the batch's second half the first half in the other direction.
    """

    def __init__(
        self, config: NTEDStepConfig, store: PairStore, rng: np.random.Generator, batch: int, window: int = 3,
        published: bool = False, symmetric: bool = False, carrier: PairCarrier | None = None,
    ):  # fmt: skip
        super().__init__(config, store, rng, batch, carrier)
        self.window, self.published, self.symmetric = window, published, symmetric

    def run(self, generator: Generator, device: torch.device) -> list[TrainedStep]:
        pairs = self._read(self.store.draw, self.rng, self.batch, self.symmetric).channels_last(device)
        start = torch.from_numpy(self._starts()).to(device)
        x = self._inputs(pairs, start.clamp(min=0))
        carried = self.carrier(pairs) if self.carrier else None
        trained = []
        for offset in range(self.window):
            t = start + offset
            inside = ((t >= 0) & (t < self.config.steps)).nonzero()[:, 0]
            if len(inside):
                selected = carried.select(inside) if carried else None
                step = train_step(generator, self.config, pairs.select(inside), x[inside], t[inside], selected)
                x = x.index_copy(0, inside, step.rendering.image.detach().float())
                trained.append(step)
        return trained

    def _starts(self) -> np.ndarray:
        if not self.published:
            return self.rng.integers(1 - self.window, self.config.steps, size=self.batch)
        starts = self.rng.integers(max(self.config.steps - self.window, 0) + 1, size=self.batch)
        starts[0] = 0
        return starts

    def _inputs(self, pairs: Pairs, t: Tensor) -> Tensor:
        """Images at which the windows start: the degraded truth, or noise at step 0."""
        x = degrade_each(pairs.target, t, self.config)
        from_noise = t == 0
        x[from_noise] = start_image(pairs.source, _noise(self.rng, pairs.source), self.config)[from_noise]
        return x


class ChainRollout(Rollout):
    """Persistent chains: each chain keeps its step and image from one visit to the next.

    A visit trains t -> t+1, and its detached output is the chain's next input. A chain that has reached the last step, or any chain
    with a small chance, is replaced by a new pair that starts from noise. So every input is the model's own output (no exposure
    bias), and an iteration costs one pass.

    Args:
        batch: chains visited by an iteration.
        pool: number of chains, as a multiple of ``batch``; those to visit are drawn at random. With 1, every iteration sees nearly the
            same pairs as the one before.
        stride: a visit advances a chain by 1..stride steps. Above 1, more people are seen in the same time; this is meant for early
            stages, in which neighbouring steps do the same because the ladder soon reaches the canvas. With 1, every step is trained
            equally often.
        device: where the chains' images are kept.
        carrier: for a model that carries; what a chain carries is computed once, when it starts.
    """

    def __init__(
        self, config: NTEDStepConfig, store: PairStore, rng: np.random.Generator, batch: int, pool: int = 1, stride: int = 1,
        device: torch.device = CPU, carrier: PairCarrier | None = None,
    ):  # fmt: skip
        super().__init__(config, store, rng, batch, carrier)
        self.stride = stride
        self.names = np.zeros((batch * pool, 3), np.int64)  # of the pairs
        self.t = torch.full((batch * pool,), config.steps)
        self.x = torch.zeros(batch * pool, 3, *config.size, device=device)
        self.planes = torch.zeros(batch * pool, CARRIED_CHANNELS if carrier else 0, *config.size, device=device, dtype=torch.float16)
        self._start(np.arange(batch * pool), scattered=True)

    def run(self, generator: Generator, device: torch.device) -> list[TrainedStep]:
        visited = self.rng.permutation(len(self.t))[: self.batch]
        index = upload(visited, self.x.device)
        pairs = self._read(self.store.pairs, *self.names[visited].T).channels_last(device)
        carried = Carried(*self.planes[index].to(device).float().split((3, 1, 1), dim=1)) if self.carrier else None
        step = train_step(generator, self.config, pairs, self.x[index].to(device), upload(self.t[visited], device), carried)
        self.x[index] = step.rendering.image.detach().float().to(self.x.device)
        self.t[visited] += torch.from_numpy(self.rng.integers(1, self.stride + 1, size=self.batch))
        finished = (self.t[visited] >= self.config.steps).numpy() | (self.rng.random(self.batch) < RESTART_CHANCE)
        self._start(visited[finished])
        return [step]

    def _start(self, chains: np.ndarray, scattered: bool = False) -> None:
        """Give new pairs to the chains at these indices, starting from noise.

        ``scattered`` starts them from the degraded truth of random steps, so that at the beginning of training the chains do not
        advance in lockstep.
        """
        if not len(chains):
            return
        self.names[chains] = self._read(self.store.choose, self.rng, len(chains))
        self.store.keep(self.names)
        for index in np.array_split(chains, -(-len(chains) // PAIRS_AT_ONCE)):
            pairs = self._read(self.store.pairs, *self.names[index].T).map(lambda value: value.to(self.x.device))
            steps = self.config.steps if scattered else 1
            self.t[index] = t = torch.from_numpy(self.rng.integers(steps, size=len(index)))
            x = start_image(pairs.source, _noise(self.rng, pairs.source), self.config)
            if scattered:
                t = upload(t, x.device)
                x = torch.where((t > 0)[:, None, None, None], degrade_each(pairs.target, t, self.config), x)
            self.x[upload(index, x.device)] = x
            if self.carrier:
                carried = self.carrier(pairs)
                planes = torch.cat([carried.pixels, carried.person, carried.alpha], dim=1)
                self.planes[upload(index, x.device)] = planes.to(x.device, torch.float16)

    def state(self) -> dict[str, Tensor]:
        return {"people": torch.from_numpy(self.names), "t": self.t, "x": self.x, "planes": self.planes} | super().state()

    def load_state(self, state: dict[str, Tensor]) -> None:
        super().load_state(state)
        if "people" not in state:  # saved by a window
            return
        # A run may continue with another batch or pool, or with fewer figures: a chain without a saved one keeps its new pair.
        count = min(len(self.t), len(state["t"]))
        index = np.flatnonzero(self.store.holds(state["people"][:count].numpy()))
        self.names[index], self.t[index] = state["people"][index].numpy(), state["t"][index]
        self.x[index] = state["x"][index].to(self.x.device)
        if self.carrier:
            self.planes[index] = state["planes"][index].to(self.planes.device)
        self.store.keep(self.names)


def _noise(rng: np.random.Generator, like: Tensor) -> Tensor:
    if like.is_cuda:  # a CPU core takes as long to draw a sample's noise as the GPU takes to train on the sample
        return torch.randn_like(like)
    return torch.from_numpy(rng.standard_normal(like.shape, dtype=np.float32))

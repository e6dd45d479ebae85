"""Which steps an iteration trains, and on which inputs: the published three-step window, or persistent chains."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from nted_step.carrier import Carrier
from nted_step.carrying import Carried, at_level
from nted_step.config import CARRIED_CHANNELS, NTEDStepConfig
from nted_step.generator import Generator, Rendering, Textures
from nted_step.schedule import degrade, ladder, start_image
from training.carrier_losses import carry_pairs
from training.data.figure_store import Pairs, upload

NOTHING_CHANCE = 0.08  # that a pair is trained as if the photo's pose were not known
RESTART_CHANCE = 0.02  # of a chain, per visit, so that chains do not march in step
PAIRS_AT_ONCE = 64  # while chains are started
CPU = torch.device("cpu")
Result = TypeVar("Result")


class Store(Protocol):
    """What a rollout needs of a data set; a pair's name is three integers."""

    def pairs(self, *name: np.ndarray) -> Pairs: ...
    def draw(self, rng: np.random.Generator, count: int, symmetric: bool = False) -> Pairs: ...
    def choose(self, rng: np.random.Generator, count: int) -> np.ndarray: ...
    def holds(self, names: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True)
class TrainedStep:
    """One step t -> t+1 of a batch, with its graph.

    Attributes:
        pairs: the people.
        t: B int64, the step trained for each sample (class t of the step head).
        target: B x 3 x H x W, the true image at level t+1.
        rendering, textures: what the generator returned; the image of a model that carries is blended already.
        carried: what the step was given of the photo's pixels.
    """

    pairs: Pairs
    t: Tensor
    target: Tensor
    rendering: Rendering
    textures: Textures
    carried: Carried | None = None


def degrade_each(image: Tensor, level: Tensor, config: NTEDStepConfig) -> Tensor:
    """``degrade`` with a level (0..steps) per sample: image B x 3 x H x W, level B.

    Resizing is linear and separable, so every level is a matrix for each axis: one product for the whole batch, where picking
    out the samples of each level would make a GPU wait for the CPU twice per level.
    """
    rows, columns = _degradations(ladder(config), image.device)
    with torch.autocast(image.device.type, enabled=False):
        return rows[level][:, None] @ image @ columns[level][:, None]


@lru_cache(maxsize=4)
def _degradations(sizes: tuple[tuple[int, int], ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """The matrices of every level: levels x H x H, to multiply from the left, and levels x W x W, from the right."""
    height, width = sizes[-1]
    rows = torch.stack([degrade(torch.eye(height)[None, None], (h, height))[0, 0] for h, _ in sizes])
    columns = torch.stack([degrade(torch.eye(width)[None, None], (width, w))[0, 0] for _, w in sizes])
    return rows.to(device), columns.to(device)


def train_step(
    generator: Generator, config: NTEDStepConfig, pairs: Pairs, x_t: Tensor, t: Tensor, carried: Carried | None = None
) -> TrainedStep:
    """Run G once on x_t and attach the truth of the level it aims at. ``carried``: for a model that carries."""
    if carried is None:
        rendering, textures = generator(pairs.source, x_t, pairs.skeleton, t)
    else:
        here = at_level(carried, lambda planes: degrade_each(planes, t + 1, config))
        rendering, textures = generator(pairs.source, x_t, torch.cat([pairs.skeleton, here.condition], dim=1), t)
        rendering = Rendering(here.blend(rendering.image.float()), rendering.distribution)
    return TrainedStep(pairs, t, degrade_each(pairs.target, t + 1, config), rendering, textures, carried)


class Carrying:
    """Carries the photos of pairs, at the canvas of a stage, as the model will be given them; now and then nothing, as for a photo
    whose pose is not known."""

    def __init__(self, carrier: Carrier, rng: np.random.Generator, device: torch.device):
        self.carrier, self.rng, self.device = carrier, rng, device

    @torch.no_grad()
    def __call__(self, pairs: Pairs) -> Carried:
        """B x ... float32, on the carrier's device. Raises ValueError where the sources' poses are not known."""
        carried = carry_pairs(self.carrier, pairs, self.device)
        kept = torch.from_numpy(self.rng.random(len(pairs)) >= NOTHING_CHANCE).to(self.device).float()[:, None, None, None]
        return Carried(carried.pixels * kept, carried.person * kept, carried.alpha * kept)


class Reading:
    """Times the reading of a store: ``waited`` is the seconds since it was last taken."""

    def __init__(self) -> None:
        self.waited = 0.0

    def read(self, what: Callable[..., Result], *arguments: Any) -> Result:
        began = time.monotonic()
        result = what(*arguments)
        self.waited += time.monotonic() - began
        return result

    def take_waited(self) -> float:
        waited, self.waited = self.waited, 0.0
        return waited


class WindowRollout(Reading):
    """Consecutive steps from a random start, as published: the start is the degraded truth, later inputs are G's outputs.

    Starts are spread so that every step 0..steps-1 is trained equally often: windows may begin before step 0 or run past
    the last step, and what lies outside is not trained. ``published`` starts are those of the paper's code instead: uniform
    over 0..steps-window, the batch's first at 0, so that the first and last steps are trained least.

    ``symmetric`` makes the batch's second half the first in the other direction.
    """

    def __init__(
        self, config: NTEDStepConfig, store: Store, rng: np.random.Generator, batch: int, window: int = 3,
        published: bool = False, symmetric: bool = False, carrying: Carrying | None = None,
    ):  # fmt: skip
        super().__init__()
        self.carrying = carrying
        self.config, self.store, self.rng, self.batch = config, store, rng, batch
        self.window, self.published, self.symmetric = window, published, symmetric

    def run(self, generator: Generator, device: torch.device) -> list[TrainedStep]:
        pairs = _to(self.read(self.store.draw, self.rng, self.batch, self.symmetric), device)
        start = torch.from_numpy(self._starts()).to(device)
        x = self._start(pairs, start.clamp(min=0))
        carried = self.carrying(pairs) if self.carrying else None
        trained = []
        for offset in range(self.window):
            t = start + offset
            inside = ((t >= 0) & (t < self.config.steps)).nonzero()[:, 0]
            if len(inside):
                some = carried.select(inside) if carried else None
                step = train_step(generator, self.config, pairs.select(inside), x[inside], t[inside], some)
                x = x.index_copy(0, inside, step.rendering.image.detach().float())
                trained.append(step)
        return trained

    def _starts(self) -> np.ndarray:
        if not self.published:
            return self.rng.integers(1 - self.window, self.config.steps, size=self.batch)
        starts = self.rng.integers(max(self.config.steps - self.window, 0) + 1, size=self.batch)
        starts[0] = 0
        return starts

    def _start(self, pairs: Pairs, t: Tensor) -> Tensor:
        x = degrade_each(pairs.target, t, self.config)
        from_noise = t == 0
        x[from_noise] = start_image(pairs.source, _noise(self.rng, pairs.source), self.config)[from_noise]
        return x

    def state(self) -> dict[str, Tensor]:
        """A window keeps nothing between iterations; the store may."""
        return _store_state(self.store)

    def load_state(self, state: dict[str, Tensor]) -> None:
        _load_store(self.store, state)


class ChainRollout(Reading):
    """Persistent chains: every chain keeps its own step and image from one visit to the next.

    A visit trains t -> t+1; the detached output is the chain's next input. A chain that has reached the last step, or with a
    small chance any chain, gives way to a new pair that starts from noise. So every input is the model's own output (no
    exposure bias), and an iteration costs one pass.

    Args:
        batch: chains visited by an iteration.
        pool: chains kept, as a multiple of ``batch``; those to visit are drawn at random. With 1 an iteration sees the very
            pairs of the one before.
        stride: a visit moves a chain on by 1..stride steps. Above 1 more people are seen in the same time; that is for
            early stages, where the ladder soon reaches the canvas and neighbouring steps do the same. With 1 every step is
            trained equally often.
        device: where the chains' images are kept.
        carrying: for a model that carries; what a chain carries is found once, when it starts.
    """

    def __init__(
        self, config: NTEDStepConfig, store: Store, rng: np.random.Generator, batch: int, pool: int = 1, stride: int = 1,
        device: torch.device = CPU, carrying: Carrying | None = None,
    ):  # fmt: skip
        super().__init__()
        self.carrying = carrying
        self.config, self.store, self.rng, self.batch, self.stride = config, store, rng, batch, stride
        self.people = np.zeros((batch * pool, 3), np.int64)  # names of pairs; of figures: person, source pose, target pose
        self.t = torch.full((batch * pool,), config.steps)
        self.x = torch.zeros(batch * pool, 3, *config.size, device=device)
        self.planes = torch.zeros(batch * pool, CARRIED_CHANNELS if carrying else 0, *config.size, device=device, dtype=torch.float16)
        self._start(np.arange(batch * pool), scattered=True)

    def run(self, generator: Generator, device: torch.device) -> list[TrainedStep]:
        visited = self.rng.permutation(len(self.t))[: self.batch]
        places = upload(visited, self.x.device)
        pairs = _to(self.read(self.store.pairs, *self.people[visited].T), device)
        carried = Carried(*self.planes[places].to(device).float().split((3, 1, 1), dim=1)) if self.carrying else None
        step = train_step(generator, self.config, pairs, self.x[places].to(device), upload(self.t[visited], device), carried)
        self.x[places] = step.rendering.image.detach().float().to(self.x.device)
        self.t[visited] += torch.from_numpy(self.rng.integers(1, self.stride + 1, size=self.batch))
        over = (self.t[visited] >= self.config.steps).numpy() | (self.rng.random(self.batch) < RESTART_CHANCE)
        self._start(visited[over])
        return [step]

    def _start(self, index: np.ndarray, scattered: bool = False) -> None:
        """New pairs for the chains ``index``, from noise; scattered, from the degraded truth of any step, so that not all
        chains march together at the very beginning."""
        if not len(index):
            return
        self.people[index] = self.read(self.store.choose, self.rng, len(index))
        _keep(self.store, self.people)
        for some in np.array_split(index, -(-len(index) // PAIRS_AT_ONCE)):
            pairs = self.read(self.store.pairs, *self.people[some].T).each(lambda value: value.to(self.x.device))
            steps = self.config.steps if scattered else 1
            self.t[some] = t = torch.from_numpy(self.rng.integers(steps, size=len(some)))
            x = start_image(pairs.source, _noise(self.rng, pairs.source), self.config)
            if scattered:
                t = upload(t, x.device)
                x = torch.where((t > 0)[:, None, None, None], degrade_each(pairs.target, t, self.config), x)
            self.x[upload(some, x.device)] = x
            if self.carrying:
                carried = self.carrying(pairs)
                self.planes[upload(some, x.device)] = torch.cat([carried.pixels, carried.person, carried.alpha], dim=1).to(
                    x.device, torch.float16
                )

    def state(self) -> dict[str, Tensor]:
        return {"people": torch.from_numpy(self.people), "t": self.t, "x": self.x, "planes": self.planes} | _store_state(self.store)

    def load_state(self, state: dict[str, Tensor]) -> None:
        _load_store(self.store, state)
        if "people" not in state:  # saved by a window
            return
        # A run may go on with another batch or pool, or with fewer figures: places without an old chain keep their new one.
        kept = min(len(self.t), len(state["t"]))
        places = np.flatnonzero(self.store.holds(state["people"][:kept].numpy()))
        self.people[places], self.t[places] = state["people"][places].numpy(), state["t"][places]
        self.x[places] = state["x"][places].to(self.x.device)
        if self.carrying:
            self.planes[places] = state["planes"][places].to(self.planes.device)
        _keep(self.store, self.people)


def _store_state(store: Store) -> dict[str, Tensor]:
    return store.state() if hasattr(store, "state") else {}


def _load_store(store: Store, state: dict[str, Tensor]) -> None:
    if hasattr(store, "load_state"):
        store.load_state(state)


def _keep(store: Store, names: np.ndarray) -> None:
    if hasattr(store, "keep"):
        store.keep(names)


def _noise(rng: np.random.Generator, like: Tensor) -> Tensor:
    if like.is_cuda:  # a core draws a sample's noise in as long as the GPU trains on it
        return torch.randn_like(like)
    return torch.from_numpy(rng.standard_normal(like.shape, dtype=np.float32))


def _to(pairs: Pairs, device: torch.device) -> Pairs:
    return pairs.each(lambda value: value.to(device, memory_format=torch.channels_last) if value.ndim == 4 else value.to(device))

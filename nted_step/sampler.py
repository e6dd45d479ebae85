"""The coarse-to-fine loop: x_{t+1} = G(source, x_t, skeleton, t) for t = 0..steps-1."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from nted_step.carrying import Carried, at_level
from nted_step.execution import Execution
from nted_step.generator import Textures
from nted_step.schedule import degrade, ladder


class TextureSource(Protocol):
    """Source of textures for a run: a person, a person in other people's garments, or a batch."""

    def textures(self, t: int) -> Textures:
        """The texture values of step t (0..steps-1)."""


@dataclass(frozen=True)
class StepOutput:
    """One level of the ladder, reached.

    Attributes:
        step: 0 for the noisy start, 1..steps for outputs.
        size: (h, w), the resolution that this step aims at.
        image: B x 3 x H x W on the full canvas, about [-1, 1], not clamped.
        seconds: wall time of this step, textures included where they had to be computed.
        rendered: B x 3 x H x W, what the renderer alone made of it; the image itself where nothing is carried, None for the start.
    """

    step: int
    size: tuple[int, int]
    image: Tensor
    seconds: float
    rendered: Tensor | None = None


@torch.no_grad()
def sample(
    execution: Execution,
    person: TextureSource,
    skeleton: Tensor,
    start: Tensor,
    *,
    carried: Carried | None = None,
    first: int = 0,
    last: int | None = None,
) -> Iterator[StepOutput]:
    """Yield the start image and then every step as soon as it is there; a consumer that stops asking stops the work.

    Args:
        execution: of G.
        person: whose textures G takes.
        skeleton: B x 20 x H x W map of the target pose.
        start: B x 3 x H x W, x_0, or the image of step ``first`` when restarting from there.
        carried: the photo's pixels in the target pose, for a model that carries; None carries nothing.
        first: step that ``start`` belongs to.
        last: step to end with; all of them when None.
    """
    config = execution.generator.config
    if config.carries and carried is None:
        carried = Carried.nothing(start)
    sizes, x = ladder(config), start
    yield StepOutput(first, sizes[first], x, 0.0)
    for t in range(first, config.steps if last is None else last):
        began = time.perf_counter()
        x, rendered = advance(execution, person.textures(t), x, skeleton, t, carried, sizes[t + 1])
        _wait_for(x)
        yield StepOutput(t + 1, sizes[t + 1], x, time.perf_counter() - began, rendered)


def advance(
    execution: Execution, textures: Textures, x_t: Tensor, skeleton: Tensor, t: int, carried: Carried | None, size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """(x_{t+1}, what the renderer alone made of it); ``size`` is the level t + 1."""
    if carried is None:
        image = execution.step(textures, x_t, skeleton, t)
        return image, image
    here = at_level(carried, lambda planes: degrade(planes, size))
    rendered = execution.step(textures, x_t, condition(skeleton, here.condition), t)
    return here.blend(rendered), rendered


def condition(skeleton: Tensor, carried: Tensor) -> Tensor:
    """The conditioning map of a model that carries: the skeleton map, then the five planes of :class:`nted_step.carrying.StepCarried`."""
    return torch.cat([skeleton, carried.to(skeleton.dtype)], dim=1).contiguous(memory_format=torch.channels_last)


def _wait_for(x: Tensor) -> None:
    """Otherwise the time and the moment of the yield would be those of the launch.

    For this thread's stream alone: a device must not be waited for while another thread records a graph on it.
    """
    if x.is_cuda:
        torch.cuda.current_stream(x.device).synchronize()

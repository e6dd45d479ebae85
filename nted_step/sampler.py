"""The coarse-to-fine loop: x_{t+1} = G(source, x_t, skeleton, t) for t = 0..steps-1."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nted_step.generator import Generator, Rendering, Textures
from nted_step.schedule import ladder

Advance = Callable[[Textures, Tensor, Tensor, int], Tensor]


@dataclass(frozen=True)
class StepOutput:
    """One level of the ladder, reached.

    Attributes:
        step: 0 for the noisy start, 1..steps for outputs.
        size: (h, w), the resolution that this step aims at.
        image: B x 3 x H x W on the full canvas, about [-1, 1], not clamped.
        seconds: wall time of this step, textures included where they had to be computed.
    """

    step: int
    size: tuple[int, int]
    image: Tensor
    seconds: float


@torch.no_grad()
def sample(
    generator: Generator,
    textures: Callable[[int], Textures],
    skeleton: Tensor,
    start: Tensor,
    *,
    first: int = 0,
    last: int | None = None,
    advance: Advance | None = None,
) -> Iterator[StepOutput]:
    """Yield the start image and then every step as soon as it is there; a consumer that stops asking stops the work.

    Args:
        generator: G.
        textures: t -> the person's textures at step t.
        skeleton: B x 20 x H x W conditioning map.
        start: B x 3 x H x W, x_0, or the image of step ``first`` when restarting from there.
        first: step that ``start`` belongs to.
        last: step to end with; all of them when None.
        advance: another way to compute a step than calling the generator, to the same result: (textures, x_t, skeleton, t) -> x_{t+1}.
    """

    def call(*inputs: Any) -> Tensor:
        return step(generator, *inputs).image

    advance = advance or call
    sizes = ladder(generator.config)
    x = start
    yield StepOutput(first, sizes[first], x, 0.0)
    for t in range(first, generator.config.steps if last is None else last):
        began = time.perf_counter()
        x = advance(textures(t), x, skeleton, t)
        _wait_for(x)
        yield StepOutput(t + 1, sizes[t + 1], x, time.perf_counter() - began)


def step(generator: Generator, textures: Textures, x_t: Tensor, skeleton: Tensor, t: int | Tensor) -> Rendering:
    """One step with textures already at hand. x_t stays float32 whatever the generator's dtype. ``t`` may be a tensor of B indices."""
    times = t if isinstance(t, Tensor) else torch.full((len(x_t),), t, device=x_t.device)
    dtype = skeleton.dtype
    rendering = generator.render(generator.encode_pose(x_t.to(dtype), skeleton, times), textures)
    return Rendering(rendering.image.float(), rendering.distribution)


def _wait_for(x: Tensor) -> None:
    """Otherwise the time and the moment of the yield would be those of the launch.

    For this thread's stream alone: a device must not be waited for while another thread records a graph on it.
    """
    if x.is_cuda:
        torch.cuda.current_stream(x.device).synchronize()

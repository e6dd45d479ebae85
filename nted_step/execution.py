"""How the two halves of a step are executed: by calling the generator, or by replaying recorded CUDA graphs."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from nted_step.generator import Generator, Rendering, Textures


class Execution(Protocol):
    """Computes with one generator, in its dtype and on its device.

    :class:`Eager` and :class:`nted_step.optimisation.cuda_graphs.Graphs` give the same results.

    Attributes:
        generator: in evaluation mode.
    """

    generator: Generator

    def textures(self, source: Tensor, t: int) -> Textures:
        """Source B x 3 x H x W in [-1, 1] -> texture values of step t, without extraction maps."""

    def step(self, textures: Textures, x_t: Tensor, condition: Tensor, t: int) -> Tensor:
        """x_t B x 3 x H x W, condition B x conditioning_channels x H x W -> the rendered image B x 3 x H x W, float32."""


class Eager:
    """Calls the generator."""

    def __init__(self, generator: Generator):
        self.generator = generator

    def textures(self, source: Tensor, t: int) -> Textures:
        return Textures(extraction(self.generator, source, t).values)

    def step(self, textures: Textures, x_t: Tensor, condition: Tensor, t: int) -> Tensor:
        return render_step(self.generator, textures, x_t, condition, t).image


def extraction(generator: Generator, source: Tensor, t: int) -> Textures:
    """Texture values and extraction maps of step t."""
    return generator.encode_reference(source, torch.full((len(source),), t, device=source.device))


def render_step(generator: Generator, textures: Textures, x_t: Tensor, condition: Tensor, t: int | Tensor) -> Rendering:
    """One step with textures already at hand. x_t stays float32 whatever the generator's dtype. ``t`` may be a tensor of B indices."""
    times = t if isinstance(t, Tensor) else torch.full((len(x_t),), t, device=x_t.device)
    dtype = generator.dtype
    rendering = generator.render(generator.encode_pose(x_t.to(dtype), condition.to(dtype), times), textures)
    return Rendering(rendering.image.float(), rendering.distribution)

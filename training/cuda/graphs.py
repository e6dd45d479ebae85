"""The generator's forward and backward recorded as CUDA graphs: a small network is otherwise done before its kernels are launched."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from nted_step.generator import Generator, Rendering, Textures


class GraphedGenerator(nn.Module):
    """A generator in training, called as it is, that repeats what was recorded at a batch of zeros.

    Every call needs tensors of the recorded shapes, and a backward before the next call; what it returns is overwritten then. The
    texture values are not returned.

    Args:
        generator: on a CUDA device, in training mode.
        batch: samples of every call.
        autocast: the context that the forward runs in, without its cache of weights.
    """

    def __init__(self, generator: Generator, batch: int, autocast: AbstractContextManager):
        super().__init__()
        flat = _Flat(generator)
        device, config = next(generator.parameters()).device, generator.config
        images, skeleton = (
            torch.zeros(batch, channels, *config.size, device=device).to(memory_format=torch.channels_last)
            for channels in (3, config.conditioning_channels)
        )
        self.operations = sum(2 for level in config.levels if config.labels[level])
        with autocast:
            self.flat = torch.cuda.make_graphed_callables(
                flat, (images, images.clone(), skeleton, torch.zeros(batch, dtype=torch.int64, device=device))
            )

    def forward(self, source: Tensor, x_t: Tensor, skeleton: Tensor, t: Tensor) -> tuple[Rendering, Textures]:
        image, *maps = self.flat(source, x_t, skeleton, t)
        return Rendering(image, tuple(maps[: self.operations])), Textures((), tuple(maps[self.operations :]))


class _Flat(nn.Module):
    """The generator with a plain tuple of tensors as its result."""

    def __init__(self, generator: Generator):
        super().__init__()
        self.generator = generator

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        rendering, textures = self.generator(*inputs)
        return (rendering.image, *rendering.distribution, *textures.attention)

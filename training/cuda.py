"""What speeds up training on an NVIDIA GPU: the fastest way to blur at each size, and the generator as CUDA graphs."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from nted_step.generator import Generator, Rendering, Textures
from nted_step.layers import Blur

FUSED_FROM = 128  # rows from which on a blur is fused with the convolution beside it


def choose_blurs(generator: Generator, discriminator: nn.Module) -> None:
    """Set every Blur to the implementation that was fastest, forward and backward, for 64 images of preset lite on an H200.

    From 128 rows on that is fusing it with the convolution beside it (1.7 ms at 256 rows, against 4.0 as planes and 6.9 depthwise),
    below that planes (0.7 ms at 32 rows, against 1.0 depthwise and 1.9 fused). In the discriminator it is always fused: R1 is a
    second derivative, which PyTorch computes channel by channel for a depthwise convolution.
    """
    fine = generator.config.levels[:0:-1]  # the finer side of each step between two levels
    encoders = (generator.reference_encoder, generator.skeleton_encoder)
    layers = [(level, down) for encoder in encoders for level, down in zip(fine, encoder.convs, strict=True)]
    layers += [(level, up.conv0) for level, up in zip(generator.config.levels[1:], generator.target_image_renderer.convs[1:], strict=True)]
    for level, layer in layers:
        layer.blur.way = "fused" if level >= FUSED_FROM else "planes"
    for module in discriminator.modules():
        if isinstance(module, Blur):
            module.way = "fused"


class GraphedGenerator(nn.Module):
    """A generator in training mode, recorded as CUDA graphs: launching a small network's kernels one by one takes longer than running them.

    It is called like the generator. Every call needs tensors of the recorded shapes, and its backward before the next call, which
    overwrites what this one returned. The texture values are not returned.

    Args:
        generator: on a CUDA device, in training mode.
        batch: samples of every call.
        autocast: the context that the forward pass runs in, without its cache of weights.
    """

    def __init__(self, generator: Generator, batch: int, autocast: AbstractContextManager):
        super().__init__()
        device, config = next(generator.parameters()).device, generator.config
        images, skeleton = (
            torch.zeros(batch, channels, *config.size, device=device).to(memory_format=torch.channels_last)
            for channels in (3, config.conditioning_channels)
        )
        self.operations = sum(2 for level in config.levels if config.labels[level])
        with autocast:
            self.recorded = torch.cuda.make_graphed_callables(
                _TupleGenerator(generator), (images, images.clone(), skeleton, torch.zeros(batch, dtype=torch.int64, device=device))
            )

    def forward(self, source: Tensor, x_t: Tensor, skeleton: Tensor, t: Tensor) -> tuple[Rendering, Textures]:
        image, *maps = self.recorded(source, x_t, skeleton, t)
        return Rendering(image, tuple(maps[: self.operations])), Textures((), tuple(maps[self.operations :]))


class _TupleGenerator(nn.Module):
    """The generator with a plain tuple of tensors as its result, which is all that a graph can return."""

    def __init__(self, generator: Generator):
        super().__init__()
        self.generator = generator

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        rendering, textures = self.generator(*inputs)
        return (rendering.image, *rendering.distribution, *textures.attention)

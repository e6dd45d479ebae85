"""How training smooths on a GPU."""

from __future__ import annotations

from torch import nn

from nted_step.generator import Generator
from nted_step.layers import Blur

LEAST = 128  # rows


def smooth_on_gpu(generator: Generator, discriminator: nn.Module) -> None:
    """Set the way of every Blur to what took least time, forward and backward, at 64 images of preset lite on an H200.

    From 128 rows on the convolution next to it does it best (1.7 ms against 4.0 as planes and 6.9 depthwise at 256 rows), below
    that planes (0.7 against 1.0 depthwise and 1.9 at 32 rows). In the discriminator it is always the convolution: R1 derives twice,
    which PyTorch does channel by channel where a convolution is depthwise.
    """
    fine = generator.config.levels[:0:-1]  # the finer side of each step between two levels
    encoders = (generator.reference_encoder, generator.skeleton_encoder)
    places = [(level, down) for encoder in encoders for level, down in zip(fine, encoder.convs, strict=True)]
    places += [(level, up.conv0) for level, up in zip(generator.config.levels[1:], generator.target_image_renderer.convs[1:], strict=True)]
    for level, place in places:
        place.blur.way = "fused" if level >= LEAST else "planes"
    for module in discriminator.modules():
        if isinstance(module, Blur):
            module.way = "fused"

"""How a folded generator lies on a device: its layout, and half precision but for the convolutions at the encoders' entrance.

Their few inputs are the same over large parts of the canvas, so a rounded weight is wrong by the same amount everywhere: it does not
average out in what follows, and the chain of steps carries it on. On the bundled weights these four small layers make more than half
of bfloat16's squared error in the last image.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from nted_step.generator import Generator
from nted_step.layers import EqualConvTranspose2d


def lower(generator: Generator, device: torch.device, dtype: torch.dtype) -> None:
    """Move a folded generator to a device, channels last, in ``dtype``; on CUDA the encoders' first two convolutions stay float32."""
    encoders = (generator.reference_encoder, generator.skeleton_encoder)
    places = [place for encoder in encoders for place in (encoder.first, *encoder.convs[:1])]
    exact = [copy.deepcopy(place.conv) for place in places]
    generator.to(device, dtype, memory_format=torch.channels_last)
    if device.type == "cuda":
        turn_transposed(generator)
    if device.type == "cuda" and dtype != torch.float32:
        for place, conv in zip(places, exact, strict=True):
            place.conv = Widened(conv.to(device, torch.float32, memory_format=torch.channels_last))


@torch.no_grad()
def turn_transposed(generator: Generator) -> None:
    """Lay the weights of transposed convolutions out as they are used, inputs first; they would be turned at every call."""
    for module in generator.modules():
        if isinstance(module, EqualConvTranspose2d):
            module.weight.data = module.weight.transpose(0, 1).contiguous(memory_format=torch.channels_last).transpose(0, 1)


class Widened(nn.Module):
    """A float32 layer between layers of another dtype."""

    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x.float()).to(x.dtype)

"""The model as research code runs it, for comparison: same weights and results, none of the shortcuts.

The blur inserts zeros, pads, and convolves every channel as an image of its own; the value convolution runs over the whole
feature map before the attention averages it; the reference encoder runs at every step; memory is laid out channels first.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nted_step.config import CARRIED_CHANNELS
from nted_step.generator import Generator
from nted_step.layers import Blur, Upsample
from nted_step.textures import Extraction


def plain(generator: Generator) -> Generator:
    """A float32 copy that computes the same images the long way."""
    twin = copy.deepcopy(generator).float().to(memory_format=torch.contiguous_format)
    for parent in list(twin.modules()):
        for name, child in parent.named_children():
            if replacement := _replacement(child):
                setattr(parent, name, replacement)
    return twin


@torch.no_grad()
def plain_steps(generator: Generator, source: Tensor, skeleton: Tensor, start: Tensor) -> Iterator[Tensor]:
    """The research loop: B x 3 x H x W images of step 1, 2, ..., everything computed anew at each."""
    x = start
    if generator.config.carries:  # and is given nothing to carry
        skeleton = torch.cat([skeleton, skeleton.new_zeros(len(skeleton), CARRIED_CHANNELS, *skeleton.shape[2:])], dim=1)
    for t in range(generator.config.steps):
        x = generator(source, x, skeleton, torch.full((len(x),), t, device=x.device))[0].image
        yield x


def _replacement(module: nn.Module) -> nn.Module | None:
    if isinstance(module, Blur):
        return _PlainFilter(module.kernel, up=1, before=module.padding, after=module.padding)
    if isinstance(module, Upsample):
        return _PlainFilter(module.kernel, up=2, before=2, after=1)
    if isinstance(module, Extraction):
        return _PlainExtraction(module)
    return None


class _PlainFilter(nn.Module):
    """Insert ``up - 1`` zeros after every pixel, pad, filter each channel on its own."""

    kernel: Tensor

    def __init__(self, kernel: Tensor, up: int, before: int, after: int):
        super().__init__()
        self.register_buffer("kernel", kernel)
        self.up, self.before, self.after = up, before, after

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        planes = x.reshape(batch * channels, height, 1, width, 1)
        planes = F.pad(planes, (0, self.up - 1, 0, 0, 0, self.up - 1)).reshape(-1, 1, height * self.up, width * self.up)
        planes = F.conv2d(F.pad(planes, (self.before, self.after, self.before, self.after)), self.kernel[None, None])
        return planes.view(batch, channels, *planes.shape[-2:])


class _PlainExtraction(nn.Module):
    """The value convolution over the whole map, then the attention."""

    def __init__(self, fast: Extraction):
        super().__init__()
        self.value_conv, self.semantic_extraction_filter = fast.value_conv, fast.semantic_extraction_filter

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        centred = features - features.mean(dim=1, keepdim=True)
        key = self.semantic_extraction_filter(F.normalize(centred, dim=1))
        attention = key.flatten(2).softmax(dim=-1)
        return torch.bmm(self.value_conv(features).flatten(2), attention.transpose(1, 2)), attention.view_as(key)

"""Which way of smoothing is the quickest on a GPU: libraries differ by an order of magnitude in filters of single channels.

Mostly it is none of its own: as part of the stride-2 convolution next to it, at four times the operations, which the GPU has to spare.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nted_step.generator import DownLevel, Generator, StyledConv
from nted_step.layers import FILTERS, Blur, EqualConv2d, EqualConvTranspose2d, smoothed
from nted_step.timing import device_seconds

MARGIN = 0.9  # another way must take less than this share of the usual one's time: a tie is no reason to round differently


class FusedConv(nn.Module):
    """A folded stride-2 convolution and the smoothing before it, or a transposed one and the smoothing behind it, as one."""

    def __init__(self, conv: EqualConv2d, blur: Blur):
        super().__init__()
        self.transposed = isinstance(conv, EqualConvTranspose2d)
        weight = smoothed(conv.scaled_weight().float(), blur.kernel.float()).to(conv.weight.dtype)
        weight = weight.transpose(0, 1) if self.transposed else weight
        self.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last), requires_grad=False)
        self.bias = blur.bias if self.transposed else conv.bias
        self.padding = 3 - blur.padding if self.transposed else blur.padding

    def forward(self, x: Tensor) -> Tensor:
        convolve = F.conv_transpose2d if self.transposed else F.conv2d
        return convolve(x, self.weight, self.bias, stride=2, padding=self.padding)


@torch.no_grad()
def choose_filters(generator: Generator) -> None:
    """Smooth everywhere in a folded generator on a CUDA device in the way that is quickest there for a single image, by timing."""
    with torch.cuda.device(next(generator.parameters()).device), algorithms():
        known: dict[tuple, str] = {}
        for blur, x in inputs_of(generator, Blur).items():
            key = (tuple(x.shape), blur.padding, blur.bias is None)
            if key not in known:
                known[key] = _quickest(filter_seconds(blur, x))
            blur.way = known[key]
        for place, x in inputs_of(generator, (DownLevel, StyledConv)).items():
            if isinstance(place.conv, EqualConv2d) and place.blur is not None:
                fused = FusedConv(place.conv, place.blur)
                if device_seconds(partial(fused, x)) < MARGIN * device_seconds(partial(apart, place, x)):
                    place.conv, place.blur = fused, nn.Identity() if isinstance(place, DownLevel) else None


@torch.no_grad()
def turn_transposed(generator: Generator) -> None:
    """Lay the weights of transposed convolutions out as they are used, inputs first; they would be turned at every call."""
    for module in generator.modules():
        if isinstance(module, EqualConvTranspose2d):
            module.weight.data = module.weight.transpose(0, 1).contiguous(memory_format=torch.channels_last).transpose(0, 1)


def apart(place: DownLevel | StyledConv, x: Tensor) -> Tensor:
    """The two operations one after the other."""
    if isinstance(place, DownLevel):
        return place.conv(place.blur(x))
    return place.conv(x) if place.blur is None else place.blur(place.conv(x))


def filter_seconds(blur: Blur, x: Tensor) -> dict[str, float]:
    """Way -> seconds on the device for x, B x C x H x W."""
    return {name: device_seconds(partial(way, x, blur)) for name, way in FILTERS.items()}


def _quickest(seconds: dict[str, float]) -> str:
    usual = next(iter(FILTERS))
    best = min(seconds, key=seconds.__getitem__)
    return best if seconds[best] < MARGIN * seconds[usual] else usual


@torch.no_grad()
def inputs_of(generator: Generator, kind: type | tuple[type, ...]) -> dict[Any, Tensor]:
    """Module -> its input, for all modules of a kind, from one step of a single image of zeros."""
    found: dict[Any, Tensor] = {}
    hooks = [
        module.register_forward_pre_hook(lambda module, inputs: found.update({module: inputs[0]}))
        for module in generator.modules()
        if isinstance(module, kind)
    ]
    try:
        run_once(generator)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def run_once(generator: Generator) -> None:
    """Both halves of one step, of a single image of zeros."""
    weight, size = next(generator.target_image_renderer.parameters()), generator.config.size
    image, skeleton = (weight.new_zeros(1, channels, *size) for channels in (3, generator.config.pose_channels))
    layout = {"memory_format": torch.channels_last}
    generator(image.contiguous(**layout), image.contiguous(**layout), skeleton.contiguous(**layout), image.new_zeros(1, dtype=torch.int64))


@contextmanager
def algorithms(*, search: bool = False) -> Iterator[None]:
    """cuDNN takes algorithms that give the same result every time, as the same seed must.

    With ``search`` it builds and times all of them, for every convolution that this thread has not met yet, and the thread keeps the
    quickest; otherwise it takes what its heuristics say, which costs no time.
    """
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.deterministic
    cudnn.benchmark, cudnn.deterministic = search, True
    try:
        yield
    finally:
        cudnn.benchmark, cudnn.deterministic = before

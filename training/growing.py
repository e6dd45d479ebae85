"""Starting a larger generator from a smaller one: a larger canvas (progressive growing, Karras et al., 2018), or more channels.

A stage is the finished model without its finest levels. Growing leaves the function unchanged: the new first level of each
encoder passes its input on (blurred and halved), the new renderer level adds nothing to the upsampled image, and the level that
now receives textures receives zeros. Widening adds channels and changes the function only slightly.
"""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor, nn

from nted_step.config import COARSEST_LEVEL, NTEDStepConfig
from nted_step.generator import DownLevel, Encoder, Generator
from nted_step.layers import GAIN, EqualConv2d

PASS_OFFSET = 2.5  # added to inputs so that the pass-through stays in the linear part of leaky ReLU
EXTRACTION = "semantic_extraction_filter"  # modules and parameters of the extraction filters have this in their names


def stage_config(final: NTEDStepConfig, height: int) -> NTEDStepConfig:
    """The configuration of the stage with canvas height ``height``; the final one itself when the heights agree."""
    if height == final.size[0]:
        return final
    if height not in final.levels or height <= COARSEST_LEVEL:
        raise ValueError(f"a stage's height must be one of {final.levels[1:]}, not {height}")
    levels = [level for level in final.levels if level <= height]
    return dataclasses.replace(
        final,
        size=(height, final.size[1] * height // final.size[0]),
        channels={level: final.channels[level] for level in levels},
        labels={level: final.labels[level] if level < height else 0 for level in levels},
        kernels={level: final.kernels[level] for level in levels},
        grows_to=final.size,
    )


@torch.no_grad()
def grow(small: Generator, config: NTEDStepConfig) -> Generator:
    """A generator with twice the canvas that computes the same images, up to the border, which the blur darkens.

    Raises ValueError if ``config`` does not have twice the canvas.
    """
    if config.size != (2 * small.config.size[0], 2 * small.config.size[1]):
        raise ValueError(f"growing doubles the canvas: {small.config.size} cannot become {config.size}")
    large = Generator(config)
    _grow_encoder(small.reference_encoder, large.reference_encoder)
    _grow_encoder(small.skeleton_encoder, large.skeleton_encoder)
    _grow_renderer(small, large)
    return large


def _grow_encoder(small: Encoder, large: Encoder) -> None:
    inputs = small.first.conv.weight.shape[1]
    first, front = large.first, large.convs[0]
    if len(first.conv.weight) < inputs:
        raise ValueError(f"the new canvas level needs at least {inputs} channels to pass the input on")
    first.conv.weight[:inputs] = torch.eye(inputs)[:, :, None, None] / first.conv.scale
    first.activate.bias[:inputs] = PASS_OFFSET
    _pass_through(front, small.first.conv.weight * small.first.conv.scale, small.first.activate.bias)
    for old, new in zip(small.convs, large.convs[1:], strict=True):
        new.load_state_dict(old.state_dict())
    for operation in getattr(front, "extraction_operations", ()):
        operation.value_conv.weight.zero_()


def _pass_through(front: DownLevel, pixel_weight: Tensor, bias: Tensor) -> None:
    """Make the blur and the stride-2 convolution act as the old 1x1 convolution on the halved input."""
    inputs = pixel_weight.shape[1]
    front.conv.weight.zero_()
    front.conv.weight[:, :inputs, 1:2, 1:2] = pixel_weight / GAIN / front.conv.scale
    front.activate.bias.copy_(bias - PASS_OFFSET * pixel_weight.sum(dim=(1, 2, 3)))


def _grow_renderer(small: Generator, large: Generator) -> None:
    old_levels, new_levels = small.target_image_renderer.convs, large.target_image_renderer.convs
    for old, new in zip(old_levels, new_levels, strict=False):
        new.load_state_dict(old.state_dict(), strict=False)
    top = new_levels[len(old_levels) - 1]
    for conv in (top.conv0, top.conv1):
        if conv.distribution_operation is not None:
            conv.conv.weight.mul_(math.sqrt(2))  # (x + textures)/sqrt 2 with textures still zero
    new_levels[-1].to_rgb.conv.weight.zero_()


@torch.no_grad()
def shrink(large: Generator, config: NTEDStepConfig, *, discard: bool = False) -> Generator:
    """The inverse of :func:`grow`, for a generator whose finest level was never trained.

    It lets a run continue on a small canvas from weights that were exported at the full one. Raises ValueError if the finest level
    is trained, unless ``discard`` allows that to be lost.
    """
    if not discard and large.target_image_renderer.convs[-1].to_rgb.conv.weight.any():
        raise ValueError(f"the level {large.config.size[0]} of these weights is trained; start at that canvas height")
    small = Generator(config)
    for old, new in ((large.reference_encoder, small.reference_encoder), (large.skeleton_encoder, small.skeleton_encoder)):
        front, inputs = old.convs[0], new.first.conv.weight.shape[1]
        pixel_weight = front.conv.weight[:, :inputs, 1:2, 1:2] * GAIN * front.conv.scale
        new.first.conv.weight.copy_(pixel_weight / new.first.conv.scale)
        new.first.activate.bias.copy_(front.activate.bias + PASS_OFFSET * pixel_weight.sum(dim=(1, 2, 3)))
        for level, source in zip(new.convs, old.convs[1:], strict=True):
            level.load_state_dict(source.state_dict())
    levels = small.target_image_renderer.convs
    for level, source in zip(levels, large.target_image_renderer.convs, strict=False):
        level.load_state_dict({key: source.state_dict()[key] for key in level.state_dict()})
    for name in ("conv0", "conv1"):
        if getattr(large.target_image_renderer.convs[len(levels) - 1], name).distribution_operation is not None:
            getattr(levels[-1], name).conv.weight.div_(math.sqrt(2))
    return small


def at_stage(generator: Generator, final: NTEDStepConfig, height: int, *, discard: bool = False) -> Generator:
    """A generator of the final configuration or of any stage, grown or shrunk to the stage with canvas height ``height``.

    ``discard``: see :func:`shrink`.
    """
    while generator.config.size[0] < height:
        generator = grow(generator, stage_config(final, 2 * generator.config.size[0]))
    while generator.config.size[0] > height:
        generator = shrink(generator, stage_config(final, generator.config.size[0] // 2), discard=discard)
    return generator


def can_widen(narrow: NTEDStepConfig, wide: NTEDStepConfig) -> bool:
    """Whether ``wide`` differs from ``narrow`` only by having more channels at some levels, and possibly by carrying pixels."""
    alike = {**vars(narrow), "channels": None, "carries": None} == {**vars(wide), "channels": None, "carries": None}
    return alike and narrow.carries <= wide.carries and all(narrow.channels[level] <= count for level, count in wide.channels.items())


@torch.no_grad()
def widen(narrow: Generator, config: NTEDStepConfig) -> Generator:
    """A generator with more channels that computes nearly the same images as ``narrow``.

    New channels are zero, and the weights that read them are random, so that they learn from the first update on. Only the
    extractions change the function, because they centre features over all channels; their weights for new channels start at zero,
    as do those for carried pixels, which also reach the renderer with gain 0.

    Raises ValueError unless :func:`can_widen`.
    """
    if not can_widen(narrow.config, config):
        raise ValueError("only channels can be added")
    wide = Generator(config)
    modules = dict(narrow.named_modules())
    for name, module in wide.named_modules():
        if isinstance(module, EqualConv2d):
            _widen_convolution(modules[name], module, reads_new=not name.endswith((EXTRACTION, "skeleton_encoder.first.conv")))
        elif isinstance(getattr(module, "bias", None), nn.Parameter):
            _widen_bias(modules[name].bias, module.bias)
        elif getattr(modules.get(name), "skip_gain", None) is not None:
            _widen_bias(modules[name].skip_gain, module.skip_gain)
    return wide


def _widen_convolution(narrow: EqualConv2d, wide: EqualConv2d, *, reads_new: bool) -> None:
    outputs, inputs = narrow.weight.shape[:2]
    if not reads_new:
        wide.weight.zero_()
    wide.weight[outputs:] = 0
    wide.weight[:outputs, :inputs] = narrow.scaled_weight() / wide.scale  # equalised: what is stored grows with the fan-in
    if wide.bias is not None:
        _widen_bias(narrow.bias, wide.bias)


def _widen_bias(narrow: Tensor, wide: Tensor) -> None:
    wide.zero_()
    wide[: len(narrow)] = narrow

"""From few channels to more, with nearly the same function: a warm start for a wider model."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nted_step.config import NTEDStepConfig
from nted_step.generator import Generator
from nted_step.layers import EqualConv2d

EXTRACTION = "semantic_extraction_filter"


def can_widen(narrow: NTEDStepConfig, wide: NTEDStepConfig) -> bool:
    """Whether the two differ in nothing but channels, of which ``wide`` has at least as many at every level, and in that ``wide`` carries."""
    same = {**vars(narrow), "channels": None, "carries": None} == {**vars(wide), "channels": None, "carries": None}
    return same and narrow.carries <= wide.carries and all(narrow.channels[level] <= count for level, count in wide.channels.items())


@torch.no_grad()
def widen(narrow: Generator, config: NTEDStepConfig) -> Generator:
    """A generator with more channels that starts where ``narrow`` is.

    New channels are zero, and what reads them starts at random, so that they learn from the first update on. The function is the
    same but for the extractions, which centre features over all channels: they read nothing of the new ones at first. What is carried is
    not read at first either, and reaches the renderer with gain 0.

    Raises ValueError where ``can_widen`` says no.
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

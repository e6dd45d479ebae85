"""Constants of the trained network folded into its weights, for inference: the same function with fewer passes over memory.

The leaky ReLU is positively homogeneous, so its gain sqrt 2 can be taken before it: into the convolution's weight, the bias, and
the distribution's 1/sqrt 2, which it cancels. A bias right behind a convolution becomes the convolution's own.
"""

from __future__ import annotations

from torch import Tensor, nn

from nted_step.generator import DownLevel, Generator, PixelConv, StyledConv
from nted_step.layers import GAIN, SLOPE, BiasedLeakyReLU, EqualConv2d


def fold(generator: Generator) -> Generator:
    """Fold in place; folding twice changes nothing. The state dict no longer has the published names and values afterwards."""
    for module in list(generator.modules()):
        if isinstance(module, (PixelConv, DownLevel, StyledConv)) and isinstance(module.activate, BiasedLeakyReLU):
            _fold_activation(module)
    for module in generator.modules():
        if isinstance(module, EqualConv2d):
            module.fold()
    return generator


def _fold_activation(module: PixelConv | DownLevel | StyledConv) -> None:
    bias = nn.Parameter(module.activate.bias.detach() * GAIN, requires_grad=False)
    distribution = getattr(module, "distribution_operation", None)
    if distribution is not None:
        distribution.gain = 1
    else:
        module.conv.fold(GAIN)
    if distribution is None and (not isinstance(module, StyledConv) or module.blur is None):
        module.conv.bias, bias = bias, None
    module.activate = _LeakyReLU(bias)


class _LeakyReLU(nn.Module):
    """Leaky ReLU in place, after a bias where one is left over."""

    def __init__(self, bias: Tensor | None):
        super().__init__()
        self.bias = bias

    def forward(self, x: Tensor) -> Tensor:
        if self.bias is not None:
            x = x + self.bias.view(-1, 1, 1) if x.requires_grad else x.add_(self.bias.view(-1, 1, 1))
        return nn.functional.leaky_relu_(x, SLOPE)

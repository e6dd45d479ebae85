"""Constants of the trained network folded into its weights, for inference: the same function with fewer passes over memory.

The leaky ReLU is positively homogeneous, so its gain sqrt 2 can be taken before it: into the convolution's weight, the bias, and
the distribution's 1/sqrt 2, which it cancels. The bias becomes that of the operation before it.
"""

from __future__ import annotations

from torch import nn

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
    """The bias goes into the last linear operation before the leaky ReLU, the gain into the weights that lead there."""
    bias = nn.Parameter(module.activate.get_parameter("bias").detach() * GAIN, requires_grad=False)
    last = getattr(module, "distribution_operation", None)
    if last is not None:
        last.gain = 1
    else:
        module.conv.fold(GAIN)
        last = module.blur if isinstance(module, StyledConv) and module.blur is not None else module.conv
    last.bias = bias
    module.activate = nn.LeakyReLU(SLOPE, inplace=True)

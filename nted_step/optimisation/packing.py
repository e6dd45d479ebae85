"""Convolution weights kept in the layout that oneDNN multiplies in, with the leaky ReLU behind them in the same pass over memory.

For inference on an x86 processor. PyTorch's own convolution brings its weights into that layout at every call, which at the
coarse levels of the base model takes longer than the multiplication.
"""

from __future__ import annotations

import platform

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nted_step.generator import DownLevel, Generator, PixelConv, StyledConv
from nted_step.layers import SLOPE, Blur, EqualConv2d, EqualConvTranspose2d, Upsample, depthwise
from nted_step.textures import Extraction

NEEDED = ("_convolution_pointwise", "_convolution_transpose_pointwise", "_reorder_convolution_transpose_weight")


PHASES_FROM = 128  # input channels


def can_pack(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether this PyTorch and processor have what packed convolutions need."""
    here = device.type == "cpu" and platform.machine().lower() in ("x86_64", "amd64") and torch.backends.mkldnn.is_available()
    if not here or not all(hasattr(torch.ops.mkldnn, name) for name in NEEDED):
        return False
    return dtype == torch.float32 or (dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def pack(generator: Generator) -> Generator:
    """Replace the convolutions of a folded generator, in place; it then computes the same images, faster."""
    for module in list(generator.modules()):
        if isinstance(module, (PixelConv, DownLevel, StyledConv)):
            _pack_before_activation(module)
    for module in list(generator.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, (EqualConv2d, Blur, Upsample)) and not _multiplied_otherwise(module, name):
                setattr(module, name, _packed(child))
    return generator


def _packed(child: EqualConv2d | Blur | Upsample) -> nn.Module:
    if isinstance(child, EqualConvTranspose2d) and _quicker_in_phases(child):
        return PackedPhases(child)
    return PackedConv(child)


def _quicker_in_phases(plain: EqualConvTranspose2d) -> bool:
    """Where there is AMX, oneDNN has far better kernels for ordinary convolutions than for transposed ones; with few channels they tie."""
    return plain.weight.shape[1] >= PHASES_FROM and plain.weight.dtype == torch.bfloat16 and torch.cpu._is_amx_tile_supported()


def _pack_before_activation(module: PixelConv | DownLevel | StyledConv) -> None:
    if getattr(module, "distribution_operation", None) is not None:
        return  # the textures are added between convolution and activation
    last = "blur" if isinstance(module, StyledConv) and module.blur is not None else "conv"
    setattr(module, last, PackedConv(getattr(module, last), activate=True))
    module.activate = nn.Identity()


def _multiplied_otherwise(module: nn.Module, name: str) -> bool:
    return isinstance(module, (PackedConv, PackedPhases)) or (isinstance(module, Extraction) and name == "value_conv" and not module.direct)


class PackedConv(nn.Module):
    """One convolution, packed when first used; where gradients are wanted it is the plain one."""

    def __init__(self, plain: EqualConv2d | Blur | Upsample, *, activate: bool = False):
        super().__init__()
        self.plain, self.activate = plain, activate
        self.packed: Tensor | None = None
        self.transposed = isinstance(plain, (EqualConvTranspose2d, Upsample))
        self.stride = 2 if self.transposed else getattr(plain, "stride", 1)
        self.padding = 1 if isinstance(plain, Upsample) else getattr(plain, "padding", 0)

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            x = self.plain(x)
            return F.leaky_relu(x, SLOPE) if self.activate else x
        groups = 1 if isinstance(self.plain, EqualConv2d) else x.shape[1]
        padding, stride = [self.padding] * 2, [self.stride] * 2
        if self.packed is None:
            self.packed = self._pack(x, padding, stride, groups)
        after = ("leaky_relu", [SLOPE], "") if self.activate else ("none", [], "")
        bias = getattr(self.plain, "bias", None)
        if self.transposed:
            return torch.ops.mkldnn._convolution_transpose_pointwise(x, self.packed, bias, padding, [0, 0], stride, [1, 1], groups, *after)
        return torch.ops.mkldnn._convolution_pointwise(x, self.packed, bias, padding, stride, [1, 1], groups, *after)

    def _pack(self, x: Tensor, padding: list[int], stride: list[int], groups: int) -> Tensor:
        """Fitted to the size of x; another size is computed as exactly, if perhaps less fast."""
        plain = self.plain
        weight = plain.scaled_weight() if isinstance(plain, EqualConv2d) else depthwise(plain.kernel, x)
        weight = weight.detach()
        if self.transposed:
            weight = weight.transpose(0, 1) if groups == 1 else weight
            return torch.ops.mkldnn._reorder_convolution_transpose_weight(weight, padding, [0, 0], stride, [1, 1], groups, list(x.shape))
        reorder = torch.ops.aten.mkldnn_reorder_conv2d_weight
        return reorder(weight.contiguous().to_mkldnn(), padding, stride, [1, 1], groups, list(x.shape))


class PackedPhases(nn.Module):
    """A stride-2 transposed 3x3 convolution as four ordinary ones, each for the rows and columns of one parity.

    Output row 2q + a is the sum over i = a, a + 2, ... of weight row i times input row q - (i - a) / 2.
    """

    def __init__(self, plain: EqualConvTranspose2d):
        super().__init__()
        self.plain = plain
        self.packed: list[tuple[int, int, list[int], Tensor]] = []

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return self.plain(x)
        if not self.packed:
            self.packed = [self._pack(x, a, b) for a in (0, 1) for b in (0, 1)]
        height, width = x.shape[-2:]
        shape = (len(x), len(self.plain.weight), 2 * height + 1, 2 * width + 1)
        out = torch.empty(shape, dtype=x.dtype, memory_format=torch.channels_last)
        for a, b, padding, weight in self.packed:
            phase = torch.ops.mkldnn._convolution_pointwise(x, weight, None, padding, [1, 1], [1, 1], 1, "none", [], "")
            out[:, :, a::2, b::2] = phase
        return out

    def _pack(self, x: Tensor, a: int, b: int) -> tuple[int, int, list[int], Tensor]:
        weight, padding = self.plain.scaled_weight().detach()[:, :, a::2, b::2].flip(2, 3).contiguous(), [1 - a, 1 - b]
        reorder = torch.ops.aten.mkldnn_reorder_conv2d_weight
        return a, b, padding, reorder(weight.to_mkldnn(), padding, [1, 1], [1, 1], 1, list(x.shape))

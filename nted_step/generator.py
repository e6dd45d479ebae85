"""The generator: reference encoder with texture extraction, skeleton encoder, and renderer with texture distribution."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from nted_step.config import NTEDStepConfig
from nted_step.layers import BiasedLeakyReLU, Blur, EqualConv2d, EqualConvTranspose2d, Upsample, blur_convolve, convolve_blur
from nted_step.textures import Distribution, Extraction


@dataclass(frozen=True)
class Textures:
    """What the reference encoder knows about a person at one step, in the order in which the renderer uses it.

    Coarsest level first, two per level that has labels.

    Attributes:
        values: tuple of B x C x K neural textures.
        attention: tuple of B x K x h x w extraction maps, each summing to 1 over positions.
    """

    values: tuple[Tensor, ...]
    attention: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class Rendering:
    """One step's output.

    Attributes:
        image: B x 3 x H x W, about [-1, 1], not clamped.
        distribution: tuple of B x K x h x w logits over labels, aligned with ``Textures.values``.
    """

    image: Tensor
    distribution: tuple[Tensor, ...]


def time_embedding(t: Tensor, size: tuple[int, int], dtype: torch.dtype = torch.float32) -> Tensor:
    """e(t): a sinusoid of dimension H*W and longest period 1000, shaped as one plane; no learned parameter.

    Args:
        t: B, step indices 0..steps-1.
        size: (H, W).

    Returns:
        B x 1 x H x W: the cosines fill the top half, the sines the bottom half.
    """
    half = size[0] * size[1] // 2
    frequencies = torch.exp(-math.log(1000) * torch.arange(half, device=t.device, dtype=torch.float32) / half)
    angles = t.float()[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=1).view(-1, 1, *size).to(dtype)


class PixelConv(nn.Module):
    """1x1 equalised convolution and activation: image channels -> features at canvas resolution."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.conv = EqualConv2d(in_channels, out_channels, 1, bias=False)
        self.activate: nn.Module = BiasedLeakyReLU(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.activate(self.conv(x))


class DownLevel(nn.Module):
    """Blur, stride-2 3x3 convolution, activation; in the reference encoder also two extraction operations."""

    def __init__(self, in_channels: int, out_channels: int, labels: int = 0, kernel: int = 1):
        super().__init__()
        self.blur = Blur(padding=2)
        self.conv = EqualConv2d(in_channels, out_channels, 3, stride=2, bias=False)
        self.activate: nn.Module = BiasedLeakyReLU(out_channels)
        if labels:
            self.extraction_operations = nn.ModuleList(Extraction(out_channels, labels, kernel) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.activate(blur_convolve(x, self.blur, self.conv))


class Encoder(nn.Module):
    """Canvas -> coarsest level. ``with_textures`` adds the extraction operations of the reference encoder."""

    def __init__(self, in_channels: int, config: NTEDStepConfig, *, with_textures: bool):
        super().__init__()
        fine_to_coarse = config.levels[::-1]
        self.first = PixelConv(in_channels, config.channels[config.size[0]])
        self.convs = nn.ModuleList(
            DownLevel(
                config.channels[fine],
                config.channels[coarse],
                config.labels[coarse] if with_textures else 0,
                config.kernels[coarse],
            )
            for fine, coarse in itertools.pairwise(fine_to_coarse)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Features of every level, the canvas first."""
        x = self.first(x)
        features = [x]
        for level in self.convs:
            x = level(x)
            features.append(x)
        return features


class StyledConv(nn.Module):
    """3x3 convolution (or stride-2 transposed convolution and blur), texture distribution, activation."""

    def __init__(self, in_channels: int, out_channels: int, labels: int, kernel: int, *, upsample: bool):
        super().__init__()
        self.conv: EqualConv2d
        self.blur: Blur | None
        if upsample:
            self.conv, self.blur = EqualConvTranspose2d(in_channels, out_channels, 3, bias=False), Blur(padding=1, gain=4.0)
        else:
            self.conv, self.blur = EqualConv2d(in_channels, out_channels, 3, padding=1, bias=False), None
        self.distribution_operation = Distribution(out_channels, labels, kernel) if labels else None
        self.activate: nn.Module = BiasedLeakyReLU(out_channels)

    def forward(self, x: Tensor, textures: Tensor | None) -> tuple[Tensor, Tensor | None]:
        x = self.conv(x) if self.blur is None else convolve_blur(x, self.conv, self.blur)
        logits = None
        if self.distribution_operation is not None:
            x, logits = self.distribution_operation(x, textures)
        return self.activate(x), logits


class ToRGB(nn.Module):
    """3x3 convolution to an image, added to the upsampled image of the level below."""

    def __init__(self, channels: int, *, upsample: bool):
        super().__init__()
        self.conv = EqualConv2d(channels, 3, 3, padding=1)
        self.upsample = Upsample() if upsample else None

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        image = self.conv(x)
        return image if self.upsample is None else image + self.upsample(skip)


class UpLevel(nn.Module):
    """Two styled convolutions and an image; every level but the coarsest doubles the resolution first.

    ``with_skip``: between the convolutions the skeleton encoder's features of the level are added, each channel with a gain that starts at
    0, so that weights trained without them go on as they were.
    """

    def __init__(self, in_channels: int, out_channels: int, labels: int, kernel: int, *, upsample: bool, with_skip: bool = False):
        super().__init__()
        self.skip_gain = nn.Parameter(torch.zeros(out_channels)) if with_skip else None
        self.conv0 = StyledConv(in_channels, out_channels, labels, kernel, upsample=upsample)
        self.conv1 = StyledConv(out_channels, out_channels, labels, kernel, upsample=False)
        self.to_rgb = ToRGB(out_channels, upsample=upsample)


class Renderer(nn.Module):
    """Skeleton features and textures -> image and distribution logits."""

    def __init__(self, config: NTEDStepConfig):
        super().__init__()
        levels = config.levels
        self.convs = nn.ModuleList(
            UpLevel(
                config.channels[levels[max(i - 1, 0)]],
                config.channels[level],
                config.labels[level],
                config.kernels[level],
                upsample=i > 0,
                with_skip=config.carries,
            )
            for i, level in enumerate(levels)
        )

    def forward(self, features: tuple[Tensor, ...], textures: tuple[Tensor, ...]) -> Rendering:
        x, distribution = features[0], []
        image: Tensor | None = None
        remaining = iter(textures)
        for i, level in enumerate(cast("Iterable[UpLevel]", self.convs)):
            for conv in (level.conv0, level.conv1):
                values = next(remaining) if conv.distribution_operation is not None else None
                x, logits = conv(x, values)
                if logits is not None:
                    distribution.append(logits)
                if conv is level.conv0 and level.skip_gain is not None:
                    x = torch.addcmul(x, features[i], level.skip_gain.to(x.dtype)[:, None, None])
            image = level.to_rgb(x, image)
        return Rendering(cast("Tensor", image), tuple(distribution))


class Generator(nn.Module):
    """G(source, x_t, skeleton, t): one step of NTED Step.

    The textures depend on (source, t) alone, so :meth:`encode_reference` can be called once per person and step, and
    its result reused for every pose.
    """

    def __init__(self, config: NTEDStepConfig):
        super().__init__()
        self.config = config
        self.reference_encoder = Encoder(3, config, with_textures=True)
        self.skeleton_encoder = Encoder(3 + config.conditioning_channels, config, with_textures=False)
        self.target_image_renderer = Renderer(config)
        self.time_scale = config.time_scale  # a plain attribute, so that warm-started training can raise it

    @property
    def dtype(self) -> torch.dtype:
        """Of its weights, and so of what it reads."""
        return next(self.parameters()).dtype

    def time_plane(self, t: Tensor, like: Tensor) -> Tensor:
        """e(t) as it is added to the image: B x 1 x H x W."""
        height, width = like.shape[-2:]
        return self.time_scale * time_embedding(t.to(like.device), (height, width), like.dtype)

    def encode_reference(self, source: Tensor, t: Tensor) -> Textures:
        """Source B x 3 x H x W in [-1, 1], t B -> textures for that step."""
        features = self.reference_encoder(source + self.time_plane(t, source))[1:]
        values, attention = [], []
        for level, x in zip(reversed(self.reference_encoder.convs), reversed(features), strict=True):
            for operation in reversed(getattr(level, "extraction_operations", ())):
                texture, weights = operation(x)
                values.append(texture)
                attention.append(weights)
        return Textures(tuple(values), tuple(attention))

    def encode_pose(self, x_t: Tensor, condition: Tensor, t: Tensor) -> tuple[Tensor, ...]:
        """x_t B x 3 x H x W, condition B x conditioning_channels x H x W (the skeleton map, then what is carried), t B -> features of
        every level that the renderer reads, coarsest first: one, or where the model carries all of them."""
        features = self.skeleton_encoder(torch.cat([x_t + self.time_plane(t, x_t), condition], dim=1))[::-1]
        return tuple(features) if self.config.carries else tuple(features[:1])

    def render(self, features: tuple[Tensor, ...], textures: Textures) -> Rendering:
        """Features of :meth:`encode_pose` and textures of :meth:`encode_reference` -> the next image x_{t+1}."""
        return self.target_image_renderer(features, textures.values)

    def forward(self, source: Tensor, x_t: Tensor, condition: Tensor, t: Tensor) -> tuple[Rendering, Textures]:
        textures = self.encode_reference(source, t)
        return self.render(self.encode_pose(x_t, condition, t), textures), textures

"""The parser's network: torchvision's Mask R-CNN with mmdetection's anchors, on ResNet-50 or on a small residual network."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN, maskrcnn_resnet50_fpn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.resnet import BasicBlock
from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork, LastLevelMaxPool

from nted_step.classes import CLASSES, LABEL_COUNT

STRIDES = (4, 8, 16, 32, 64)
RATIOS = (0.5, 1.0, 2.0)
BACKBONES = ("resnet50", "small")
PIXELS = "pixels"  # name of the pixel branch's logits among the features


@dataclasses.dataclass(frozen=True)
class ParserConfig:
    """Architecture of a parser.

    Attributes:
        backbone: ``"resnet50"`` (mmfashion's) or ``"small"`` (the one that ships with the project).
        labels: outputs of the box head, including the background: 81 in mmfashion's file, of which 1..15 are trained.
        resize: (shorter, longer) side in pixels that a photo is resized to fit.
        anchor_scale: side of an anchor divided by the stride.
        widths: channels of the small backbone at strides 4, 8, 16, 32.
        pyramid: channels of the small network's feature pyramid and mask head.
        hidden: units in each of the small box head's two layers.
        proposals: boxes kept per pyramid level, and in all, for the box head to classify.
        pixels: channels of the small network's branch that labels every pixel, or 0 for no such branch and masks as in mmdetection.
            The branch's log-odds are added to the instances' masks, which are then placed on the photo with subpixel accuracy.
        margin: share of its sides by which a box is enlarged on each side for its mask, so that the mask can correct the box.
    """

    backbone: str = "resnet50"
    labels: int = 81
    resize: tuple[int, int] = (750, 1101)
    anchor_scale: int = 8
    widths: tuple[int, ...] = ()
    pyramid: int = 256
    hidden: int = 1024
    proposals: int = 1000
    pixels: int = 0
    margin: float = 0.0

    def __post_init__(self) -> None:
        if self.backbone not in BACKBONES:
            raise ValueError(f"backbone must be one of {', '.join(BACKBONES)}, not {self.backbone!r}")
        if self.labels < LABEL_COUNT or (self.backbone == "small" and len(self.widths) != 4):
            raise ValueError(f"a parser needs more than {len(CLASSES)} labels, and a small one 4 widths")
        if (
            min(*self.resize, self.anchor_scale, self.pyramid, self.hidden, self.proposals, *self.widths) < 1
            or self.resize[0] > self.resize[1]
        ):
            raise ValueError("sizes must be positive, and resize (shorter, longer)")
        if self.pixels < 0 or not 0 <= self.margin <= 1 or ((self.pixels or self.margin) and self.backbone != "small"):
            raise ValueError("pixels must not be negative, margin must be 0 to 1, and both must be 0 unless the network is small")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form; :meth:`from_dict` is its inverse."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in dataclasses.asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ParserConfig:
        """Read what :meth:`to_dict` wrote. Raises ValueError naming what is wrong."""
        if unknown := sorted(set(values) - {field.name for field in dataclasses.fields(cls)}):
            raise ValueError(f"unknown configuration key {unknown[0]!r}")
        try:
            given: dict[str, Any] = {key: tuple(map(int, value)) if isinstance(value, list) else value for key, value in values.items()}
            return cls(**given)
        except TypeError as error:
            raise ValueError(f"configuration: {error}") from None


MMFASHION = ParserConfig()
SMALL = ParserConfig(
    "small", labels=LABEL_COUNT, resize=(264, 384), anchor_scale=4, widths=(48, 96, 192, 256), pyramid=96, hidden=384, proposals=150,
    pixels=48, margin=0.1,
)  # fmt: skip


class Anchors(AnchorGenerator):
    """mmdetection's anchors in place of torchvision's: shifted by half a stride, at fixed strides.

    In continuous coordinates (x2 one beyond the last pixel) the anchor of cell (i, j) is centred on
    ((j + 1/2) * stride, (i + 1/2) * stride).
    """

    def __init__(self, scale: int):
        super().__init__(tuple((scale * stride,) for stride in STRIDES), (RATIOS,) * len(STRIDES))
        self.scale = scale

    def num_anchors_per_location(self) -> list[int]:
        return [len(RATIOS)] * len(STRIDES)

    def level(self, stride: int, height: int, width: int) -> Tensor:
        """height * width * 3 x 4 anchors (x1, y1, x2, y2) of one pyramid level: row by row, cell by cell, ratio by ratio."""
        root = torch.tensor(RATIOS).sqrt()
        half = torch.stack([1 / root, root], dim=1) * self.scale * stride / 2
        around = torch.cat([-half, half], dim=1).round() + stride / 2
        y, x = torch.meshgrid(torch.arange(height) * stride, torch.arange(width) * stride, indexing="ij")
        corner = torch.stack([x, y, x, y], dim=-1).view(-1, 1, 4)
        return (corner + around).view(-1, 4)

    def forward(self, images: ImageList, features: list[Tensor]) -> list[Tensor]:
        levels = [self.level(stride, *level.shape[-2:]) for stride, level in zip(STRIDES, features, strict=True)]
        return [torch.cat(levels).to(features[0].device)] * len(images.image_sizes)


class SmallBackbone(nn.Module):
    """A residual network, two blocks per stage: B x 3 x h x w -> features by name, "0" to "3" at strides 4 to 32, "stem" at 2."""

    def __init__(self, widths: tuple[int, ...]):
        super().__init__()
        first = widths[0]
        self.stem = nn.Sequential(nn.Conv2d(3, first, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(first), nn.ReLU(inplace=True))
        self.stages = nn.ModuleList(
            nn.Sequential(_block(before, width, stride=2), _block(width, width, stride=1))
            for before, width in zip((first, *widths), widths, strict=False)
        )

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.stem(x)
        features = {"stem": x}
        for number, stage in enumerate(self.stages):
            x = stage(x)
            features[str(number)] = x
        return features


def _block(before: int, width: int, stride: int) -> BasicBlock:
    plain = stride == 1 and before == width
    shortcut = None if plain else nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))
    return BasicBlock(before, width, stride, shortcut)


class PixelBranch(nn.Module):
    """Labels every pixel at stride 2: the pyramid's finest level says what is there, the backbone's stem where exactly."""

    def __init__(self, stem: int, pyramid: int, channels: int, labels: int):
        super().__init__()
        self.coarse = _convolution(pyramid, channels)
        self.fine = _convolution(stem, channels)
        self.joined = nn.Sequential(_convolution(channels, channels), nn.Conv2d(channels, labels, 1))

    def forward(self, stem: Tensor, level: Tensor) -> Tensor:
        """Stem B x s x h x w and pyramid level B x p x h/2 x w/2 -> logits B x labels x h x w."""
        coarse = F.interpolate(self.coarse(level), size=stem.shape[-2:], mode="bilinear", align_corners=False)
        return self.joined(coarse + self.fine(stem))


def _convolution(before: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True))


class SmallFPN(nn.Module):
    """The small backbone under torchvision's feature pyramid, as MaskRCNN expects a backbone to be.

    With a pixel branch the output has one more entry, ``PIXELS``, its logits; take it out before passing the features on.
    """

    def __init__(self, widths: tuple[int, ...], channels: int, pixels: int = 0, labels: int = 0):
        super().__init__()
        pyramid = FeaturePyramidNetwork(list(widths), channels, LastLevelMaxPool())  # built first: seeded weights depend on the order
        self.body = SmallBackbone(widths)
        self.fpn = pyramid
        self.out_channels = channels
        self.pixels = PixelBranch(widths[0], channels, pixels, labels) if pixels else None

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = self.body(x)
        stem = features.pop("stem")
        features = self.fpn(features)
        if self.pixels is not None:
            features[PIXELS] = self.pixels(stem, features["0"])
        return features


def build_network(config: ParserConfig) -> MaskRCNN:
    """The network with random weights. Only its parts are used, never torchvision's own preprocessing of images."""
    anchors = Anchors(config.anchor_scale)
    if config.backbone == "resnet50":
        return maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=config.labels, rpn_anchor_generator=anchors)
    channels = config.pyramid
    return MaskRCNN(
        SmallFPN(config.widths, channels, config.pixels, config.labels),
        rpn_anchor_generator=anchors,
        box_head=TwoMLPHead(channels * 7 * 7, config.hidden),
        box_predictor=FastRCNNPredictor(config.hidden, config.labels),
        mask_head=MaskRCNNHeads(channels, (channels,) * 4, 1),
        mask_predictor=MaskRCNNPredictor(channels, channels, config.labels),
    )

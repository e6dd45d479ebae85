"""Networks whose features tell how alike two pictures look: the parser's backbone (offline) or VGG19 (fetched)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from appearance_control.detection import MEAN, STD
from appearance_control.parser import FashionParser

Features = Callable[[Tensor], list[Tensor]]
"""B x 3 x H x W in [-1, 1] -> feature maps B x C x h x w, finest first."""

PARSER_STAGES = 2  # strides 4 and 8; the deeper ones know classes, and little of how a garment looks
VGG_TAPS = (1, 6, 11, 20, 29)  # relu1_1, 2_1, 3_1, 4_1, 5_1


class FeatureError(ValueError):
    """A feature network that cannot be had; one line."""


def parser_features(parser: FashionParser) -> Features:
    """The first stages of the parser's backbone."""
    body = parser.network.backbone.body

    def features(image: Tensor) -> list[Tensor]:
        return list(body(_normal(image)).values())[:PARSER_STAGES]

    return features


def vgg19_features(device: torch.device | str = "cpu") -> Features:
    """VGG19 of torchvision, fetched once. Raises FeatureError when there is no network and it was not fetched before."""
    from torchvision.models import VGG19_Weights, vgg19

    try:
        layers = vgg19(weights=VGG19_Weights.IMAGENET1K_V1).features[: VGG_TAPS[-1] + 1].eval().requires_grad_(False).to(device)
    except (OSError, RuntimeError) as error:
        raise FeatureError(f"VGG19's weights cannot be fetched ({str(error).splitlines()[0]}); use the parser's features") from None

    def features(image: Tensor) -> list[Tensor]:
        x, found = _normal(image), []
        for number, layer in enumerate(layers):
            x = torch.relu(x) if isinstance(layer, torch.nn.ReLU) else layer(x)  # not in place: the taps are kept
            if number in VGG_TAPS:
                found.append(x)
        return found

    return features


def _normal(image: Tensor) -> Tensor:
    mean, std = (torch.from_numpy(value).to(image).view(3, 1, 1) for value in (MEAN, STD))
    return ((image + 1) * 127.5 - mean) / std


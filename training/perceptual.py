"""VGG19's features for the perceptual, style and face losses, with torchvision's weights, downloaded at first use."""

from __future__ import annotations

from pickle import UnpicklingError

import torch
from torch import Tensor, nn

from training.efficientnet import DEVIATION, MEAN
from training.evaluation.metrics import NotAvailable
from training.evaluation.networks import fetch

URL = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"
TAPS = (1, 6, 11, 20, 29)  # relu1_1, relu2_1, relu3_1, relu4_1, relu5_1 among torchvision's layers


class VGGFeatures(nn.Module):
    """Images N x 3 x H x W in [-1, 1] -> features after the first ReLU of each of the five blocks, finest first.

    Weights are random unless ``state`` (torchvision's state dict of VGG19) is given, and are never trained.
    """

    def __init__(self, state: dict[str, Tensor] | None = None):
        super().__init__()
        from torchvision.models import vgg19

        network = vgg19(weights=None, init_weights=state is None)
        if state is not None:
            network.load_state_dict(state)
        self.layers = network.features[: TAPS[-1] + 1]
        for layer in self.layers:
            if isinstance(layer, nn.ReLU):
                layer.inplace = False  # or it would overwrite a feature map
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1))
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(3, 1, 1))
        self.eval().requires_grad_(False)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        x = ((image + 1) / 2 - self.mean) / self.deviation
        taps = []
        for number, layer in enumerate(self.layers):
            x = layer(x)
            if number in TAPS:
                taps.append(x)
        return tuple(taps)


def open_vgg(device: torch.device) -> VGGFeatures:
    """VGG19 trained on ImageNet. Raises NotAvailable with one line that says why."""
    path = fetch(URL)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        return VGGFeatures(state).to(device, memory_format=torch.channels_last)
    except (RuntimeError, EOFError, OSError, UnpicklingError):
        raise NotAvailable(f"{path} cannot be read; delete it to fetch it again") from None

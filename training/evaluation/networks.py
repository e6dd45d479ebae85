"""The networks behind LPIPS, EL0, FID and clean-FID, and their weights.

EL0's weights come with a package, and the pose detector's are bundled. The others are taken from torch's cache, into which they are
downloaded once; without a connection their metrics are not available.
"""

from __future__ import annotations

import os
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from pickle import UnpicklingError
from urllib.parse import urlparse

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from nted_step.pose_detection import PoseDetector
from nted_step.weights import WeightsError
from training.efficientnet import open_efficientnet
from training.evaluation.metrics import NotAvailable

# The eight digits in each name are the first of the file's SHA-256, and are checked after a download.
LPIPS_URL = "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"
FID_URL = "https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth"
CLEAN_FID_URL = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
PROBE_SECONDS = 5
STALL_SECONDS = 30
INCEPTION_SIZE = 299

Features = Callable[[Tensor], Tensor]
"""N x 3 x H x W uint8 -> N x 2048 float32."""


@dataclass(frozen=True)
class Networks:
    """The networks that are available.

    Attributes:
        lpips: (image, truth), both N x 3 x H x W uint8 -> N distances; None if missing.
        features: "fid" and "clean_fid" -> their Inception; without those that are missing.
        missing: name of a metric -> why it is not available.
        el0: (image N x 3 x H x W uint8, mask N x 1 x H x W, 1 on the person) -> features for
            :func:`training.losses.el0_distance`; None if missing.
        pose: images N x 3 x H x W uint8 -> N x 17 x 3 keypoints (x, y, score) in pixels, for AKD and MKR; None if missing.
    """

    lpips: Callable[[Tensor, Tensor], Tensor] | None
    features: Mapping[str, Features]
    missing: Mapping[str, str]
    el0: Callable[[Tensor, Tensor], tuple[Tensor, ...]] | None = None
    pose: Callable[[Tensor], np.ndarray] | None = None


def open_networks(device: torch.device) -> Networks:
    """All networks that are available, on a device; never raises for weights that cannot be fetched."""
    opened, missing = {}, {}
    for name, open_one in (
        ("lpips", open_lpips), ("el0", open_el0), ("fid", open_fid), ("clean_fid", open_clean_fid), ("pose", open_pose)
    ):  # fmt: skip
        try:
            opened[name] = open_one(device)
        except NotAvailable as error:
            missing[name] = str(error)
        except (RuntimeError, EOFError, OSError, UnpicklingError) as error:
            missing[name] = f"its weights in torch's cache cannot be read ({_line(error)[:120]}); delete them to fetch them again"
    if "pose" in missing:
        missing |= dict.fromkeys(("akd", "mkr"), missing.pop("pose"))
    lpips, el0, pose = (opened.pop(name, None) for name in ("lpips", "el0", "pose"))
    return Networks(lpips, opened, missing, el0, pose)


# -- networks ----------------------------------------------------------------------------------------------------------------


def open_lpips(device: torch.device) -> Callable[[Tensor, Tensor], Tensor]:
    """LPIPS 0.1 of Zhang et al. (2018) on AlexNet at the images' own size, the field's choice. Raises NotAvailable."""
    fetch(LPIPS_URL)  # torchvision uses the same cache, but without a connection it would wait
    return build_lpips(device)


def build_lpips(device: torch.device) -> Callable[[Tensor, Tensor], Tensor]:
    """Like :func:`open_lpips`, with whatever weights torchvision loads into its AlexNet."""
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    metric = LearnedPerceptualImagePatchSimilarity(net_type="alex", normalize=True, reduction="none").to(device)

    @torch.no_grad()
    def distances(image: Tensor, truth: Tensor) -> Tensor:
        scores = metric(image.to(device).float() / 255, truth.to(device).float() / 255).reshape(-1).cpu()
        metric.reset()  # it accumulates all scores
        return scores

    return distances


def open_el0(device: torch.device) -> Callable[[Tensor, Tensor], tuple[Tensor, ...]]:
    """Features for EL0 over person pixels, see :func:`training.losses.el0_distance`. Raises NotAvailable."""
    network = open_efficientnet(device)

    @torch.no_grad()
    def features(image: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        return network(image.to(device).float() / 127.5 - 1, mask.to(device).float())

    return features


def open_pose(device: torch.device) -> Callable[[Tensor], np.ndarray]:
    """Keypoints of people who fill their images, by the pose detector in the box. Raises NotAvailable."""
    try:
        detector = PoseDetector.from_pretrained(device=device)
    except WeightsError as error:
        raise NotAvailable(str(error)) from None
    return lambda image: detector.whole(image.float() / 127.5 - 1)


def open_fid(device: torch.device) -> Features:
    """The Inception of this field's FID: torchvision's ImageNet weights, not the TensorFlow ones. Raises NotAvailable."""
    return FieldInception(torch.load(fetch(FID_URL), map_location="cpu", weights_only=True)).to(device)


class FieldInception(nn.Module):
    """2048 pooled features of torchvision's Inception-v3, as GFLA and its successors feed it.

    Images in [0, 1] are stretched to 299x299 (bilinear, no smoothing) and then pass torchvision's own input transform,
    which expects images normalised with ImageNet's mean and deviation. They are not normalised: early FID ports omitted it, and the
    field's numbers depend on it.
    """

    def __init__(self, state: Mapping[str, Tensor] | None = None):
        super().__init__()
        from torchvision.models import inception_v3

        self.network = inception_v3(weights=None, init_weights=False, transform_input=True)
        if state is not None:
            self.network.load_state_dict(state)
        self.network.fc = nn.Identity()
        self.eval().requires_grad_(False)

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        """N x 3 x H x W uint8 -> N x 2048."""
        device = self.network.Conv2d_1a_3x3.conv.weight.device
        x = image.to(device).float() / 255
        return self.network(F.interpolate(x, size=(INCEPTION_SIZE, INCEPTION_SIZE), mode="bilinear", align_corners=False))


def open_clean_fid(device: torch.device) -> Features:
    """The Inception of clean-FID (Parmar et al., 2022): TensorFlow's weights, an anti-aliased resize. Raises NotAvailable."""
    return CleanInception(fetch(CLEAN_FID_URL)).to(device)


class CleanInception(nn.Module):
    """2048 pooled features of TensorFlow's Inception (torch-fidelity's port) behind clean-FID's resize.

    torch-fidelity's network resizes its input itself, without anti-aliasing and only from 8 bits, so only its layers are used.
    """

    def __init__(self, weights: Path):
        super().__init__()
        from torch_fidelity import FeatureExtractorInceptionV3

        torch.load(weights, map_location="cpu", weights_only=True)  # torch-fidelity would also execute code in the file
        network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], feature_extractor_weights_path=str(weights))
        self.layers = nn.Sequential(*(layer for name, layer in network.named_children() if name != "fc"))
        self.eval().requires_grad_(False)

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        """N x 3 x H x W uint8 -> N x 2048."""
        x = clean_resize(image).to(next(self.layers.parameters()).device)
        return self.layers((x - 128) / 128).flatten(1)


def clean_resize(image: Tensor, size: int = INCEPTION_SIZE) -> Tensor:
    """N x 3 x H x W uint8 -> N x 3 x size x size float32 in [0, 255]: bicubic, clipped, not rounded."""

    def one(channel: np.ndarray) -> np.ndarray:
        picture = Image.fromarray(channel.astype(np.float32))
        return np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC)).clip(0, 255)

    planes = image.cpu().flatten(0, 1).numpy()
    return torch.from_numpy(np.stack([one(plane) for plane in planes])).unflatten(0, image.shape[:2])


# -- weights -----------------------------------------------------------------------------------------------------------------


def fetch(url: str) -> Path:
    """The file of a URL in torch's cache, downloaded first if it is not there. Raises NotAvailable."""
    name = Path(urlparse(url).path).name
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    if path.is_file():
        return path
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        raise NotAvailable(f"{name} is not in torch's cache, and HF_HUB_OFFLINE forbids fetching it")
    trouble = probe(urlparse(url).netloc)
    if trouble:
        raise NotAvailable(f"{name} is not in torch's cache and could not be fetched ({trouble})")
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALL_SECONDS)  # torch's download has no timeout
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), hash_prefix=path.stem.rsplit("-", 1)[1])
    except (OSError, RuntimeError) as error:
        raise NotAvailable(f"{name} could not be fetched ({_line(error)})") from None
    finally:
        socket.setdefaulttimeout(before)
    return path


@cache
def probe(host: str) -> str:
    """Why a host cannot be reached, in a few words; empty if it can. Returns within PROBE_SECONDS."""
    answer = ["no answer"]

    def ask() -> None:
        try:
            with urllib.request.urlopen(urllib.request.Request(f"https://{host}/", method="HEAD"), timeout=PROBE_SECONDS):
                answer[0] = ""
        except urllib.error.HTTPError:  # it answers, even if only that nothing is at its root
            answer[0] = ""
        except (OSError, ValueError) as error:
            answer[0] = _line(error)

    # In a thread, because no timeout covers the name lookup.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS)
    return answer[0]


def _line(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return " ".join(str(getattr(reason, "strerror", None) or reason).split()) or type(error).__name__

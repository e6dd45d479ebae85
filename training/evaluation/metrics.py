"""Image metrics: PSNR, SSIM, sharpness, the Fréchet distance, and the protocols under which the field reports them.

Every function takes 8-bit images, N x 3 x H x W uint8, because the field scores images that were saved to disk.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from skimage.metrics import structural_similarity
from torch import Tensor

SSIM_SETTINGS = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
GREY = (0.299, 0.587, 0.114)  # of red, green and blue, ITU-R BT.601
PREDICTION = "prediction"  # as a data_range: maximum minus minimum of the scored image


class NotAvailable(RuntimeError):
    """A metric or network is not available here; the message is one line that says why."""


@dataclass(frozen=True)
class Protocol:
    """How a paper of the field computes its metrics. The metric ``ssim`` is the same under every protocol.

    Attributes:
        sigma: of the Gaussian SSIM ("ssim_256"), pixels.
        pad_to_square: whether both images are padded with white to a square before ssim_51 and ssim_256, which raises the score.
        fid_batch: the paper's script used only full batches of this size for FID and dropped the rest; None: all images are used.
    """

    name: str
    sigma: float = 1.5
    pad_to_square: bool = False
    fid_batch: int | None = None

    def ssim_settings(self) -> dict[str, dict[str, Any]]:
        """Name -> arguments of skimage's ``structural_similarity``, for images in [0, 1] (ssim_51) or [0, 255] (ssim_256)."""
        gaussian = {"gaussian_weights": True, "sigma": self.sigma, "use_sample_covariance": False, "data_range": PREDICTION}
        return {"ssim_51": {"win_size": 51, "data_range": 1}, "ssim_256": gaussian}

    def settings(self) -> dict[str, Any]:
        """All settings, for a report."""
        return asdict(self) | self.ssim_settings()


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol("cfld"),
        Protocol("gfla", fid_batch=64),
        Protocol("pidm", sigma=1.2, fid_batch=64),
        Protocol("dptn", pad_to_square=True),
    )
}


def to_bytes(image: Tensor) -> Tensor:
    """[-1, 1] -> uint8 of the same shape, clamped and rounded."""
    return ((image.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def psnr(image: Tensor, truth: Tensor, mask: Tensor | None = None) -> Tensor:
    """-10 log10(mean squared error) in dB with a data range of 1: N float64.

    ``mask`` (N x 1 x H x W, 0 or 1) selects the pixels that count. Equal images give 100 dB instead of infinity, so that
    means stay finite. Raises ValueError if the shapes differ.
    """
    _check(image, truth)
    mask = torch.ones_like(image[:, :1]) if mask is None else mask
    error = ((image.double() - truth.double()) / 255).square() * mask
    mse = error.flatten(1).sum(1) / (3 * mask.double().flatten(1).sum(1)).clamp(min=1)
    return -10 * torch.log10(mse.clamp(min=1e-10))


def edges(image: Tensor, mask: Tensor) -> Tensor:
    """Amount of detail: |Laplacian| of the grey image, summed over the mask's pixels: N float64.

    Grey levels are 0..255, the kernel is 0 1 0 / 1 -4 1 / 0 1 0, and border pixels are replicated outwards, so that the border is not
    an edge. ``mask`` is N x 1 x H x W, 0 or 1; the kernel reaches outside it, so the person's outline counts. Divided by the same sum
    of the truth, this is the report's "sharp".
    """
    grey = (image.double() * torch.tensor(GREY, dtype=torch.float64, device=image.device).view(3, 1, 1)).sum(1, keepdim=True)
    around = F.pad(grey, (1, 1, 1, 1), mode="replicate")
    neighbours = around[..., :-2, 1:-1] + around[..., 2:, 1:-1] + around[..., 1:-1, :-2] + around[..., 1:-1, 2:]
    return ((neighbours - 4 * grey).abs() * mask).flatten(1).sum(1)


def ssim(image: Tensor, truth: Tensor, settings: dict[str, Any] = SSIM_SETTINGS, pad_to_square: bool = False) -> Tensor:
    """Structural similarity (Wang et al., 2004) as skimage computes it, colour channels averaged: N float64.

    ``settings`` go to skimage; a ``data_range`` of 1 divides the images by 255 first, PREDICTION takes the range of each
    scored image, as the field's "ssim_256" does. Raises ValueError if the shapes differ, NotAvailable if the window
    does not fit.
    """
    _check(image, truth)
    if pad_to_square:
        image, truth = _pad_white(image), _pad_white(truth)
    window = settings.get("win_size") or 2 * int(3.5 * settings["sigma"] + 0.5) + 1  # skimage's Gaussian ends at 3.5 sigma
    if min(image.shape[-2:]) < window:
        raise NotAvailable(f"the window of {window} pixels is larger than the image")

    def one(pair: tuple[np.ndarray, np.ndarray]) -> float:
        return _ssim_of_one(*pair, dict(settings))

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return torch.tensor(list(pool.map(one, zip(image.cpu().numpy(), truth.cpu().numpy(), strict=True))), dtype=torch.float64)


def _ssim_of_one(image: np.ndarray, truth: np.ndarray, settings: dict[str, Any]) -> float:
    if settings["data_range"] == 1:
        image, truth = image.astype(np.float32) / 255, truth.astype(np.float32) / 255
    elif settings["data_range"] == PREDICTION:
        # A prediction of a single colour has range 0, for which the formula is 0 / 0.
        settings["data_range"] = max(1, int(image.max()) - int(image.min()))
        image, truth = image.astype(np.float32), truth.astype(np.float32)
    return float(structural_similarity(truth, image, channel_axis=0, **settings))


def _pad_white(image: Tensor) -> Tensor:
    missing = max(0, image.shape[-2] - image.shape[-1])
    return F.pad(image, (missing // 2, missing - missing // 2), value=255)


def _check(image: Tensor, truth: Tensor) -> None:
    if image.shape != truth.shape:
        raise ValueError(f"images of {tuple(image.shape)} cannot be compared with {tuple(truth.shape)}")
    if image.dtype != torch.uint8 or truth.dtype != torch.uint8:
        raise ValueError("images are compared as uint8")


# -- the Fréchet distance --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gaussian:
    """A normal distribution fitted to ``count`` vectors: mean D, covariance D x D (divided by count - 1), both float64."""

    count: int
    mean: Tensor
    covariance: Tensor

    @cached_property
    def root(self) -> Tensor:
        """The symmetric square root of the covariance; cached, because one reference serves many comparisons."""
        values, vectors = torch.linalg.eigh(self.covariance)
        return (vectors * values.clamp(min=0).sqrt()) @ vectors.T


def fit_gaussian(batches: Iterable[Tensor]) -> Gaussian:
    """Fit a normal distribution to vectors in N x D batches. Raises NotAvailable for fewer than two vectors."""
    count, total, outer = 0, 0.0, 0.0
    for batch in batches:
        batch = batch.detach().cpu().double()
        count, total, outer = count + len(batch), total + batch.sum(0), outer + batch.T @ batch
    if count < 2:
        raise NotAvailable("a covariance needs at least two images")
    mean = total / count
    return Gaussian(count, mean, (outer - count * torch.outer(mean, mean)) / (count - 1))


def frechet_distance(reference: Gaussian, other: Gaussian) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), the FID of Heusel et al. (2017).

    C1 C2 has the eigenvalues of the symmetric C1^(1/2) C2 C1^(1/2). This avoids the root of a matrix that is not symmetric and, with
    fewer images than dimensions, is singular, for which the usual ``scipy.linalg.sqrtm`` returns complex numbers.
    """
    product = reference.root @ other.covariance @ reference.root
    cross = torch.linalg.eigvalsh((product + product.T) / 2).clamp(min=0).sqrt().sum()
    gap = (reference.mean - other.mean).square().sum()
    return (gap + reference.covariance.trace() + other.covariance.trace() - 2 * cross).item()

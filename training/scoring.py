"""One row of a report: a set of images against the truth, in every metric that can be had."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from training.data import Pairs
from training.garment_colour import colour_errors
from training.metric_networks import Features, Networks
from training.metrics import SSIM_SETTINGS, Gaussian, NotAvailable, Protocol, fit_gaussian, frechet_distance, psnr, ssim, to_bytes

NOT_AVAILABLE = "not available"
BATCH = 16  # images that a network sees at a time

Row = dict[str, float | str]


class Scorer:
    """Scores images against the targets of some pairs.

    Attributes:
        missing: name of a metric -> why it is not available; complete after the first ``score``.
        fid_images: how many images each side of a FID has.
    """

    def __init__(self, pairs: Pairs, protocol: Protocol, networks: Networks):
        self.truth, self.mask = to_bytes(pairs.target), pairs.mask
        self.target, self.classes = pairs.target, pairs.target_classes
        self.protocol, self.networks = protocol, networks
        self.missing = dict(networks.missing)
        if self.classes is None:
            self.missing["colour"] = "the data has no class maps"
        self.fid_images = whole_batches(len(pairs), protocol.fid_batch)
        self._references: dict[str, Gaussian] = {}

    def score(self, image: Tensor) -> Row:
        """Means over N x 3 x H x W in [-1, 1]; a metric that cannot be had is the string NOT_AVAILABLE."""
        colour = self._or_missing("colour", lambda: self._colour(image))
        image, truth = to_bytes(image), self.truth
        row: Row = {
            "psnr": psnr(image, truth).mean().item(),
            "masked_psnr": psnr(image, truth, self.mask).mean().item(),
            "ssim": self._or_missing("ssim", lambda: ssim(image, truth, SSIM_SETTINGS).mean().item()),
        }
        for name, settings in self.protocol.ssim_settings().items():
            row[name] = self._or_missing(name, lambda s=settings: ssim(image, truth, s, self.protocol.pad_to_square).mean().item())
        row["colour"] = colour
        row["lpips"] = self._or_missing("lpips", lambda: self._lpips(image))
        for name in ("fid", "clean_fid"):
            row[name] = self._or_missing(name, lambda n=name: self._frechet(n, image))
        return row

    def _or_missing(self, name: str, compute: Callable[[], float]) -> float | str:
        if name in self.missing:
            return NOT_AVAILABLE
        try:
            return compute()
        except NotAvailable as error:
            self.missing[name] = str(error)
            return NOT_AVAILABLE

    def _colour(self, image: Tensor) -> float:
        errors = colour_errors(image, self.target, self.classes)
        if not len(errors):
            raise NotAvailable("no garment is large enough")
        return float(np.median(errors))

    def _lpips(self, image: Tensor) -> float:
        batches = zip(image.split(BATCH), self.truth.split(BATCH), strict=True)
        return torch.cat([self.networks.lpips(*batch) for batch in batches]).double().mean().item()

    def _frechet(self, name: str, image: Tensor) -> float:
        features = self.networks.features[name]
        if name not in self._references:
            self._references[name] = self._fit(features, self.truth)
        return frechet_distance(self._references[name], self._fit(features, image))

    def _fit(self, features: Features, image: Tensor) -> Gaussian:
        return fit_gaussian(features(batch) for batch in image[: self.fid_images].split(BATCH))


def whole_batches(count: int, batch: int | None) -> int:
    """How many of ``count`` images a script uses that drops its last partial batch; all when there is no whole one."""
    return count if batch is None or count < batch else count - count % batch

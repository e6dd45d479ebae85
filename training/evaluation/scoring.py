"""Scoring of a set of images against the truth in every available metric: one row of a report."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from nted_step.classes import FACE
from nted_step.pose_detection import visible_keypoints
from training.evaluation.garment_colour import GarmentColours, scaled_area
from training.evaluation.metrics import SSIM_SETTINGS, Gaussian, NotAvailable, Protocol, edges, fit_gaussian, frechet_distance, psnr, ssim
from training.evaluation.networks import Features, Networks
from training.losses import el0_distance

NOT_AVAILABLE = "not available"
BATCH = 16  # images that a network processes at a time
CACHED_BATCHES = 64  # of the truth, whose EL0 features are kept for the next step: 1.3 GB at 256x176
LEAST_FACE_PIXELS = 30  # on a 256x176 canvas; a smaller face is turned away or cut off

Row = dict[str, float | str]


@dataclass(frozen=True)
class Reference:
    """The images that a FID compares with, if they are not the targets of the pairs.

    Attributes:
        count: number of images. batches: returns them in batches n x 3 x H x W uint8, each time it is called.
    """

    count: int
    batches: Callable[[], Iterable[Tensor]]


class Scorer:
    """Scores 8-bit images against the truth.

    Args:
        truth: N x 3 x H x W uint8. mask: N x 1 x H x W, 1 on the person.
        reference: of the FIDs; None: the truth itself.
        classes: N x H x W class maps of the truth, for the faces and the garments' colours.

    Attributes:
        fid_reference: number of reference images that a FID uses.
        missing: name of a metric -> why it is not available; complete after the first ``score``.
        fid_images: number of scored images that a FID uses.
    """

    def __init__(
        self,
        truth: Tensor,
        mask: Tensor,
        protocol: Protocol,
        networks: Networks,
        reference: Reference | None = None,
        classes: Tensor | None = None,
    ):
        self.truth, self.mask, self.reference = truth, mask, reference
        self.garments = None if classes is None else GarmentColours(truth, classes)
        self.protocol, self.networks = protocol, networks
        self.missing = dict(networks.missing)
        if networks.pose is None:
            self.missing = dict.fromkeys(("akd", "mkr"), "no pose detector was opened") | self.missing
        if classes is None:
            self.missing |= dict.fromkeys(("face_psnr", "colour"), "the data has no class maps")
        if mask.all():  # as in a prepared set without masks
            self.missing |= dict.fromkeys(("masked_psnr", "sharp", "el0"), "the data has no person masks")
        self.faces = None if classes is None else _large_faces(classes)
        self.fid_images = whole_batches(len(truth), protocol.fid_batch)
        self.fid_reference = self.fid_images if reference is None else whole_batches(reference.count, protocol.fid_batch)
        self._references: dict[str, Gaussian] = {}
        self._true_keypoints: np.ndarray | None = None
        self._true_features: dict[int, tuple[Tensor, ...]] = {}

    def score(self, image: Tensor) -> Row:
        """Means over N x 3 x H x W uint8; a metric that is not available is the string NOT_AVAILABLE."""
        truth = self.truth
        batches = list(zip(image.split(BATCH), truth.split(BATCH), self.mask.split(BATCH), strict=True))
        row: Row = {
            "psnr": torch.cat([psnr(images, true) for images, true, _ in batches]).mean().item(),
            "masked_psnr": self._or_missing("masked_psnr", lambda: torch.cat([psnr(*batch) for batch in batches]).mean().item()),
            "ssim": self._or_missing("ssim", lambda: ssim(image, truth, SSIM_SETTINGS).mean().item()),
        }
        for name, settings in self.protocol.ssim_settings().items():
            row[name] = self._or_missing(name, lambda s=settings: ssim(image, truth, s, self.protocol.pad_to_square).mean().item())
        row["face_psnr"] = self._or_missing("face_psnr", lambda: self._face(image))
        row["colour"] = self._or_missing("colour", lambda: self._colour(image))
        row["sharp"] = self._or_missing("sharp", lambda: self._sharp(image))
        row["el0"] = self._or_missing("el0", lambda: self._el0(image))
        poses = cache(lambda: self._pose(image))
        for name in ("akd", "mkr"):
            row[name] = self._or_missing(name, lambda n=name: poses()[n])
        row["lpips"] = self._or_missing("lpips", lambda: self._lpips(image))
        for name in ("fid", "clean_fid"):
            row[name] = self._or_missing(name, lambda n=name: self._frechet(n, image))
        return row

    def _or_missing(self, name: str, compute: Callable[[], float | str]) -> float | str:
        if name in self.missing:
            return NOT_AVAILABLE
        try:
            return compute()
        except NotAvailable as error:
            self.missing[name] = str(error)
            return NOT_AVAILABLE

    def _face(self, image: Tensor) -> float:
        people, mask = self.faces
        if not len(people):
            raise NotAvailable("no face is large enough")
        return psnr(image[people], self.truth[people], mask).mean().item()

    def _colour(self, image: Tensor) -> float:
        errors = self.garments.errors(image)
        if not len(errors):
            raise NotAvailable("no garment is large enough")
        return float(np.median(errors))

    def _sharp(self, image: Tensor) -> float:
        truth = self._edges(self.truth)
        if not truth:
            raise NotAvailable("the truth has no edges")
        return self._edges(image) / truth

    def _edges(self, image: Tensor) -> float:
        return sum(edges(*batch).sum().item() for batch in zip(image.split(BATCH), self.mask.split(BATCH), strict=True))

    def _el0(self, image: Tensor) -> float:
        distances, features = [], self.networks.el0
        for i, (images, true, mask) in enumerate(zip(image.split(BATCH), self.truth.split(BATCH), self.mask.split(BATCH), strict=True)):
            real = self._true_features.get(i) or features(true, mask)
            if i < CACHED_BATCHES:
                self._true_features[i] = real
            distances.append(el0_distance(real, features(images, mask), mask.to(real[0].device)).cpu())
        return torch.cat(distances).double().mean().item()

    def _pose(self, image: Tensor) -> Row:
        """AKD and MKR of Monkey-Net (Siarohin et al., CVPR 2019) over all joints of all people, with our detector's thresholds.

        Raises NotAvailable when no joint is found in the truth. When none of those is found in the images, these have no AKD.
        """
        if self._true_keypoints is None:
            self._true_keypoints = self._keypoints(self.truth)
        size = tuple(image.shape[-2:])
        true, some = self._true_keypoints, self._keypoints(image)
        seen = visible_keypoints(true, size)
        both = seen & visible_keypoints(some, size)
        if not seen.any():
            raise NotAvailable("no joint is found in the truth")
        away = np.linalg.norm(some[..., :2] - true[..., :2], axis=-1)[both] * (256 / size[0])
        return {"akd": float(away.mean()) if both.any() else NOT_AVAILABLE, "mkr": 1 - float(both.sum() / seen.sum())}

    def _keypoints(self, image: Tensor) -> np.ndarray:
        return np.concatenate([self.networks.pose(batch) for batch in image.split(BATCH)])

    def _lpips(self, image: Tensor) -> float:
        batches = zip(image.split(BATCH), self.truth.split(BATCH), strict=True)
        return torch.cat([self.networks.lpips(*batch) for batch in batches]).double().mean().item()

    def _frechet(self, name: str, image: Tensor) -> float:
        features = self.networks.features[name]
        if name not in self._references:
            self._references[name] = self._fit_reference(features)
        return frechet_distance(self._references[name], self._fit(features, image))

    def _fit_reference(self, features: Features) -> Gaussian:
        if self.reference is None:
            return self._fit(features, self.truth)
        left = self.fid_reference

        def kept() -> Iterable[Tensor]:
            nonlocal left
            for batch in self.reference.batches():
                if left > 0:
                    yield features(batch[:left])
                left -= len(batch)

        return fit_gaussian(kept())

    def _fit(self, features: Features, image: Tensor) -> Gaussian:
        return fit_gaussian(features(batch) for batch in image[: self.fid_images].split(BATCH))


def _large_faces(classes: Tensor) -> tuple[Tensor, Tensor]:
    """Indices of the people whose faces are large enough, n int64, and the masks of these faces, n x 1 x H x W."""
    mask = (classes == FACE)[:, None]
    least = scaled_area(LEAST_FACE_PIXELS, classes.shape[-2:])
    people = (mask.flatten(1).sum(1) >= least).nonzero()[:, 0]
    return people, mask[people]


def whole_batches(count: int, batch: int | None) -> int:
    """How many of ``count`` images a script uses that drops its last partial batch; all if no batch is full."""
    return count if batch is None or count < batch else count - count % batch

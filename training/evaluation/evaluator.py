"""Evaluation of weights: every step of every pair sampled and scored, and the report's files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from nted_step.files import write_file, write_json
from nted_step.schedule import ladder
from nted_step.weights import Weights
from training.carrier_losses import place_error
from training.data.pairs import Pairs, concatenate
from training.evaluation.image_folder import ImageFolder, last_step
from training.evaluation.metrics import SSIM_SETTINGS, Protocol, to_bytes
from training.evaluation.networks import open_networks
from training.evaluation.report import COPY, IMAGES, WARP, draw, plot, render_html
from training.evaluation.sampling import Sampler
from training.evaluation.scoring import Scorer
from training.evaluation.test_sets import IndexedPairs, TestSet
from training.validation import SHOWN, save_sheet

LIBRARIES = ("torch", "torchvision", "scikit-image", "torchmetrics", "torch-fidelity", "efficientnet-lite-pytorch")


@dataclass(frozen=True)
class Samples:
    """All images to score, 8-bit N x 3 x H x W, and the first few people for the sheet.

    Attributes:
        steps: step -> its images, for the measured steps.
        shown, shown_steps: pairs for the sheet, and all their steps, as floats.
        place_error: N, the carrier's error at all cells that the sources show, in pixels of a 256x176 canvas.
    """

    source: Tensor
    target: Tensor
    mask: Tensor
    steps: dict[int, Tensor]
    shown: Pairs
    shown_steps: list[Tensor]
    place_error: Tensor | None = None


def evaluate(
    weights: Weights,
    test: TestSet,
    protocol: Protocol,
    only_last: bool,
    device: torch.device,
    folder: Path,
    dtype: torch.dtype = torch.float32,
) -> dict[str, Any]:
    """Measure weights; writes all files of the report into ``folder`` and returns the contents of ``metrics.json``.

    Raises ValueError if the pairs do not have the model's size.
    """
    sampler, config = Sampler(weights, device, dtype), weights.config
    size = tuple(test.pairs.select(torch.tensor([0])).target.shape[-2:])
    if size != config.size:
        raise ValueError(f"the pairs are {size}, the model is {config.size}; no image is resized to be scored")
    measured = [config.steps] if only_last else list(range(1, config.steps + 1))
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as space:
        sampled = sample_all(sampler, test.pairs, measured, Path(space))
        scorer = Scorer(sampled.target, sampled.mask, protocol, open_networks(device), test.reference, test.classes)
        baselines = {COPY: scorer.score(sampled.source)}
        if test.warped is not None:
            baselines[WARP] = scorer.score(test.warped)
        rows = {
            f"step {k}": {"size": list(ladder(config)[k])} | scorer.score(sampled.steps[k])
            for k in tqdm(measured, desc="measuring", unit="step")
        }
        report = {
            "weights": {"origin": weights.origin, "sha256": weights.sha256, "training": dict(weights.training)},
            "figures": test.facts,
            "counts": {"pairs": len(test.pairs), "fid_generated": scorer.fid_images, "fid_reference": scorer.fid_reference},
            "sha256 of the pixels": {"source": _digest(sampled.source), "target": _digest(sampled.target)},
            "settings": settings(protocol) | {"dtype": str(dtype).removeprefix("torch."), "fid_reference": test.reference_described},
            "not available": scorer.missing,
            **baselines,
            "steps": rows,
        }
        if sampled.place_error is not None:
            report["place error"] = {"mean": sampled.place_error.mean().item(), "median": sampled.place_error.median().item()}
        write(report, sampled.shown, sampled.shown_steps, folder)
    return report


def sample_all(sampler: Sampler, pairs: IndexedPairs, measured: list[int], space: Path) -> Samples:
    """Sample all pairs, with a progress bar. The images are in files in ``space``, because they may not fit into memory."""
    count, size = len(pairs), sampler.config.size
    steps = {k: _file_tensor(space / f"step{k}", count, 3, size) for k in measured}
    source, target, mask = (
        _file_tensor(space / name, count, channels, size) for name, channels in (("source", 3), ("target", 3), ("mask", 1))
    )
    shown, shown_steps, errors = None, [], []
    for index in tqdm(torch.arange(count).split(sampler.batch), desc="sampling", unit="batch"):
        batch = pairs.select(index)
        outputs, places = sampler.sample(batch)
        if places is not None and batch.place is not None:
            errors.append(place_error(places.place.cpu(), batch))
        source[index], target[index], mask[index] = to_bytes(batch.source), to_bytes(batch.target), (batch.mask >= 0.5).to(torch.uint8)
        for k, images in steps.items():
            images[index] = to_bytes(outputs[k])
        if shown is None:
            shown, shown_steps = batch, outputs
        elif len(shown) < SHOWN:
            shown, shown_steps = concatenate([shown, batch]), [torch.cat(pair) for pair in zip(shown_steps, outputs, strict=True)]
    return Samples(source, target, mask, steps, shown, shown_steps, torch.cat(errors) if errors else None)


def _file_tensor(path: Path, count: int, channels: int, size: tuple[int, int]) -> Tensor:
    """count x channels x H x W uint8, kept in a file."""
    height, width = size
    elements = count * channels * height * width
    return torch.from_file(str(path), shared=True, size=elements, dtype=torch.uint8).view(-1, channels, height, width)


def evaluate_images(
    images: ImageFolder, origin: str, test: TestSet, protocol: Protocol, device: torch.device, folder: Path
) -> dict[str, Any]:
    """Measure images that were made beforehand, by whatever method; writes ``metrics.json`` and ``sheet.png`` into ``folder``.

    ``images`` are of the pairs of ``test``, in their order. Returns the contents of ``metrics.json``. Raises ValueError for an image of
    another size.
    """
    size = tuple(test.facts["size"])
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as space:
        names = (("source", 3), ("target", 3), ("mask", 1), ("image", 3))
        source, target, mask, image = (_file_tensor(Path(space, name), len(images), channels, size) for name, channels in names)
        for number in tqdm(range(len(images)), desc="reading", unit="image"):
            batch = test.pairs.select(torch.tensor([number]))
            image[number] = images.image(number, size)
            source[number], target[number] = to_bytes(batch.source)[0], to_bytes(batch.target)[0]
            mask[number] = (batch.mask >= 0.5).to(torch.uint8)[0]
        scorer = Scorer(target, mask, protocol, open_networks(device), test.reference, test.classes)
        report = {
            "images": origin,
            "figures": test.facts,
            "counts": {"pairs": len(images), "fid_generated": scorer.fid_images, "fid_reference": scorer.fid_reference},
            "sha256 of the pixels": {"source": _digest(source), "target": _digest(target), "images": _digest(image)},
            "settings": settings(protocol) | {"fid_reference": test.reference_described},
            "not available": scorer.missing,
            COPY: scorer.score(source),
            "steps": {IMAGES: {"size": list(size)} | scorer.score(image)},
        }
        shown = test.pairs.select(torch.arange(min(SHOWN, len(images))))
        save_sheet(folder / "sheet.png", shown, last_step(shown, image[:SHOWN]))
    write_json(folder / "metrics.json", report)
    return report


def settings(protocol: Protocol) -> dict[str, Any]:
    """How the metrics are computed, for the report."""
    return {
        "images": "rounded to 8 bits",
        "ssim": SSIM_SETTINGS,
        "noise_seed": 0,
        "protocol": protocol.settings(),
        "psnr": "data range 1, the mean of every image's PSNR, equal images count 100 dB",
        "face_psnr": "over the face's pixels in the truth, the mean over all faces of 30 pixels or more at 256x176",
        "colour": "CIEDE2000 of each garment's mean colour from the truth's, median over all garments of 60 pixels or more at 256x176",
        "sharp": "|Laplacian| of the grey image over person pixels of the truth, summed over all people, as a multiple of the truth's",
        "el0": "mean squared difference of unit-length features of EfficientNet-Lite0 (ImageNet; after its blocks 0, 2, 4, 10 and 15), "
        "mean over maps and person pixels, the rest grey",
        "akd": "pixels of a 256x176 canvas between a joint that MoveNet finds in the image and in the truth, mean over all people's joints",
        "mkr": "share of the joints found in the truth that are not found in the image",
        "place error": "pixels of a 256x176 canvas between where the carrier takes a place from and where the photo shows it, "
        "over all places that it shows",
        "lpips": "version 0.1, AlexNet, at the images' own size",
        "fid": "torchvision's ImageNet Inception-v3, bilinear to 299; few images raise it: compare equal counts only",
        "clean_fid": "TensorFlow's Inception-v3, anti-aliased bicubic to 299; few images raise it: compare equal counts only",
        "libraries": {name: _version(name) for name in LIBRARIES},
    }


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"


def write(report: dict[str, Any], pairs: Pairs, outputs: list[Tensor], folder: Path) -> None:
    """Write all files of a report."""
    folder.mkdir(parents=True, exist_ok=True)
    save_sheet(folder / "sheet.png", pairs, outputs)
    write_json(folder / "metrics.json", report)
    figure = plot(report)
    drawn = {kind: draw(figure, kind) for kind in ("png", "svg")}
    for kind, data in drawn.items():
        write_file(folder / f"quality.{kind}", data)
    page = render_html(report, drawn["svg"].decode(), (folder / "sheet.png").read_bytes())
    write_file(folder / "report.html", page.encode())


def _digest(image: Tensor) -> str:
    return hashlib.sha256(image.numpy()).hexdigest()

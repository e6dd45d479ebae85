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

from nted_step.carrier import Carrier
from nted_step.carrying import carry_person
from nted_step.execution import Execution
from nted_step.files import write_file, write_json
from nted_step.optimisation import optimise
from nted_step.schedule import ladder
from nted_step.weights import Weights
from training.carrier_losses import place_error, predict
from training.data.pairs import Pairs, concatenate
from training.evaluation.metrics import SSIM_SETTINGS, Protocol, to_bytes
from training.evaluation.networks import open_networks
from training.evaluation.report import COPY, WARP, draw, plot, render_html
from training.evaluation.scoring import Scorer
from training.evaluation.test_sets import IndexedPairs, TestSet
from training.validation import SHOWN, chain, save_sheet

# Pairs sampled at a time. On a CPU it is one: with two, some tensors are so large (32 MB and more) that the allocator requests them
# from the system and returns them each time, and the fresh pages took much of the time.
CPU_BATCH, GPU_BATCH = 1, 8
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
    execution = optimise(weights.build(), device, dtype)
    carrier = weights.carrier.build().to(device, memory_format=torch.channels_last) if weights.carrier else None
    config = weights.config
    size = tuple(test.pairs.select(torch.tensor([0])).target.shape[-2:])
    if size != config.size:
        raise ValueError(f"the pairs are {size}, the model is {config.size}; no image is resized to be scored")
    measured = [config.steps] if only_last else list(range(1, config.steps + 1))
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as space:
        sampled = sample_all(execution, carrier, test.pairs, measured, device, Path(space))
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


@torch.no_grad()
def sample_all(
    execution: Execution, carrier: Carrier | None, pairs: IndexedPairs, measured: list[int], device: torch.device, space: Path
) -> Samples:
    """Sample all pairs, with a progress bar. The images are in files in ``space``, because they may not fit into memory."""
    height, width = execution.generator.config.size

    def allocate(name: str, channels: int = 3) -> Tensor:
        count = len(pairs) * channels * height * width
        return torch.from_file(str(space / name), shared=True, size=count, dtype=torch.uint8).view(-1, channels, height, width)

    source, target, mask, steps = allocate("source"), allocate("target"), allocate("mask", 1), {k: allocate(f"step{k}") for k in measured}
    shown, shown_steps, errors = None, [], []
    for index in tqdm(torch.arange(len(pairs)).split(CPU_BATCH if device.type == "cpu" else GPU_BATCH), desc="sampling", unit="batch"):
        batch = pairs.select(index)
        carried = None
        if carrier:
            places = predict(carrier, batch.source.to(device), batch.map(lambda value: value.to(device)))
            carried = carry_person(places, batch.source.to(device))
            errors += [] if batch.place is None else [place_error(places.place.cpu(), batch)]
        outputs = chain(execution, batch, device, carried=carried)
        source[index], target[index], mask[index] = to_bytes(batch.source), to_bytes(batch.target), (batch.mask >= 0.5).to(torch.uint8)
        for k, images in steps.items():
            images[index] = to_bytes(outputs[k])
        if shown is None:
            shown, shown_steps = batch, outputs
        elif len(shown) < SHOWN:
            shown, shown_steps = concatenate([shown, batch]), [torch.cat(pair) for pair in zip(shown_steps, outputs, strict=True)]
    return Samples(source, target, mask, steps, shown, shown_steps, torch.cat(errors) if errors else None)


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

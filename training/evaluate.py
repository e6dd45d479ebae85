"""Measure weights step by step, beside copying the source and warping its limbs: on rendered people whom no training run may see, or on the test
pairs of a prepared data set. Or draw photos without a truth in other poses.

    python -m training.evaluate --weights assets/weights/lite --figures 64 --seed 9000000 --output out/evaluation
    python -m training.evaluate --weights DIR --data data/prepared --protocol cfld --steps last --output out/deepfashion
    python -m training.evaluate --weights DIR --photos FOLDER --output out/photos

Prints a table; writes ``metrics.json`` (settings, counts, every step's figures), ``sheet.png`` (source, pose, steps
1/5/10/15/20, truth), ``quality.png`` and ``quality.svg`` (every metric against the step) and ``report.html``, one page with
all of it. Metrics whose networks cannot be had are reported as not available. With ``--photos`` it writes ``photos.png`` alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
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
from nted_step.folding import fold
from nted_step.generator import Generator
from nted_step.graphs import accelerate
from nted_step.packing import can_pack, pack
from nted_step.pipeline import DTYPES, NTEDStepPipeline, choose_device, choose_dtype
from nted_step.schedule import ladder
from nted_step.weights import Weights, load_weights, write_atomically
from training.carrying import place_error, predict
from training.data import Pairs
from training.metric_networks import open_networks
from training.metrics import PROTOCOLS, SSIM_SETTINGS, Protocol, to_bytes
from training.photos import write_photos
from training.prepared import collate
from training.report import COPY, WARP, draw, format_table, plot, render_html
from training.scoring import Scorer
from training.test_sets import SomePairs, TestSet, figure_set, prepared_set
from training.validation import SHOWN, chain, save_sheet

# Pairs sampled at a time. On a CPU one: from two on there are tensors that the allocator takes from the system and gives back
# each time (32 MB and more), and fresh pages took much of the time.
CPU_BATCH, GPU_BATCH = 1, 8
LIBRARIES = ("torch", "torchvision", "scikit-image", "torchmetrics", "torch-fidelity", "efficientnet-lite-pytorch")


@dataclass(frozen=True)
class Sampled:
    """Everything that is scored, as 8-bit images N x 3 x H x W, and the first few people for the sheet.

    Attributes:
        steps: step -> its images, for the steps that are measured.
        shown, shown_steps: pairs, and all their steps, in floats.
        place_error: N, of the carrier at all cells that the sources show, in pixels of a 256x176 canvas.
    """

    source: Tensor
    target: Tensor
    mask: Tensor
    steps: dict[int, Tensor]
    shown: Pairs
    shown_steps: list[Tensor]
    place_error: Tensor | None = None


def evaluate(
    weights: Weights, test: TestSet, protocol: Protocol, only_last: bool, device: torch.device, folder: Path, dtype: torch.dtype = torch.float32
) -> dict[str, Any]:
    """Everything that ``metrics.json`` holds; also writes it, the sheet, the plot and the page into ``folder``.

    Raises ValueError when the pairs are not of the model's size.
    """
    generator = fold(weights.build()).to(device, dtype, memory_format=torch.channels_last)
    if can_pack(device, dtype):
        pack(generator)
    carrier = weights.carrier.build().to(device, memory_format=torch.channels_last) if weights.carrier else None
    config = generator.config
    size = tuple(test.pairs.select(torch.tensor([0])).target.shape[-2:])
    if size != config.size:
        raise ValueError(f"the pairs are {size}, the model is {config.size}; no image is resized to be scored")
    measured = [config.steps] if only_last else list(range(1, config.steps + 1))
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as space:
        sampled = sample_all(generator, carrier, test.pairs, measured, device, Path(space))
        scorer = Scorer(sampled.target, sampled.mask, protocol, open_networks(device), test.reference, test.classes)
        baselines = {COPY: scorer.score(sampled.source)}
        if test.warped is not None:
            baselines[WARP] = scorer.score(test.warped)
        rows = {f"step {k}": {"size": list(ladder(config)[k])} | scorer.score(sampled.steps[k]) for k in tqdm(measured, desc="measuring", unit="step")}
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
def sample_all(generator: Generator, carrier: Carrier | None, pairs: SomePairs, measured: list[int], device: torch.device, space: Path) -> Sampled:
    """The measured steps of every pair, with a bar. Images lie in files in ``space``: all steps of a test set can exceed the memory."""
    height, width = generator.config.size

    def room(name: str, channels: int = 3) -> Tensor:
        count = len(pairs) * channels * height * width
        return torch.from_file(str(space / name), shared=True, size=count, dtype=torch.uint8).view(-1, channels, height, width)

    source, target, mask, steps = room("source"), room("target"), room("mask", 1), {k: room(f"step{k}") for k in measured}
    shown, shown_steps, errors = None, [], []
    graphs = accelerate(generator) if device.type == "cuda" else None
    for index in tqdm(torch.arange(len(pairs)).split(CPU_BATCH if device.type == "cpu" else GPU_BATCH), desc="sampling", unit="batch"):
        some = pairs.select(index)
        carried = None
        if carrier:
            places = predict(carrier, some.source.to(device), some.each(lambda value: value.to(device)))
            carried = carry_person(places, some.source.to(device))
            errors += [] if some.place is None else [place_error(places.place.cpu(), some)]
        outputs = chain(generator, some, device, graphs=graphs, carried=carried)
        source[index], target[index], mask[index] = to_bytes(some.source), to_bytes(some.target), (some.mask >= 0.5).to(torch.uint8)
        for k, images in steps.items():
            images[index] = to_bytes(outputs[k])
        if shown is None:
            shown, shown_steps = some, outputs
        elif len(shown) < SHOWN:
            shown, shown_steps = collate([shown, some]), [torch.cat(pair) for pair in zip(shown_steps, outputs, strict=True)]
    return Sampled(source, target, mask, steps, shown, shown_steps, torch.cat(errors) if errors else None)


def settings(protocol: Protocol) -> dict[str, Any]:
    """How the figures came about, for whoever wants the same."""
    return {
        "images": "rounded to 8 bits",
        "ssim": SSIM_SETTINGS,
        "noise_seed": 0,
        "protocol": protocol.settings(),
        "psnr": "data range 1, the mean of every image's PSNR, equal images count 100 dB",
        "face_psnr": "over the face's pixels in the truth, the mean over all faces of 30 pixels or more at 256x176",
        "colour": "CIEDE2000 of each garment's mean colour from the truth's, median over all garments of 60 pixels or more at 256x176",
        "sharp": "|Laplacian| of the grey image over person pixels of the truth, summed over all people, as a multiple of the truth's",
        "el0": "mean squared difference of unit-length features of EfficientNet-Lite0 (ImageNet; after its blocks 0, 2, 4, 10 and 15), mean over maps and person pixels, the rest grey",
        "place error": "pixels of a 256x176 canvas between where the carrier takes a place from and where the photo shows it, over all places that it shows",
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
    """All files of a report."""
    folder.mkdir(parents=True, exist_ok=True)
    save_sheet(folder / "sheet.png", pairs, outputs)
    write_atomically(folder / "metrics.json", (json.dumps(report, indent=2) + "\n").encode())
    figure = plot(report)
    drawn = {kind: draw(figure, kind) for kind in ("png", "svg")}
    for kind, data in drawn.items():
        write_atomically(folder / f"quality.{kind}", data)
    page = render_html(report, drawn["svg"].decode(), (folder / "sheet.png").read_bytes())
    write_atomically(folder / "report.html", page.encode())


def _digest(image: Tensor) -> str:
    return hashlib.sha256(image.numpy()).hexdigest()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description="Measure weights on rendered test people or a prepared test set.")
    parser.add_argument("--weights", required=True, help="folder or Hub repository")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--figures", type=int, default=64, help="number of rendered people (default: 64)")
    what.add_argument("--data", type=Path, help="folder written by training.prepare, whose test pairs are measured")
    what.add_argument("--photos", type=Path, help="folder of photos, the pose in each beside it as NAME.txt or NAME.json, target poses in its folder poses")
    parser.add_argument("--limit", type=int, help="with --data: only the first pairs")
    parser.add_argument("--seed", type=int, default=9_000_000, help="first person; 9,000,000 and up are never trained on")
    parser.add_argument("--steps", choices=("all", "last"), default="all", help="which steps to measure")
    parser.add_argument("--protocol", choices=sorted(PROTOCOLS), default="cfld", help="whose settings SSIM 51, SSIM 256 and FID follow")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--dtype", default="float32", choices=("auto", *DTYPES), help="of the steps; auto as the page runs them (default: float32)")
    parser.add_argument("--output", type=Path, default=Path("out/evaluation"), help="folder for the report's files")
    options = parser.parse_args(arguments)
    try:
        if options.figures < 1 or (options.limit is not None and options.limit < 1):
            raise ValueError("--figures and --limit must be at least 1")
        weights, device = load_weights(options.weights), choose_device(options.device)
        if options.photos:
            pipeline = NTEDStepPipeline(weights.build(), device=options.device, dtype="float32", weights=weights)
            print(write_photos(pipeline, options.photos, options.output))
            return 0
        size = weights.config.size
        test = prepared_set(options.data, size, options.limit) if options.data else figure_set(options.figures, options.seed, size)
        report = evaluate(weights, test, PROTOCOLS[options.protocol], options.steps == "last", device, options.output, choose_dtype(options.dtype, device))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(format_table(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())

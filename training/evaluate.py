"""Measure weights on rendered people whom no training run may see, step by step, beside copying the source and warping its limbs.

    python -m training.evaluate --weights assets/weights/lite --figures 64 --seed 9000000 --output out/evaluation

Prints a table; writes ``metrics.json`` (settings, counts, every step's figures), ``sheet.png`` (source, pose, steps
1/5/10/15/20, truth), ``quality.png`` and ``quality.svg`` (every metric against the step) and ``report.html``, one page with
all of it. Metrics whose networks cannot be had are reported as not available.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from nted_step.generator import Generator
from nted_step.pipeline import choose_device
from nted_step.pose import Pose, skeleton_map
from nted_step.schedule import ladder
from nted_step.weights import Weights, load_weights, write_atomically
from training.baselines import limb_warp
from training.data import Pairs
from training.metric_networks import open_networks
from training.metrics import PROTOCOLS, SSIM_SETTINGS, Protocol, to_bytes
from training.report import COPY, WARP, draw, format_table, plot, render_html
from training.scoring import Scorer
from training.validation import chain, save_sheet

BATCH = 8
LIBRARIES = ("torch", "torchvision", "scikit-image", "torchmetrics", "torch-fidelity")


@dataclass(frozen=True)
class TestSet:
    """What is measured: pairs, what a report says of them (``count`` and ``described`` at least), and the sources with their limbs
    warped to the target poses (:mod:`training.baselines`), where the sources' poses are known."""

    __test__ = False  # not a test of pytest's

    pairs: Pairs
    facts: dict[str, Any]
    warped: Tensor | None = None


def figure_set(count: int, seed: int, size: tuple[int, int]) -> TestSet:
    """People ``seed .. seed + count - 1``, each from pose 0 (the source) to pose 1 (the target)."""
    described = f"rendered people {seed} to {seed + count - 1}"
    facts = {"count": count, "seed": seed, "source_pose": 0, "target_pose": 1, "size": list(size), "described": described}
    parts = [_render(range(seed + i, seed + min(i + BATCH, count)), size) for i in tqdm(range(0, count, BATCH), desc="rendering", unit="batch")]
    names = vars(parts[0][0])
    pairs = Pairs(**{name: torch.cat([getattr(part, name) for part, _ in parts]) for name in names})
    return TestSet(pairs, facts, torch.cat([warped for _, warped in parts]))


def _render(people: range, size: tuple[int, int]) -> tuple[Pairs, Tensor]:
    """The pairs of some people, and their sources with the limbs warped."""
    from training.figures import render_people

    figures = render_people(people, 2, size)
    image, classes = figures.image.float() / 127.5 - 1, figures.class_map.long()
    poses = [Pose(xy, seen) for xy, seen in zip(figures.joints.numpy(), figures.visible.numpy(), strict=True)]
    source, target = slice(0, None, 2), slice(1, None, 2)
    pairs = Pairs(
        source=image[source], target=image[target], skeleton=torch.stack([skeleton_map(pose, size) for pose in poses[target]]),
        mask=(classes[target] > 0)[:, None].float(), source_classes=classes[source], target_classes=classes[target],
    )  # fmt: skip
    warped = [limb_warp(*each) for each in zip(image[source], poses[source], poses[target], strict=True)]
    return pairs, torch.stack(warped)


def evaluate(weights: Weights, test: TestSet, protocol: Protocol, only_last: bool, device: torch.device, folder: Path) -> dict[str, Any]:
    """Everything that ``metrics.json`` holds; also writes it, the sheet, the plot and the page into ``folder``.

    Raises ValueError when the pairs are not of the model's size.
    """
    generator = weights.build().to(device)
    config = generator.config
    if test.pairs.target.shape[-2:] != config.size:
        raise ValueError(f"the pairs are {tuple(test.pairs.target.shape[-2:])}, the model is {config.size}; no image is resized to be scored")
    outputs = sample_all(generator, test.pairs, device)
    scorer = Scorer(test.pairs, protocol, open_networks(device))
    shown = [config.steps] if only_last else range(1, config.steps + 1)
    baselines = {COPY: scorer.score(test.pairs.source)}
    if test.warped is not None:
        baselines[WARP] = scorer.score(test.warped)
    rows = {f"step {k}": {"size": list(ladder(config)[k])} | scorer.score(outputs[k]) for k in tqdm(shown, desc="measuring", unit="step")}
    report = {
        "weights": {"origin": weights.origin, "sha256": weights.sha256, "training": dict(weights.training)},
        "figures": test.facts,
        "counts": {"pairs": len(test.pairs), "fid_generated": scorer.fid_images, "fid_reference": scorer.fid_images},
        "sha256 of the pixels": {"source": _digest(test.pairs.source), "target": _digest(test.pairs.target)},
        "settings": settings(protocol),
        "not available": scorer.missing,
        **baselines,
        "steps": rows,
    }
    write(report, test.pairs, outputs, folder)
    return report


def sample_all(generator: Generator, pairs: Pairs, device: torch.device) -> list[Tensor]:
    """All steps of every pair, with a bar."""
    parts = [chain(generator, pairs.select(index), device) for index in tqdm(torch.arange(len(pairs)).split(BATCH), desc="sampling", unit="batch")]
    return [torch.cat(step) for step in zip(*parts, strict=True)]


def settings(protocol: Protocol) -> dict[str, Any]:
    """How the figures came about, for whoever wants the same."""
    return {
        "images": "rounded to 8 bits",
        "ssim": SSIM_SETTINGS,
        "noise_seed": 0,
        "dtype": "float32",
        "protocol": protocol.settings(),
        "psnr": "data range 1, the mean of every image's PSNR, equal images count 100 dB",
        "colour": "CIEDE2000 of each garment's mean colour from the truth's, median over all garments of 60 pixels or more at 256x176",
        "lpips": "version 0.1, AlexNet, at the images' own size",
        "fid": "torchvision's ImageNet Inception-v3, bilinear to 299; few images raise it: compare equal counts only",
        "clean_fid": "TensorFlow's Inception-v3, anti-aliased bicubic to 299; few images raise it: compare equal counts only",
        "fid_reference": "the targets of the same pairs",
        "libraries": {name: version(name) for name in LIBRARIES},
    }


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
    return hashlib.sha256(to_bytes(image).numpy().tobytes()).hexdigest()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description="Measure weights on rendered test people.")
    parser.add_argument("--weights", required=True, help="folder or Hub repository")
    parser.add_argument("--figures", type=int, default=64, help="number of people")
    parser.add_argument("--seed", type=int, default=9_000_000, help="first person; 9,000,000 and up are never trained on")
    parser.add_argument("--steps", choices=("all", "last"), default="all", help="which steps to measure")
    parser.add_argument("--protocol", choices=sorted(PROTOCOLS), default="cfld", help="whose settings SSIM 51, SSIM 256 and FID follow")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--output", type=Path, default=Path("out/evaluation"), help="folder for the report's files")
    options = parser.parse_args(arguments)
    try:
        if options.figures < 1:
            raise ValueError("--figures must be at least 1")
        weights, device = load_weights(options.weights), choose_device(options.device)
        test = figure_set(options.figures, options.seed, weights.config.size)
        report = evaluate(weights, test, PROTOCOLS[options.protocol], options.steps == "last", device, options.output)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(format_table(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())

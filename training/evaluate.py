"""Measure weights on rendered people whom no training run may see, step by step, beside copying the source.

    python -m training.evaluate --weights assets/weights/lite --figures 64 --seed 9000000 --output out/evaluation

Prints a table; writes ``metrics.json`` (settings, counts, every step's figures) and ``sheet.png`` (source, pose, steps
1/5/10/15/20, truth).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skimage.metrics import structural_similarity
from torch import Tensor
from tqdm import tqdm

from nted_step.image import to_uint8
from nted_step.pipeline import choose_device
from nted_step.pose import Pose, skeleton_map
from nted_step.schedule import ladder
from nted_step.weights import load_weights, write_atomically
from training.data import Pairs
from training.validation import chain, masked_psnr, save_sheet

BATCH = 8
SSIM_SETTINGS = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}


def figure_pairs(count: int, seed: int, size: tuple[int, int]) -> Pairs:
    """People ``seed .. seed + count - 1``, each from pose 0 (the source) to pose 1 (the target)."""
    from training.figures import render_people

    parts = []
    for first in tqdm(range(0, count, BATCH), desc="rendering", unit="batch"):
        figures = render_people(range(seed + first, seed + min(first + BATCH, count)), 2, size)
        image = figures.image.float() / 127.5 - 1
        targets = slice(1, None, 2)
        skeleton = torch.stack(
            [skeleton_map(Pose(xy, seen), size) for xy, seen in zip(figures.joints[targets].numpy(), figures.visible[targets].numpy(), strict=True)]
        )
        parts.append(Pairs(image[0::2], image[targets], skeleton, (figures.class_map[targets] > 0)[:, None].float()))
    return Pairs(*(torch.cat([getattr(part, name) for part in parts]) for name in ("source", "target", "skeleton", "mask")))


def measure(image: Tensor, truth: Tensor, mask: Tensor) -> dict[str, float]:
    """Means over the batch, all after rounding to 8 bits: PSNR and PSNR over person pixels in dB, SSIM."""
    ssim = [
        structural_similarity(to_uint8(a), to_uint8(b), channel_axis=2, **SSIM_SETTINGS) for a, b in zip(image, truth, strict=True)
    ]
    return {
        "psnr": masked_psnr(image, truth, torch.ones_like(mask)).mean().item(),
        "masked_psnr": masked_psnr(image, truth, mask).mean().item(),
        "ssim": float(np.mean(ssim)),
    }


def evaluate(weights_name: str, count: int, seed: int, device: torch.device, folder: Path) -> dict[str, Any]:
    """Everything that ``metrics.json`` holds; also writes it and the sheet."""
    weights = load_weights(weights_name)
    generator = weights.build().to(device)
    size = generator.config.size
    pairs = figure_pairs(count, seed, size)
    outputs = None
    for index in tqdm(torch.arange(count).split(BATCH), desc="sampling", unit="batch"):
        steps = chain(generator, pairs.select(index), device)
        outputs = steps if outputs is None else [torch.cat(both) for both in zip(outputs, steps, strict=True)]
    rows = {
        f"step {k}": {"size": list(ladder(generator.config)[k])} | measure(outputs[k], pairs.target, pairs.mask)
        for k in tqdm(range(1, generator.config.steps + 1), desc="measuring", unit="step")
    }
    report = {
        "weights": {"origin": weights.origin, "sha256": weights.sha256, "training": dict(weights.training)},
        "figures": {"count": count, "seed": seed, "source_pose": 0, "target_pose": 1, "size": list(size)},
        "settings": {"images": "rounded to 8 bits", "ssim": SSIM_SETTINGS, "noise_seed": 0, "dtype": "float32"},
        "copying the source": measure(pairs.source, pairs.target, pairs.mask),
        "steps": rows,
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_sheet(folder / "sheet.png", pairs, outputs)
    write_atomically(folder / "metrics.json", (json.dumps(report, indent=2) + "\n").encode())
    return report


def format_table(report: dict[str, Any]) -> str:
    """The report for people."""
    lines = [f"{'':20}{'resolution':>12}{'masked PSNR':>13}{'PSNR':>9}{'SSIM':>9}"]
    rows = {"copying the source": report["copying the source"]} | report["steps"]
    for name, row in rows.items():
        resolution = "x".join(map(str, row.get("size", [])))
        lines.append(f"{name:20}{resolution:>12}{row['masked_psnr']:13.2f}{row['psnr']:9.2f}{row['ssim']:9.4f}")
    last = list(report["steps"].values())[-1]
    gain = last["masked_psnr"] - report["copying the source"]["masked_psnr"]
    lines.append(f"the last step is {gain:+.2f} dB from copying, over person pixels of {report['figures']['count']} people")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description="Measure weights on rendered test people.")
    parser.add_argument("--weights", required=True, help="folder or Hub repository")
    parser.add_argument("--figures", type=int, default=64, help="number of people")
    parser.add_argument("--seed", type=int, default=9_000_000, help="first person; 9,000,000 and up are never trained on")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--output", type=Path, default=Path("out/evaluation"), help="folder for metrics.json and sheet.png")
    options = parser.parse_args(arguments)
    try:
        if options.figures < 1:
            raise ValueError("--figures must be at least 1")
        report = evaluate(options.weights, options.figures, options.seed, choose_device(options.device), options.output)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(format_table(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())

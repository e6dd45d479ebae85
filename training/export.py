"""Turn a training run into a weights folder: the moving average of the generator, its configuration, and a model card.

    python -m training.export --run runs/lite --config training/configs/lite_figures.yaml --output assets/weights/lite

A run that has not reached the full canvas is grown to it first, which does not change its images but for their size.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import sys
from pathlib import Path
from typing import Any

import torch

from nted_step.generator import Generator
from nted_step.weights import CARD_NAME, load_weights, save_weights, write_atomically
from training.checkpoint import load_latest
from training.growing import at_stage, stage_config
from training.loop import model_config
from training.settings import Settings, load_settings

CARD = """---
license: apache-2.0
library_name: nted_step
tags: [pose-transfer, person-image-synthesis]
---

# NTED Step, preset {preset}

{parameters:.2f} M parameters, canvas {height}x{width}, {steps} steps, stored as {dtype}.

## Trained on

{data}

## How long

{samples:,} training samples (one sample is one step of one pair), {hours:.1f} hours on {where}, in these stages:

{stages}

Perceptual loss: {perceptual}.{untrained}{note}

## How good

{metrics}

## For what

Demonstrations and teaching of coarse-to-fine pose transfer. Not for images of real people: results are not faithful to them.
Apache-2.0, like the code.
"""
FIGURES_ONLY = "These weights know only rendered figures; a photograph of a real person comes out as a figure-like approximation."
FIGURES = """Rendered clothed figures of `training/figures`: {people} people in {poses} poses each, seeds {first} to {last}. No photograph
of a real person was used, so these weights know rendered figures only; a real photo gives a figure-like approximation."""
PREPARED = "The training pairs of the data set prepared in `{folder}`. Its terms apply to what is made with these weights."


def export(run: Path, settings: Settings, output: Path, metrics: Path | None, where: str, note: str = "", dtype: torch.dtype = torch.float16) -> Path:
    """Write ``config.json``, ``model.safetensors`` and the card. Raises ValueError when the run has no checkpoint."""
    state = load_latest(run)
    if state is None:
        raise ValueError(f"{run}: no checkpoint; train first")
    progress = state["progress"]
    generator = _grown(state["ema"], settings, progress["stage"], state.get("time_scale", 1.0))
    training = {
        "summary": f"{'a prepared data set' if settings.data else 'rendered figures only'}, {progress['total_samples']:,} samples, {progress['seconds'] / 3600:.1f} h on {where}",
        **({"data": settings.data} if settings.data else {"data": "training/figures", "people": settings.figures.people, "poses": settings.figures.poses}),
        "samples": progress["total_samples"],
        "hours": round(progress["seconds"] / 3600, 2),
        "hardware": where,
        **({} if settings.data else {"limits": FIGURES_ONLY}),
        "perceptual_loss": _perceptual(settings, state),
        "note": note,
        "date": datetime.date.today().isoformat(),
        "licence": "Apache-2.0",
    }
    save_weights(output, generator, training, dtype)
    card = _card(generator, settings, state, metrics, where, note, dtype)
    write_atomically(output / CARD_NAME, card.encode())
    _compare(generator, output, dtype)
    return output


def _perceptual(settings: Settings, state: dict[str, Any]) -> str:
    if not any(stage.weights.needs_vgg for stage in settings.stages):
        return "none"
    return "VGG19 (ImageNet)" if state.get("vgg") else "none (VGG19 could not be had); discriminator feature matching instead"


def _grown(ema: dict[str, torch.Tensor], settings: Settings, stage: int, time_scale: float) -> Generator:
    final = dataclasses.replace(model_config(settings), time_scale=time_scale)
    height = settings.stages[stage].height
    generator = Generator(stage_config(final, height))
    generator.load_state_dict(ema)
    return at_stage(generator, final, final.size[0])


def _compare(generator: Generator, output: Path, dtype: torch.dtype) -> None:
    """What was written must read back as what was exported, rounded to the stored dtype."""
    stored = load_weights(output).state
    for key, value in generator.state_dict().items():
        if not torch.equal(stored[key], value.to(dtype)):
            raise ValueError(f"{output}: {key!r} did not survive the writing")


def _card(
    generator: Generator, settings: Settings, state: dict[str, Any], metrics: Path | None, where: str, note: str, dtype: torch.dtype
) -> str:
    config, figures, progress = generator.config, settings.figures, state["progress"]
    seeds = {"people": figures.people, "poses": figures.poses, "first": figures.seed, "last": figures.seed + figures.people - 1}
    data = PREPARED.format(folder=settings.data) if settings.data else FIGURES.format(**seeds)
    lines = []
    for i, stage in enumerate(settings.stages[: progress["stage"] + 1]):
        samples = progress["stage_samples"] if i == progress["stage"] else stage.samples
        width = stage.height * config.size[1] // config.size[0]
        adversary = "with a discriminator" if stage.weights.gan else "pixel and attention losses"
        lines.append(f"- {stage.height}x{width}, {samples:,} samples, {stage.rollout}, {adversary}")
    trained = settings.stages[progress["stage"]].height
    untrained = f" The levels above {trained} are grown but untrained: the image is an enlarged {trained}x{trained * config.size[1] // config.size[0]}."
    return CARD.format(
        preset=settings.preset, parameters=sum(p.numel() for p in generator.parameters()) / 1e6, height=config.size[0],
        width=config.size[1], steps=config.steps, dtype=str(dtype).removeprefix("torch."), data=data,
        perceptual=_perceptual(settings, state), samples=progress["total_samples"], hours=progress["seconds"] / 3600,
        where=where, stages="\n".join(lines), metrics=_metrics(metrics), untrained=untrained if trained < config.size[0] else "", note=f"\n\n{note}" if note else "",
    )  # fmt: skip


def _metrics(path: Path | None) -> str:
    if path is None:
        return "Not measured."
    report = json.loads(path.read_text())
    last, copied = list(report["steps"].values())[-1], report["copying the source"]
    seeds = f" (seeds from {report['figures']['seed']:,})" if "seed" in report["figures"] else ""
    return (
        f"On {report['figures']['count']} test pairs{seeds}, last step: masked PSNR "
        f"{last['masked_psnr']:.2f} dB, SSIM {last['ssim']:.3f}; copying the source: {copied['masked_psnr']:.2f} dB, {copied['ssim']:.3f}."
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.export", description="Write a run's weights for use.")
    parser.add_argument("--run", required=True, type=Path, help="the run's folder")
    parser.add_argument("--config", required=True, help="the run's YAML file")
    parser.add_argument("--output", required=True, type=Path, help="weights folder to write")
    parser.add_argument("--metrics", type=Path, help="metrics.json of training.evaluate, for the card")
    parser.add_argument("--hardware", default="a CPU", help="where it was trained, for the card")
    parser.add_argument("--note", default="", help="what else a reader should know of this run, for the card")
    options = parser.parse_args(arguments)
    try:
        print(export(options.run, load_settings(options.config), options.output, options.metrics, options.hardware, options.note))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Turn a training run into a weights folder: the moving average of the generator, its configuration, and a model card.

    python -m training export --checkpoint runs/lite_figures --output out/weights
    python -m training evaluate --weights out/weights --output out/evaluation
    python -m training export --checkpoint runs/lite_figures --output out/weights --metrics out/evaluation/metrics.json \\
        --push-to-hub user/name

A run that has not reached the full canvas is grown to it first, which changes only the size of its images.
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

from nted_step.carrier import Carrier, CarrierConfig
from nted_step.command_line import report_error
from nted_step.files import write_file
from nted_step.generator import Generator
from nted_step.weights import CARD_NAME, CARRIER_FOLDER, load_carrier, load_weights, save_carrier, save_weights
from training.checkpoint import load_checkpoint
from training.evaluation.report import COLUMNS, cell, measured, rows_of
from training.growing import at_stage, stage_config
from training.publish.hub import push
from training.settings import Settings, from_document, load_settings
from training.trainer import model_config

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

Demonstrations and teaching of coarse-to-fine pose transfer. {faithful}
Apache-2.0, like the code.
"""
CARRIER_CARD = """---
license: apache-2.0
library_name: nted_step
---

# Carrier of NTED Step

Says where in a photo each place of a newly posed person is. {parameters:.2f} M parameters, stored as {dtype}.

## Trained on

{data}

## How long

{samples:,} pairs, {hours:.1f} hours on {where}.{note}

## How good

Places that the photo shows, on people whom no run trains on: {found}.

Apache-2.0, like the code.
"""
FIGURES_ONLY = "These weights know only rendered figures; a photograph of a real person comes out as a figure-like approximation."
CARRIED = "What the photo shows of a person is carried along; what it does not show is painted as rendered figures look."
NOT_FAITHFUL = "Not for images of real people: results are not faithful to them."
MADE_UP = """Results show real people with their own pixels in poses that they did not take, and with parts that are made up: only for
people who agreed, and said to be made wherever they are shown."""
FIGURES = """Rendered clothed figures of `training/figures`: {people} people in {poses} poses each, seeds {first} to {last}. No photograph
of a real person was used."""
PREPARED = "The training pairs of the data set prepared in `{folder}`. Its terms apply to what is made with these weights."


def export(
    checkpoint: Path, output: Path, *, settings: Settings | None = None, metrics: Path | None = None, where: str = "", note: str = "",
    dtype: torch.dtype = torch.float16,
) -> Path:  # fmt: skip
    """Write ``config.json``, ``model.safetensors`` and the model card, and check that they read back unchanged.

    Args:
        checkpoint: a checkpoint file, or a run's folder for its newest checkpoint.
        settings: the run's, needed only for a checkpoint without them.
        metrics: ``metrics.json`` of ``python -m training evaluate``, for the card.
        where, note: for the card; ``where``, the hardware, replaces the checkpoint's.
        dtype: of the stored weights.

    Raises ValueError if there is no checkpoint, or no settings.
    """
    state = load_checkpoint(checkpoint)
    settings = settings or _settings(state, checkpoint)
    where = where or state.get("hardware", "a CPU")
    if "carrier_config" in state:
        return _export_carrier(state, settings, output, where, note, dtype)
    progress = state["progress"]
    generator = _grown(state["ema"], settings, progress["stage"], state.get("time_scale", 1.0))
    training = _facts(settings, progress, where, note) | {"perceptual_loss": _perceptual(settings, state)}
    if generator.config.carries:
        carrier = load_carrier(settings.carrier)
        save_carrier(output / CARRIER_FOLDER, carrier.build(), carrier.training, dtype)
        if (card := Path(settings.carrier, CARD_NAME)).is_file():
            write_file(output / CARRIER_FOLDER / CARD_NAME, card.read_bytes())
    save_weights(output, generator, training, dtype)
    digest = _compare(generator, output, dtype)
    card = _card(generator, settings, state, _report(metrics, digest), where, note, dtype)
    write_file(output / CARD_NAME, card.encode())
    return output


def _facts(settings: Settings, progress: dict[str, Any], where: str, note: str) -> dict[str, Any]:
    """Facts about the training, for ``config.json``."""
    if settings.data:
        data = {"data": settings.data}
    else:
        limits = CARRIED if settings.carrier or settings.preset == "carrier" else FIGURES_ONLY
        data = {"data": "training/figures", "people": _people_of(settings, progress), "poses": settings.figures.poses, "limits": limits}
    what = "a prepared data set" if settings.data else "rendered figures only"
    return data | {
        "summary": f"{what}, {progress['total_samples']:,} samples, {progress['seconds'] / 3600:.1f} h on {where}",
        "samples": progress["total_samples"],
        "hours": round(progress["seconds"] / 3600, 2),
        "hardware": where,
        "note": note,
        "date": datetime.date.today().isoformat(),
        "licence": "Apache-2.0",
    }


def _export_carrier(state: dict[str, Any], settings: Settings, output: Path, where: str, note: str, dtype: torch.dtype) -> Path:
    """Like :func:`export`, for a checkpoint of a carrier."""
    carrier = Carrier(CarrierConfig.from_dict(state["carrier_config"]))
    carrier.load_state_dict(state["ema"])
    progress = state["progress"]
    save_carrier(output, carrier, _facts(settings, progress, where, note), dtype)
    stored = load_carrier(output)
    if any(not torch.equal(stored.state[key], value.to(dtype)) for key, value in carrier.state_dict().items()):
        raise ValueError(f"{output}: the written weights read back differently")
    figures, people = settings.figures, _people_of(settings, progress)
    seeds = {"people": people, "poses": figures.poses, "first": figures.seed, "last": figures.seed + people - 1}
    last = progress["last_validation"] or {}
    found = (
        f"{last['place_error']:.1f} pixels of 256x176 off on average, {last['place_error_median']:.1f} in the median"
        if "place_error" in last
        else "not measured"
    )
    card = CARRIER_CARD.format(
        parameters=sum(p.numel() for p in carrier.parameters()) / 1e6, dtype=str(dtype).removeprefix("torch."), found=found,
        data=PREPARED.format(folder=settings.data) if settings.data else FIGURES.format(**seeds),
        samples=progress["total_samples"], hours=progress["seconds"] / 3600, where=where, note=f"\n\n{note}" if note else "",
    )  # fmt: skip
    write_file(output / CARD_NAME, card.encode())
    return output


def _settings(state: dict[str, Any], checkpoint: Path) -> Settings:
    if "settings" not in state:
        raise ValueError(f"{checkpoint}: an older checkpoint, without its settings; give the run's YAML file with --config")
    return from_document(state["settings"], str(checkpoint))


def _people_of(settings: Settings, progress: dict[str, Any]) -> int:
    """Number of rendered people that the run trained on."""
    return progress.get("people") or settings.figures.people


def _perceptual(settings: Settings, state: dict[str, Any]) -> str:
    if not any(stage.weights.needs_vgg for stage in settings.stages):
        return "none"
    return "VGG19 (ImageNet)" if state.get("vgg") else "none (VGG19 could not be had); discriminator feature matching instead"


def _grown(ema: dict[str, torch.Tensor], settings: Settings, stage: int, time_scale: float) -> Generator:
    final = dataclasses.replace(model_config(settings), time_scale=time_scale)
    height = settings.stages[stage].height
    generator = Generator(stage_config(final, height))
    generator.load_state_dict(ema)
    with torch.random.fork_rng(devices=[]):  # untrained levels are random, but the same each time
        torch.manual_seed(settings.seed)
        return at_stage(generator, final, final.size[0])


def _compare(generator: Generator, output: Path, dtype: torch.dtype) -> str:
    """Check that the written weights are the exported ones, rounded to the stored dtype; returns the file's SHA-256."""
    stored = load_weights(output)
    for key, value in generator.state_dict().items():
        if not torch.equal(stored.state[key], value.to(dtype)):
            raise ValueError(f"{output}: the written {key!r} reads back differently")
    return stored.sha256


def _report(metrics: Path | None, digest: str) -> dict[str, Any] | None:
    """Read an evaluation; raises ValueError unless it is of the weights with this SHA-256."""
    if metrics is None:
        return None
    report = json.loads(metrics.read_text())
    if report["weights"]["sha256"] != digest:
        raise ValueError(f"{metrics}: measured on other weights; the exported ones are written, evaluate them and export again")
    return report


def _card(
    generator: Generator,
    settings: Settings,
    state: dict[str, Any],
    report: dict[str, Any] | None,
    where: str,
    note: str,
    dtype: torch.dtype,
) -> str:
    config, figures, progress = generator.config, settings.figures, state["progress"]
    people = _people_of(settings, progress)
    seeds = {"people": people, "poses": figures.poses, "first": figures.seed, "last": figures.seed + people - 1}
    data = PREPARED.format(folder=settings.data) if settings.data else FIGURES.format(**seeds)
    finished = progress.get("finished") or [stage.samples for stage in settings.stages]  # older checkpoints have no such list
    lines = []
    for i, stage in enumerate(settings.stages[: progress["stage"] + 1]):
        samples = progress["stage_samples"] if i == progress["stage"] else finished[i]
        width = stage.height * config.size[1] // config.size[0]
        adversary = (
            "with a discriminator"
            if stage.weights.gan
            else "pixel, attention and EL0 losses"
            if stage.weights.el0
            else "pixel and attention losses"
        )
        lines.append(f"- {stage.height}x{width}, {samples:,} samples, {stage.rollout}, {adversary}")
    trained = settings.stages[progress["stage"]].height
    canvas = f"{trained}x{trained * config.size[1] // config.size[0]}"
    untrained = f" The levels above {trained} are grown but untrained: the image is an enlarged {canvas}."
    return CARD.format(
        preset=settings.preset, parameters=sum(p.numel() for p in generator.parameters()) / 1e6, height=config.size[0],
        width=config.size[1], steps=config.steps, dtype=str(dtype).removeprefix("torch."), data=data,
        perceptual=_perceptual(settings, state), samples=progress["total_samples"], hours=progress["seconds"] / 3600,
        where=where, stages="\n".join(lines), metrics=_metrics(report, progress),
        faithful=MADE_UP if config.carries else NOT_FAITHFUL, untrained=untrained if trained < config.size[0] else "",
        note=f"\n\n{note}" if note else "",
    )  # fmt: skip


def _metrics(report: dict[str, Any] | None, progress: dict[str, Any]) -> str:
    """The run's last validation, and the table of an evaluation."""
    parts = []
    if last := progress.get("last_validation"):
        before = f", {progress['first_loss']:.4f} before the first iteration" if progress.get("first_loss") is not None else ""
        parts.append(
            f"Validation during training, after {last['samples']:,} samples, on unseen people: loss {last['loss']:.4f}{before}; "
            f"masked PSNR {last['psnr']:.2f} dB, copying the source {last['copied']:.2f} dB."
        )
    if report is not None:
        parts.append(_table(report))
    return "\n\n".join(parts) or "Not measured."


def _table(report: dict[str, Any]) -> str:
    """A Markdown table of both baselines and the last step, in every measured metric."""
    rows, keys = rows_of(report), measured(report)
    last = list(report["steps"])[-1]
    seeds = f" (seeds from {report['figures']['seed']:,})" if "seed" in report["figures"] else ""
    lines = [f"On {report['figures']['count']} test pairs{seeds}, PSNR in dB:", ""]
    lines += ["| | " + " | ".join(COLUMNS[key][0] for key in keys) + " |", "|---" * (len(keys) + 1) + "|"]
    lines += [
        "| " + " | ".join([name, *(cell(row, key) for key in keys)]) + " |" for name, row in rows.items() if name in report or name == last
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training export", description="Write a run's weights for use.")
    parser.add_argument("--checkpoint", "--run", required=True, type=Path, help="a checkpoint, or a run's folder for its newest checkpoint")
    parser.add_argument("--output", required=True, type=Path, help="weights folder to write")
    parser.add_argument("--config", help="the run's YAML file, for a checkpoint without its settings")
    parser.add_argument("--dtype", choices=("float16", "float32"), default="float16", help="of the stored weights (default: float16)")
    parser.add_argument("--metrics", type=Path, help="metrics.json of training evaluate, for the card")
    parser.add_argument("--hardware", default="", help="where it was trained, for the card, instead of what the checkpoint says")
    parser.add_argument("--note", default="", help="what else a reader should know about this run, for the card")
    parser.add_argument(
        "--push-to-hub", metavar="USER/NAME", help="commit the folder to this model repository, created if it does not exist"
    )
    options = parser.parse_args(arguments)
    try:
        settings = load_settings(options.config) if options.config else None
        texts = {"metrics": options.metrics, "where": options.hardware, "note": options.note}
        print(export(options.checkpoint, options.output, settings=settings, dtype=getattr(torch, options.dtype), **texts))
        if options.push_to_hub:
            print(push(options.output, options.push_to_hub))
    except (ValueError, OSError) as error:
        return report_error(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Command line: ``python -m nted_step generate | fit | info | convert | benchmark``."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from nted_step.bundled import WEIGHTS
from nted_step.command_line import load_pose, run_command, split_revision, warn_of_dtype
from nted_step.config import PRESETS
from nted_step.convert import KINDS, LICENCE_NOTICE, convert
from nted_step.files import write_file
from nted_step.image import FITS, encode_image, load_photo, to_pil, to_uint8
from nted_step.output import label, save_large, save_run
from nted_step.pipeline import DEVICES, DTYPES, NTEDStepPipeline
from nted_step.pose import Pose
from nted_step.pose_detection import LOOK_HEIGHT, Detection, PoseDetector
from nted_step.schedule import ladder
from nted_step.weights import load_weights

CANVAS = (256, 176)
MAX_SCALE = 4.0  # of 256x176: a longest side of 1024
NO_POSE = "none"  # instead of a file of the pose in the photo


def main(arguments: list[str] | None = None) -> int:
    return run_command(_parser(), arguments)


def generate(options: argparse.Namespace) -> None:
    """Photo and pose -> every step, on disk."""
    name, revision = split_revision(options.weights)
    pipeline = NTEDStepPipeline.from_pretrained(name, revision, device=options.device, dtype=options.dtype)
    warn_of_dtype(pipeline.dtype, pipeline.device)
    size = pipeline.config.size
    steps = pipeline.config.steps if options.steps is None else options.steps
    large_size = canvas_size(options.scale, size)
    photo = load_photo(options.source, size, options.fit)
    pose = load_pose(options.pose, size)
    asked = options.source_pose is None
    found = _detect(options, size) if asked else None
    given = None if asked or options.source_pose == NO_POSE else load_pose(options.source_pose, size)
    source_pose = found.pose if found else given
    print(f"weights: {pipeline.description}", file=sys.stderr)
    if asked:
        where = "detected in the photo" if found else "nobody was found in the photo, so none of its own pixels are carried"
        print(f"source pose: {where}", file=sys.stderr)
    elif pipeline.carrier and source_pose is None:
        print("note: without the pose in the photo, none of its own pixels are carried", file=sys.stderr)
    large = (
        torch.from_numpy(to_uint8(load_photo(options.source, large_size, options.fit).image)).permute(2, 0, 1)
        if options.scale > 1
        else None
    )
    person = pipeline.encode(photo.image, source_pose, large)
    outputs, in_photo = [], options.background == "photo"
    with tqdm(total=steps, desc="steps", unit="step", file=sys.stderr) as progress:
        for output in pipeline.generate(person, pose, seed=options.seed, steps=steps):
            shown = pipeline.in_photo(person, pose, output) if in_photo else output.image
            outputs.append(dataclasses.replace(output, image=shown))
            progress.set_postfix_str(label(output))
            progress.update(output.step > 0)
    folder = save_run(
        options.output, outputs, _settings(options, pipeline, pose, source_pose, found, [output.seconds for output in outputs[1:]])
    )
    if outputs[-1].step and (options.scale > 1 or source_pose):
        save_large(folder, *pipeline.enlarge(person, pose, outputs[-1], large_size, in_photo=in_photo))
    print(folder / "result.png")


def _detect(options: argparse.Namespace, size: tuple[int, int]) -> Detection | None:
    """The pose in the photo, on the canvas of ``size`` (H, W)."""
    look = (LOOK_HEIGHT, round(LOOK_HEIGHT * size[1] / size[0]))
    return PoseDetector.from_pretrained().find(load_photo(options.source, look, options.fit).image, size)


def fit(options: argparse.Namespace) -> None:
    """Photo -> the photo as the model sees it, larger, for masks to be drawn on."""
    output = Path(options.output)
    if output.suffix.lower() != ".png":
        raise ValueError(f"--output {output}: a PNG is written; let its name end in .png")
    height, width = canvas_size(options.scale)
    photo = load_photo(options.photo, (height, width), options.fit)
    output.parent.mkdir(parents=True, exist_ok=True)
    write_file(output, encode_image(to_pil(photo.image)))
    print(output)


def canvas_size(scale: float, size: tuple[int, int] = CANVAS) -> tuple[int, int]:
    """(H, W) of a canvas, scaled. Raises ValueError."""
    if not 1 <= scale <= MAX_SCALE:
        raise ValueError(f"--scale is 1 to {MAX_SCALE:g}, not {scale:g}")
    return round(size[0] * scale), round(size[1] * scale)


def info(options: argparse.Namespace) -> None:
    """What a weights folder or repository holds."""
    weights = load_weights(*split_revision(options.weights))
    config = weights.config
    parameters = sum(value.numel() for key, value in weights.state.items() if not key.endswith("kernel"))
    print(f"weights     {weights.origin}\nsha256      {weights.sha256}")
    print(f"canvas      {config.size[0]}x{config.size[1]}, {config.steps} steps, {parameters / 1e6:.2f} M parameters")
    print("ladder      " + " ".join(f"{h}x{w}" for h, w in ladder(config)))
    print("channels    " + ", ".join(f"{config.channels[level]} at {level}" for level in config.levels))
    print("textures    " + ", ".join(f"{config.labels[level]} at {level}" for level in config.levels if config.labels[level]))
    if weights.carrier:
        count = sum(value.numel() for value in weights.carrier.state.values())
        print(f"carrier     {count / 1e6:.2f} M parameters, sha256 {weights.carrier.sha256}")
    for key, value in weights.training.items():
        print(f"{key:<11} {value}")


def run_convert(options: argparse.Namespace) -> None:
    """Research checkpoint -> weights folder."""
    print(LICENCE_NOTICE, file=sys.stderr)
    print(convert(options.kind, options.checkpoint, options.output))


def run_benchmark(options: argparse.Namespace) -> None:
    """Seconds per step here."""
    from nted_step.benchmark.latency import benchmark, format_report

    compared = {"compare_plain": options.compare == "plain", "search": options.search}
    report = benchmark(options.preset, options.device, batches=options.batches, **compared)
    print(json.dumps(report, indent=2) if options.json else format_report(report))


def _settings(
    options: argparse.Namespace,
    pipeline: NTEDStepPipeline,
    pose: Pose,
    source_pose: Pose | None,
    found: Detection | None,
    seconds: list[float],
) -> dict[str, Any]:
    origin = {"from": "detected in the photo", "score": round(found.score, 4)} if found else {"from": Path(options.source_pose or "").name}
    return {
        "weights": {"origin": pipeline.origin, "sha256": pipeline.sha256, "carrier_sha256": pipeline.carrier_sha256},
        "config": pipeline.config.to_dict(),
        "device": pipeline.device.type,
        "dtype": str(pipeline.dtype).removeprefix("torch."),
        "source": Path(options.source).name,
        "fit": options.fit,
        "source_pose": None if source_pose is None else {"joints": _joints(source_pose)} | origin,
        "pose": _joints(pose),
        "scale": options.scale,
        "background": options.background,
        "seed": options.seed,
        "steps": len(seconds),
        "seconds_per_step": [round(value, 4) for value in seconds],
    }


def _joints(pose: Pose) -> list[list[float] | None]:
    return [[round(float(x), 3), round(float(y), 3)] if seen else None for (x, y), seen in zip(pose.xy, pose.visible, strict=True)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m nted_step", description="Re-pose people in coarse-to-fine steps.")
    commands = parser.add_subparsers(dest="command", required=True)

    command = commands.add_parser("generate", help="re-pose the person in a photo; writes every step")
    command.add_argument("--source", required=True, help="photo: JPEG, PNG or WebP")
    command.add_argument(
        "--pose", required=True, help="target pose: 18 rows 'x y', or JSON of OpenPose, COCO and others; FILE#2 takes the second person"
    )
    command.add_argument("--source-pose", help=f"the pose in the photo, as --pose; found in it by default; '{NO_POSE}': not known")
    command.add_argument(
        "--background",
        choices=("photo", "studio"),
        default="photo",
        help="the photo's own, where the pose in it is known, or a rendered studio (default: photo)",
    )
    command.add_argument("--scale", type=float, default=1.0, help=f"of large.png and cutout.png, 1 to {MAX_SCALE:g} times the canvas")
    command.add_argument(
        "--output", required=True, help="folder for the steps, result.png, large.png, cutout.png, strip.png, steps.gif, run.json"
    )
    command.add_argument("--weights", default=str(WEIGHTS), help="folder or Hub repository[@revision]")
    command.add_argument("--seed", type=int, default=0, help="of the start noise")
    command.add_argument("--steps", type=int, help="last step to compute (all by default)")
    command.add_argument("--fit", choices=FITS, default="auto", help="how a photo of another shape is fitted, never stretched")
    command.add_argument("--device", default="auto", help=", ".join(DEVICES))
    command.add_argument("--dtype", default="auto", choices=("auto", *DTYPES))
    command.set_defaults(run=generate)

    command = commands.add_parser("fit", help="save a photo as the model sees it, to draw a mask on")
    command.add_argument("photo", help="JPEG, PNG or WebP")
    command.add_argument("--output", required=True, help="PNG to write")
    command.add_argument("--scale", type=float, default=MAX_SCALE, help=f"1 to {MAX_SCALE:g} times 256x176")
    command.add_argument("--fit", choices=FITS, default="auto", help="how a photo of another shape is fitted, never stretched")
    command.set_defaults(run=fit)

    command = commands.add_parser("info", help="what a weights folder or repository holds")
    command.add_argument("--weights", default=str(WEIGHTS), help="folder or Hub repository[@revision]")
    command.set_defaults(run=info)

    command = commands.add_parser("convert", help="read a public research checkpoint")
    command.add_argument("checkpoint", help=".pt file")
    command.add_argument("--from", dest="kind", required=True, choices=KINDS, help="nted: one step; nted_step: 20 steps")
    command.add_argument("--output", required=True, help="folder to write")
    command.set_defaults(run=run_convert)

    command = commands.add_parser("benchmark", help="seconds per step on this machine")
    command.add_argument("--preset", default="lite", help=", ".join(PRESETS))
    command.add_argument("--device", default="auto", help=", ".join(DEVICES))
    command.add_argument("--compare", choices=("plain",), help="also time the loop as research code runs it, and print the ratios")
    command.add_argument("--search", action="store_true", help="on a GPU, also with algorithms that cuDNN searched (may take a minute)")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.add_argument("--batches", type=int, nargs="+", default=[], metavar="N", help="also images a second at these batch sizes")
    command.set_defaults(run=run_benchmark)
    return parser


if __name__ == "__main__":
    sys.exit(main())

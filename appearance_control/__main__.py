"""Command line: ``python -m appearance_control parse | swap | convert | evaluate``."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from appearance_control.convert import convert
from appearance_control.garment import Garment, SwapError
from appearance_control.masks import load_mask
from appearance_control.output import save_parse, save_swap
from appearance_control.parser import FashionParser
from appearance_control.swap import SwapPlan, SwapPlanner
from nted_step.bundled import PARSER_WEIGHTS, WEIGHTS
from nted_step.command_line import load_pose, run_command, split_revision
from nted_step.image import FITS, decode, load_photo
from nted_step.output import label
from nted_step.pipeline import DEVICES, DTYPES, NTEDStepPipeline
from nted_step.pose import Pose
from nted_step.sampler import StepOutput

WEIGHTS_HELP = "folder or Hub repository[@revision]"
MAX_PARSED_SIDE = 2048  # pixels; a larger photo is shrunk before it is parsed


@dataclass(frozen=True)
class GarmentOptions:
    """One garment on the command line.

    Attributes:
        photo: its path.
        parts: names from ``classes.SWAP_PARTS``, not checked yet.
        strength: 0..1, not checked yet.
        mask: path of a mask drawn by hand, or None.
        pose: path of the pose in the photo, or None.
    """

    photo: str
    parts: tuple[str, ...]
    strength: float
    mask: str | None
    pose: str | None


def main(arguments: list[str] | None = None) -> int:
    return run_command(_parser(), arguments)


def run_parse(options: argparse.Namespace) -> None:
    """Photo -> overlay, masks and a COCO document."""
    parser = FashionParser.from_pretrained(*split_revision(options.parser))
    path = Path(options.photo)
    photo = decode(path.read_bytes(), str(path))
    photo.thumbnail((MAX_PARSED_SIDE, MAX_PARSED_SIDE))
    pixels = np.array(photo)
    parse = parser.parse(pixels)
    print(f"found: {', '.join(parse.class_names()) or 'nothing'}", file=sys.stderr)
    print(save_parse(options.output, pixels, parse, path.name) / "overlay.png")


def run_convert(options: argparse.Namespace) -> None:
    """mmfashion's checkpoint -> weights folder."""
    print(convert(options.checkpoint, options.output))


def run_swap(options: argparse.Namespace) -> None:
    """Wearer, garments and pose -> every step, masks, coefficients."""
    chosen = _garment_options(options)
    pipeline = _load_pipeline(options)
    size = pipeline.config.size
    pose = load_pose(options.pose or _pose_beside(options.person), size)
    parser = None if all(each.mask for each in chosen) else _load_parser(options)  # masks drawn by hand need no parser
    wearer_mask = load_mask(options.wearer_mask, size) if options.wearer_mask else None
    photo_poses = [_photo_pose(each.pose, each.photo, size) for each in chosen]
    wearer_pose = _photo_pose(options.person_pose, options.person, size)
    original = options.mask_on == "original"  # fitted with the photo, such a mask is one on the photo
    garments = []
    for each, photo_pose in zip(chosen, photo_poses, strict=True):
        photo = load_photo(each.photo, size, options.fit)
        garments.append(
            Garment(
                person=pipeline.encode(photo.image, photo_pose),
                parts=each.parts,
                strength=each.strength,
                mask=load_mask(each.mask, size, photo if original else None) if each.mask else None,
                mask_on="photo" if original else options.mask_on,
                wearer_mask=wearer_mask,
                name=Path(each.photo).name,
            )
        )
    wearer = pipeline.encode(load_photo(options.person, size, options.fit).image, wearer_pose)
    plan = SwapPlanner(pipeline, wearer, pose, parser=parser, seed=options.seed).plan(garments)
    if pipeline.carrier:
        for photo, known in zip((options.person, *options.garment), (wearer_pose, *photo_poses), strict=True):
            if known is None:
                print(f"note: {photo}: without the pose in it none of its pixels are carried", file=sys.stderr)
    outputs = _render(pipeline, plan, pose, options.seed)
    for note in plan.notes:
        print(f"note: {note}", file=sys.stderr)
    print(save_swap(options.output, plan, outputs, _settings(options, pipeline, parser, plan, pose)) / "result.png")


def _render(pipeline: NTEDStepPipeline, plan: SwapPlan, pose: Pose, seed: int) -> list[StepOutput]:
    """Every step of the dressed wearer, with a progress bar."""
    outputs = []
    with tqdm(total=pipeline.config.steps, desc="steps", unit="step", file=sys.stderr) as progress:
        for output in pipeline.generate(plan.dressed(), pose, seed=seed):
            outputs.append(output)
            progress.set_postfix_str(label(output))
            progress.update(output.step > 0)
    return outputs


def _photo_pose(given: str | None, photo: str, size: tuple[int, int]) -> Pose | None:
    """The pose in a photo: from the file given, or from the .txt beside the photo; None if there is neither."""
    beside = Path(photo).with_suffix(".txt")
    return load_pose(given or beside, size) if given or beside.is_file() else None


def run_evaluate(options: argparse.Namespace) -> None:
    """Swaps between rendered people, compared with the right answer."""
    try:  # training's requirements are needed here and nowhere else
        from training.evaluation.swaps import evaluate, format_table
        from training.figures import SEEDS, TEST_SEED
    except ModuleNotFoundError as error:
        raise SwapError(f"{error.name} is missing: pip install -r training/requirements.txt") from None
    seed = TEST_SEED if options.seed is None else options.seed
    if options.people < 1 or not 0 <= seed <= SEEDS - options.people:
        raise SwapError(f"--people must be at least 1, and people have seeds from 0 to {SEEDS - 1:,}")
    pipeline = _load_pipeline(options)
    parser = _load_parser(options) if options.masks == "parser" else None
    report = evaluate(pipeline, parser, people=options.people, seed=seed, sheet=Path(options.output) if options.output else None)
    report = {
        "people": options.people,
        "seed": seed,
        "masks": options.masks,
        **_origins(pipeline, parser),
        "device": pipeline.device.type,
        "dtype": str(pipeline.dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        **report,
    }
    print(json.dumps(report, indent=2) if options.json else format_table(report))


def _garment_options(options: argparse.Namespace) -> list[GarmentOptions]:
    """The options of every --garment. Raises SwapError if their numbers do not match."""
    count = len(options.garment)
    if options.mask and len(options.mask) != count:
        raise SwapError(f"{count} garments but {len(options.mask)} masks: give one for each, - for none")
    masks = [None if mask == "-" else mask for mask in options.mask or ["-"] * count]
    parts = _for_each(options.parts or ["upper"], "--parts", count)
    strengths = _for_each(options.strength or [1.0], "--strength", count)
    poses = options.garment_pose or [None] * count
    if len(poses) != count:
        raise SwapError(f"{count} garments but {len(poses)} times --garment-pose: give one for each, or none")
    return [
        GarmentOptions(photo, tuple(part.strip() for part in names.split(",")), strength, mask, pose)
        for photo, names, strength, mask, pose in zip(options.garment, parts, strengths, masks, poses, strict=True)
    ]


def _for_each(values: list[Any], name: str, count: int) -> list[Any]:
    """One value per garment, given as many or one for all."""
    if len(values) not in (1, count):
        raise SwapError(f"{count} garments but {len(values)} times {name}: give one for each, or one for all")
    return values * count if len(values) == 1 else values


def _load_pipeline(options: argparse.Namespace) -> NTEDStepPipeline:
    return NTEDStepPipeline.from_pretrained(*split_revision(options.weights), device=options.device, dtype=options.dtype)


def _load_parser(options: argparse.Namespace) -> FashionParser:
    return FashionParser.from_pretrained(*split_revision(options.parser), device=options.device)


def _pose_beside(photo: str) -> Path:
    path = Path(photo).with_suffix(".txt")
    if not path.is_file():
        raise SwapError(f"{photo}: there is no {path.name} beside it; give the target pose with --pose")
    return path


def _origins(pipeline: NTEDStepPipeline, parser: FashionParser | None) -> dict[str, Any]:
    return {
        "weights": {"origin": pipeline.origin, "sha256": pipeline.sha256},
        "parser": {"origin": parser.origin, "sha256": parser.sha256} if parser else None,
    }


def _settings(
    options: argparse.Namespace, pipeline: NTEDStepPipeline, parser: FashionParser | None, plan: SwapPlan, pose: Pose
) -> dict[str, Any]:
    """The contents of run.json."""
    return {
        **_origins(pipeline, parser),
        "config": pipeline.config.to_dict(),
        "device": pipeline.device.type,
        "dtype": str(pipeline.dtype).removeprefix("torch."),
        "person": Path(options.person).name,
        "garments": [
            {
                "photo": each.garment.name,
                "parts": list(each.garment.parts),
                "strength": each.garment.strength,
                "mask": "by hand" if each.garment.mask is not None else "parser",
                "mask_pixels": int(each.garment_mask.sum()),
                "textures": [int((share > 0.5).sum()) for share in each.layer.coefficients],
                "notes": list(each.notes),
            }
            for each in plan.garments
        ],
        "pose": [[round(float(x), 3), round(float(y), 3)] if seen else None for (x, y), seen in zip(pose.xy, pose.visible, strict=True)],
        "seed": options.seed,
        "fit": options.fit,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m appearance_control", description="Parse clothes, and swap them.")
    commands = parser.add_subparsers(dest="command", required=True)
    _add_parse(commands)
    _add_swap(commands)
    _add_convert(commands)
    _add_evaluate(commands)
    return parser


def _add_parse(commands: Any) -> None:
    command = commands.add_parser("parse", help="what the person in a photo wears")
    command.add_argument("photo", help="JPEG, PNG or WebP")
    command.add_argument("--output", required=True, help="folder for overlay.png, masks/, parse.json (COCO)")
    command.add_argument("--parser", default=str(PARSER_WEIGHTS), help=WEIGHTS_HELP)
    command.set_defaults(run=run_parse)


def _add_swap(commands: Any) -> None:
    command = commands.add_parser("swap", help="a wearer in other people's clothes; writes every step")
    command.add_argument("--person", required=True, help="photo of the wearer")
    command.add_argument("--garment", required=True, action="append", help="photo of somebody in the garment; may be repeated")
    command.add_argument(
        "--parts", action="append", help="upper, lower, dress, shoes, hair, headwear or any class, joined by commas; for each garment"
    )
    command.add_argument("--strength", action="append", type=float, help="0..1, for each garment")
    command.add_argument(
        "--mask", action="append", help="picture of the garment, drawn by hand, white on black or on transparent ground; - for none"
    )
    command.add_argument(
        "--mask-on",
        choices=("pose", "photo", "original"),
        default="pose",
        help="what the masks are drawn on: the garment's person in the target pose, the fitted photo (python -m nted_step fit), or the "
        "photo's own file",
    )
    command.add_argument("--wearer-mask", help="likewise, what is replaced, on the wearer in the target pose")
    command.add_argument("--person-pose", help="the pose in the wearer's photo; by default the .txt beside it")
    command.add_argument("--garment-pose", action="append", help="likewise for each garment's photo")
    command.add_argument("--pose", help="target pose: .txt or .json; by default the .txt beside the wearer's photo")
    command.add_argument("--output", required=True, help="folder for the steps, masks, coefficients.json, run.json")
    command.add_argument("--weights", default=str(WEIGHTS), help=WEIGHTS_HELP)
    command.add_argument("--parser", default=str(PARSER_WEIGHTS), help=WEIGHTS_HELP)
    command.add_argument("--seed", type=int, default=0, help="of the initial noise")
    command.add_argument("--fit", choices=FITS, default="auto", help="how photos of another shape are fitted; they are never stretched")
    _add_device(command)
    command.set_defaults(run=run_swap)


def _add_convert(commands: Any) -> None:
    command = commands.add_parser("convert", help="read mmfashion's epoch_15.pth")
    command.add_argument("checkpoint", help=".pth file")
    command.add_argument("--output", required=True, help="folder to write")
    command.set_defaults(run=run_convert)


def _add_evaluate(commands: Any) -> None:
    command = commands.add_parser("evaluate", help="how good swaps between rendered people are")
    command.add_argument("--people", type=int, default=100, help="how many wearers")
    command.add_argument("--seed", type=int, help="of the first person; by default the first that no training run sees")
    command.add_argument(
        "--masks", choices=("parser", "truth"), default="parser", help="truth: the true class maps, as a perfect parser would find them"
    )
    command.add_argument("--output", help="folder for sheet.png: the first people by every method")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.add_argument("--weights", default=str(WEIGHTS), help=WEIGHTS_HELP)
    command.add_argument("--parser", default=str(PARSER_WEIGHTS), help=WEIGHTS_HELP)
    _add_device(command)
    command.set_defaults(run=run_evaluate)


def _add_device(command: argparse.ArgumentParser) -> None:
    command.add_argument("--device", default="auto", help=", ".join(DEVICES))
    command.add_argument("--dtype", default="auto", choices=("auto", *DTYPES))


if __name__ == "__main__":
    sys.exit(main())

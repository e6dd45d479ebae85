"""Command line: ``python -m appearance_control parse | swap | convert | evaluate``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from appearance_control.convert import convert
from appearance_control.masks import load_mask
from appearance_control.output import save_parse, save_swap
from appearance_control.parser import FashionParser
from appearance_control.swap import Garment, GarmentSwap, SwapError
from nted_step.bundled import PARSER_WEIGHTS, WEIGHTS
from nted_step.command_line import load_pose, run_command, split_revision
from nted_step.image import FITS, decode, load_photo
from nted_step.output import label
from nted_step.pipeline import DEVICES, DTYPES, NTEDStepPipeline
from nted_step.pose import Pose

MAX_PARSED_SIDE = 2048  # pixels; a larger photo is shrunk before it is parsed


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
    print(f"found: {', '.join(parse.seen()) or 'nothing'}", file=sys.stderr)
    print(save_parse(options.output, pixels, parse, path.name) / "overlay.png")


def run_convert(options: argparse.Namespace) -> None:
    """mmfashion's checkpoint -> weights folder."""
    print(convert(options.checkpoint, options.output))


def run_swap(options: argparse.Namespace) -> None:
    """Wearer, garments and pose -> every step, masks, coefficients."""
    chosen = _per_garment(options)
    pipeline = NTEDStepPipeline.from_pretrained(*split_revision(options.weights), device=options.device, dtype=options.dtype)
    size = pipeline.config.size
    pose = load_pose(options.pose or _pose_beside(options.person), size)
    parser = _swap_parser(options, chosen)
    wearer_mask = load_mask(options.wearer_mask, size) if options.wearer_mask else None
    own_poses, wearer_pose = _garment_poses(options, size), _photo_pose(options.person_pose, options.person, size)
    photos = [load_photo(path, size, options.fit) for path, *_ in chosen]
    original = options.mask_on == "original"  # fitted with the photo, such a mask is one on the photo
    garments = [
        Garment(
            pipeline.encode(photo.image, own), parts, strength, load_mask(mask, size, photo if original else None) if mask else None,
            "photo" if original else options.mask_on, wearer_mask, Path(path).name,
        )
        for (path, parts, strength, mask), photo, own in zip(chosen, photos, own_poses, strict=True)
    ]  # fmt: skip
    wearer = pipeline.encode(load_photo(options.person, size, options.fit).image, wearer_pose)
    swap = GarmentSwap(pipeline, wearer, garments, pose, parser=parser, seed=options.seed)
    if pipeline.carrier:
        for photo, known in zip((options.person, *options.garment), (wearer_pose, *own_poses), strict=True):
            if known is None:
                print(f"note: {photo}: without the pose in it none of its pixels are carried", file=sys.stderr)
    outputs = []
    with tqdm(total=pipeline.config.steps, desc="steps", unit="step", file=sys.stderr) as bar:
        for output in swap.generate():
            outputs.append(output)
            bar.set_postfix_str(label(output))
            bar.update(output.step > 0)
    for note in (note for plan in swap.plans for note in plan.notes):
        print(f"note: {note}", file=sys.stderr)
    print(save_swap(options.output, swap, outputs, _settings(options, swap)) / "result.png")


def _garment_poses(options: argparse.Namespace, size: tuple[int, int]) -> list[Pose | None]:
    given = options.garment_pose or [None] * len(options.garment)
    if len(given) != len(options.garment):
        raise SwapError(f"{len(options.garment)} garments but {len(given)} times --garment-pose: give one for each, or none")
    return [_photo_pose(pose, photo, size) for pose, photo in zip(given, options.garment, strict=True)]


def _photo_pose(given: str | None, photo: str, size: tuple[int, int]) -> Pose | None:
    """The pose in a photo: the file given, or the .txt beside the photo; None where there is neither."""
    beside = Path(photo).with_suffix(".txt")
    return load_pose(given or beside, size) if given or beside.is_file() else None


def run_evaluate(options: argparse.Namespace) -> None:
    """Swaps between rendered people, against the right answer."""
    try:
        from training.evaluation.swaps import evaluate, format_table  # draws people and scores pictures: nothing that a swap needs
    except ModuleNotFoundError as error:
        raise SwapError(f"{error.name} is missing: pip install -r training/requirements.txt") from None
    if options.people < 1 or options.seed < 0:
        raise SwapError("--people must be at least 1, --seed at least 0")
    pipeline = NTEDStepPipeline.from_pretrained(*split_revision(options.weights), device=options.device, dtype=options.dtype)
    parser = FashionParser.from_pretrained(*split_revision(options.parser), device=options.device) if options.masks == "parser" else None
    report = evaluate(pipeline, parser, people=options.people, seed=options.seed, sheet=Path(options.output) if options.output else None)
    report = {
        "people": options.people,
        "seed": options.seed,
        "masks": options.masks,
        "weights": {"origin": pipeline.origin, "sha256": pipeline.sha256},
        "parser": {"origin": parser.origin, "sha256": parser.sha256} if parser else None,
        "device": pipeline.device.type,
        "dtype": str(pipeline.dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        **report,
    }
    print(json.dumps(report, indent=2) if options.json else format_table(report))


def _per_garment(options: argparse.Namespace) -> list[tuple[str, tuple[str, ...], float, str]]:
    """(photo, parts, strength, mask or "") for every --garment. Raises SwapError when the lists do not match."""
    count = len(options.garment)

    def spread(values: list, name: str, default: Any) -> list:
        values = values or [default]
        if len(values) not in (1, count):
            raise SwapError(f"{count} garments but {len(values)} times {name}: give one for each, or one for all")
        return values * count if len(values) == 1 else values

    if options.mask and len(options.mask) != count:
        raise SwapError(f"{count} garments but {len(options.mask)} masks: give one for each, - for none")
    masks = ["" if mask == "-" else mask for mask in options.mask or ["-"] * count]
    parts = [tuple(part.strip() for part in text.split(",")) for text in spread(options.parts, "--parts", "upper")]
    return list(zip(options.garment, parts, spread(options.strength, "--strength", 1.0), masks, strict=True))


def _swap_parser(options: argparse.Namespace, chosen: list[tuple]) -> FashionParser | None:
    """The parser, unless nothing here needs it: every garment has a mask made by hand."""
    if all(mask for *_, mask in chosen):
        return None
    return FashionParser.from_pretrained(*split_revision(options.parser), device=options.device)


def _pose_beside(photo: str) -> Path:
    path = Path(photo).with_suffix(".txt")
    if not path.is_file():
        raise SwapError(f"{photo}: there is no {path.name} beside it; give the target pose with --pose")
    return path


def _settings(options: argparse.Namespace, swap: GarmentSwap) -> dict[str, Any]:
    pipeline, pose = swap.pipeline, swap.pose
    return {
        "weights": {"origin": pipeline.origin, "sha256": pipeline.sha256},
        "parser": {"origin": swap.parser.origin, "sha256": swap.parser.sha256} if swap.parser else None,
        "config": pipeline.config.to_dict(),
        "device": pipeline.device.type,
        "dtype": str(pipeline.dtype).removeprefix("torch."),
        "person": Path(options.person).name,
        "garments": [
            {
                "photo": plan.garment.name,
                "parts": list(plan.garment.parts),
                "strength": plan.garment.strength,
                "mask": "by hand" if plan.garment.mask is not None else "parser",
                "mask_pixels": int(plan.garment_mask.sum()),
                "textures": [int((share > 0.5).sum()) for share in plan.worn.coefficients],
                "notes": plan.notes,
            }
            for plan in swap.plans
        ],
        "pose": [[round(float(x), 3), round(float(y), 3)] if seen else None for (x, y), seen in zip(pose.xy, pose.visible, strict=True)],
        "seed": options.seed,
        "fit": options.fit,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m appearance_control", description="Parse clothes, and swap them.")
    commands = parser.add_subparsers(dest="command", required=True)

    command = commands.add_parser("parse", help="what the person in a photo wears")
    command.add_argument("photo", help="JPEG, PNG or WebP")
    command.add_argument("--output", required=True, help="folder for overlay.png, masks/, parse.json (COCO)")
    command.add_argument("--parser", default=str(PARSER_WEIGHTS), help="folder or Hub repository[@revision]")
    command.set_defaults(run=run_parse)

    command = commands.add_parser("swap", help="a wearer in other people's clothes; writes every step")
    command.add_argument("--person", required=True, help="photo of the wearer")
    command.add_argument("--garment", required=True, action="append", help="photo of somebody in the garment; may be repeated")
    command.add_argument(
        "--parts", action="append", help="upper, lower, dress, shoes, hair, headwear or any class, joined by commas; for each garment"
    )
    command.add_argument("--strength", action="append", type=float, help="0..1, for each garment")
    command.add_argument(
        "--mask", action="append", help="picture of the garment, made by hand, white on black or on a transparent ground; - for none"
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
    command.add_argument("--weights", default=str(WEIGHTS), help="folder or Hub repository[@revision]")
    command.add_argument("--parser", default=str(PARSER_WEIGHTS), help="folder or Hub repository[@revision]")
    command.add_argument("--seed", type=int, default=0, help="of the start noise")
    command.add_argument("--fit", choices=FITS, default="auto", help="how photos of another shape are fitted, never stretched")
    command.add_argument("--device", default="auto", help=", ".join(DEVICES))
    command.add_argument("--dtype", default="auto", choices=("auto", *DTYPES))
    command.set_defaults(run=run_swap)

    command = commands.add_parser("convert", help="read mmfashion's epoch_15.pth")
    command.add_argument("checkpoint", help=".pth file")
    command.add_argument("--output", required=True, help="folder to write")
    command.set_defaults(run=run_convert)

    command = commands.add_parser("evaluate", help="how good swaps are, between rendered people")
    command.add_argument("--people", type=int, default=100, help="how many wearers")
    command.add_argument("--seed", type=int, default=9_000_000, help="of the first; no training run sees 9000000 and above")
    command.add_argument(
        "--masks", choices=("parser", "truth"), default="parser", help="truth: the true class maps, as a perfect parser would see"
    )
    command.add_argument("--output", help="folder for sheet.png: the first people in every way")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.add_argument("--weights", default=str(WEIGHTS), help="folder or Hub repository[@revision]")
    command.add_argument("--parser", default=str(PARSER_WEIGHTS), help="folder or Hub repository[@revision]")
    command.add_argument("--device", default="auto", help=", ".join(DEVICES))
    command.add_argument("--dtype", default="auto", choices=("auto", *DTYPES))
    command.set_defaults(run=run_evaluate)
    return parser


if __name__ == "__main__":
    sys.exit(main())

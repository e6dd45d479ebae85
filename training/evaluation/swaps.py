"""Measuring garment swaps on rendered people, whose true results are known, for ``python -m appearance_control evaluate``."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from appearance_control.masks import MaskError
from appearance_control.parser import FashionParser
from appearance_control.swap import Garment, GarmentSwap, SwapError
from nted_step.files import write_file
from nted_step.image import encode_image, to_uint8
from nted_step.person import Person
from nted_step.pipeline import NTEDStepPipeline
from nted_step.pose import skeleton_map
from training.efficientnet import open_efficientnet
from training.evaluation.garment_colour import GarmentColours
from training.evaluation.metrics import NotAvailable, psnr, to_bytes
from training.evaluation.swap_cases import PARTS, CaseError, SwapCase, find_case
from training.losses import el0_distance

NO_SWAP, PASTE, SWAP = ROWS = "no swap", "paste by mask", "swap"
SHOWN = 12  # people on a sheet
EL0_BATCH = 16
CELLS = {"inside": (10, 2), "outside": (13, 2), "el0": (12, 3), "colour": (14, 1), "seconds": (9, 2)}  # width and decimals


@dataclasses.dataclass(frozen=True)
class SwapTrial:
    """One swap, made by every method.

    Attributes:
        case: the swap and its true result.
        images: method -> 3 x H x W uint8.
        seconds: method -> seconds after both people have been encoded, rendered and parsed.
        known: seconds for encoding, rendering and parsing them.
        failure: why the swap could not be made, or empty. After a failure every image is the wearer without it, as a user would see.
    """

    case: SwapCase
    images: dict[str, Tensor]
    seconds: dict[str, float]
    known: float
    failure: str = ""


def evaluate(
    pipeline: NTEDStepPipeline, parser: FashionParser | None, *, people: int, seed: int, sheet: Path | None = None
) -> dict[str, Any]:
    """Swap one garment on each of the people ``seed``, ``seed + 1``, ..., with a progress bar.

    Args:
        parser: finds the garments; None: the true class maps are used.
        sheet: folder for ``sheet.png``, the first people by every method.

    Returns:
        ``rows``: method -> ``inside`` and ``outside`` (PSNR in dB, mean over people), ``el0`` inside (mean over people), ``colour``
        (CIEDE2000 of the garment's mean colour, median) and ``seconds`` (median); ``parts``: part -> its ``people`` and ``rows``;
        ``swaps``: the number of swaps tried; ``known``: median seconds to encode, render and parse both people beforehand;
        ``failed`` and ``skipped``: one line for each swap that could not be made, and for each person with nothing to swap.

    Raises:
        CaseError: nobody has a garment to swap.
    """
    trials, skipped = [], []
    for number in tqdm(range(seed, seed + people), desc="swaps", unit="person", file=sys.stderr):
        try:
            case = find_case(number, pipeline.config.size)
        except CaseError as error:
            skipped.append(str(error))
        else:
            trials.append(try_case(case, pipeline, parser))
    if not trials:
        raise CaseError("; ".join(skipped))
    if sheet is not None:
        save_sheet(sheet / "sheet.png", trials[:SHOWN])
    of_part = {part: [trial for trial in trials if trial.case.part == part] for part in PARTS}
    return {
        "swaps": len(trials),
        "rows": _rows(trials),
        "parts": {part: {"people": len(some), "rows": _rows(some)} for part, some in of_part.items() if some},
        "known": float(np.median([trial.known for trial in trials])),
        "failed": [trial.failure for trial in trials if trial.failure],
        "skipped": skipped,
    }


def try_case(case: SwapCase, pipeline: NTEDStepPipeline, parser: FashionParser | None) -> SwapTrial:
    """One case by every method: without swapping, pasted and swapped."""
    photos = ((case.wearer, case.wearer_pose), (case.donor, case.donor_pose))
    wearer, donor = (pipeline.encode(photo.float() / 127.5 - 1, pose) for photo, pose in photos)
    masks = {} if parser else {"mask": case.garment_mask.numpy(), "wearer_mask": case.wearer_mask.numpy()}
    began = time.perf_counter()
    try:
        garment = Garment(donor, (case.part,), **masks, name=f"person {case.donor_seed}")
        swap = GarmentSwap(pipeline, wearer, [garment], case.pose, parser=parser)
    except (SwapError, MaskError) as error:
        plain = to_bytes(_last(pipeline, wearer, case).cpu())
        return SwapTrial(case, dict.fromkeys(ROWS, plain), {}, time.perf_counter() - began, f"person {case.wearer_seed}: {error}")
    known = time.perf_counter() - began
    images, seconds = {}, {}

    def measure(row: str, make: Callable[[], Tensor]) -> None:
        start = time.perf_counter()
        images[row] = to_bytes(make().cpu())
        seconds[row] = time.perf_counter() - start

    measure(NO_SWAP, lambda: _last(pipeline, wearer, case))
    measure(PASTE, lambda: pasted(swap))
    measure(SWAP, lambda: _swapped(swap))
    return SwapTrial(case, images, seconds, known)


def pasted(swap: GarmentSwap) -> Tensor:
    """A swap by pasting: the donor's rendering in the target pose inside the garment's mask, the wearer's outside it."""
    mask = torch.from_numpy(swap.plans[0].garment_mask).to(swap.wearer_view.image.device)
    return torch.where(mask, swap.garment_views[0].image, swap.wearer_view.image)


def _last(pipeline: NTEDStepPipeline, person: Person, case: SwapCase) -> Tensor:
    return [output.image for output in pipeline.generate(person, case.pose)][-1]


def _swapped(swap: GarmentSwap) -> Tensor:
    return [output.image for output in swap.generate()][-1]


def _rows(trials: Sequence[SwapTrial]) -> dict[str, dict[str, float]]:
    truth = torch.stack([trial.case.truth for trial in trials])
    inside = torch.stack([trial.case.inside for trial in trials])[:, None].float()
    garment = torch.stack([trial.case.garment_mask for trial in trials]).long()  # class 1 is any garment's
    rows, el0 = {}, _el0_to(truth, inside)
    for row in trials[0].images:
        image = torch.stack([trial.images[row] for trial in trials])
        colour = GarmentColours(truth, garment).errors(image)
        seconds = [trial.seconds[row] for trial in trials if row in trial.seconds]
        rows[row] = {
            "inside": psnr(image, truth, inside).mean().item(),
            "outside": psnr(image, truth, 1 - inside).mean().item(),
            "el0": el0(image),
            "colour": float(np.median(colour)) if len(colour) else None,
            "seconds": float(np.median(seconds)) if seconds else None,
        }
    return rows


def _el0_to(truth: Tensor, inside: Tensor) -> Callable[[Tensor], float | None]:
    """A function for the mean EL0 of images N x 3 x H x W uint8 inside the masks; it returns None if EL0's network is not installed."""
    try:
        network = open_efficientnet(torch.device("cpu"))
    except NotAvailable:
        return lambda image: None

    @torch.no_grad()
    def el0(image: Tensor) -> float:
        batches = zip(image.split(EL0_BATCH), truth.split(EL0_BATCH), inside.split(EL0_BATCH), strict=True)
        distances = []
        for made, true, mask in batches:
            features = (network(images.float() / 127.5 - 1, mask) for images in (true, made))
            distances.append(el0_distance(*features, mask))
        return torch.cat(distances).mean().item()

    return el0


def save_sheet(path: Path, trials: Sequence[SwapTrial]) -> None:
    """One row per person: wearer, donor, target pose, then every method in the order of the table, and the truth."""
    rows = []
    for trial in trials:
        size = tuple(trial.case.truth.shape[-2:])
        pose = to_uint8(skeleton_map(trial.case.pose, size)[:3] * 2 - 1)
        pictures = [trial.case.wearer, trial.case.donor, *trial.images.values(), trial.case.truth]
        wearer, donor, *others = (picture.permute(1, 2, 0).numpy() for picture in pictures)
        rows.append(np.concatenate([wearer, donor, pose, *others], axis=1))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, encode_image(Image.fromarray(np.concatenate(rows))))


def format_table(report: dict[str, Any]) -> str:
    """A report as text."""
    blocks = [("all parts", report["swaps"], report["rows"])]
    blocks += [(part, of["people"], of["rows"]) for part, of in report["parts"].items()]
    lines = []
    for title, people, rows in blocks:
        lines += [f"{title}, {people} swaps".ljust(28) + "inside, dB  outside, dB  EL0 inside  colour error  seconds"]
        lines += [
            f"  {row:26}" + "".join(_cell(values[key], width, digits) for key, (width, digits) in CELLS.items())
            for row, values in rows.items()
        ]
    lines.append(f"{report['known']:.2f} s (median) to encode, render and parse both people beforehand")
    lines += [f"not made: {line}" for line in report["failed"]] + [f"skipped: {line}" for line in report["skipped"]]
    return "\n".join(lines)


def _cell(value: float | None, width: int, digits: int) -> str:
    return ("-" if value is None else f"{value:.{digits}f}").rjust(width)

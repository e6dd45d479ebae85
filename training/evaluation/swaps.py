"""Measures garment swaps on rendered people, for whom the right answer is known: ``python -m appearance_control evaluate``."""

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

from appearance_control.garment import Garment, SwapError
from appearance_control.masks import MaskError
from appearance_control.parser import FashionParser
from appearance_control.swap import SwapPlan, SwapPlanner
from nted_step.files import write_file
from nted_step.image import encode_image, to_uint8
from nted_step.person import Appearance
from nted_step.pipeline import NTEDStepPipeline
from nted_step.pose import skeleton_map
from training.efficientnet import open_efficientnet
from training.evaluation.garment_colour import GarmentColours
from training.evaluation.metrics import NotAvailable, psnr, to_bytes
from training.evaluation.swap_cases import PART_ODDS, CaseError, SwapCase, find_case
from training.losses import el0_distance

NO_SWAP, PASTE, SWAP = METHODS = "no swap", "paste by mask", "swap"
SHOWN = 12  # people on a sheet
EL0_BATCH = 16
COLUMNS = (("inside", 10, 2), ("outside", 13, 2), ("el0", 12, 3), ("colour", 14, 1), ("seconds", 9, 2))  # key, width, digits


@dataclasses.dataclass(frozen=True)
class CaseResult:
    """One swap, made by every method.

    Attributes:
        case: the swap and its answer.
        images: method -> 3 x H x W uint8.
        seconds: method -> seconds, not counting the preparation.
        preparation: seconds to render and parse both people.
        failure: why the swap could not be made, or empty. If it could not, every image is the unchanged wearer, as users get it.
    """

    case: SwapCase
    images: dict[str, Tensor]
    seconds: dict[str, float]
    preparation: float
    failure: str = ""


def evaluate(
    pipeline: NTEDStepPipeline, parser: FashionParser | None, *, people: int, seed: int, sheet: Path | None = None
) -> dict[str, Any]:
    """Swap one garment on each of the people ``seed``, ``seed + 1``, ..., with a progress bar.

    Args:
        parser: finds the garments; None takes the true class maps instead.
        sheet: folder for ``sheet.png``, which shows the first people by every method.

    Returns:
        ``rows``: method -> ``inside`` and ``outside`` (PSNR in dB, mean over people), ``el0`` inside (mean over people), ``colour``
        (CIEDE2000 of the garment's mean colour, median) and ``seconds`` (median); ``parts``: part -> ``people`` and ``rows`` of its
        own; ``swaps``: how many were tried; ``known``: median seconds to render and parse both people before; ``failed`` and
        ``skipped``: one line for each swap that could not be made, and for each person who has nothing to swap.

    Raises:
        CaseError: nobody has anything to swap.
    """
    results, skipped = [], []
    for number in tqdm(range(seed, seed + people), desc="swaps", unit="person", file=sys.stderr):
        try:
            case = find_case(number, pipeline.config.size)
        except CaseError as error:
            skipped.append(str(error))
        else:
            results.append(try_case(case, pipeline, parser))
    if not results:
        raise CaseError("; ".join(skipped))
    if sheet is not None:
        save_sheet(sheet / "sheet.png", results[:SHOWN])
    by_part = {part: [result for result in results if result.case.part == part] for part in PART_ODDS}
    return {
        "swaps": len(results),
        "rows": _rows(results),
        "parts": {part: {"people": len(some), "rows": _rows(some)} for part, some in by_part.items() if some},
        "known": float(np.median([result.preparation for result in results])),
        "failed": [result.failure for result in results if result.failure],
        "skipped": skipped,
    }


def try_case(case: SwapCase, pipeline: NTEDStepPipeline, parser: FashionParser | None) -> CaseResult:
    """One case by every method: no swap, paste, swap."""
    photos = ((case.wearer, case.wearer_pose), (case.donor, case.donor_pose))
    wearer, donor = (pipeline.encode(photo.float() / 127.5 - 1, pose) for photo, pose in photos)
    masks = {} if parser else {"mask": case.garment_mask.numpy(), "wearer_mask": case.wearer_mask.numpy()}
    began = time.perf_counter()
    try:
        garment = Garment(donor, (case.part,), **masks, name=f"person {case.donor_seed}")
        plan = SwapPlanner(pipeline, wearer, case.pose, parser=parser).plan([garment])
    except (SwapError, MaskError) as error:
        plain = to_bytes(_last(pipeline, wearer, case).cpu())
        return CaseResult(case, dict.fromkeys(METHODS, plain), {}, time.perf_counter() - began, f"person {case.wearer_seed}: {error}")
    preparation = time.perf_counter() - began
    images, seconds = {}, {}

    def measure(method: str, make: Callable[[], Tensor]) -> None:
        start = time.perf_counter()
        images[method] = to_bytes(make().cpu())
        seconds[method] = time.perf_counter() - start

    measure(NO_SWAP, lambda: _last(pipeline, wearer, case))
    measure(PASTE, lambda: pasted(plan))
    measure(SWAP, lambda: _last(pipeline, plan.dressed(), case))
    return CaseResult(case, images, seconds, preparation)


def pasted(plan: SwapPlan) -> Tensor:
    """A swap without textures: the donor's rendering in the target pose inside the garment's mask, the wearer's around it."""
    garment = plan.garments[0]
    mask = torch.from_numpy(garment.garment_mask).to(plan.rendering.image.device)
    return torch.where(mask, garment.rendering.image, plan.rendering.image)


def _last(pipeline: NTEDStepPipeline, person: Appearance, case: SwapCase) -> Tensor:
    return [output.image for output in pipeline.generate(person, case.pose)][-1]


def _rows(results: Sequence[CaseResult]) -> dict[str, dict[str, float]]:
    truth = torch.stack([result.case.truth for result in results])
    inside = torch.stack([result.case.inside for result in results])[:, None].float()
    garment = torch.stack([result.case.garment_mask for result in results]).long()  # class 1 is a garment's, and there is no other
    rows, el0 = {}, _el0_to(truth, inside)
    for row in results[0].images:
        image = torch.stack([result.images[row] for result in results])
        colour = GarmentColours(truth, garment).errors(image)
        seconds = [result.seconds[row] for result in results if row in result.seconds]
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


def save_sheet(path: Path, results: Sequence[CaseResult]) -> None:
    """One row per person: wearer, donor, target pose, then every method in the order of the table, and the truth."""
    rows = []
    for result in results:
        size = tuple(result.case.truth.shape[-2:])
        pose = to_uint8(skeleton_map(result.case.pose, size)[:3] * 2 - 1)
        pictures = [result.case.wearer, result.case.donor, *result.images.values(), result.case.truth]
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
            f"  {method:26}" + "".join(_cell(row[key], width, digits) for key, width, digits in COLUMNS) for method, row in rows.items()
        ]
    lines.append(f"{report['known']:.2f} s (median) to encode, render and parse both people beforehand")
    lines += [f"not made: {line}" for line in report["failed"]] + [f"skipped: {line}" for line in report["skipped"]]
    return "\n".join(lines)


def _cell(value: float | None, width: int, digits: int) -> str:
    return ("-" if value is None else f"{value:.{digits}f}").rjust(width)

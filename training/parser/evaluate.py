"""Box and mask AP of a parser on test figures: ``python -m training evaluate-parser --weights DIR --figures 200 --seed 9000000``."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tqdm import tqdm

from appearance_control.parser import FashionParser, Parse
from nted_step.bundled import PARSER_WEIGHTS
from nted_step.classes import CLASSES
from nted_step.command_line import report_error
from training.figures import TEST_SEED
from training.figures.dataset import annotations
from training.figures.workers import render_groups


def evaluate(parse: Callable[[np.ndarray], Parse], figures: int, seed: int, size: tuple[int, int] = (256, 176)) -> dict[str, Any]:
    """Parse ``figures`` people, one pose each, and compare the result with the rendered truth.

    Returns:
        ``box`` and ``mask``: AP over IoU .50:.95 as COCO defines it, at .50, and per class (None for a class that no figure
        wears); ``instances`` per class; ``seconds``: median and maximum time of a parse.
    """
    truth, found, seconds = _empty_dataset(), [], []
    for batch in tqdm(render_groups(range(seed, seed + figures), 1, size), total=(figures + 3) // 4, unit="group", file=sys.stderr):
        for image, classes, instances in zip(batch.image.numpy(), batch.class_map.numpy(), batch.instance_map.numpy(), strict=True):
            number = len(truth["images"]) + 1
            truth["images"].append({"id": number, "height": size[0], "width": size[1]})
            for entry in annotations(classes, instances):
                truth["annotations"].append({**entry, "id": len(truth["annotations"]) + 1, "image_id": number})
            began = time.perf_counter()
            result = parse(np.ascontiguousarray(image.transpose(1, 2, 0)))
            seconds.append(time.perf_counter() - began)
            found += [{**entry, "image_id": number} for entry in result.to_coco("")["annotations"]]
    counts = {name: sum(e["category_id"] == label for e in truth["annotations"]) for label, name in enumerate(CLASSES, 1)}
    return {
        "figures": figures,
        "seed": seed,
        "box": average_precision(truth, found, "bbox"),
        "mask": average_precision(truth, found, "segm"),
        "instances": counts,
        "seconds": {"median": float(np.median(seconds)), "max": float(max(seconds))},
    }


def _empty_dataset() -> dict[str, Any]:
    """A COCO data set of the fashion classes, without images."""
    return {"info": {}, "images": [], "annotations": [], "categories": [{"id": k, "name": n} for k, n in enumerate(CLASSES, 1)]}


def average_precision(truth: dict[str, Any], found: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """COCOeval's result for ``"bbox"`` or ``"segm"``: ``ap``, ``ap50`` and ``per_class``; all 0 if nothing was found."""
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools reports on standard output
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(found) if found else COCO(), kind)
        evaluation.params.catIds = coco.getCatIds()
        evaluation.params.imgIds = coco.getImgIds()
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, :, 0, -1]  # IoU x recall x class; -1 where a class is absent

    def mean(values: np.ndarray) -> float | None:
        return float(values[values > -1].mean()) if (values > -1).any() else None

    return {
        "ap": mean(precision),
        "ap50": mean(precision[0]),
        "per_class": {name: mean(precision[:, :, k]) for k, name in enumerate(CLASSES)},
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training evaluate-parser", description="Box and mask AP of a parser on test figures.")
    parser.add_argument("--weights", default=str(PARSER_WEIGHTS), help="folder or Hub repository")
    parser.add_argument("--figures", type=int, default=200)
    parser.add_argument("--seed", type=int, default=TEST_SEED, help="of the first person")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    if options.figures < 1 or options.seed < 0:
        parser.error("--figures must be at least 1, --seed at least 0")
    try:
        report = evaluate(FashionParser.from_pretrained(options.weights).parse, options.figures, options.seed)
    except (ValueError, OSError) as error:
        return report_error(error)
    report["threads"] = torch.get_num_threads()
    print(json.dumps(report, indent=2) if options.json else _table(report))
    return 0


def _table(report: dict[str, Any]) -> str:
    def show(value: float | None) -> str:
        return "   - " if value is None else f"{value:.3f}"

    rows = [f"{'class':10} instances  box AP  mask AP"]
    for name, count in report["instances"].items():
        rows.append(f"{name:10} {count:9}   {show(report['box']['per_class'][name])}    {show(report['mask']['per_class'][name])}")
    rows.append(f"{'all':10} {sum(report['instances'].values()):9}   {show(report['box']['ap'])}    {show(report['mask']['ap'])}")
    rows.append(f"{report['seconds']['median'] * 1000:.0f} ms per image (median) on {report['threads']} threads")
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())

"""Measure weights step by step, and compare them with copying the source and with warping its limbs.

The test pairs are rendered people that no run trains on, or those of a prepared data set. With ``--photos`` it instead renders photos,
for which there is no truth, in other poses.

    python -m training evaluate --weights assets/weights/lite --figures 64 --seed 9000000 --output out/evaluation
    python -m training evaluate --weights DIR --data data/prepared --protocol cfld --steps last --output out/deepfashion
    python -m training evaluate --images FOLDER --data data/prepared --protocol cfld --output out/another_method
    python -m training evaluate --weights DIR --photos FOLDER --output out/photos

Prints a table; writes ``metrics.json`` (settings, counts, the metrics of every step), ``sheet.png`` (source, pose, steps 1/5/10/15/20,
truth), ``quality.png`` and ``quality.svg`` (every metric against the step) and ``report.html``, a page with all of these. Metrics
whose networks are missing are reported as not available. With ``--images`` it scores images that ``python -m training infer`` or another
method made, one for each test pair, without plot and page. With ``--photos`` it writes only ``photos.png``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from nted_step.command_line import report_error, split_revision, warn_of_dtype
from nted_step.pipeline import DTYPES, NTEDStepPipeline, choose_device, choose_dtype
from nted_step.weights import load_weights
from training.evaluation.evaluator import evaluate, evaluate_images
from training.evaluation.image_folder import ImageFolder, first_size
from training.evaluation.metrics import PROTOCOLS
from training.evaluation.photos import write_photos
from training.evaluation.report import format_table
from training.evaluation.test_sets import figure_set, prepared_set
from training.figures import SEEDS, TEST_SEED


def _check(options: argparse.Namespace) -> None:
    if options.figures < 1 or (options.limit is not None and options.limit < 1):
        raise ValueError("--figures and --limit must be at least 1")
    if not 0 <= options.seed <= SEEDS - options.figures:
        raise ValueError(f"--seed {options.seed}: people have seeds from 0 to {SEEDS - 1:,}")
    if options.images and not options.data:
        raise ValueError("--images needs --data, the prepared set whose test pairs the images are of")


def _render_photos(options: argparse.Namespace) -> Path:
    weights = load_weights(*split_revision(options.weights))
    pipeline = NTEDStepPipeline(weights.build(), device=options.device, dtype="float32", weights=weights)
    return write_photos(pipeline, options.photos, options.output)


def _score_images(options: argparse.Namespace) -> dict[str, Any]:
    test = prepared_set(options.data, first_size(options.images), options.limit)
    images = ImageFolder(options.images, test.pairs.rows)
    return evaluate_images(images, str(options.images), test, PROTOCOLS[options.protocol], choose_device(options.device), options.output)


def _measure_weights(options: argparse.Namespace) -> dict[str, Any]:
    weights, device = load_weights(*split_revision(options.weights)), choose_device(options.device)
    dtype, size = choose_dtype(options.dtype, device), weights.config.size
    warn_of_dtype(dtype, device)
    test = prepared_set(options.data, size, options.limit) if options.data else figure_set(options.figures, options.seed, size)
    return evaluate(weights, test, PROTOCOLS[options.protocol], options.steps == "last", device, options.output, dtype)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m training evaluate", description="Measure weights on rendered test people or a prepared test set."
    )
    scored = parser.add_mutually_exclusive_group(required=True)
    scored.add_argument("--weights", help="folder or Hub repository")
    scored.add_argument("--images", type=Path, help="with --data: folder of one image SOURCE_2_TARGET.png for each test pair")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--figures", type=int, default=64, help="number of rendered people (default: 64)")
    what.add_argument("--data", type=Path, help="folder written by python -m training prepare, whose test pairs are measured")
    what.add_argument(
        "--photos",
        type=Path,
        help="folder of photos, the pose in each beside it as NAME.txt or NAME.json, target poses in its folder poses",
    )
    parser.add_argument("--limit", type=int, help="with --data: only the first pairs")
    parser.add_argument("--seed", type=int, default=TEST_SEED, help=f"first person; {TEST_SEED:,} and up are never trained on")
    parser.add_argument("--steps", choices=("all", "last"), default="all", help="which steps to measure")
    parser.add_argument("--protocol", choices=sorted(PROTOCOLS), default="cfld", help="whose settings SSIM 51, SSIM 256 and FID follow")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument(
        "--dtype", default="float32", choices=("auto", *DTYPES), help="of the steps; auto: as the page runs them (default: float32)"
    )
    parser.add_argument("--output", type=Path, default=Path("out/evaluation"), help="folder for the report's files")
    options = parser.parse_args(arguments)
    try:
        _check(options)
        if options.photos:
            print(_render_photos(options))
            return 0
        report = _score_images(options) if options.images else _measure_weights(options)
    except (ValueError, OSError) as error:
        return report_error(error)
    print(format_table(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())

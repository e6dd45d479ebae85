"""Measure weights step by step, and compare them with copying the source and with warping its limbs.

The test pairs are rendered people that no run trains on, or those of a prepared data set. With ``--photos`` it instead renders photos,
for which there is no truth, in other poses.

    python -m training evaluate --weights assets/weights/lite --figures 64 --seed 9000000 --output out/evaluation
    python -m training evaluate --weights DIR --data data/prepared --protocol cfld --steps last --output out/deepfashion
    python -m training evaluate --weights DIR --photos FOLDER --output out/photos

Prints a table; writes ``metrics.json`` (settings, counts, the metrics of every step), ``sheet.png`` (source, pose, steps 1/5/10/15/20,
truth), ``quality.png`` and ``quality.svg`` (every metric against the step) and ``report.html``, a page with all of these. Metrics
whose networks are missing are reported as not available. With ``--photos`` it writes only ``photos.png``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nted_step.command_line import report_error
from nted_step.pipeline import DTYPES, NTEDStepPipeline, choose_device, choose_dtype
from nted_step.weights import load_weights
from training.evaluation.evaluator import evaluate
from training.evaluation.metrics import PROTOCOLS
from training.evaluation.photos import write_photos
from training.evaluation.report import format_table
from training.evaluation.test_sets import figure_set, prepared_set
from training.figures import TEST_SEED


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m training evaluate", description="Measure weights on rendered test people or a prepared test set."
    )
    parser.add_argument("--weights", required=True, help="folder or Hub repository")
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
        if options.figures < 1 or (options.limit is not None and options.limit < 1):
            raise ValueError("--figures and --limit must be at least 1")
        weights, device = load_weights(options.weights), choose_device(options.device)
        if options.photos:
            pipeline = NTEDStepPipeline(weights.build(), device=options.device, dtype="float32", weights=weights)
            print(write_photos(pipeline, options.photos, options.output))
            return 0
        size = weights.config.size
        test = prepared_set(options.data, size, options.limit) if options.data else figure_set(options.figures, options.seed, size)
        report = evaluate(
            weights, test, PROTOCOLS[options.protocol], options.steps == "last", device, options.output, choose_dtype(options.dtype, device)
        )
    except (ValueError, OSError) as error:
        return report_error(error)
    print(format_table(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())

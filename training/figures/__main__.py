"""Render people in the layout of a DeepFashion in-shop folder: ``python -m training figures --output DIR --people N --poses M``.

People to test on, whom no run trains on, are rendered as well, so that the set has both lists.
"""

from __future__ import annotations

import argparse
import time

from nted_step.command_line import parse_size
from training.figures.dataset import write_dataset
from training.figures.render import SEEDS, TEST_SEED
from training.figures.workers import render_groups

WARM_GROUPS = 3  # not counted: processes start, and build the body's templates once


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training figures", description="Render people in the layout of a DeepFashion in-shop folder."
    )
    parser.add_argument("--output", help="folder to write the data set to")
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--test-people", type=int, help="people to test on besides (default: a tenth of --people, at least 1)")
    parser.add_argument("--poses", type=int, default=5, help="images of each person")
    parser.add_argument("--seed", type=int, default=0, help=f"seed of the first person; {TEST_SEED} and up are test people")
    parser.add_argument("--size", type=parse_size, default=(256, 176), help="HEIGHTxWIDTH")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--benchmark", action="store_true", help="print images per second and write nothing")
    return parser


def benchmark(people: int, poses: int, seed: int, size: tuple[int, int], device: str) -> float:
    """Images per second of every core together, once all are at work. Raises ValueError for too few people to tell."""
    done, start = 0, 0.0
    for number, batch in enumerate(render_groups(range(seed, seed + people), poses, size, device), 1):
        if number <= WARM_GROUPS:
            start = time.perf_counter()
        else:
            done += len(batch.image)
    if not done:
        raise ValueError("--benchmark needs more people")
    return done / (time.perf_counter() - start)


def seeds(first: int, people: int, test_people: int | None) -> list[int]:
    """Seeds of a set: ``people`` from ``first`` on, and test people unless these are test people already."""
    if test_people is None:
        test_people = 0 if first + people > TEST_SEED else max(1, people // 10)
    trained = range(first, first + people)
    return [*trained, *(seed for seed in range(TEST_SEED, TEST_SEED + test_people) if seed not in trained)]


def main(argv: list[str] | None = None) -> None:
    parser = _parser()
    options = parser.parse_args(argv)
    if options.people < 1 or options.poses < 1 or options.seed < 0 or (options.test_people or 0) < 0:
        parser.error("--people and --poses must be at least 1, --seed and --test-people at least 0")
    if options.seed + options.people > SEEDS:
        parser.error(f"--seed {options.seed}: a person's seed is below {SEEDS:,}")
    if options.benchmark:
        try:
            print(f"{benchmark(options.people, options.poses, options.seed, options.size, options.device):.1f} images/s")
        except ValueError as error:
            parser.error(str(error))
        return
    if not options.output:
        parser.error("--output is needed")
    write_dataset(options.output, seeds(options.seed, options.people, options.test_people), options.poses, options.size, options.device)


if __name__ == "__main__":
    main()

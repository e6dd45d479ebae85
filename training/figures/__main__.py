"""Command line: `python -m training figures --output DIR --people N --poses M --seed S`."""

from __future__ import annotations

import argparse
import time

from training.figures.workers import render_groups


def _size(text: str) -> tuple[int, int]:
    try:
        h, w = (int(v) for v in text.lower().split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"a size is HEIGHTxWIDTH, for example 256x176, not {text!r}") from None
    if min(h, w) < 16 or max(h, w) > 2048:
        raise argparse.ArgumentTypeError("height and width must be 16..2048")
    return h, w


def _parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m training figures", description=__doc__.splitlines()[0])
    p.add_argument("--output", help="folder to write the data set to")
    p.add_argument("--people", type=int, default=100)
    p.add_argument("--poses", type=int, default=5, help="images of each person")
    p.add_argument("--seed", type=int, default=0, help="seed of the first person; 9000000 and up are test people")
    p.add_argument("--size", type=_size, default=(256, 176), help="HEIGHTxWIDTH")
    p.add_argument("--device", default="cpu")
    p.add_argument("--benchmark", action="store_true", help="print images per second and write nothing")
    return p


WARM_GROUPS = 3  # not counted: processes start, and build the body's templates once


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


def main(argv: list[str] | None = None) -> None:
    parser = _parser()
    args = parser.parse_args(argv)
    if args.people < 1 or args.poses < 1 or args.seed < 0:
        parser.error("--people and --poses must be at least 1, --seed at least 0")
    if args.benchmark:
        try:
            print(f"{benchmark(args.people, args.poses, args.seed, args.size, args.device):.1f} images/s")
        except ValueError as error:
            parser.error(str(error))
        return
    if not args.output:
        parser.error("--output is needed")
    from training.figures.dataset import write_dataset

    write_dataset(args.output, range(args.seed, args.seed + args.people), args.poses, args.size, args.device)


if __name__ == "__main__":
    main()

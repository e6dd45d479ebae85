"""Command line: `python -m training.figures --output DIR --people N --poses M --seed S`."""

from __future__ import annotations

import argparse
import time

import torch

from .render import render_people


def _size(text: str) -> tuple[int, int]:
    try:
        h, w = (int(v) for v in text.lower().split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"a size is HEIGHTxWIDTH, for example 256x176, not {text!r}") from None
    if min(h, w) < 16 or max(h, w) > 2048:
        raise argparse.ArgumentTypeError("height and width must be 16..2048")
    return h, w


def _parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m training.figures", description=__doc__.splitlines()[0])
    p.add_argument("--output", help="folder to write the data set to")
    p.add_argument("--people", type=int, default=100)
    p.add_argument("--poses", type=int, default=5, help="images of each person")
    p.add_argument("--seed", type=int, default=0, help="seed of the first person; 9000000 and up are test people")
    p.add_argument("--size", type=_size, default=(256, 176), help="HEIGHTxWIDTH")
    p.add_argument("--device", default="cpu")
    p.add_argument("--benchmark", action="store_true", help="print images per second and write nothing")
    return p


def benchmark(people: int, poses: int, seed: int, size: tuple[int, int], device: str) -> float:
    """Images per second, after the templates are built."""
    render_people([seed], 1, size, device)
    start = time.perf_counter()
    for k in range(people):
        render_people([seed + 1 + k], poses, size, device)
    if device != "cpu":
        torch.cuda.synchronize()
    return people * poses / (time.perf_counter() - start)


def main(argv: list[str] | None = None) -> None:
    parser = _parser()
    args = parser.parse_args(argv)
    if args.people < 1 or args.poses < 1 or args.seed < 0:
        parser.error("--people and --poses must be at least 1, --seed at least 0")
    if args.benchmark:
        print(f"{benchmark(args.people, args.poses, args.seed, args.size, args.device):.1f} images/s")
        return
    if not args.output:
        parser.error("--output is needed")
    from .dataset import write_dataset
    write_dataset(args.output, range(args.seed, args.seed + args.people), args.poses, args.size, args.device)


if __name__ == "__main__":
    main()

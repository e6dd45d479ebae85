"""Render every pair of a list by weights, one image file for each, to be scored here or by other scripts.

    python -m training infer --weights DIR --data data/prepared --output out/images
    python -m training infer --weights DIR --data data/prepared --output out/images --devices cuda:0 cuda:1 --film 1 5 10 20
    python -m training evaluate --images out/images --data data/prepared --output out/scores

The prepared data are read at the weights' own canvas. A file is named SOURCE_2_TARGET.png; it is written whole or not at all, and pairs
whose files are there are skipped, so the same command continues after an interruption. Every device gets a process of its own; on a CPU,
``--processes`` starts several. Machines that share a folder divide the pairs by ``--shard 1/4`` to ``4/4``.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import Empty
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from nted_step.command_line import INTERRUPTED, report_error, split_revision, warn_of_dtype
from nted_step.files import write_file
from nted_step.hardware import available_cores
from nted_step.image import encode_image, to_pil
from nted_step.output import strip
from nted_step.pipeline import DTYPES, choose_device, choose_dtype
from nted_step.weights import load_weights
from training.deepfashion.pair_lists import ORDERS, read_pair_list
from training.deepfashion.store import PreparedStore
from training.evaluation.image_folder import Row, file_name
from training.evaluation.sampling import Sampler
from training.evaluation.test_sets import PreparedPairs

FORMATS: dict[str, dict[str, Any]] = {"png": {"kind": "PNG"}, "jpg": {"kind": "JPEG", "quality": 95, "subsampling": 0}}
FILMS = "film"  # folder within the output
FAILED = 1  # exit status when a process ended early
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Task:
    """What every process renders.

    Attributes:
        weights: folder or Hub repository, and its revision.
        data, part: prepared set. rows: (source, target) names, all of which the set has.
        output: folder. ending: of the names. kind: a key of FORMATS.
        step: that is written; None: the last. film: steps of the strips; empty: none.
        batch: pairs at a time; None: what suits the device.
    """

    weights: tuple[str, str | None]
    data: Path
    part: str
    rows: tuple[Row, ...]
    output: Path
    ending: str = ""
    kind: str = "png"
    step: int | None = None
    film: tuple[int, ...] = ()
    batch: int | None = None
    dtype: str = "float32"

    def path(self, row: Row) -> Path:
        return self.output / file_name(row, self.ending, f".{self.kind}")

    def film_path(self, row: Row) -> Path:
        return self.output / FILMS / file_name(row, self.ending, ".png")

    def missing(self) -> list[int]:
        """Indices of the rows without all their files, each file once."""
        seen: dict[Path, int] = {}
        for number, row in enumerate(self.rows):
            if not self.path(row).is_file() or (self.film and not self.film_path(row).is_file()):
                seen.setdefault(self.path(row), number)
        return list(seen.values())


def render(task: Task, numbers: Sequence[int], device: torch.device, progress: Callable[[int], None]) -> None:
    """Render rows of a task on one device; ``progress`` is called with the number of pairs that each batch finished.

    Raises ValueError for weights, data and steps that cannot be used.
    """
    weights = load_weights(*task.weights)
    dtype = choose_dtype(task.dtype, device)
    warn_of_dtype(dtype, device)
    sampler = Sampler(weights, device, dtype)
    wanted = [*task.film, *([] if task.step is None else [task.step])]
    if wanted and not 0 <= min(wanted) <= max(wanted) <= weights.config.steps:
        raise ValueError(f"steps are 0 to {weights.config.steps} for these weights, not {min(wanted)} to {max(wanted)}")
    store = PreparedStore(task.data, weights.config.size, task.part, augment=False)
    store.rows = list(task.rows)
    pairs = PreparedPairs(store, len(task.rows))
    for index in torch.tensor(list(numbers)).split(task.batch or sampler.batch):
        batch = pairs.select(index)
        steps, _ = sampler.sample(batch)
        for place, number in enumerate(index.tolist()):
            _write(task, task.rows[number], [batch.source[place], *(step[place] for step in steps)], batch.target[place])
        progress(len(index))


def _write(task: Task, row: Row, images: list[Tensor], target: Tensor) -> None:
    """``images``: the source, then steps 0 to the last. The film first: a pair with its image has all its files."""
    if task.film:
        shown = [images[0], *(images[step + 1] for step in task.film), target]
        labels = ["source", *(f"step {step}" for step in task.film), "truth"]
        write_file(task.film_path(row), encode_image(strip([to_pil(image) for image in shown], labels)))
    picture: Image.Image = to_pil(images[-1 if task.step is None else task.step + 1])
    write_file(task.path(row), encode_image(picture, **FORMATS[task.kind]))


def render_on(task: Task, devices: Sequence[str], shard: tuple[int, int] = (1, 1)) -> int:
    """Render what is missing, with a process for each device, and a progress bar. Returns the exit status.

    ``shard``: (i, n): only every n-th pair, from the i-th on. Raises ValueError as :func:`render` if there is one device.
    """
    task.output.mkdir(parents=True, exist_ok=True)
    if task.film:
        (task.output / FILMS).mkdir(exist_ok=True)
    numbers = [number for number in task.missing() if number % shard[1] == shard[0] - 1]
    mine = len({task.path(row) for row in task.rows[shard[0] - 1 :: shard[1]]})
    with tqdm(total=mine, initial=mine - len(numbers), desc="rendering", unit="pair") as bar:
        if not numbers:
            return 0
        if len(devices) == 1:
            render(task, numbers, choose_device(devices[0]), bar.update)
            return 0
        return _render_in_processes(task, numbers, devices, bar)


def _render_in_processes(task: Task, numbers: list[int], devices: Sequence[str], bar: tqdm) -> int:
    context = get_context("spawn")  # a process that has used a GPU must not be forked
    finished = context.Queue()
    shares = [(device, numbers[place :: len(devices)]) for place, device in enumerate(devices)]
    threads = max(1, available_cores() // len(devices))
    processes = [context.Process(target=_process, args=(task, share, device, threads, finished)) for device, share in shares if share]
    for process in processes:
        process.start()
    try:
        while any(process.is_alive() for process in processes) or not finished.empty():
            _advance(finished, bar)
    except BaseException:
        _stop(processes)
        raise
    return FAILED if any(process.exitcode for process in processes) else 0


def _advance(finished: Any, bar: tqdm) -> None:
    try:
        message = finished.get(timeout=POLL_SECONDS)
    except Empty:
        return
    if isinstance(message, str):
        bar.clear()
        report_error(message)
    else:
        bar.update(message)


def _stop(processes: Sequence[BaseProcess]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.join()


def _process(task: Task, numbers: list[int], device: str, threads: int, finished: Any) -> None:
    try:
        torch.set_num_threads(threads)
        render(task, numbers, choose_device(device), finished.put)
    except (ValueError, OSError) as error:
        finished.put(f"{device}: {error}")
        sys.exit(FAILED)
    except KeyboardInterrupt:  # the terminal's Ctrl+C reaches every process; the first one says so
        sys.exit(INTERRUPTED)


def _devices(options: argparse.Namespace) -> list[str]:
    devices = options.devices or ["auto"]
    if options.processes == 1:
        return devices
    if len(devices) > 1:
        raise ValueError("--processes is for one device; with several, each has a process of its own")
    return devices * options.processes


def parse_shard(text: str) -> tuple[int, int]:
    """``i/n`` with 1 <= i <= n, as a type for argparse."""
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise argparse.ArgumentTypeError(f"a shard is I/N, for example 1/4 to 4/4, not {text!r}")
    return int(match[1]), int(match[2])


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {text!r}")
    return int(text)


def rows_of(options: argparse.Namespace, size: tuple[int, int]) -> tuple[Row, ...]:
    """The pairs to render: those of the prepared part, or of a list whose images the prepared set has. Raises ValueError."""
    store = PreparedStore(options.data, size, options.part, augment=False)
    rows = store.rows
    if options.pairs:
        listed = read_pair_list(options.pairs, options.order)
        rows = list(listed.pairs)
        print(f"{options.pairs}: {listed.order} ({listed.evidence})", file=sys.stderr)
        if lacking := next((name for row in rows for name in row if not store.has(name)), None):
            raise ValueError(f"{options.pairs}: {lacking} is not in {store.folder}; add it to a list there and prepare again")
    store.close()
    return tuple(rows[: options.limit])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training infer", description="Render every pair of a list, one image file for each.")
    parser.add_argument("--weights", required=True, help="folder or Hub repository[@revision]")
    parser.add_argument("--data", required=True, type=Path, help="folder written by python -m training prepare")
    parser.add_argument("--part", choices=("test", "train"), default="test", help="of the prepared set (default: test)")
    parser.add_argument("--pairs", type=Path, help="another list of pairs, of images that the part's environment has")
    parser.add_argument("--order", choices=ORDERS, help="of the names in a row of --pairs, where the list does not tell it")
    parser.add_argument("--limit", type=_count, help="only the first pairs")
    parser.add_argument("--output", required=True, type=Path, help="folder for the images")
    parser.add_argument("--ending", default="", help="of the names before the suffix, such as _vis (default: none)")
    parser.add_argument("--format", choices=sorted(FORMATS), default="png", help="png is lossless (default: png)")
    parser.add_argument("--step", type=int, help="write this step instead of the last")
    parser.add_argument("--film", type=int, nargs="+", default=[], metavar="STEP", help=f"also write strips of these steps into {FILMS}/")
    parser.add_argument("--batch", type=_count, help="pairs at a time on each device (default: 8 on a GPU, 1 on a CPU)")
    parser.add_argument("--devices", nargs="+", help="auto, cpu, cuda, or several: cuda:0 cuda:1 (default: auto)")
    parser.add_argument("--processes", type=_count, default=1, help="on one device (default: 1)")
    parser.add_argument(
        "--shard", type=parse_shard, default=(1, 1), metavar="I/N", help="only this part of the pairs, for several machines"
    )
    parser.add_argument("--dtype", default="float32", choices=("auto", *DTYPES), help="of the steps (default: float32)")
    options = parser.parse_args(arguments)
    try:
        if not re.fullmatch(r"[\w.-]*", options.ending):
            raise ValueError(f"--ending {options.ending}: letters, digits, _, - and . only")
        name = split_revision(options.weights)
        rows = rows_of(options, load_weights(*name).config.size)
        task = Task(
            name, options.data, options.part, rows, options.output, options.ending, options.format, options.step, tuple(options.film),
            options.batch, options.dtype,
        )  # fmt: skip
        status = render_on(task, _devices(options), options.shard)
    except (ValueError, OSError) as error:
        return report_error(error)
    except KeyboardInterrupt:
        print("stopped; run the same command again to continue", file=sys.stderr)
        return INTERRUPTED
    if not status:
        print(options.output)
    return status


if __name__ == "__main__":
    sys.exit(main())

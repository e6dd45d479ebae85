"""Prepare a DeepFashion in-shop folder for training: every image at every size, with its pose, in LMDB.

    python -m training prepare --root data/deepfashion --sizes 256x176 512x352 --output data/prepared

Writes OUTPUT/HEIGHTxWIDTH (one environment per size, with the pair lists) and OUTPUT/report.json, which names every file
that is missing or broken. Run again after an interruption, or after repairing files, it makes what is not there yet.
"""

from __future__ import annotations

import argparse
import hashlib
import signal
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import lmdb
from tqdm import tqdm

from nted_step.files import write_json
from nted_step.hardware import available_cores
from training.deepfashion.conversion import ENCODINGS, Converted, Job, convert
from training.deepfashion.folder import Layout, LayoutError, name_problem, read_layout
from training.deepfashion.records import MAX_KEY, size_folder
from training.deepfashion.writer import Writer

PER_WORKER = 64  # images below which another process is not worth its start
NAMED = 20  # broken files named on the terminal; report.json names all
Size = tuple[int, int]


class PrepareError(ValueError):
    """A preparation that cannot go on; the message is one line with the remedy."""


@dataclass
class Report:
    """What a run found and did.

    Attributes:
        images: listed images. kept: entries that an earlier run had made. made: images converted by this run.
        broken: name -> why it was left out.
        pairs: part -> listed pairs, and those with both images.
    """

    images: int
    kept: int = 0
    made: int = 0
    broken: dict[str, str] = field(default_factory=dict)
    pairs: dict[str, dict[str, int]] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """What report.json holds."""
        broken = [{"name": name, "reason": reason} for name, reason in sorted(self.broken.items())]
        return {
            "images": self.images,
            "kept": self.kept,
            "made": self.made,
            "pairs": self.pairs,
            "broken_count": len(broken),
            "broken": broken,
        }

    def text(self, output: Path) -> str:
        """The same for a person, in a few lines."""
        usable = self.images - len(self.broken)
        lines = [f"{usable} of {self.images} images are in {output} ({self.made} new, {self.kept} from before)"]
        lines += [f"{part}: {count['usable']} of {count['listed']} pairs are whole" for part, count in self.pairs.items()]
        if self.broken:
            lines.append(f"{len(self.broken)} images were left out:")
            lines += [f"  {name}: {reason}" for name, reason in sorted(self.broken.items())[:NAMED]]
            lines.append(f"all of them: {output / 'report.json'}; repair the files and run the same command again")
        return "\n".join(lines)


def prepare(
    root: Path, sizes: Sequence[Size], output: Path, encoding: str = "png", workers: int | None = None, progress: bool = True
) -> Report:
    """Make the entries of every listed image that are not there yet, and write the report.

    Args:
        root: folder in the in-shop layout. sizes: canvases (H, W). output: folder of the prepared set.
        encoding: "png", without loss, or "jpeg", a few times smaller.
        workers: processes; by default one per core, fewer for few images.

    Raises:
        LayoutError, PrepareError: one line that names the file and the remedy.
    """
    layout = read_layout(root)
    report = Report(len(layout.names))
    with ExitStack() as stack:
        writers = {size: stack.enter_context(_writer(output, size)) for size in sizes}
        jobs = list(_jobs(layout, writers, encoding, report, progress))
        for done in tqdm(_converted(jobs, workers), total=len(jobs), desc="preparing", unit="image", disable=not progress):
            _store(done, writers, report)
        for name in report.broken:  # an entry of the file as it once was would be taken for this one
            for writer in writers.values():
                writer.delete(name)
        report.pairs = _count_pairs(layout, report.broken)
        for writer in writers.values():
            writer.finish(layout.pairs, report.broken)
    write_json(output / "report.json", report.document())
    if len(report.broken) == report.images:
        first = next(iter(report.broken.values()))
        raise PrepareError(
            f"{root}: none of the {report.images} listed images can be used, see {output / 'report.json'}; the first: {first}"
        )
    return report


def _writer(output: Path, size: Size) -> Writer:
    folder = size_folder(output, size)
    try:
        return Writer(folder)
    except OSError as error:
        raise PrepareError(f"{error.filename or folder}: {error.strerror}; choose another --output") from None
    except lmdb.Error as error:
        raise PrepareError(f"{folder}: not a usable LMDB environment ({error}); remove that folder and run again") from None


def _jobs(layout: Layout, writers: dict[Size, Writer], encoding: str, report: Report, progress: bool) -> Iterator[Job]:
    """What is left to convert; fills ``kept`` and the images without a file into the report."""
    for name in tqdm(layout.names, desc="checking", unit="image", disable=not progress):
        problem = name_problem(name, MAX_KEY)
        image = None if problem else layout.image_file(name)
        if image is None:
            report.broken[name] = problem or f"{layout.images / name}: there is no such image"
            continue
        pose, masks = layout.pose_file(name, image), tuple(layout.masks.get(name, ()))
        stamp = _stamp(image, pose, masks, encoding)
        sizes = tuple(size for size, writer in writers.items() if writer.stamp(name) != stamp)
        if sizes:
            yield Job(name, image, pose, sizes, encoding, stamp, masks)
        else:
            report.kept += 1


def _stamp(image: Path, pose: Path, masks: tuple[dict[str, Any], ...], encoding: str) -> bytes:
    """16 bytes that differ when a file has been changed, so that its entry is made again."""
    parts: list[Any] = [ENCODINGS[encoding], masks]
    for path in (image, pose):
        try:
            status = path.stat()
            parts.append((str(path.name), status.st_size, status.st_mtime_ns))
        except OSError:
            parts.append(None)
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).digest()


def _converted(jobs: Sequence[Job], workers: int | None) -> Iterator[Converted]:
    """Results in the order of the jobs; few are in memory at a time."""
    workers = min(workers or min(available_cores(), -(-len(jobs) // PER_WORKER)), len(jobs))
    if workers <= 1:
        yield from map(convert, jobs)
        return
    waiting: deque = deque()
    try:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_ignore_interrupt) as pool:
            for job in jobs:
                waiting.append(pool.submit(convert, job))
                if len(waiting) > 8 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
    except BrokenProcessPool:
        raise PrepareError("a worker process was ended from outside, for lack of memory perhaps; run again with --workers 1") from None


def _ignore_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches every process; the parent alone decides what it means


def _store(done: Converted, writers: dict[Size, Writer], report: Report) -> None:
    if done.reason:
        report.broken[done.name] = done.reason
        return
    report.made += 1
    for size, entry in done.entries.items():
        writers[size].put(done.name, entry)


def _count_pairs(layout: Layout, broken: dict[str, str]) -> dict[str, dict[str, int]]:
    return {
        part: {"listed": len(pairs), "usable": sum(a not in broken and b not in broken for a, b in pairs)}
        for part, pairs in layout.pairs.items()
    }


def _size(text: str) -> Size:
    try:
        height, width = (int(value) for value in text.lower().split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"a size is HEIGHTxWIDTH, for example 256x176, not {text!r}") from None
    if min(height, width) < 16 or max(height, width) > 2048:
        raise argparse.ArgumentTypeError(f"height and width must be 16..2048, not {text}")
    return height, width


def _workers(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a number of processes is 1 or more, not {text!r}")
    return int(text)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training prepare", description="Prepare a DeepFashion in-shop folder for training.")
    parser.add_argument("--root", required=True, type=Path, help="folder with img/ or img_highres/, pose/ and the lists")
    parser.add_argument("--sizes", required=True, type=_size, nargs="+", metavar="HEIGHTxWIDTH", help="canvases, e.g. 256x176 512x352")
    parser.add_argument("--output", required=True, type=Path, help="folder to write to")
    parser.add_argument("--format", choices=sorted(ENCODINGS), default="png", help="png loses nothing, jpeg is smaller (default: png)")
    parser.add_argument("--workers", type=_workers, help="processes (default: one per core)")
    options = parser.parse_args(arguments)
    try:
        report = prepare(options.root, list(dict.fromkeys(options.sizes)), options.output, options.format, options.workers)
    except (LayoutError, PrepareError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (lmdb.Error, OSError) as error:
        print(f"error: {options.output}: {error}; make room or choose another --output, then run again to go on", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; run the same command again to go on", file=sys.stderr)
        return 130
    print(report.text(options.output))
    return 0


if __name__ == "__main__":
    sys.exit(main())

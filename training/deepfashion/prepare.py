"""Prepare a DeepFashion in-shop folder for training: every image at every size, with its pose, in an LMDB environment.

    python -m training prepare --root data/deepfashion --sizes 256x176 512x352 --output data/prepared

Writes OUTPUT/HEIGHTxWIDTH (one environment per size, with the pair lists) and OUTPUT/report.json, which names every missing or
broken file and says in which order each pair list has source and target. Run it again after an interruption, or after repairing files:
it converts only what is missing or has changed.
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

from nted_step.command_line import INTERRUPTED, parse_size, report_error
from nted_step.files import write_json
from nted_step.hardware import available_cores
from training.deepfashion.conversion import ENCODINGS, Conversion, Job, convert
from training.deepfashion.folder import Layout, name_problem, read_layout
from training.deepfashion.pair_lists import ORDERS, LayoutError
from training.deepfashion.records import MAX_KEY, size_folder
from training.deepfashion.writer import Writer

IMAGES_PER_WORKER = 64  # with fewer, another process is not worth starting
UNUSABLE = 1  # exit status: the files were read, and nothing of them can be trained on
NAMES_SHOWN = 20  # broken files named on the terminal; report.json names all
Size = tuple[int, int]


class PrepareError(ValueError):
    """A preparation that cannot continue; the message is one line with the remedy."""


class NothingUsableError(PrepareError):
    """A preparation without one complete pair."""


@dataclass
class Report:
    """Result of a preparation.

    Attributes:
        images: number of listed images. kept: entries of an earlier run. made: images converted by this run.
        broken: name -> why it was left out.
        pairs: part -> number of listed pairs, and of those with both images.
        lists: part -> its pair list's file, number of rows, order, and what tells the order.
    """

    images: int
    kept: int = 0
    made: int = 0
    broken: dict[str, str] = field(default_factory=dict)
    pairs: dict[str, dict[str, int]] = field(default_factory=dict)
    lists: dict[str, dict[str, Any]] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The contents of report.json."""
        broken = [{"name": name, "reason": reason} for name, reason in sorted(self.broken.items())]
        return {
            "images": self.images,
            "kept": self.kept,
            "made": self.made,
            "pairs": self.pairs,
            "pair_lists": self.lists,
            "broken_count": len(broken),
            "broken": broken,
        }

    def text(self, output: Path) -> str:
        """The same as text, in a few lines."""
        usable = self.images - len(self.broken)
        lines = [f"{usable} of {self.images} images are in {output} ({self.made} new, {self.kept} from earlier runs)"]
        lines += [f"{part}: {count['usable']} of {count['listed']} pairs are complete" for part, count in self.pairs.items()]
        lines += [f"{one['file']}: {one['order']} ({one['evidence']})" for one in self.lists.values() if one["rows"]]
        if self.broken:
            lines.append(f"{len(self.broken)} images were left out:")
            lines += [f"  {name}: {reason}" for name, reason in sorted(self.broken.items())[:NAMES_SHOWN]]
            lines.append(f"all of them: {output / 'report.json'}; repair the files and run the same command again")
        return "\n".join(lines)


def prepare(
    root: Path, sizes: Sequence[Size], output: Path, encoding: str = "png", workers: int | None = None, progress: bool = True,
    order: str | None = None,
) -> Report:  # fmt: skip
    """Convert every listed image that has no up-to-date entry, and write the report.

    Args:
        root: folder in the in-shop layout. sizes: canvases (H, W). output: folder of the prepared set.
        encoding: "png", without loss, or "jpeg", a few times smaller.
        workers: number of processes; by default one per core, or fewer for few images.
        order: of the pair lists, "source-first" or "target-first", where they do not tell it.

    Raises:
        LayoutError, PrepareError: one line that names the file and the remedy. NothingUsableError, after the report is written, when
            no pair has both its images.
    """
    layout = read_layout(root, order)
    report = Report(len(layout.names), lists={part: listed.facts() for part, listed in layout.lists.items()})
    with ExitStack() as stack:
        writers = {size: stack.enter_context(_writer(output, size)) for size in sizes}
        jobs = list(_jobs(layout, writers, encoding, report, progress))
        for conversion in tqdm(_conversions(jobs, workers), total=len(jobs), desc="preparing", unit="image", disable=not progress):
            _store(conversion, writers, report)
        for name in report.broken:  # an entry of the former, unbroken file must not be used
            for writer in writers.values():
                writer.delete(name)
        report.pairs = _count_pairs(layout, report.broken)
        for writer in writers.values():
            writer.finish(layout.pairs, report.broken)
    write_json(output / "report.json", report.document())
    _require_pairs(report, root, output)
    return report


def _require_pairs(report: Report, root: Path, output: Path) -> None:
    if any(count["usable"] for count in report.pairs.values()):
        return
    first = next(iter(report.broken.values()))
    what = f"none of the {report.images} listed images" if len(report.broken) == report.images else "none of the listed pairs"
    raise NothingUsableError(f"{root}: {what} can be used, see {output / 'report.json'}; the first broken image: {first}")


def _writer(output: Path, size: Size) -> Writer:
    folder = size_folder(output, size)
    try:
        return Writer(folder)
    except OSError as error:
        raise PrepareError(f"{error.filename or folder}: {error.strerror}; choose another --output") from None
    except lmdb.Error as error:
        raise PrepareError(f"{folder}: not a usable LMDB environment ({error}); remove that folder and run again") from None


def _jobs(layout: Layout, writers: dict[Size, Writer], encoding: str, report: Report, progress: bool) -> Iterator[Job]:
    """Images still to convert; counts the others in the report as kept or broken."""
    for name in tqdm(layout.names, desc="checking", unit="image", disable=not progress):
        problem = name_problem(name, MAX_KEY)
        image = None if problem else layout.image_file(name)
        if image is None:
            report.broken[name] = problem or f"{layout.images / name}: there is no such image"
            continue
        pose, masks, annotation = layout.pose_file(name, image), tuple(layout.masks.get(name, ())), layout.annotation(name)
        stamp = _stamp(image, pose, masks, encoding, annotation)
        sizes = tuple(size for size, writer in writers.items() if writer.stamp(name) != stamp)
        if sizes:
            yield Job(name, image, pose, sizes, encoding, stamp, masks, annotation)
        else:
            report.kept += 1


def _stamp(image: Path, pose: Path, masks: tuple[dict[str, Any], ...], encoding: str, annotation: str) -> bytes:
    """16 bytes that change with the files, so that a changed file is converted again."""
    parts: list[Any] = [ENCODINGS[encoding], masks, *([annotation] if annotation else [])]
    for path in (image, pose):
        try:
            status = path.stat()
            parts.append((str(path.name), status.st_size, status.st_mtime_ns))
        except OSError:
            parts.append(None)
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).digest()


def _conversions(jobs: Sequence[Job], workers: int | None) -> Iterator[Conversion]:
    """Results in the order of the jobs; only a few are in memory at a time."""
    workers = min(workers or min(available_cores(), -(-len(jobs) // IMAGES_PER_WORKER)), len(jobs))
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
        raise PrepareError("a worker process was killed, perhaps for lack of memory; run again with --workers 1") from None


def _ignore_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches every process; only the parent reacts to it


def _store(conversion: Conversion, writers: dict[Size, Writer], report: Report) -> None:
    if conversion.reason:
        report.broken[conversion.name] = conversion.reason
        return
    report.made += 1
    for size, entry in conversion.entries.items():
        writers[size].put(conversion.name, entry)


def _count_pairs(layout: Layout, broken: dict[str, str]) -> dict[str, dict[str, int]]:
    return {
        part: {"listed": len(pairs), "usable": sum(a not in broken and b not in broken for a, b in pairs)}
        for part, pairs in layout.pairs.items()
    }


def _workers(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"the number of processes must be 1 or more, not {text!r}")
    return int(text)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training prepare", description="Prepare a DeepFashion in-shop folder for training.")
    parser.add_argument("--root", required=True, type=Path, help="folder with img/ or img_highres/, pose/ and the lists")
    parser.add_argument("--sizes", required=True, type=parse_size, nargs="+", metavar="HEIGHTxWIDTH", help="canvases, e.g. 256x176 512x352")
    parser.add_argument("--output", required=True, type=Path, help="folder to write to")
    parser.add_argument("--format", choices=sorted(ENCODINGS), default="png", help="png is lossless, jpeg is smaller (default: png)")
    parser.add_argument("--order", choices=ORDERS, help="of the names in a row of the pair lists, where these do not tell it")
    parser.add_argument("--workers", type=_workers, help="processes (default: one per core)")
    options = parser.parse_args(arguments)
    try:
        report = prepare(
            options.root, list(dict.fromkeys(options.sizes)), options.output, options.format, options.workers, order=options.order
        )
    except NothingUsableError as error:
        return report_error(error, UNUSABLE)
    except (LayoutError, PrepareError) as error:
        return report_error(error)
    except (lmdb.Error, OSError) as error:
        return report_error(f"{options.output}: {error}; make room or choose another --output, then run again to continue")
    except KeyboardInterrupt:
        print("stopped; run the same command again to continue", file=sys.stderr)
        return INTERRUPTED
    print(report.text(options.output))
    return 0


if __name__ == "__main__":
    sys.exit(main())

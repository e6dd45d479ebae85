"""List and fetch files of other people that training and evaluation can use.

    python -m training download
    python -m training download vgg19 lpips fid clean-fid
    python -m training download nted-256 --url nted-256=ADDRESS --output data/downloads

Without names it lists every item with its size, checksum, licence and state. The address of some is not known here: find it with the
authors, whom the list names, and give it with ``--url``. Networks go into torch's cache, where the commands look for
them; everything else into ``--output``. An interrupted download goes on where it stopped, and a file has its name only when it is whole
and its checks passed.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from nted_step.command_line import INTERRUPTED, report_error
from training.catalogue import CATALOGUE, Item, find
from training.fetching import Checks, FetchError, fetch, file_digest

FAILED = 1  # exit status when an item could not be had
OUTPUT = Path("data/downloads")


def describe(item: Item, output: Path) -> str:
    """Name, state, what it is, and what is known of it, in two lines."""
    path = item.path(output)
    state = f"is at {path}" if path.is_file() else "needs a password of its authors" if item.password else "is not here yet"
    known = [
        f"{item.size:,} bytes" if item.size else "size as the server says",
        f"SHA-256 {item.sha256}{'' if len(item.sha256) == 64 else '...'}" if item.sha256 else "checksum not known",
        f"licence: {item.licence}",
        item.url or f"address not known here, {item.where}",
    ]
    return f"{item.name:18}{item.what}; {state}\n{'':18}{'; '.join(known)}"


def get(item: Item, output: Path) -> Path:
    """Fetch an item unless its file is there and passes the checks. Raises FetchError, and OSError for a disk that cannot be written."""
    path = item.path(output)
    if item.password and not item.url:
        raise FetchError(f"{item.name}: needs a password; {item.where}, then unpack it yourself (training/README.md says where)")
    if not item.url and not path.is_file():
        raise FetchError(f"{item.name}: its address is not known here; it is {item.where}: give it with --url {item.name}=ADDRESS")
    if path.is_file():
        _check_there(item, path)
        return path
    fetch(item.url, path, Checks(item.size, item.sha256))
    return path


def _check_there(item: Item, path: Path) -> None:
    if (item.size is not None and path.stat().st_size != item.size) or (
        item.sha256 and not file_digest(path).startswith(item.sha256.lower())
    ):
        raise FetchError(f"{path}: is there, but it is not the file that belongs there; remove it and run again")


def _assignments(texts: Iterable[str], option: str, value: str) -> dict[str, str]:
    """``NAME=VALUE`` each, of known items. Raises ValueError."""
    found = {}
    for text in texts:
        name, _, given = text.partition("=")
        if not re.fullmatch(value, given):
            raise ValueError(
                f"{option} {text}: expected NAME={'ADDRESS, which begins with http' if option == '--url' else 'hexadecimal digits'}"
            )
        found[find(name).name] = given
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training download", description="List and fetch files that training can use.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="items to fetch; without one, all items are listed")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder for what does not go into torch's cache (default: %(default)s)")
    parser.add_argument("--url", action="append", default=[], metavar="NAME=ADDRESS", help="address of an item, from its authors' page")
    parser.add_argument("--sha256", action="append", default=[], metavar="NAME=HEX", help="checksum of an item, or its first digits")
    options = parser.parse_args(arguments)
    try:
        urls = _assignments(options.url, "--url", r"https?://\S+")
        sums = _assignments(options.sha256, "--sha256", r"[0-9a-fA-F]{8,64}")
        items = [find(name) for name in dict.fromkeys(options.names)]
    except ValueError as error:
        return report_error(error)
    if not items:
        print("\n".join(describe(item, options.output) for item in CATALOGUE))
        return 0
    failed = False
    for item in items:
        item = dataclasses.replace(item, url=urls.get(item.name, item.url), sha256=sums.get(item.name, item.sha256))
        try:
            print(f"{get(item, options.output)} (licence: {item.licence})")
        except (FetchError, OSError) as error:
            failed = bool(report_error(error))
        except KeyboardInterrupt:
            print("stopped; run the same command again to go on", file=sys.stderr)
            return INTERRUPTED
    return FAILED if failed else 0


if __name__ == "__main__":
    sys.exit(main())

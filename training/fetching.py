"""Fetching of one large file: resumed, checked, and complete under its name or not there."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nted_step.files import write_file

STALL_SECONDS = 30.0
TRIES = 4  # connections that broke off, one after the other, without a byte between them
PAUSE_SECONDS = 1.0  # before the next try, doubled each time
CHUNK = 2**20
WEB_PAGE = (b"<!doctype html", b"<html")
LFS_POINTER = b"version https://git-lfs"


class FetchError(ValueError):
    """A file that could not be fetched; the message is one line with the remedy."""


@dataclass(frozen=True)
class Checks:
    """What a file must be. ``size`` in bytes, or None; ``sha256`` its first hexadecimal digits, or empty."""

    size: int | None = None
    sha256: str = ""


def fetch(url: str, path: Path, checks: Checks, progress: bool = True) -> None:
    """Fetch ``url`` into ``path``, going on where an earlier call stopped.

    The part fetched so far is beside it, in ``NAME.part``, with the server's tag for the version, so that parts of two versions are never
    joined. A part that turns out wrong is removed. Raises FetchError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _Part(path)
    fruitless = 0
    while True:
        before = part.size
        try:
            _receive(url, part, checks, progress)
            break
        except (http.client.HTTPException, TimeoutError, ConnectionError, urllib.error.URLError) as error:
            fruitless = 0 if part.size > before else fruitless + 1
            if fruitless >= TRIES or _is_final(error):
                raise FetchError(f"{url}: {_reason(error)}; {_remedy(part)}") from None
            time.sleep(PAUSE_SECONDS * 2**fruitless)
    try:
        _check(url, part, checks)
    except FetchError:
        part.remove()
        raise
    part.finish()


class _Part:
    """The part of a file that is there so far, and the version that it is of."""

    def __init__(self, path: Path):
        self.target = path
        self.path = path.with_name(f"{path.name}.part")
        self.tag_path = path.with_name(f"{path.name}.tag.part")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    @property
    def tag(self) -> str:
        return self.tag_path.read_text() if self.tag_path.is_file() else ""

    def begin(self, tag: str) -> None:
        """Forget what is there, and note the version of what comes."""
        self.remove()
        write_file(self.tag_path, tag.encode())

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self.tag_path.unlink(missing_ok=True)

    def finish(self) -> None:
        with open(self.path, "rb") as file:
            os.fsync(file.fileno())
        os.replace(self.path, self.target)
        self.tag_path.unlink(missing_ok=True)


def _receive(url: str, part: _Part, checks: Checks, progress: bool) -> None:
    """One connection: append what is missing, or begin anew if the server has another version or cannot go on."""
    headers = {"User-Agent": "nted-step", "Accept-Encoding": "identity"}
    have, tag = part.size, part.tag
    if have and tag:
        headers |= {"Range": f"bytes={have}-", "If-Range": tag}
    with ExitStack() as stack:
        try:
            answer = stack.enter_context(urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=STALL_SECONDS))
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416:  # nothing is left to fetch, or the part is longer than the file
                if _total(error.headers) == have:
                    return
                part.remove()
                raise ConnectionError("the part was of another file") from None
            raise
        first = _first_byte(answer.headers) if answer.status == 206 else 0
        if first != have or not have:
            part.begin(_strong_tag(answer.headers))
            first = 0
        length = answer.headers.get("Content-Length")
        total = first + int(length) if length and length.isdecimal() else checks.size
        bar = stack.enter_context(tqdm(total=total, initial=first, desc=part.target.name, unit="B", unit_scale=True, disable=not progress))
        with open(part.path, "ab") as file:
            while chunk := answer.read1(CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
    if total is not None and part.size < total:
        raise ConnectionError(f"broke off after {part.size:,} of {total:,} bytes")


def _strong_tag(headers: Any) -> str:
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified", "")


def _first_byte(headers: Any) -> int:
    found = re.match(r"bytes (\d+)-", headers.get("Content-Range", ""))
    return int(found[1]) if found else -1


def _total(headers: Any) -> int | None:
    found = re.search(r"/(\d+)$", headers.get("Content-Range", ""))
    return int(found[1]) if found else None


def _check(url: str, part: _Part, checks: Checks) -> None:
    with open(part.path, "rb") as file:
        start = file.read(200).lstrip().lower()
    if start.startswith(WEB_PAGE):
        raise FetchError(
            f"{url}: answers with a web page, perhaps for a consent or a password; open it in a browser and save the file it leads to"
        )
    if start.startswith(LFS_POINTER):
        raise FetchError(f"{url}: answers with a Git LFS pointer, not with the file itself; take the address of the download")
    if checks.size is not None and part.size != checks.size:
        raise FetchError(f"{url}: has {part.size:,} bytes instead of {checks.size:,}; the file there is another one")
    if checks.sha256 and not (found := file_digest(part.path)).startswith(checks.sha256.lower()):
        raise FetchError(
            f"{url}: its SHA-256 is {found}, not {checks.sha256}...; fetch it again, and if that stays so, the file there is another one"
        )


def file_digest(path: Path) -> str:
    """SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _is_final(error: Exception) -> bool:
    """Whether another try would get the same answer."""
    return isinstance(error, urllib.error.HTTPError) and error.code < 500 and error.code not in (408, 429)


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answers {error.code} ({error.reason})"
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return " ".join(str(reason).split()) or type(error).__name__


def _remedy(part: _Part) -> str:
    return f"{part.size:,} bytes are kept, run the same command again to go on" if part.size else "check the address and the connection"

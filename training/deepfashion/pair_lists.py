"""Pair lists of the projects that use DeepFashion, and which of a row's names is the source.

A row is ``source,target`` (GFLA and those after it, with the header ``from,to``; our figures) or ``target,source[,source...]`` (NTED, names
with the prefix ``img/``). Nothing in a bare row tells the two apart, and a list read the wrong way round trains and scores without any
sign of it, so a list that does not say its order is refused until the order is given.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCE_FIRST, TARGET_FIRST = "source-first", "target-first"
ORDERS = (SOURCE_FIRST, TARGET_FIRST)
HEADERS = {
    ("from", "to"): SOURCE_FIRST,
    ("source", "target"): SOURCE_FIRST,
    ("to", "from"): TARGET_FIRST,
    ("target", "source"): TARGET_FIRST,
}
IMAGE_FOLDERS = ("img_highres", "img")  # in order of preference


class LayoutError(ValueError):
    """A data set folder that cannot be used; the message is one line that names the file and the remedy."""


@dataclass(frozen=True)
class PairList:
    """The pairs of one part.

    Attributes:
        path: of the file.
        pairs: (source, target) names within the image folder, in the file's order; a row with several sources is a pair for each.
        order: "source-first" or "target-first", how the file has them. evidence: what tells.
        rows: number of rows in the file.
    """

    path: Path
    pairs: tuple[tuple[str, str], ...]
    order: str
    evidence: str
    rows: int

    def facts(self) -> dict[str, Any]:
        """What report.json says of the list."""
        return {"file": self.path.name, "rows": self.rows, "order": self.order, "evidence": self.evidence}


def pair_file(root: Path, part: str) -> Path | None:
    """The pair list of a part, under our name or GFLA's; None if there is none."""
    ours = [root / f"{part}_pairs.{suffix}" for suffix in ("txt", "csv")]
    return next((path for path in [*ours, *sorted(root.glob(f"fas*ion-*pairs-{part}.csv"))] if path.exists()), None)


def read_pair_list(path: Path, order: str | None = None, convention: str | None = None) -> PairList:
    """Read a list.

    Args:
        order: given by the person; None: what the list says.
        convention: why a list that does not say it is source-first, if something beside it tells.

    Raises LayoutError for a row that cannot be read, and for an order that is not known or contradicts the list's own.
    """
    rows = [(number, _names(path, number, line)) for number, line in lines(path)]
    header = HEADERS.get(tuple(name.lower() for name in rows[0][1])) if rows else None
    if header:
        evidence = f"the header {','.join(rows[0][1])}"
        rows = rows[1:]
    names = [row for _, row in rows]
    said, evidence = (header, evidence) if header else _said(names)
    if said and order and said != order and not evidence.startswith("the prefix"):  # a prefix is a habit, the others are statements
        raise LayoutError(f"{path}: --order {order}, but {evidence} makes it {said}; leave out --order")
    if order and said != order:
        said, evidence = order, "--order"
    if not said and convention:
        said, evidence = SOURCE_FIRST, convention
    if names and not said:
        raise LayoutError(
            f"{path}: nothing tells which name of a row is the source; add --order {SOURCE_FIRST} (GFLA, PIDM and others) or "
            f"--order {TARGET_FIRST} (NTED), or the header from,to"
        )
    return PairList(path, tuple(_pairs(path, rows, said or SOURCE_FIRST)), said or SOURCE_FIRST, evidence, len(names))


def _said(rows: list[list[str]]) -> tuple[str | None, str]:
    """The order that names alone tell, and what tells it."""
    if any(len(row) > 2 for row in rows):
        return TARGET_FIRST, "several sources in a row"
    prefixed = [name for row in rows for name in row if name.startswith(tuple(f"{folder}/" for folder in IMAGE_FOLDERS))]
    return (TARGET_FIRST, f"the prefix {prefixed[0].split('/')[0]}/ of its names, as in NTED's lists") if prefixed else (None, "")


def _names(path: Path, number: int, line: str) -> list[str]:
    names = [name.strip() for name in line.replace("\\", "/").split(",")]
    if len(names) < 2 or not all(names):
        raise LayoutError(f"{path}, line {number}: expected 'source,target' with a comma, found {line[:80]!r}; correct or remove that line")
    return names


def _pairs(path: Path, rows: list[tuple[int, list[str]]], order: str) -> list[tuple[str, str]]:
    pairs = []
    for number, row in rows:
        first, *others = (inside_images(name) for name in row)
        if order == SOURCE_FIRST and len(others) > 1:
            raise LayoutError(f"{path}, line {number}: {len(row)} names, but a source-first row has two; correct that line")
        pairs += [(first, other) if order == SOURCE_FIRST else (other, first) for other in others]
    return pairs


def inside_images(name: str) -> str:
    """A listed name as a path within the image folder: forward slashes, without the folder's own name before it."""
    name = name.replace("\\", "/").removeprefix("./")
    return re.sub(rf"^(?:{'|'.join(IMAGE_FOLDERS)})/", "", name)


def lines(path: Path) -> list[tuple[int, str]]:
    """Line numbers, from 1, and lines of a UTF-8 file with or without a byte order mark, without the blank ones. Raises LayoutError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise LayoutError(
            f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}; it should name one image on each line"
        ) from None
    return [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]

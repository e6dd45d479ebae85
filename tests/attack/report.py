"""What an attack is, and the table of how the page bore them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import httpx

from tests.attack.target import Target
from tests.running import Refused

WIDTHS = (26, 44, 44, 44)


@dataclass(frozen=True)
class Seen:
    """What came of an attack, in words, and whether the page bore it."""

    text: str
    held: bool


@dataclass(frozen=True)
class Attack:
    """Attributes:
    name: what is attacked.
    tried, expected: one line each.
    run: does it.
    """

    name: str
    tried: str
    expected: str
    run: Callable[[Target], Seen]


@dataclass(frozen=True)
class Row:
    attack: Attack
    seen: Seen
    seconds: float


def carry_out(attacks: Iterable[Attack], target: Target) -> Iterator[Row]:
    """One attack after another. Whatever it was, the page has to open afterwards."""
    for attack in attacks:
        began = time.monotonic()
        try:
            seen = attack.run(target)
            with target.visitor(timeout=20) as visitor:
                status = visitor.http.get("config").status_code
            if status != 200:
                seen = Seen(f"{seen.text}; then the page itself answered {status}", False)
        except (OSError, httpx.HTTPError, Refused, LookupError, ValueError, AssertionError) as error:
            seen = Seen(f"{type(error).__name__}: {error}".splitlines()[0][:200], False)
        yield Row(attack, seen, time.monotonic() - began)


def heading() -> str:
    return line("ATTACK", "TRIED", "EXPECTED", "SEEN", "VERDICT")


def describe(row: Row) -> str:
    verdict = f"{'held' if row.seen.held else 'FAILED'} ({row.seconds:.0f} s)"
    return line(row.attack.name, row.attack.tried, row.attack.expected, row.seen.text, verdict)


def line(*cells: str) -> str:
    return "  ".join([cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=False)] + [cells[-1]])

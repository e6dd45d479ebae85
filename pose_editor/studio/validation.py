"""Checks of what a browser or a program sent."""

from __future__ import annotations

import math
from typing import Any


def require_number(number: Any, name: str) -> float:
    """A finite number from JSON. Raises ValueError."""
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        raise ValueError(f"{name} must be a number, not {_shown(number)}")
    return number


def require_integer(number: Any, name: str) -> int:
    """A non-negative integer from a JSON number, which may be written as a float. Raises ValueError."""
    whole = isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number) and number == int(number)
    if not whole or not 0 <= number < 2**63:
        raise ValueError(f"{name} must be a whole number, not {_shown(number)}")
    return int(number)


def _shown(value: Any) -> str:
    """A value in a line, shortened where it is long."""
    text = str(value).replace("\n", " ")
    return text if len(text) <= 40 else f"{text[:40]}…"

"""Checks of what a browser or a program sent."""

from __future__ import annotations

from typing import Any


def require_integer(number: Any, name: str) -> int:
    """A non-negative integer from a JSON number, which may be written as a float. Raises ValueError."""
    if number is None or number != number or number != int(number) or not 0 <= number < 2**63:
        raise ValueError(f"{name} must be a whole number, not {number}")
    return int(number)

"""Numbers in pose files, read and written."""

from __future__ import annotations

import math
from typing import Any, TypeGuard

import numpy as np


def is_number(value: Any) -> TypeGuard[float]:
    """Whether it is a finite number below 1e9, and no bool."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9 and math.isfinite(value)


def as_number(value: Any) -> float | None:
    """A finite number out of JSON, also where a tool wrote it as text or as true and false; else None."""
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    return float(value) if is_number(value) else None


def is_absent(value: Any) -> bool:
    """Whether a tool says with it that there is no number: null or NaN."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def short(value: np.float32) -> float:
    """The shortest decimal number that reads back as the same float32, so that files stay legible."""
    return float(str(np.float32(value)))

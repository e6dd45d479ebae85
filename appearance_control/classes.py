"""The parts of a person that can be swapped: the parser's classes, and groups of them."""

from __future__ import annotations

from collections.abc import Iterable

from nted_step.classes import CLASSES, LABELS

GROUPS = {
    "upper": ("top", "dress", "outer"),
    "lower": ("leggings", "skirt", "pants", "belt", "footwear"),
    "shoes": ("footwear",),
}
"""Parts that stand for several classes; every class is also a part by its own name (``dress``, ``hair``, ``headwear``, ...)."""

SWAP_PARTS = (*GROUPS, *CLASSES)


class PartError(ValueError):
    """An unusable part; the message is one line."""


def classes_of(part: str) -> tuple[str, ...]:
    """The classes of a part: ``upper`` -> top, dress, outer; ``hair`` -> hair. Raises PartError listing the known parts."""
    if part in GROUPS:
        return GROUPS[part]
    if part not in CLASSES:
        raise PartError(f"unknown part {part!r}; choose from {', '.join(SWAP_PARTS)}")
    return (part,)


def labels_of(parts: Iterable[str]) -> frozenset[int]:
    """Labels 1..15 of some parts. Raises PartError for an unknown part, or if there are none."""
    labels = frozenset(LABELS[name] for part in parts for name in classes_of(part))
    if not labels:
        raise PartError(f"no part named; choose from {', '.join(SWAP_PARTS)}")
    return labels

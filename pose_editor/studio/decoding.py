"""Decoding of visitors' photos, of which a large one takes hundreds of megabytes for a moment: one or two at a time."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from nted_step import image
from nted_step.image import Fit, FittedPhoto
from pose_editor.studio import memory

AT_ONCE = 2

_turn = threading.BoundedSemaphore(AT_ONCE)


def load_photo(source: str | Path | bytes, size: tuple[int, int], fit: Fit = "auto", name: str | None = None) -> FittedPhoto:
    """:func:`nted_step.image.load_photo`, once fewer than ``AT_ONCE`` other photos are being decoded."""
    return load_photos(source, [(size, fit)], name)[0]


def load_photos(source: str | Path | bytes, wanted: Sequence[tuple[tuple[int, int], Fit]], name: str | None = None) -> list[FittedPhoto]:
    """:func:`nted_step.image.load_photos`, likewise."""
    try:
        with _turn:
            return image.load_photos(source, wanted, name)
    finally:
        memory.give_back()  # of a large photo that is now small

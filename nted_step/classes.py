"""Semantic classes of a person's pixels, in the order of mmfashion's parser. Parser, carrier, figures and losses share these labels."""

from __future__ import annotations

CLASSES = (
    "top", "skirt", "leggings", "dress", "outer", "pants", "bag", "neckwear", "headwear", "eyeglass", "belt", "footwear",
    "hair", "skin", "face",
)  # fmt: skip
"""The name of label k is ``CLASSES[k - 1]``."""

BACKGROUND = 0
LABELS = {name: label for label, name in enumerate(CLASSES, 1)}
LABEL_COUNT = 1 + len(CLASSES)  # with the background
FACE = LABELS["face"]

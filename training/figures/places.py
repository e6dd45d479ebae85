"""Exact correspondences between two poses of a figure: where in the one image the body's surface is that the other shows."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

GRID_HEIGHT = 128  # rows of the grid of targets on a canvas of 256 and more
DEPTH_WEIGHT = 0.4  # front and back of the same garment are near each other
SEEN_WITHIN, NEAR_WITHIN = 0.045, 0.3  # metres on the template
HIDDEN, NEAR, SEEN = 0, 1, 2  # what ``seen`` says
SCALE = 32767  # places are stored as int16: -1 and 1 are the borders of the photo


def places_grid(size: tuple[int, int]) -> tuple[int, int]:
    """(h, w) of the grid of target cells on a canvas of ``size``: GRID_HEIGHT rows, or as many as a smaller canvas has."""
    step = max(size[0] // GRID_HEIGHT, 1)
    return size[0] // step, size[1] // step


def exact_places(surface: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For all ordered pairs of M poses of one figure, where in the source every cell of the target is.

    A target cell's place is the source pixel of the same class whose template point is the nearest.

    Args:
        surface: M x 3 x H x W int16, millimetres, as of a ``FigureBatch``.
        classes: M x H x W uint8, as of its ``class_map``.

    Returns:
        Two arrays that are indexed [source, target]. The places, M x M x 2 x h x w int16: x and y, -SCALE and SCALE being the photo's
        borders, 0 where HIDDEN. And M x M x h x w uint8: SEEN where the photo shows this very place, NEAR where it shows the same
        class nearby, else HIDDEN. h is GRID_HEIGHT, or H where the canvas is smaller.
    """
    count, height, width = classes.shape
    step = max(height // GRID_HEIGHT, 1)
    cells = [_cells(*one, step) for one in zip(surface, classes, strict=True)]
    shape = cells[0][1].shape
    place = np.zeros((count, count, 2, *shape), np.int16)
    seen = np.zeros((count, count, *shape), np.uint8)
    for source in range(count):
        trees = _trees(surface[source], classes[source])
        for target in range(count):
            if source != target:
                _match(trees, *cells[target], (height, width), place[source, target], seen[source, target])
    return place, seen


def _points(surface: np.ndarray) -> np.ndarray:
    """3 x N millimetres -> N x 3 metres, depth weighted."""
    return surface.T.astype(np.float32) * np.array([0.001, 0.001, 0.001 * DEPTH_WEIGHT], np.float32)


def _trees(surface: np.ndarray, classes: np.ndarray) -> dict[int, tuple[cKDTree, np.ndarray]]:
    """By class: a tree of the template points shown, and the flat pixel of each."""
    flat = classes.ravel()
    trees = {}
    for label in np.unique(flat[flat > 0]).tolist():
        pixels = np.flatnonzero(flat == label)
        points = _points(surface.reshape(3, -1)[:, pixels])
        trees[label] = cKDTree(points, balanced_tree=False, compact_nodes=False), pixels
    return trees


def _cells(surface: np.ndarray, classes: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Surface 3 x h x w (mean over a cell's pixels of its class) and class h x w of the cells of ``step`` x ``step`` pixels."""
    centre = classes[step // 2 :: step, step // 2 :: step]
    if step == 1:
        return surface, centre
    height, width = centre.shape
    same = classes.reshape(height, step, width, step) == centre[:, None, :, None]
    total = (surface.reshape(3, height, step, width, step) * same).sum(axis=(2, 4), dtype=np.int32)
    return total / same.sum(axis=(1, 3)), centre


def _match(trees: dict, surface: np.ndarray, classes: np.ndarray, canvas: tuple[int, int], place: np.ndarray, seen: np.ndarray) -> None:
    """Fill ``place`` 2 x h x w and ``seen`` h x w of one pair."""
    flat = classes.ravel()
    for label, (tree, pixels) in trees.items():
        cells = np.flatnonzero(flat == label)
        if not len(cells):
            continue
        points = _points(surface.reshape(3, -1)[:, cells])
        _, nearest = tree.query(points)
        away = (tree.data[nearest] - points) / [1, 1, DEPTH_WEIGHT]
        distance = np.linalg.norm(away, axis=1)
        level = np.where(distance < SEEN_WITHIN, SEEN, np.where(distance < NEAR_WITHIN, NEAR, HIDDEN))
        row, column = np.divmod(pixels[nearest], canvas[1])
        xy = np.stack([(column + 0.5) / canvas[1], (row + 0.5) / canvas[0]]) * 2 - 1
        place.reshape(2, -1)[:, cells] = np.where(level > HIDDEN, xy * SCALE, 0).round()
        seen.reshape(-1)[cells] = level

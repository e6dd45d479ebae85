"""Implicit surfaces (numpy) and their triangulation; used once, to build the template meshes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
from scipy.interpolate import PchipInterpolator

Point = np.ndarray | Sequence[float]  # x, y, z, metres
Row = tuple[float, float, float, float]
Field = Callable[[np.ndarray], np.ndarray]
"""From points (n, 3) to signed distances (n,), metres, negative inside."""

LOFT_STEPS = 200  # of the table by which a loft is evaluated


def smooth_min(first: np.ndarray, second: np.ndarray, width: float) -> np.ndarray:
    """Union of two distance fields with a fillet about ``width`` metres wide."""
    near = np.maximum(width - np.abs(first - second), 0) / width
    return np.minimum(first, second) - near * near * (width / 4)


def ellipsoid(points: np.ndarray, centre: Point, radii: Point) -> np.ndarray:
    """Approximate distance from points (n, 3) to an axis-aligned ellipsoid."""
    offset = points - np.asarray(centre, np.float32)
    axes = np.asarray(radii, np.float32)
    scaled = np.linalg.norm(offset / axes, axis=1)
    slope = np.linalg.norm(offset / (axes * axes), axis=1)
    return scaled * (scaled - 1) / np.maximum(slope, 1e-6)


def cone(points: np.ndarray, start: Point, end: Point, start_radius: float, end_radius: float) -> np.ndarray:
    """Distance from points (n, 3) to a rounded cone between two points with a radius each."""
    start, end = np.asarray(start, np.float32), np.asarray(end, np.float32)
    axis = end - start
    along = np.clip((points - start) @ axis / (axis @ axis), 0, 1)
    return np.linalg.norm(points - start - along[:, None] * axis, axis=1) - (start_radius + (end_radius - start_radius) * along)


def _unit(vector: Point) -> np.ndarray:
    return np.asarray(vector, np.float32) / np.linalg.norm(vector)


class Loft:
    """A limb with an elliptic section that varies along a straight axis.

    Args:
        origin: point of the axis from which distances along it count, metres.
        axis: direction of the axis.
        side: direction of the width.
        front: direction of the depth.
        table: rows of distance along the axis, half width, front depth and back depth, metres.
        power: of the section: 2 for an ellipse, more for a squarer one.
        cap: how round the ends are, 0..1.
    """

    def __init__(self, origin: Point, axis: Point, side: Point, front: Point, table: Sequence[Row], power: float = 2.2, cap: float = 0.6):
        self.origin = np.asarray(origin, np.float32)
        self.axis, self.side, self.front = _unit(axis), _unit(side), _unit(front)
        rows = np.array(table, np.float64)
        self.distances = np.linspace(rows[0, 0], rows[-1, 0], LOFT_STEPS)
        self.columns = [PchipInterpolator(rows[:, 0], rows[:, column])(self.distances) for column in range(1, 4)]
        self.power, self.cap = power, cap

    def __call__(self, points: np.ndarray) -> np.ndarray:
        offset = points - self.origin
        along = offset @ self.axis
        width, front, back = (np.interp(along, self.distances, column).astype(np.float32) for column in self.columns)
        across = offset - along[:, None] * self.axis
        u, v = np.abs(across @ self.side), across @ self.front
        depth = np.where(v > 0, front, back)
        reach = ((u / width) ** self.power + (np.abs(v) / depth) ** self.power) ** (1 / self.power)
        radius = np.hypot(u, v)
        reach = np.maximum(reach, 1e-3)
        surface = np.where(radius > 1e-3, radius / reach, np.minimum(width, depth))
        distance = radius - surface
        over = np.maximum(np.maximum(self.distances[0] - along, along - self.distances[-1]), 0).astype(np.float32)
        rounding = self.cap * np.minimum(width, depth)
        return np.where(over > 0, np.hypot(np.maximum(distance + rounding, 0), over) - rounding, distance).astype(np.float32)


_TETRAHEDRON = np.array([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]], np.float32)


def _slope(field: Field, points: np.ndarray, step: float = 2e-3) -> tuple[np.ndarray, np.ndarray]:
    """Value (n,) and gradient (n, 3) of a field at points (n, 3)."""
    values = [field(points + offset * step) for offset in _TETRAHEDRON]
    slope = sum(offset * value[:, None] for offset, value in zip(_TETRAHEDRON, values, strict=True)) / (4 * step)
    return sum(values) / 4, slope


def gradient(field: Field, points: np.ndarray) -> np.ndarray:
    """Unit gradient of a field at points (n, 3)."""
    slope = _slope(field, points)[1]
    return (slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def project(field: Field, points: np.ndarray, steps: int = 3, limit: float = 0.03) -> np.ndarray:
    """Move points (n, 3) on to the zero set of a field, along its gradient."""
    for _ in range(steps):
        value, slope = _slope(field, points)
        size = np.linalg.norm(slope, axis=1)
        move = np.clip(value / np.maximum(size, 0.4), -limit, limit) / np.maximum(size, 1e-6)
        points = points - slope * move[:, None]
    return points.astype(np.float32)


def triangulate(field: Field, low: Point, high: Point, cell: float) -> tuple[np.ndarray, np.ndarray]:
    """Surface nets: vertices (V, 3) on the zero set and outward triangles (F, 3), inside a box and with cells of so many metres."""
    axes = [np.arange(first, last + cell, cell, dtype=np.float32) for first, last in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    shape = grid.shape[:3]
    value = field(grid.reshape(-1, 3)).reshape(shape)
    corners = list(product((0, 1), repeat=3))
    inside = [value[tuple(slice(start, extent - 1 + start) for start, extent in zip(corner, shape, strict=True))] < 0 for corner in corners]
    negative = sum(one.astype(np.int8) for one in inside)
    active = (negative > 0) & (negative < len(corners))
    cells = np.argwhere(active)
    total, count = np.zeros((len(cells), 3), np.float32), np.zeros((len(cells), 1), np.float32)
    for corner, axis in product(corners, range(3)):
        if corner[axis]:
            continue
        other = tuple(corner[k] + (k == axis) for k in range(3))
        here, there = value[tuple((cells + corner).T)], value[tuple((cells + other).T)]
        cross = (here < 0) != (there < 0)
        share = np.where(cross, here / np.where(cross, here - there, 1), 0)
        point = grid[tuple((cells + corner).T)].copy()
        point[:, axis] += share * cell
        total += point * cross[:, None]
        count += cross[:, None]
    index = np.full(active.shape, -1, np.int64)
    index[tuple(cells.T)] = np.arange(len(cells))
    return total / count, _faces(value, index)


def _faces(value: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Two triangles for each grid edge that crosses the surface."""
    quads = []
    for axis in range(3):
        second, third = (axis + 1) % 3, (axis + 2) % 3
        upper = [slice(None)] * 3
        upper[axis] = slice(1, None)
        lower = [slice(None)] * 3
        lower[axis] = slice(None, -1)
        here, there = value[tuple(lower)], value[tuple(upper)]
        where = np.argwhere((here < 0) != (there < 0))
        inner = np.ones(len(where), bool)
        for other in (second, third):
            inner &= (where[:, other] >= 1) & (where[:, other] < index.shape[other])
        where = where[inner]
        rising = here[tuple(where.T)] < 0
        step = np.eye(3, dtype=np.int64)
        ring = [where - step[second] - step[third], where - step[third], where, where - step[second]]
        quad = np.stack([index[tuple(r.T)] for r in ring], 1)
        quads.append(np.where(rising[:, None], quad, quad[:, ::-1]))
    quad = np.concatenate(quads)
    quad = quad[(quad >= 0).all(1)]
    return np.concatenate([quad[:, [0, 1, 2]], quad[:, [0, 2, 3]]])

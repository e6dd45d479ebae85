"""Implicit surfaces (numpy) and their triangulation; used once, to build the template meshes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.interpolate import PchipInterpolator

Field = Callable[[np.ndarray], np.ndarray]


def smooth_min(a: np.ndarray, b: np.ndarray, k: float) -> np.ndarray:
    """Union of two distance fields with a fillet about `k` metres wide."""
    h = np.maximum(k - np.abs(a - b), 0) / k
    return np.minimum(a, b) - h * h * (k / 4)


def ellipsoid(p: np.ndarray, centre, radii) -> np.ndarray:
    """Approximate distance from points (n, 3) to an axis-aligned ellipsoid."""
    q = p - np.asarray(centre, np.float32)
    r = np.asarray(radii, np.float32)
    k0 = np.linalg.norm(q / r, axis=1)
    k1 = np.linalg.norm(q / (r * r), axis=1)
    return k0 * (k0 - 1) / np.maximum(k1, 1e-6)


def cone(p: np.ndarray, a, b, ra: float, rb: float) -> np.ndarray:
    """Distance from points (n, 3) to a rounded cone from `a` (radius ra) to `b` (radius rb)."""
    a, b = np.asarray(a, np.float32), np.asarray(b, np.float32)
    d = b - a
    t = np.clip((p - a) @ d / (d @ d), 0, 1)
    return np.linalg.norm(p - a - t[:, None] * d, axis=1) - (ra + (rb - ra) * t)


class Loft:
    """A limb with an elliptic section that varies along a straight axis.

    table rows: (distance along the axis, half width, front depth, back depth[, front shift]), metres.
    `side` is the width direction, `front` the depth direction.
    """

    def __init__(self, origin, axis, side, front, table, power: float = 2.2, cap: float = 0.6):
        self.origin = np.asarray(origin, np.float32)
        unit = lambda v: np.asarray(v, np.float32) / np.linalg.norm(v)  # noqa: E731
        self.axis, self.side, self.front = unit(axis), unit(side), unit(front)
        rows = np.array([tuple(r) + (0.0,) * (5 - len(r)) for r in table], np.float64)
        self.t = np.linspace(rows[0, 0], rows[-1, 0], 200)
        self.columns = [PchipInterpolator(rows[:, 0], rows[:, i])(self.t) for i in range(1, 5)]
        self.power, self.cap = power, cap

    def __call__(self, p: np.ndarray) -> np.ndarray:
        q = p - self.origin
        t = q @ self.axis
        width, front, back, shift = (np.interp(t, self.t, c).astype(np.float32) for c in self.columns)
        across = q - t[:, None] * self.axis
        u, v = np.abs(across @ self.side), across @ self.front - shift
        depth = np.where(v > 0, front, back)
        rho = ((u / width) ** self.power + (np.abs(v) / depth) ** self.power) ** (1 / self.power)
        r = np.hypot(u, v)
        rho = np.maximum(rho, 1e-3)
        surface = np.where(r > 1e-3, r / rho, np.minimum(width, depth))
        distance = r - surface
        over = np.maximum(np.maximum(self.t[0] - t, t - self.t[-1]), 0).astype(np.float32)
        c = self.cap * np.minimum(width, depth)
        return np.where(over > 0, np.hypot(np.maximum(distance + c, 0), over) - c, distance).astype(np.float32)


_TETRAHEDRON = np.array([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]], np.float32)


def _slope(field: Field, p: np.ndarray, step: float = 2e-3) -> tuple[np.ndarray, np.ndarray]:
    """Value (n,) and gradient (n, 3) of a field at points (n, 3)."""
    values = [field(p + o * step) for o in _TETRAHEDRON]
    g = sum(o * v[:, None] for o, v in zip(_TETRAHEDRON, values)) / (4 * step)
    return sum(values) / 4, g


def gradient(field: Field, p: np.ndarray) -> np.ndarray:
    """Unit gradient of a field at points (n, 3)."""
    g = _slope(field, p)[1]
    return (g / np.maximum(np.linalg.norm(g, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def project(field: Field, p: np.ndarray, steps: int = 3, limit: float = 0.03) -> np.ndarray:
    """Move points (n, 3) on to the zero set of a field, along its gradient."""
    for _ in range(steps):
        value, g = _slope(field, p)
        size = np.linalg.norm(g, axis=1)
        move = np.clip(value / np.maximum(size, 0.4), -limit, limit) / np.maximum(size, 1e-6)
        p = p - g * move[:, None]
    return p.astype(np.float32)


def triangulate(field: Field, low, high, cell: float) -> tuple[np.ndarray, np.ndarray]:
    """Surface nets: vertices (v, 3) on the zero set and outward triangles (f, 3) inside a box."""
    axes = [np.arange(lo, hi + cell, cell, dtype=np.float32) for lo, hi in zip(low, high)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    shape = grid.shape[:3]
    value = field(grid.reshape(-1, 3)).reshape(shape)
    corners = [(i, j, k) for i in (0, 1) for j in (0, 1) for k in (0, 1)]
    at = lambda a, c: a[tuple(slice(c[d], shape[d] - 1 + c[d]) for d in range(3))]  # noqa: E731
    negative = sum((at(value, c) < 0).astype(np.int8) for c in corners)
    active = (negative > 0) & (negative < 8)
    cells = np.argwhere(active)
    total, count = np.zeros((len(cells), 3), np.float32), np.zeros((len(cells), 1), np.float32)
    for a in corners:
        for d in range(3):
            if a[d]:
                continue
            b = tuple(a[e] + (e == d) for e in range(3))
            va, vb = value[tuple((cells + a).T)], value[tuple((cells + b).T)]
            cross = (va < 0) != (vb < 0)
            t = np.where(cross, va / np.where(cross, va - vb, 1), 0)
            point = grid[tuple((cells + a).T)].copy()
            point[:, d] += t * cell
            total += point * cross[:, None]
            count += cross[:, None]
    index = np.full(active.shape, -1, np.int64)
    index[tuple(cells.T)] = np.arange(len(cells))
    return total / count, _faces(value, index)


def _faces(value: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Two triangles for each grid edge that crosses the surface."""
    quads = []
    for d in range(3):
        e, f = (d + 1) % 3, (d + 2) % 3
        hi = [slice(None)] * 3
        hi[d] = slice(1, None)
        lo = [slice(None)] * 3
        lo[d] = slice(None, -1)
        a, b = value[tuple(lo)], value[tuple(hi)]
        where = np.argwhere((a < 0) != (b < 0))
        inner = np.ones(len(where), bool)
        for g in (e, f):
            inner &= (where[:, g] >= 1) & (where[:, g] < index.shape[g])
        where = where[inner]
        rising = a[tuple(where.T)] < 0
        step = np.eye(3, dtype=np.int64)
        ring = [where - step[e] - step[f], where - step[f], where, where - step[e]]
        quad = np.stack([index[tuple(r.T)] for r in ring], 1)
        quads.append(np.where(rising[:, None], quad, quad[:, ::-1]))
    quad = np.concatenate(quads)
    quad = quad[(quad >= 0).all(1)]
    return np.concatenate([quad[:, [0, 1, 2]], quad[:, [0, 2, 3]]])

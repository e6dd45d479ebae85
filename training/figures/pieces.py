"""Mesh pieces: what a figure is assembled from, and the small shapes that accessories are made of (numpy)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.figures.body import BONE, BONES, HANGING


@dataclass
class Piece:
    """A part of a figure, in the rest pose of its wearer.  Arrays per vertex unless said otherwise."""

    position: np.ndarray  # (v, 3) rest position
    normal: np.ndarray  # (v, 3)
    texture: np.ndarray  # (v, 3) template position, the argument of its texture
    weight: np.ndarray  # (v, bones)
    face: np.ndarray  # (f, 3)
    region: np.ndarray  # (f,) how the texture is wrapped
    cut: np.ndarray  # signed metres, shown where >= 0
    material: int  # row of the figure's material table
    label: int  # class 0..15
    instance: int  # instance number, 0 for none
    bias: float = 0.0  # metres towards the viewer in the depth test
    two_sided: bool = False


def vertex_normals(p: np.ndarray, f: np.ndarray) -> np.ndarray:
    """Area-weighted normals (v, 3)."""
    n = np.cross(p[f[:, 1]] - p[f[:, 0]], p[f[:, 2]] - p[f[:, 0]])
    total = np.stack([sum(np.bincount(f[:, k], n[:, d], len(p)) for k in range(3)) for d in range(3)], 1)
    return (total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)).astype(np.float32)


def grid_faces(rows: int, columns: int, closed: bool = True) -> np.ndarray:
    """Triangles of a rows x columns grid of vertices; `closed` joins the last column to the first."""
    r, c = np.meshgrid(np.arange(rows - 1), np.arange(columns if closed else columns - 1), indexing="ij")
    r, c = r.ravel(), c.ravel()
    d = (c + 1) % columns
    a, b, e, g = r * columns + c, r * columns + d, (r + 1) * columns + c, (r + 1) * columns + d
    return np.concatenate([np.stack([a, e, b], 1), np.stack([b, e, g], 1)])


def bone_weight(n: int, bone: str) -> np.ndarray:
    """Weights (n, bones) of a rigid attachment."""
    w = np.zeros((n, len(BONES)), np.float32)
    w[:, BONE[bone]] = 1
    return w


def tube(
    points: np.ndarray, radius, flat: float = 1.0, sides: int = 8, closed: bool = False, out=(0, 0, 1)
) -> tuple[np.ndarray, np.ndarray]:
    """A tube along points (n, 3); `flat` squeezes it along `out`.  Returns vertices and faces."""
    p = np.asarray(points, np.float32)
    r = np.broadcast_to(np.asarray(radius, np.float32), len(p))
    if closed:
        tangent = np.roll(p, -1, 0) - np.roll(p, 1, 0)
    else:
        tangent = np.gradient(p, axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    o = np.broadcast_to(np.asarray(out, np.float32), p.shape)
    a = np.cross(tangent, o)
    a /= np.maximum(np.linalg.norm(a, axis=1, keepdims=True), 1e-6)
    b = np.cross(a, tangent)
    t = np.arange(sides) / sides * 2 * np.pi
    ring = np.cos(t)[None, :, None] * a[:, None] + np.sin(t)[None, :, None] * b[:, None] * flat
    v = (p[:, None] + r[:, None, None] * ring).reshape(-1, 3)
    if closed:
        v = np.concatenate([v, v[:sides]])
    f = grid_faces(len(v) // sides, sides)
    return v.astype(np.float32), orient(v, f, np.repeat(np.concatenate([p, p[:1]])[: len(v) // sides], sides, 0))


def orient(v: np.ndarray, f: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Turn all faces the same way if most of them look towards the inner points (v, 3)."""
    n = np.cross(v[f[:, 1]] - v[f[:, 0]], v[f[:, 2]] - v[f[:, 0]])
    outward = (n * (v[f[:, 0]] - inside[f[:, 0]])).sum()
    return f if outward > 0 else f[:, ::-1]


def rounded_box(centre, radii, power: float = 4.0, rows: int = 13, columns: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """A superquadric (an ellipsoid that becomes a box as `power` grows)."""
    a = np.linspace(-np.pi / 2, np.pi / 2, rows)[:, None]
    b = (np.arange(columns) / columns * 2 * np.pi)[None]
    s = np.stack(np.broadcast_arrays(np.cos(a) * np.cos(b), np.sin(a), np.cos(a) * np.sin(b)), -1).reshape(-1, 3)
    s = s / (np.abs(s) ** power).sum(1, keepdims=True) ** (1 / power)
    v = (np.asarray(centre) + s * np.asarray(radii)).astype(np.float32)
    f = grid_faces(rows, columns)
    return v, orient(v, f, np.broadcast_to(np.asarray(centre), v.shape))


def simple(v, f, weight, material: int, label: int, instance: int, texture=None, cut=None, region: int = HANGING, **more) -> Piece:
    """A piece from vertices and faces, with computed normals."""
    v = np.asarray(v, np.float32)
    return Piece(
        v,
        vertex_normals(v, f),
        v if texture is None else texture,
        weight,
        f,
        np.full(len(f), region),
        np.ones(len(v), np.float32) if cut is None else cut,
        material,
        label,
        instance,
        **more,
    )


def compact(position, normal, texture, weight, face, region, cut, *rest, **more) -> Piece:
    """A piece of a larger mesh: only faces that show somewhere, and their vertices."""
    keep = (cut[face] > 0).any(1)
    face, region = face[keep], region[keep]
    used = np.zeros(len(position), bool)
    used[face] = True
    remap = np.cumsum(used) - 1
    return Piece(
        position[used], normal[used], texture[used], weight[used], remap[face], region, cut[used].astype(np.float32), *rest, **more
    )

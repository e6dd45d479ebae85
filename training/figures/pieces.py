"""Mesh pieces: what a figure is assembled from, and the small shapes that accessories are made of (numpy)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from training.figures.body import HANGING
from training.figures.skeleton import BONE, BONES


@dataclass
class Piece:
    """A part of a figure in the rest pose of its wearer, of V vertices and F faces.

    Attributes:
        position: V x 3, metres.
        normal: V x 3.
        texture: V x 3, the point of the template, by which the surface is coloured, metres.
        weight: V x bones.
        face: F x 3, numbers of vertices.
        region: F, how the texture is wrapped.
        cut: V, metres; shown where >= 0.
        material: row of the figure's materials.
        label: class.
        instance: tells several of the class apart, from 1.
        bias: metres towards the viewer in the depth test.
        two_sided: whether the inside is drawn.
    """

    position: np.ndarray
    normal: np.ndarray
    texture: np.ndarray
    weight: np.ndarray
    face: np.ndarray
    region: np.ndarray
    cut: np.ndarray
    material: int
    label: int
    instance: int
    bias: float = 0.0
    two_sided: bool = False


def vertex_normals(position: np.ndarray, face: np.ndarray) -> np.ndarray:
    """Unit normals (V, 3) of vertices (V, 3), weighted by the area of their faces (F, 3)."""
    normal = _face_normals(position, face)
    count = len(position)
    total = np.stack([sum(np.bincount(face[:, corner], normal[:, axis], count) for corner in range(3)) for axis in range(3)], 1)
    return (total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)).astype(np.float32)


def _face_normals(position: np.ndarray, face: np.ndarray) -> np.ndarray:
    """Normals (F, 3), twice as long as a face's area."""
    return np.cross(position[face[:, 1]] - position[face[:, 0]], position[face[:, 2]] - position[face[:, 0]])


def grid_faces(rows: int, columns: int, closed: bool = True) -> np.ndarray:
    """Triangles (F, 3) of a rows x columns grid of vertices; ``closed`` joins the last column to the first."""
    row, column = np.meshgrid(np.arange(rows - 1), np.arange(columns if closed else columns - 1), indexing="ij")
    row, column = row.ravel(), column.ravel()
    following = (column + 1) % columns
    here, beside = row * columns + column, row * columns + following
    below, opposite = (row + 1) * columns + column, (row + 1) * columns + following
    return np.concatenate([np.stack([here, below, beside], 1), np.stack([beside, below, opposite], 1)])


def bone_weight(count: int, bone: str) -> np.ndarray:
    """Weights (count, bones) of vertices that move with one bone."""
    weight = np.zeros((count, len(BONES)), np.float32)
    weight[:, BONE[bone]] = 1
    return weight


def tube(
    points: np.ndarray,
    radius: float | np.ndarray,
    flat: float = 1.0,
    sides: int = 8,
    closed: bool = False,
    out: tuple[float, float, float] = (0, 0, 1),
) -> tuple[np.ndarray, np.ndarray]:
    """A tube along points.

    Args:
        points: n x 3, metres.
        radius: metres, one or one per point.
        flat: factor of the radius along ``out``.
        sides: of the section.
        closed: whether the last point is joined to the first.
        out: the direction in which the tube may be flat.

    Returns:
        Vertices (V, 3) and outward faces (F, 3).
    """
    line = np.asarray(points, np.float32)
    radii = np.broadcast_to(np.asarray(radius, np.float32), len(line))
    tangent = np.roll(line, -1, 0) - np.roll(line, 1, 0) if closed else np.gradient(line, axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    across = np.cross(tangent, np.broadcast_to(np.asarray(out, np.float32), line.shape))
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-6)
    outwards = np.cross(across, tangent)
    angle = np.arange(sides) / sides * 2 * np.pi
    ring = np.cos(angle)[None, :, None] * across[:, None] + np.sin(angle)[None, :, None] * outwards[:, None] * flat
    position = (line[:, None] + radii[:, None, None] * ring).reshape(-1, 3)
    if closed:
        position = np.concatenate([position, position[:sides]])
    rings = len(position) // sides
    middle = np.repeat(np.concatenate([line, line[:1]])[:rings], sides, 0)
    return position.astype(np.float32), orient(position, grid_faces(rings, sides), middle)


def orient(position: np.ndarray, face: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The faces (F, 3), all turned over if most of them look towards the inner points (V, 3)."""
    outward = (_face_normals(position, face) * (position[face[:, 0]] - inside[face[:, 0]])).sum()
    return face if outward > 0 else face[:, ::-1]


def rounded_box(
    centre: tuple | np.ndarray, radii: tuple[float, float, float], power: float = 4.0, rows: int = 13, columns: int = 24
) -> tuple[np.ndarray, np.ndarray]:
    """A superquadric: an ellipsoid that becomes a box as ``power`` grows. Vertices (V, 3) and outward faces (F, 3)."""
    latitude = np.linspace(-np.pi / 2, np.pi / 2, rows)[:, None]
    longitude = (np.arange(columns) / columns * 2 * np.pi)[None]
    ball = (np.cos(latitude) * np.cos(longitude), np.sin(latitude), np.cos(latitude) * np.sin(longitude))
    surface = np.stack(np.broadcast_arrays(*ball), -1).reshape(-1, 3)
    surface = surface / (np.abs(surface) ** power).sum(1, keepdims=True) ** (1 / power)
    position = (np.asarray(centre) + surface * np.asarray(radii)).astype(np.float32)
    face = grid_faces(rows, columns)
    return position, orient(position, face, np.broadcast_to(np.asarray(centre), position.shape))


def simple(
    position: np.ndarray,
    face: np.ndarray,
    weight: np.ndarray,
    material: int,
    label: int,
    *,
    texture: np.ndarray | None = None,
    cut: np.ndarray | None = None,
    region: int = HANGING,
    bias: float,
    two_sided: bool = False,
) -> Piece:
    """A piece from vertices and faces, with computed normals; coloured by its position and shown everywhere unless said otherwise."""
    position = np.asarray(position, np.float32)
    return Piece(
        position=position,
        normal=vertex_normals(position, face),
        texture=position if texture is None else texture,
        weight=weight,
        face=face,
        region=np.full(len(face), region),
        cut=np.ones(len(position), np.float32) if cut is None else cut,
        material=material,
        label=label,
        instance=1,
        bias=bias,
        two_sided=two_sided,
    )


def compact(piece: Piece) -> Piece:
    """The piece without faces that show nowhere, and without their vertices."""
    keep = (piece.cut[piece.face] > 0).any(1)
    face = piece.face[keep]
    used = np.zeros(len(piece.position), bool)
    used[face] = True
    number = np.cumsum(used) - 1
    return replace(
        piece,
        position=piece.position[used],
        normal=piece.normal[used],
        texture=piece.texture[used],
        weight=piece.weight[used],
        face=number[face],
        region=piece.region[keep],
        cut=piece.cut[used].astype(np.float32),
    )

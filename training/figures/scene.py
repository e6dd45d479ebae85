"""Several views as flat tensors, ready to rasterise: the vertices and faces of all figures, one after the other."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from training.figures.faces import face_row
from training.figures.figure import Figure
from training.figures.materials import COLOUR_COLUMNS, PATTERN, PATTERN_COLUMN, ROW_LENGTH, SCALE_COLUMN
from training.figures.person import FigurePerson
from training.figures.pieces import vertex_normals
from training.figures.skeleton import BONES
from training.figures.views import View, seat_mesh

SUPERSAMPLE = 2  # samples of a pixel, in each direction
SEAT_BIAS = -0.05  # metres; cloth that sinks into the seat stays in front of it


@dataclass(frozen=True)
class Mesh:
    """Posed surfaces of V vertices and F faces, and M materials. Coordinates are in samples, ``SUPERSAMPLE`` to a pixel.

    Attributes:
        xyz: V x 3 float32: x and y in samples; depth in metres, nearer is larger.
        normal: V x 3 float32.
        texture: V x 3 float32, points of the template, metres.
        cut: V float32, metres; shown where >= 0.
        materials: M x ROW_LENGTH float32.
        face: F x 3 int64, numbers of vertices.
        region: F int64, how the texture is wrapped.
        material: F int64, rows of ``materials``.
        label: F int64, classes, 0 for what is not of the person.
        instance: F int64, instances of the class.
        bias: F float32, metres towards the viewer in the depth test.
        two_sided: F bool.
        image: F int64, numbers of views.
    """

    xyz: Tensor
    normal: Tensor
    texture: Tensor
    cut: Tensor
    materials: Tensor
    face: Tensor
    region: Tensor
    material: Tensor
    label: Tensor
    instance: Tensor
    bias: Tensor
    two_sided: Tensor
    image: Tensor


@dataclass(frozen=True)
class Scene:
    """N views: what is in them, and what they have of their people.

    Attributes:
        mesh: of all views.
        views: the views.
        hair: N x 3 float32, colours.
        light: N x 3 float32, unit vectors towards the light.
        ground: N x 3 float32, colours of the studio.
        facial: N x FACE_PARAMETERS float32.
        scale: N float32, canvas pixels per metre.
    """

    mesh: Mesh
    views: list[View]
    hair: Tensor
    light: Tensor
    ground: Tensor
    facial: Tensor
    scale: Tensor


def build_scene(people: list[FigurePerson], figures: list[Figure], views: list[View], device: torch.device) -> Scene:
    """Pose N figures and put them on the device."""
    meshes = []
    for image, (person, figure, view) in enumerate(zip(people, figures, views, strict=True)):
        meshes.append(_posed(figure, view, image, device))
        if view.seat is not None:
            meshes.append(_seat(view, person, image, device))

    def rows(values: list) -> Tensor:
        return _put(np.array(values, np.float32), device)

    return Scene(
        mesh=_joined(meshes),
        views=views,
        hair=rows([person.hair_colour for person in people]),
        light=rows([person.light for person in people]),
        ground=rows([person.background for person in people]),
        facial=rows([face_row(person.face) for person in people]),
        scale=rows([view.scale for view in views]),
    )


def _put(array: np.ndarray, device: torch.device) -> Tensor:
    return torch.as_tensor(np.ascontiguousarray(array)).to(device)


def _on_canvas(position: Tensor, view: View) -> Tensor:
    """Posed points V x 3 as samples and depth."""
    scale = view.scale * SUPERSAMPLE
    x = position[:, 0] * scale + view.shift[0] * SUPERSAMPLE
    y = -position[:, 1] * scale + view.shift[1] * SUPERSAMPLE
    return torch.stack([x, y, position[:, 2]], 1)


def _posed(figure: Figure, view: View, image: int, device: torch.device) -> Mesh:
    affine = _put(view.affine, device).reshape(len(BONES), 12)
    blend = (_put(figure.weight, device) @ affine).reshape(-1, 3, 4)
    position = (blend[:, :, :3] * _put(figure.position, device)[:, None]).sum(-1) + blend[:, :, 3]
    return Mesh(
        xyz=_on_canvas(position, view),
        normal=(blend[:, :, :3] * _put(figure.normal, device)[:, None]).sum(-1),
        texture=_put(figure.texture, device),
        cut=_put(figure.cut, device),
        materials=_put(figure.materials, device),
        face=_put(figure.face, device),
        region=_put(figure.region, device),
        material=_put(figure.material, device),
        label=_put(figure.label, device),
        instance=_put(figure.instance, device),
        bias=_put(figure.bias, device),
        two_sided=_put(figure.two_sided, device),
        image=torch.full((len(figure.face),), image, device=device),
    )


def _seat(view: View, person: FigurePerson, image: int, device: torch.device) -> Mesh:
    """A seat in a darker shade of the studio's colour; it belongs to the background."""
    _, face = seat_mesh()
    row = np.zeros((1, ROW_LENGTH), np.float32)
    row[0, PATTERN_COLUMN], row[0, SCALE_COLUMN] = PATTERN["seat"], 0.05
    row[0, COLOUR_COLUMNS] = np.asarray(person.background) * 0.93
    count, position = len(face), _put(view.seat, device)
    zero = torch.zeros(count, dtype=torch.int64, device=device)
    return Mesh(
        xyz=_on_canvas(position, view),
        normal=_put(vertex_normals(view.seat, face), device),
        texture=position,
        cut=torch.ones(len(position), device=device),
        materials=_put(row, device),
        face=_put(face, device),
        region=zero,
        material=zero,
        label=zero,
        instance=zero,
        bias=torch.full((count,), SEAT_BIAS, device=device),
        two_sided=torch.zeros(count, dtype=torch.bool, device=device),
        image=torch.full((count,), image, device=device),
    )


def _joined(meshes: list[Mesh]) -> Mesh:
    """One mesh; faces and materials are renumbered."""
    columns = {field.name: [getattr(mesh, field.name) for mesh in meshes] for field in fields(Mesh)}
    vertices, rows = 0, 0
    for number, mesh in enumerate(meshes):
        columns["face"][number] = mesh.face + vertices
        columns["material"][number] = mesh.material + rows
        vertices += len(mesh.xyz)
        rows += len(mesh.materials)
    return Mesh(**{name: torch.cat(parts) for name, parts in columns.items()})

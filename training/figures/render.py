"""Rendering: people and poses in, images with exact annotation out; batched, on any device."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nted_step.classes import LABEL_COUNT, LABELS
from training.figures import faces, textures
from training.figures.annotate import CODES, face_boxes, majority, shown, shrink
from training.figures.figure import Figure, assemble
from training.figures.materials import PATTERN_COLUMN
from training.figures.person import FigurePerson, sample_person, with_garments
from training.figures.raster import rasterise, setup
from training.figures.scene import SUPERSAMPLE, Scene, build_scene
from training.figures.shading import background, contact, shade
from training.figures.views import View, make_view, pose_of, project_joints

TEST_SEED = 9_000_000  # people from here on are never trained on
SEEDS = 100_000_000  # a person's seed is below it: it has eight digits in the names of files
ACCELERATOR_CHUNK = 32  # images per pass
FIGURES_KEPT = 256
CONTACT_TINT = (0.72, 0.80, 0.84)  # how much of red, green and blue the darkening takes


@dataclass(frozen=True)
class FigureBatch:
    """P people in M poses each, flattened person-major (N = P * M).

    Attributes:
        image: N x 3 x H x W uint8, RGB.
        joints: N x 18 x 2 float32, (x, y) in canvas pixels.
        visible: N x 18 bool.
        class_map: N x H x W uint8, the topmost class, 0 the background.
        instance_map: N x H x W uint8, instance number within the image, 0 the background.
        surface: N x 3 x H x W int16, millimetres: the point of the unposed, average body that the pixel shows; 0 the background.
        face_box: N x 4 float32 (x0, y0, x1, y1) in pixels, all -1 when no face is seen.
        person_seed: N int64.
        pose_index: N int64.
    """

    image: Tensor
    joints: Tensor
    visible: Tensor
    class_map: Tensor
    instance_map: Tensor
    surface: Tensor
    face_box: Tensor
    person_seed: Tensor
    pose_index: Tensor


@dataclass(frozen=True)
class _Job:
    """One image to render, and whom it shows in which pose."""

    person: FigurePerson
    figure: Figure
    view: View
    seed: int
    index: int


def render_people(
    seeds: Sequence[int],
    poses: int | Sequence[int] = 2,
    size: tuple[int, int] = (256, 176),
    device: str | torch.device = "cpu",
    *,
    garments_from: Sequence[int] | None = None,
    garment_classes: Collection[str] = (),
    chunk: int | None = None,
) -> FigureBatch:
    """Render people in poses.

    Args:
        seeds: of P people.
        poses: M (indices 0..M-1) or explicit indices; the pose of a seed and an index depends on nothing else.
        size: (H, W).
        device: where to render, and of the result.
        garments_from: for each person, the seed of whoever's garments replace theirs; None to leave all as they are.
        garment_classes: which garments those are.
        chunk: images per pass; by default 1 on the CPU, where an image is bit-identical whatever it is rendered with, else
            ACCELERATOR_CHUNK.

    Raises:
        ValueError: garments from another number of people, or of classes that are not garments.
    """
    device = torch.device(device)
    indices = list(range(poses)) if isinstance(poses, int) else [int(index) for index in poses]
    if garments_from is not None and len(garments_from) != len(seeds):
        raise ValueError("garments_from needs one seed per person")
    classes = tuple(sorted(garment_classes))
    jobs = []
    for i, seed in enumerate(seeds):
        donor = None if garments_from is None else int(garments_from[i])
        person, figure = _dressed(int(seed), donor, classes)
        for index in indices:
            pose, rng = pose_of(seed, index)
            jobs.append(_Job(person, figure, make_view(figure, pose, rng, size, index), int(seed), index))
    chunk = chunk or (1 if device.type == "cpu" else ACCELERATOR_CHUNK)
    groups = [jobs[start : start + chunk] for start in range(0, len(jobs), chunk)]
    parts = _each(lambda group: _render_group(group, size, device), groups, device)
    return FigureBatch(
        **{name: torch.cat([part[name] for part in parts]) for name in parts[0]},
        person_seed=torch.tensor([job.seed for job in jobs], device=device),
        pose_index=torch.tensor([job.index for job in jobs], device=device),
    )


@lru_cache(maxsize=FIGURES_KEPT)
def _dressed(seed: int, donor: int | None, classes: tuple[str, ...]) -> tuple[FigurePerson, Figure]:
    person = sample_person(seed)
    if donor is not None and classes:
        person = with_garments(person, sample_person(donor), classes)
    return person, assemble(person)


_POOLS: dict[int, ThreadPoolExecutor] = {}


def _each(work: Callable, groups: list, device: torch.device) -> list:
    """Map over groups: on the CPU one group per thread, each with single-threaded tensor operations."""
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1:
        return [work(group) for group in groups]
    key = os.getpid()  # a forked process has none of its parent's threads
    if key not in _POOLS:
        pool = _POOLS[key] = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
        barrier = threading.Barrier(threads)
        list(pool.map(lambda _: barrier.wait(), range(threads)))
        torch.set_num_threads(threads)  # the workers' setting must not become the default of later threads
    return list(_POOLS[key].map(work, groups))


@torch.no_grad()
def _render_group(jobs: list[_Job], size: tuple[int, int], device: torch.device) -> dict[str, Tensor]:
    """Render one chunk and annotate it: the first fields of a FigureBatch, by name."""
    scene = build_scene([job.person for job in jobs], [job.figure for job in jobs], [job.view for job in jobs], device)
    image, classes, instances, surface = _render(scene, size)
    projected = [project_joints(job.figure, job.view, size) for job in jobs]
    return {
        "image": image,
        "joints": torch.as_tensor(np.stack([xy for xy, _ in projected])).to(device),
        "visible": torch.as_tensor(np.stack([visible for _, visible in projected])).to(device),
        "class_map": classes,
        "instance_map": _instances(classes, instances),
        "surface": surface,
        "face_box": face_boxes(classes),
    }


def _render(scene: Scene, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Image N x 3 x H x W, class map and instance map N x H x W, all uint8, and surface N x 3 x H x W int16."""
    mesh, count = scene.mesh, len(scene.views)
    height, width = (extent * SUPERSAMPLE for extent in size)
    triangles = setup(mesh.xyz, mesh.cut, mesh.face, mesh.bias, mesh.two_sided, (height, width))
    seen = rasterise(triangles, mesh.image.index_select(0, triangles.face), count, (height, width))
    face = triangles.face.index_select(0, seen.triangle)
    shares = (seen.first, seen.second, 1 - seen.first - seen.second)
    attributes = torch.cat([mesh.normal, mesh.texture], 1)
    corners = mesh.face.index_select(0, face).unbind(1)
    values = sum(attributes.index_select(0, corner) * share[:, None] for corner, share in zip(corners, shares, strict=True))
    normal, point = F.normalize(values[:, :3], dim=1), values[:, 3:]
    colour, label = _colours(scene, face, point, normal)
    dark = contact(seen.depth, seen.pixel, count, size)
    colour = colour * (1 - dark[:, None] * colour.new_tensor(CONTACT_TINT))
    layer = torch.zeros(4, count * height * width, device=colour.device)
    layer[:3, seen.pixel] = colour.clamp(0, 1).t()
    layer[3, seen.pixel] = 1
    layer = shrink(layer.reshape(4, count, height, width).transpose(0, 1), SUPERSAMPLE)
    canvas = background(scene, size) * (1 - layer[:, 3:]) + layer[:, :3]
    image = (canvas.clamp(0, 1) * 255 + 0.5).to(torch.uint8)
    fine = torch.zeros(count * height * width, dtype=torch.int32, device=colour.device)
    fine[seen.pixel] = (label * CODES + mesh.instance.index_select(0, face)).int()
    fine = fine.reshape(count, height, width)
    code = majority(fine, SUPERSAMPLE)
    surface = shown(point, seen.pixel, fine, code, SUPERSAMPLE)
    return image, (code // CODES).to(torch.uint8), (code % CODES).to(torch.uint8), surface


def _colours(scene: Scene, face: Tensor, point: Tensor, normal: Tensor) -> tuple[Tensor, Tensor]:
    """The lit colour K x 3 and the class K of samples of the faces ``face`` (K), at ``point`` and with unit ``normal`` (K x 3)."""
    mesh = scene.mesh
    image = mesh.image.index_select(0, face)
    back = normal[:, 2] < 0
    normal = torch.where(back[:, None], -normal, normal)
    material = mesh.materials.index_select(0, mesh.material.index_select(0, face))
    metre = 1 / (scene.scale.index_select(0, image) * SUPERSAMPLE)
    present = set(mesh.materials[:, PATTERN_COLUMN].long().tolist())
    albedo = textures.colour(material, point, mesh.region.index_select(0, face), metre, present)
    label = mesh.label.index_select(0, face)
    facial = ((label == LABELS["skin"]) & faces.is_face(point)).nonzero().squeeze(1)
    whose = image[facial]
    painted = faces.paint(albedo[facial], point[facial], scene.facial[whose], scene.hair[whose], metre[facial])
    albedo[facial] = painted.clamp(0, 1)
    label = label.clone()
    label[facial] = LABELS["face"]
    return shade(albedo, normal, material, point, scene.light.index_select(0, image), back), label


def _instances(class_map: Tensor, instance_map: Tensor) -> Tensor:
    """Renumber (class, instance) pairs from 1 within each image, in the order of the classes."""
    code = (class_map.long() * CODES + instance_map.long()).flatten(1)
    seen = torch.zeros(len(class_map), LABEL_COUNT * CODES, dtype=torch.int64, device=code.device)
    seen.scatter_(1, code, 1)
    seen[:, :CODES] = 0
    rank = seen.cumsum(1) * seen
    return rank.gather(1, code).reshape(instance_map.shape).to(torch.uint8)

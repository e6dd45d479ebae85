"""Rendering: people and poses in, images with exact annotation out.  Batched, on any device."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nted_step.classes import LABELS
from training.figures import annotate, faces, textures
from training.figures.figure import Figure, assemble
from training.figures.materials import PATTERN
from training.figures.person import Person, sample_person, with_garments
from training.figures.pieces import rounded_box, vertex_normals
from training.figures.poses import NAMES, Pose, base_pose, bone_affines, sample_pose
from training.figures.raster import rasterise, setup
from training.figures.skeleton import BONE, BONES, HEAD_TOP, PIVOTS

TEST_SEED = 9_000_000
SUPERSAMPLE = 2


@dataclass(frozen=True)
class FigureBatch:
    """P people in M poses each, flattened person-major (N = P * M)."""

    image: Tensor  # uint8 N x 3 x H x W, RGB
    joints: Tensor  # float32 N x 18 x 2, (x, y) canvas pixels
    visible: Tensor  # bool N x 18
    class_map: Tensor  # uint8 N x H x W, 0 background, 1..15 topmost class
    instance_map: Tensor  # uint8 N x H x W, 0 none, else instance number within the image
    surface: Tensor  # int16 N x 3 x H x W, millimetres: the point of the unposed, average body that the pixel shows; 0 background
    face_box: Tensor  # float32 N x 4 (x0, y0, x1, y1), all -1 when no face is seen
    person_seed: Tensor  # int64 N
    pose_index: Tensor  # int64 N


@dataclass(frozen=True)
class _View:
    """One image to make."""

    affine: np.ndarray  # (bones, 3, 4)
    scale: float  # pixels per metre, at the canvas size
    shift: tuple  # canvas pixel of the posed origin
    floor: float  # canvas y of the floor
    seat: np.ndarray | None  # (v, 3) posed vertices of the seat


def pose_of(seed: int, index: int) -> tuple[Pose, np.random.Generator]:
    """The pose `index` of a person, and the generator that frames it."""
    rng = np.random.default_rng([int(seed), 77, int(index)])
    return sample_pose(rng, calm=index == 0 and rng.random() < 0.85), rng


def _frame(posed: np.ndarray, rng, size, pose: Pose, closeness: float | None) -> tuple[float, tuple]:
    """Scale and shift of the camera.  posed: (v, 3) metres."""
    h, w = size
    low, high = posed.min(0), posed.max(0)
    head = posed[:, 1].max()
    if closeness is None:
        top, bottom = rng.uniform(0.045, 0.085) * h, rng.uniform(0.925, 0.965) * h
        scale = min((bottom - top) / (high[1] - low[1]), 1.12 * (bottom - top) / 1.72, 0.94 * w / (high[0] - low[0]))
        y = bottom + scale * low[1]
        spare = (bottom - top) - scale * (high[1] - low[1])
        y -= spare * 0.5
        x = w / 2 - scale * (low[0] + high[0]) / 2
    else:
        top = rng.uniform(0.05, 0.10) * h
        scale = (h - top) / max(head - closeness, 0.5)
        upper = posed[posed[:, 1] > closeness]
        scale = min(scale, 1.10 * w / np.ptp(upper[:, 0]))
        y = top + scale * head
        x = w / 2 - scale * (0.5 * np.median(upper[:, 0]) + 0.25 * (upper[:, 0].min() + upper[:, 0].max()))
    return float(scale), (float(x + rng.normal(0, 0.008) * w), float(y))


def _seat_mesh() -> tuple[np.ndarray, np.ndarray]:
    return rounded_box((0, 0, 0), (0.24, 0.5, 0.21), 9.0, 17, 32)


def make_view(figure: Figure, pose: Pose, rng: np.random.Generator, size: tuple[int, int], index: int) -> _View:
    """Pose a figure and choose the camera."""
    affine = bone_affines(pose, figure.pivots, figure.stretch)
    weight, position = figure.coarse_weight, figure.coarse_position
    blend = (weight @ affine.reshape(len(BONES), 12)).reshape(-1, 3, 4)
    posed = (blend[:, :, :3] @ position[:, :, None])[:, :, 0] + blend[:, :, 3]
    joints = annotate.joints_in_space(affine, figure.pivots)[0]
    near = rng.random()
    closeness = None
    if near < (0.40 if index else 0.12) and not pose.seat:
        hip, knee = joints[[8, 11], 1].mean(), joints[[9, 12], 1].mean()
        closeness = float(np.interp(rng.random(), [0, 0.5, 1], [knee + 0.0, knee + 0.22, hip + 0.02]))
    scale, shift = _frame(posed, rng, size, pose, closeness)
    floor_y = float(posed[:, 1].min())
    seat = None
    if pose.seat:
        v, _ = _seat_mesh()
        pelvis = joints[[8, 11]].mean(0)
        top = pelvis[1] - 0.125
        yaw = np.radians(pose.yaw)
        v = v * [1, max(top - floor_y, 0.1), 1] + [0, (top + floor_y) / 2, -0.02]
        turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
        seat = (v @ turn.T + [pelvis[0], 0, pelvis[2]]).astype(np.float32)
    return _View(affine, scale, shift, shift[1] - scale * floor_y, seat)


class _Scene:
    """Flat tensors of several views, ready to rasterise.  All figures and views are concatenated."""

    def __init__(self, people: list[Person], figures: list[Figure], views: list[_View], device):
        put = lambda a, dtype=None: torch.as_tensor(np.ascontiguousarray(a), dtype=dtype).to(device)  # noqa: E731
        xyz, normal, texture, cut = [], [], [], []
        columns = {k: [] for k in ("face", "region", "material", "label", "instance", "bias", "two_sided", "image")}
        materials, base, mbase = [], 0, 0
        for i, (fig, view) in enumerate(zip(figures, views)):
            blend = (put(fig.weight) @ put(view.affine).reshape(len(BONES), 12)).reshape(-1, 3, 4)
            p = put(fig.position)
            posed = (blend[:, :, :3] * p[:, None]).sum(-1) + blend[:, :, 3]
            turned = (blend[:, :, :3] * put(fig.normal)[:, None]).sum(-1)
            parts = [
                (
                    posed,
                    turned,
                    put(fig.texture),
                    put(fig.cut),
                    {k: put(getattr(fig, k)) for k in columns if k != "image"},
                    put(fig.materials),
                )
            ]
            if view.seat is not None:
                parts.append(self._seat(view, people[i], put))
            for q, n, t, c, more, rows in parts:
                s = view.scale * SUPERSAMPLE
                x = q[:, 0] * s + view.shift[0] * SUPERSAMPLE
                y = -q[:, 1] * s + view.shift[1] * SUPERSAMPLE
                xyz.append(torch.stack([x, y, q[:, 2]], 1))
                normal.append(n), texture.append(t), cut.append(c)
                for k, v in more.items():
                    columns[k].append(v + (base if k == "face" else mbase if k == "material" else 0))
                columns["image"].append(torch.full((len(more["face"]),), i, device=device))
                materials.append(rows)
                base += len(q)
                mbase += len(rows)
        self.xyz, self.normal, self.texture, self.cut = (torch.cat(v) for v in (xyz, normal, texture, cut))
        self.materials = torch.cat(materials)
        for k, v in columns.items():
            setattr(self, k, torch.cat(v))
        self.people, self.views, self.device = people, views, device
        self.skin = put(np.array([p.skin for p in people], np.float32))
        self.hair = put(np.array([p.hair_colour for p in people], np.float32))
        self.light = put(np.array([p.light for p in people], np.float32))
        self.ground = put(np.array([p.background for p in people], np.float32))
        self.facial = put(np.array([faces.face_row(p.face) for p in people], np.float32))
        self.scale = put(np.array([v.scale for v in views], np.float32))

    @staticmethod
    def _seat(view: _View, person: Person, put):
        _, f = _seat_mesh()
        tone = np.asarray(person.background) * 0.93
        row = np.zeros((1, 18), np.float32)
        row[0, 0], row[0, 1:4], row[0, 10] = PATTERN["seat"], tone, 0.05
        n = vertex_normals(view.seat, f)
        k = len(f)
        zero = torch.zeros(k, dtype=torch.int64)
        more = dict(
            face=put(f),
            region=put(zero),
            material=put(zero),
            label=put(zero),
            instance=put(zero),
            bias=put(torch.full((k,), -0.05)),
            two_sided=put(torch.zeros(k, dtype=torch.bool)),
        )
        return put(view.seat), put(n), put(view.seat), put(np.ones(len(n), np.float32)), more, put(row)


def _background(scene: _Scene, size) -> Tensor:
    """Studio sweep N x 3 x H x W with a soft shadow on the floor."""
    h, w = size
    device = scene.device
    y = (torch.arange(h, device=device).float() + 0.5) / h
    x = (torch.arange(w, device=device).float() + 0.5) / w
    sweep = 1 - 0.045 * y[:, None] - 0.05 * ((x[None] - 0.5) ** 2 * 2 + (y[:, None] - 0.45) ** 2)
    image = scene.ground[:, :, None, None] * sweep
    px, py = x * w, y * h
    dark = torch.zeros(len(scene.views), h, w, device=device)
    for i, view in enumerate(scene.views):
        if view.floor > h * 1.1:
            continue
        for bone in ("r_foot", "l_foot"):
            a = view.affine[BONE[bone]]
            p = a[:, :3] @ (PIVOTS[BONE[bone]] + np.array([0.01 * np.sign(PIVOTS[BONE[bone], 0]), 0, 0.05], np.float32)) + a[:, 3]
            cx = float(p[0]) * view.scale + view.shift[0]
            lift = max(view.floor - (view.shift[1] - view.scale * (float(p[1]) - 0.085)), 0) / view.scale
            rx, ry = 0.15 * view.scale, 0.022 * view.scale
            blob = torch.exp(-(((px[None] - cx) / rx) ** 2) - ((py[:, None] - view.floor + 0.01 * view.scale) / ry) ** 2)
            wide = torch.exp(-(((px[None] - cx) / (2.2 * rx)) ** 2) - ((py[:, None] - view.floor) / (2.2 * ry)) ** 2)
            dark[i] += (0.30 * blob + 0.12 * wide) * np.exp(-lift * 9)
        if view.seat is not None:
            cx = float(view.seat[:, 0].mean()) * view.scale + view.shift[0]
            dark[i] += 0.22 * torch.exp(
                -(((px[None] - cx) / (0.34 * view.scale)) ** 2) - ((py[:, None] - view.floor) / (0.04 * view.scale)) ** 2
            )
    return image * (1 - dark.clamp_max(0.5))[:, None]


def _contact(depth: Tensor, pixel: Tensor, n: int, size: tuple[int, int]) -> Tensor:
    """Soft darkening (K) of pixels whose surroundings are nearer; depth (K) metres at supersampled pixels."""
    h, w = size
    H, W = h * SUPERSAMPLE, w * SUPERSAMPLE
    both = torch.zeros(2, n * H * W, device=depth.device)
    both[0, pixel], both[1, pixel] = depth, 1
    both = annotate.shrink(both.reshape(2, n, H, W).transpose(0, 1), SUPERSAMPLE)
    coarse = F.avg_pool2d(both, 2, ceil_mode=True)
    own = both[:, 0] / both[:, 1].clamp_min(1e-6)
    out = torch.zeros_like(own)
    for reach, strength, room in ((1, 0.55, 0.05), (2, 0.60, 0.12), (5, 0.45, 0.22)):
        k = 2 * reach + 1
        s = F.avg_pool2d(F.avg_pool2d(coarse, (1, k), 1, (0, reach)), (k, 1), 1, (reach, 0))
        s = F.interpolate(s, size, mode="bilinear", align_corners=False)
        out += strength * ((s[:, 0] - (own + 0.006) * s[:, 1]) / room).clamp(0, 0.6)
    out = F.avg_pool2d(out.clamp(0, 0.62)[:, None], 3, 1, 1)
    return F.interpolate(out, scale_factor=SUPERSAMPLE, mode="nearest").reshape(-1).index_select(0, pixel)


def _render(scene: _Scene, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(image uint8 N x 3 x H x W, class map, instance map uint8 N x H x W, surface int16 N x 3 x H x W)."""
    n, (h, w) = len(scene.views), size
    H, W = h * SUPERSAMPLE, w * SUPERSAMPLE
    plane, box, face = setup(scene.xyz, scene.cut, scene.face, scene.bias, scene.two_sided, (H, W))
    pixel, row, w0, w1, depth = rasterise(plane, box, scene.image.index_select(0, face), n, (H, W))
    face = face.index_select(0, row)
    i, j, k = scene.face.index_select(0, face).unbind(1)
    attributes = torch.cat([scene.normal, scene.texture], 1)
    values = sum(attributes.index_select(0, v) * s[:, None] for v, s in ((i, w0), (j, w1), (k, 1 - w0 - w1)))
    normal, point = values[:, :3], values[:, 3:]
    normal = F.normalize(normal, dim=1)
    image = scene.image.index_select(0, face)
    back = normal[:, 2] < 0
    normal = torch.where(back[:, None], -normal, normal)
    region = scene.region.index_select(0, face)
    m = scene.materials.index_select(0, scene.material.index_select(0, face))
    metre = 1 / (scene.scale.index_select(0, image) * SUPERSAMPLE)
    wrapped = textures.wrap(point, region)
    present = set(scene.materials[:, 0].long().tolist())
    albedo = textures.colour(m, point, region, metre, present, wrapped)
    label = scene.label.index_select(0, face)
    skin = label == LABELS["skin"]
    facial = (skin & faces.is_face(point)).nonzero().squeeze(1)
    i = image[facial]
    albedo[facial] = faces.paint(albedo[facial], point[facial], scene.facial[i], scene.hair[i], metre[facial]).clamp(0, 1)
    label = label.clone()
    label[facial] = LABELS["face"]
    lit = _shade(scene, albedo, normal, m, point, image, back)
    dark = _contact(depth, pixel, n, size)
    lit = lit * (1 - dark[:, None] * lit.new_tensor([0.72, 0.80, 0.84]))
    layer = torch.zeros(4, n * H * W, device=scene.device)
    layer[:3, pixel] = lit.clamp(0, 1).t()
    layer[3, pixel] = 1
    layer = annotate.shrink(layer.reshape(4, n, H, W).transpose(0, 1), SUPERSAMPLE)
    canvas = _background(scene, size) * (1 - layer[:, 3:]) + layer[:, :3]
    code = torch.zeros(n * H * W, dtype=torch.int32, device=scene.device)
    code[pixel] = (label * 256 + scene.instance.index_select(0, face)).int()
    fine = code.reshape(n, H, W)
    code = annotate.majority(fine, SUPERSAMPLE)
    surface = annotate.shown(point, pixel, fine, code, SUPERSAMPLE)
    return (canvas.clamp(0, 1) * 255 + 0.5).to(torch.uint8), (code >> 8).to(torch.uint8), (code & 255).to(torch.uint8), surface


def _shade(scene: _Scene, albedo: Tensor, normal: Tensor, m: Tensor, point: Tensor, image: Tensor, back: Tensor) -> Tensor:
    light = scene.light.index_select(0, image)
    facing = (normal * light).sum(1)
    diffuse = ((facing + 0.35) / 1.35).clamp_min(0)
    sky = 0.5 + 0.5 * normal[:, 1]
    bright = 0.56 + 0.44 * diffuse + 0.10 * sky
    bright = bright * textures.creases(m, point)
    half = F.normalize(light + light.new_tensor([0, 0, 1.0]), dim=1)
    gloss = (normal * half).sum(1).clamp_min(0) ** 24 * m[:, 13]
    bright = torch.where(back, bright * 0.55, bright)
    rim = (1 - normal[:, 2].clamp(0, 1)) ** 3
    out = albedo * (bright * (1 - 0.16 * rim))[:, None] + gloss[:, None] * 0.35
    return out


def _instances(class_map: Tensor, instance_map: Tensor) -> Tensor:
    """Renumber (class, instance) pairs as 1.. within each image, in class order."""
    n = len(class_map)
    code = (class_map.long() * 256 + instance_map.long()).flatten(1)
    seen = torch.zeros(n, 16 * 256, dtype=torch.int64, device=code.device)
    seen.scatter_(1, code, 1)
    seen[:, :256] = 0
    rank = seen.cumsum(1) * seen
    return rank.gather(1, code).reshape(instance_map.shape).to(torch.uint8)


@lru_cache(maxsize=256)
def _dressed(seed: int, donor: int | None, classes: tuple) -> tuple[Person, Figure]:
    person = sample_person(seed)
    if donor is not None and classes:
        person = with_garments(person, sample_person(donor), classes)
    return person, assemble(person)


def render_people(
    seeds: Sequence[int],
    poses: int | Sequence[int] = 2,
    size: tuple[int, int] = (256, 176),
    device="cpu",
    *,
    garments_from: Sequence[int] | None = None,
    garment_classes: Collection[str] = (),
    chunk: int | None = None,
) -> FigureBatch:
    """Render people in poses.

    seeds: P person seeds.  poses: M (indices 0..M-1) or explicit indices; pose (seed, index) depends on nothing else.
    size: (H, W).  garments_from[i]: seed of the person whose garments of `garment_classes` replace person i's.
    chunk: images per pass (1 on the CPU: there an image is bit-identical whatever it is batched with; 32 elsewhere).
    """
    device = torch.device(device)
    indices = list(range(poses)) if isinstance(poses, int) else [int(i) for i in poses]
    if garments_from is not None and len(garments_from) != len(seeds):
        raise ValueError("garments_from needs one seed per person")
    classes = tuple(sorted(garment_classes))
    jobs = []
    for i, seed in enumerate(seeds):
        donor = None if garments_from is None else int(garments_from[i])
        person, figure = _dressed(int(seed), donor, classes)
        for index in indices:
            pose, rng = pose_of(seed, index)
            jobs.append((person, figure, make_view(figure, pose, rng, size, index), int(seed), index))
    chunk = chunk or (1 if device.type == "cpu" else 32)
    groups = [[j[:3] for j in jobs[k : k + chunk]] for k in range(0, len(jobs), chunk)]
    parts = _each(lambda group: _finish(group, size, device), groups, device)
    joined = {k: torch.cat([p[k] for p in parts]) for k in parts[0]}
    return FigureBatch(
        **joined,
        person_seed=torch.tensor([j[3] for j in jobs], device=device),
        pose_index=torch.tensor([j[4] for j in jobs], device=device),
    )


_POOLS: dict[int, ThreadPoolExecutor] = {}


def _each(work, groups: list, device) -> list:
    """Map over groups: on the CPU one group per thread, each with single-threaded tensor operations."""
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1:
        return [work(g) for g in groups]
    key = os.getpid()  # a forked process has none of its parent's threads
    if key not in _POOLS:
        pool = _POOLS[key] = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
        barrier = threading.Barrier(threads)
        list(pool.map(lambda _: barrier.wait(), range(threads)))
        torch.set_num_threads(threads)  # the workers' setting must not become the default of later threads
    return list(_POOLS[key].map(work, groups))


@torch.no_grad()
def _finish(jobs, size, device) -> dict[str, Tensor]:
    """Render one chunk and annotate it."""
    people, figures, views = (list(v) for v in zip(*jobs))
    image, classes, instances, surface = _render(_Scene(people, figures, views, device), size)
    xy, visible = zip(*(project_joints(f, v, size) for f, v in zip(figures, views)))
    to = lambda a: torch.as_tensor(np.stack(a)).to(device)  # noqa: E731
    return dict(
        image=image,
        joints=to(xy),
        visible=to(visible),
        class_map=classes,
        instance_map=_instances(classes, instances),
        surface=surface,
        face_box=annotate.face_boxes(classes),
    )


def project_joints(figure: Figure, view: _View, size) -> tuple[np.ndarray, np.ndarray]:
    """Joints (18, 2) in canvas pixels and their visibility (18,)."""
    p, facing = annotate.joints_in_space(view.affine, figure.pivots)
    xy = np.stack([p[:, 0] * view.scale + view.shift[0], view.shift[1] - p[:, 1] * view.scale], 1).astype(np.float32)
    inside = (xy >= 0).all(1) & (xy[:, 0] < size[1]) & (xy[:, 1] < size[0])
    return xy, facing & inside


def named_poses(size: tuple[int, int] = (256, 176)) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Named poses of an average body, full length: name -> (joints (18, 2) in canvas pixels, visible (18,))."""
    out = {}
    h, w = size
    for name in NAMES:
        affine = bone_affines(base_pose(name), PIVOTS, np.tile(np.eye(3), (len(BONES), 1, 1)))
        p, facing = annotate.joints_in_space(affine, PIVOTS)
        top, low = max(p[0, 1] + HEAD_TOP - 1.58, p[:, 1].max() + 0.15), p[:, 1].min() - 0.09
        scale = min(0.88 * h / (top - low), 0.88 * h / 1.5, 0.86 * w / (np.ptp(p[:, 0]) + 0.25))
        x = w / 2 - scale * (p[:, 0].min() + p[:, 0].max()) / 2
        y = h / 2 + scale * (top + low) / 2
        out[name] = (np.stack([p[:, 0] * scale + x, y - p[:, 1] * scale], 1).astype(np.float32), facing)
    return out

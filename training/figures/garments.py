"""From a person to meshes: the body, the clothes cut from it or hung on it, and the accessories (numpy)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from nted_step.classes import LABELS
from training.figures.body import (
    ARM_AXIS,
    BONE,
    BONES,
    HANGING,
    HEAD,
    HIP,
    LEG_AXIS,
    PIVOTS,
    SHAPES,
    WRIST,
    Template,
    skin_weights,
    step,
    template,
)
from training.figures.hair import hair_mesh
from training.figures.person import Garment, Material, Person
from training.figures.pieces import Piece, bone_weight, compact, grid_faces, rounded_box, simple, tube, vertex_normals


@dataclass
class Figure:
    """A dressed person in rest pose: one mesh.  Per vertex: position, normal, texture (V, 3), weight (V, bones), cut.

    Per face: face (F, 3), region, material, label, instance, bias, two_sided.  materials: (m, 18).
    """

    position: np.ndarray
    normal: np.ndarray
    texture: np.ndarray
    weight: np.ndarray
    cut: np.ndarray
    face: np.ndarray
    region: np.ndarray
    material: np.ndarray
    label: np.ndarray
    instance: np.ndarray
    bias: np.ndarray
    two_sided: np.ndarray
    materials: np.ndarray
    pivots: np.ndarray
    stretch: np.ndarray
    coarse: tuple  # weights and positions of every 7th vertex of the bare body, by which a pose is framed


class _Body:
    """The person's own body and the measurements that garments are fitted to."""

    def __init__(self, person: Person):
        t = self.t = template()
        self.p, self.n = t.position.copy(), t.normal.copy()
        for name, amount in person.shape.items():
            self.p += np.float32(amount) * t.shape[name][0]
            self.n += np.float32(amount) * t.shape[name][1]
        self.n /= np.linalg.norm(self.n, axis=1, keepdims=True)
        x, y, z = self.p.T
        torso = (t.arm < 0.2) & (y < 1.45) & (y > 0.70)
        row = np.clip(((y[torso] - 0.70) / 0.75 * 30).astype(int), 0, 29)
        self.rows = 0.70 + (np.arange(30) + 0.5) / 30 * 0.75
        self.wide, self.front, self.back = np.zeros(30), np.full(30, -1.0), np.full(30, -1.0)
        np.maximum.at(self.wide, row, np.abs(x[torso]))
        np.maximum.at(self.front, row, z[torso])
        np.maximum.at(self.back, row, -z[torso])

    def girth(self, y):
        """(half width, front depth, back depth) of the torso at heights y."""
        return tuple(np.interp(y, self.rows, v) for v in (self.wide, self.front, self.back))

    def chest_front(self, y):
        """Depth of the middle of the chest at heights y."""
        keep = np.abs(self.p[:, 0]) < 0.02
        keep &= (self.p[:, 2] > 0) & (self.p[:, 1] > 0.85) & (self.p[:, 1] < 1.5)
        order = np.argsort(self.p[keep, 1])
        return np.interp(y, self.p[keep, 1][order], self.p[keep, 2][order])


def neckline(p: np.ndarray, kind: str, depth: float) -> np.ndarray:
    """Signed distance below a neckline, per template point."""
    x, y, z = np.abs(p[:, 0]), p[:, 1], p[:, 2]
    base = 1.452 - 0.42 * (z + 0.03)
    front = step(z, -0.035, -0.005)
    if kind == "turtle":
        return np.minimum(np.maximum(base - y + 0.062, np.minimum(x - 0.078, 1.49 - y)), 1.497 - y)
    cut = np.maximum(base - y, np.minimum(x - 0.078, 1.49 - y))
    if kind == "jacket":
        return np.maximum(base + 0.012 - y, np.minimum(x - 0.075, 1.49 - y))
    if kind == "collar":
        return (
            np.minimum(
                cut + 0.028, np.where((z > 0) & (y > 1.33), np.maximum(x * 1.1 + 0.9 * (1.400 - y), np.minimum(x - 0.06, 1.49 - y)), 1.0)
            )
            if depth > 0.085
            else cut + 0.025
        )
    if kind == "v":
        return np.minimum(
            cut, np.where(front > 0.5, np.maximum(base - depth - y + x * (depth / 0.07), np.minimum(x - 0.075, 1.49 - y)), 1.0)
        )
    if kind == "scoop":
        q = (np.hypot(x / 0.088, (y - 1.44) / (depth + 0.03)) - 1) * 0.08
        return np.minimum(cut, np.where(front > 0.5, q, 1.0))
    if kind == "boat":
        return np.minimum(cut, (np.hypot(x / 0.125, (y - 1.455) / 0.055) - 1) * 0.06)
    if kind == "off":
        return 1.345 - y - 0.02 * np.cos(x * 20)
    if kind == "cami":
        edge = 1.315 - y + 0.030 * np.exp(-(((x - 0.075) / 0.04) ** 2))
        strap = np.minimum(0.0075 - np.abs(x - 0.088 + 0.10 * np.maximum(y - 1.36, 0)), 1.48 - y)
        return np.maximum(edge, strap)
    return cut


def _bodice_cut(t: Template, cut: dict, hem: float) -> np.ndarray:
    p = t.position
    sleeve = 0.0 if cut["neck"] == "cami" else cut["sleeve"]
    neck = neckline(p, cut["neck"], cut.get("depth", 0.08))
    c = np.minimum(p[:, 1] - hem, neck)
    if cut["neck"] == "cami":
        arm = (0.30 - t.arm) * 0.12
    elif sleeve < 0.05:
        arm = (0.42 - t.arm) * 0.12
    else:
        arm = np.maximum((0.42 - t.arm) * 0.12, sleeve - t.arm_along)
    hanging = (p[:, 1] < 1.2) & (t.arm_along > 0.2)  # hands and forearms are not torso
    arm = np.where(hanging & (t.arm > 0.05), sleeve - t.arm_along, arm)
    return np.minimum(c, arm)


def _cloth(
    body: _Body,
    cut: np.ndarray,
    offset: np.ndarray,
    material: int,
    kind: str,
    instance: int = 1,
    sideways: np.ndarray | None = None,
    **more,
) -> Piece:
    """A garment cut from the body's own surface, moved out by `offset` metres."""
    t = body.t
    cut = np.where(t.part > 0, -1.0, cut)
    p = body.p + body.n * offset[:, None].astype(np.float32)
    if sideways is not None:
        p = p + sideways.astype(np.float32)
    piece = compact(p, body.n, t.position, t.weight, t.face, t.region, cut, material, LABELS[kind], instance, **more)
    piece.normal = vertex_normals(piece.position, piece.face)
    return piece


def _leg_sideways(body: _Body, width: float, hem: float) -> np.ndarray:
    """Horizontal displacement (v, 3) that widens trouser legs towards the hem."""
    p, t = body.p, body.t
    axis = HIP[0] + (HIP[1] - p[:, 1]) * (LEG_AXIS[0] / -LEG_AXIS[1])
    out = np.stack([p[:, 0] - np.sign(p[:, 0]) * axis, np.zeros(len(p)), p[:, 2]], 1)
    r = np.linalg.norm(out, axis=1, keepdims=True)
    y = t.position[:, 1]
    want = width * step(y, 0.94, 0.62)
    # straight fall: below the knee the leg narrows, the cloth does not
    natural = np.interp(y, [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0.022, 0.024, 0.02, 0.010, 0.006, 0.012, 0])
    want = want + np.clip(width / 0.03, 0, 1) * natural
    return out / np.maximum(r, 1e-4) * (want * t.leg)[:, None]


def _skirt_piece(
    body: _Body, cut: dict, top: float, material: int, kind: str, ease: float, opening: float = 0.0, bias: float = 0.008
) -> Piece:
    """A garment that hangs from the waist: a folded ring from `top` down to the hem."""
    rows, columns = 24, 72
    hem = cut["hem"]
    y = top + (hem - top) * np.linspace(0, 1, rows)
    wide, front, back = body.girth(np.maximum(y, 0.72))
    hip_y = 0.90
    hw, hf, hb = (float(v) for v in body.girth(np.array(hip_y)))
    below = np.clip(hip_y - y, 0, None)
    flare = cut["flare"]
    narrow = 1 - np.clip(-flare, 0, 1) * below
    wide = np.where(y < hip_y, hw * narrow + flare * below * 0.42 + below * 0.055, np.maximum(wide, 0))
    front = np.where(y < hip_y, hf * 0.98 + flare * below * 0.36, front)
    back = np.where(y < hip_y, hb * 0.98 + flare * below * 0.36, back)
    soft = lambda v: np.convolve(np.pad(v, 2, mode="edge"), np.ones(5) / 5, "valid")  # noqa: E731
    spread = np.clip(flare, 0, 1) * 0.10 * step(y, 1.04, 0.88)
    wide, front, back = (soft(v) + ease + spread * 0.5 for v in (wide, front, back))
    a = np.arange(columns) / columns * 2 * np.pi
    s, c = np.sin(a), np.cos(a)
    fall = np.clip((1.0 - y) / max(1.0 - hem, 0.1), 0, 1) ** 1.2
    wave = np.sin(cut.get("count", 9) * a + cut.get("phase", 0)) + 0.5 * np.sin((cut.get("count", 9) * 0.5 // 1 + 3) * a + 1.3)
    fold = 1 + cut.get("fold", 0.01) * fall[:, None] * wave[None] / 0.16
    power = 2 / 2.3
    sx, sz = np.sign(s) * np.abs(s) ** power, np.sign(c) * np.abs(c) ** power
    depth = np.where(c[None] > 0, front[:, None], back[:, None])
    grid = np.stack([wide[:, None] * sx * fold, np.broadcast_to(y[:, None], fold.shape), depth * sz * fold], -1)
    v = grid.reshape(-1, 3).astype(np.float32)
    f = grid_faces(rows, columns)
    n = vertex_normals(v, f)
    if (n[:, 0] * v[:, 0]).sum() < 0:
        f, n = f[:, ::-1], -n
    gap = np.ones(len(v), np.float32)
    if opening:
        gap = np.where(v[:, 2] > 0, np.abs(v[:, 0]) - opening - 0.08 * np.clip(1.0 - v[:, 1], 0, 1), 1).astype(np.float32)
    tex = v.copy()
    piece = Piece(v, n, tex, skirt_weights(v), f, np.full(len(f), HANGING), gap, material, LABELS[kind], 1, bias, True)
    return piece


def skirt_weights(v: np.ndarray) -> np.ndarray:
    """Weights (n, bones) of cloth that hangs from the pelvis over both legs."""
    x, y, _ = v.T
    w = np.zeros((len(v), len(BONES)), np.float32)
    thigh = step(y, 1.00, 0.78) * 0.97
    left = step(x, -0.11, 0.11)
    low = step(y, 0.60, 0.40)
    abdomen = step(y, 0.99, 1.09)
    w[:, BONE["pelvis"]] = (1 - thigh) * (1 - abdomen)
    w[:, BONE["abdomen"]] = (1 - thigh) * abdomen
    for side, share in (("l", left), ("r", 1 - left)):
        w[:, BONE[f"{side}_thigh"]] = thigh * share * (1 - low)
        w[:, BONE[f"{side}_hang"]] = thigh * share * low
    return w


class _Wardrobe:
    """Collects pieces and materials; `cover` is how far inside some garment each body vertex lies."""

    def __init__(self, person: Person):
        self.person, self.body = person, _Body(person)
        self.pieces: list[Piece] = []
        self.materials: list[Material] = []
        self.cover = np.full(len(self.body.p), -1.0)
        self.instances: dict[str, int] = {}

    def material(self, m: Material) -> int:
        self.materials.append(m)
        return len(self.materials) - 1

    def hide(self, cut: np.ndarray) -> None:
        self.cover = np.maximum(self.cover, cut)


def _torso_offset(body: _Body, ease: float, loose: float, flare: float = 0.0) -> np.ndarray:
    t = body.t
    y = t.position[:, 1]
    shoulder = step(y, 1.33, 1.39) * step(t.normal[:, 1], 0.1, 0.7)
    off = ease * (1 - 0.55 * shoulder) * (1 - 0.35 * step(t.arm_along, 0.30, 0.50) * t.arm)
    return off + t.drape * loose * (1 - t.arm) + flare * step(y, 1.15, 0.90) * (1 - t.arm)


def _wear_top(w: _Wardrobe, g: Garment) -> None:
    c, body = g.cut, w.body
    outfit = w.person.outfit
    tucked = c["tucked"] and ({"pants", "skirt", "leggings"} & set(outfit))
    hem = 1.0 if tucked else c["hem"]
    cut = _bodice_cut(body.t, c, hem)
    w.hide(cut)
    offset = _torso_offset(body, c["ease"] + (0 if tucked else 0.007), c["loose"] * (0.55 if tucked else 1), 0 if tucked else c["flare"])
    if "outer" in outfit:
        offset = np.minimum(offset, 0.022)
        cut = np.minimum(cut, 0.03 - _outer_cut(body.t, outfit["outer"].cut))
    w.pieces.append(_cloth(body, cut, offset, w.material(g.material), "top", bias=0.004, two_sided=not tucked))


def _no_foot(p: np.ndarray) -> np.ndarray:
    """Signed distance from the instep and toes, which trouser legs leave free."""
    return np.where(p[:, 1] < 0.16, np.maximum(0.028 - p[:, 2], p[:, 1] - 0.115), 1.0)


def _leg_hem(w: _Wardrobe, hem: float, width: float) -> float:
    """The visible hem of a trouser leg: narrow legs go into boots."""
    shoes = w.person.outfit.get("footwear")
    if shoes is not None and "boot" in shoes.cut["style"] and width < 0.03:
        return max(hem, shoes.cut["top"] - 0.015)
    return hem


def _wear_pants(w: _Wardrobe, g: Garment) -> None:
    c, body = g.cut, w.body
    p, t = body.t.position, body.t
    cut = np.minimum(p[:, 1] - _leg_hem(w, c["hem"], c["width"]), c["rise"] - p[:, 1])
    cut = np.where(t.arm > 0.05, -1, np.minimum(cut, _no_foot(p)))
    w.hide(cut)
    top = w.person.outfit.get("top")
    if top is not None and not top.cut["tucked"]:
        cut = np.minimum(cut, max(top.cut["hem"], 0.9) + 0.02 - p[:, 1])
    elif "dress" in w.person.outfit:
        cut = np.minimum(cut, 0.93 - p[:, 1])
    offset = 0.006 + 0.004 * step(p[:, 1], 0.95, 1.03)
    w.pieces.append(
        _cloth(
            body,
            cut,
            offset * np.ones(len(p)),
            w.material(g.material),
            "pants",
            sideways=_leg_sideways(body, c["width"], c["hem"]),
            bias=0.003,
            two_sided=c["width"] > 0.01,
        )
    )


def _wear_leggings(w: _Wardrobe, g: Garment) -> None:
    body = w.body
    p, t = body.t.position, body.t
    cut = np.where(t.arm > 0.05, -1, np.minimum(np.minimum(p[:, 1] - _leg_hem(w, g.cut["hem"], 0), 1.04 - p[:, 1]), _no_foot(p)))
    w.hide(cut)
    outfit = w.person.outfit
    if "top" in outfit and not outfit["top"].cut["tucked"]:
        cut = np.minimum(cut, max(outfit["top"].cut["hem"], 0.88) + 0.02 - p[:, 1])
    for name in ("skirt", "dress"):
        if name in outfit:
            cut = np.minimum(cut, outfit[name].cut["hem"] + 0.06 - p[:, 1])
    w.pieces.append(_cloth(body, cut, np.full(len(p), 0.003), w.material(g.material), "leggings", bias=0.001))


def _hide_legs(w: _Wardrobe, hem: float) -> None:
    p, t = w.body.t.position, w.body.t
    w.hide(np.where(t.arm > 0.05, -1, np.minimum(p[:, 1] - hem - 0.02, 0.97 - p[:, 1])))


def _wear_skirt(w: _Wardrobe, g: Garment) -> None:
    piece = _skirt_piece(w.body, g.cut, 1.05, w.material(g.material), "skirt", 0.008)
    top = w.person.outfit.get("top")
    if top is not None and not top.cut["tucked"]:
        piece.cut = np.minimum(piece.cut, top.cut["hem"] + 0.02 - piece.texture[:, 1]).astype(np.float32)
    _hide_legs(w, g.cut["hem"])
    w.pieces.append(piece)


def _wear_dress(w: _Wardrobe, g: Garment) -> None:
    c, body = g.cut, w.body
    m = w.material(g.material)
    cut = _bodice_cut(body.t, c, c["waist"] - 0.025)
    w.hide(cut)
    _hide_legs(w, c["hem"])
    w.hide(np.where(body.t.arm > 0.05, -1, np.minimum(1.06 - body.t.position[:, 1], body.t.position[:, 1] - 0.9)))
    if "outer" in w.person.outfit:
        cut = np.minimum(cut, 0.03 - _outer_cut(body.t, w.person.outfit["outer"].cut))
    w.pieces.append(_cloth(body, cut, _torso_offset(body, c["ease"], 0.25), m, "dress", bias=0.004))
    w.pieces.append(_skirt_piece(body, c, c["waist"], m, "dress", c["ease"] + 0.004))


def _outer_cut(t: Template, c: dict) -> np.ndarray:
    p = t.position
    base = dict(sleeve=c["sleeve"], neck="jacket")
    hem = max(c["hem"], 0.865) if c["style"] != "coat" else 0.95
    cut = _bodice_cut(t, base, hem)
    x, y, z = np.abs(p[:, 0]), p[:, 1], p[:, 2]
    width = c["open"] + 0.30 * np.clip(1.20 - y, 0, 0.4) * 0.35 + 0.45 * np.clip(y - 1.36, 0, 0.1)
    return np.minimum(cut, np.where((z > -0.02) & (t.arm < 0.3), x - width, 1.0))


def _wear_outer(w: _Wardrobe, g: Garment) -> None:
    c, body = g.cut, w.body
    cut = _outer_cut(body.t, c)
    arm = body.t.arm > 0.6
    w.hide(np.where(arm, cut, -1))
    offset = _torso_offset(body, c["ease"], 0.75, 0.012) + 0.004 * step(body.t.position[:, 1], 1.37, 1.42) * (1 - body.t.arm)
    if "skirt" in w.person.outfit or "dress" in w.person.outfit:
        offset = offset + 0.015 * step(body.t.position[:, 1], 1.1, 0.98) * (1 - body.t.arm)
    m = w.material(g.material)
    w.pieces.append(_cloth(body, cut, offset, m, "outer", bias=0.008, two_sided=True))
    if c["style"] == "coat":
        coat = dict(c, fold=0.004, count=7)
        inner = w.person.outfit.get("skirt") or w.person.outfit.get("dress")
        if inner is not None:
            coat["flare"] = max(coat["flare"], inner.cut["flare"] + 0.08)
        w.pieces.append(_skirt_piece(body, coat, 0.985, m, "outer", c["ease"] + 0.034, c["open"] + 0.005, bias=0.012))


def _wear_footwear(w: _Wardrobe, g: Garment) -> None:
    body = w.body
    p, t = body.t.position, body.t
    style, top = g.cut["style"], g.cut["top"]
    cut = np.where((p[:, 1] < 0.6) & (t.arm < 0.05), top - p[:, 1], -1)
    if style in ("flat", "loafer"):
        cut = np.minimum(
            cut, np.where(p[:, 2] > -0.02, 0.036 + 0.030 * step(p[:, 2], 0.075, 0.105) - p[:, 1] + 0.016 * (style == "loafer"), 1)
        )
    w.hide(cut - 0.004)
    m = w.material(g.material)
    offset = 0.007 + 0.004 * step(p[:, 1], 0.05, 0.02) + (0.010 if "boot" in style else 0) * step(p[:, 1], 0.10, 0.16)
    for i, side in enumerate((-1, 1)):
        one = np.where(np.sign(p[:, 0]) == side, cut, -1)
        w.pieces.append(
            _cloth(
                body, one, offset, m, "footwear", instance=20 + i, bias=0.002 if "boot" not in style else 0.004, two_sided="boot" in style
            )
        )


def _wear_belt(w: _Wardrobe, g: Garment) -> None:
    body, top = w.body, w.person.outfit.get("top")
    if top is not None and not top.cut["tucked"] and top.cut["hem"] < 1.02:
        return  # under a hanging top
    p, t = body.t.position, body.t
    cut = np.where(t.arm > 0.05, -1, g.cut["height"] - np.abs(p[:, 1] - 1.028))
    offset = np.full(len(p), 0.016)
    if "dress" in w.person.outfit or "skirt" in w.person.outfit:
        offset += 0.006
    m = Material(**{**g.material.__dict__, "detail": 6})
    w.pieces.append(_cloth(body, cut, offset, w.material(m), "belt", bias=0.012))


def _wear_bag(w: _Wardrobe, g: Garment) -> None:
    c, body = g.cut, w.body
    s = c["side"]
    m = w.material(g.material)
    flip = np.array([s, 1, 1], np.float32)
    if c["style"] == "hand":
        bone = "l_carry" if s > 0 else "r_carry"
        pivot = (WRIST + 0.10 * ARM_AXIS) * flip
        v, f = rounded_box(pivot + [0, -0.11 - c["height"], 0], (0.045, c["height"], c["width"]), 5)
        w.pieces.append(simple(v, f, bone_weight(len(v), bone), m, LABELS["bag"], 1, texture=_bag_texture(v), bias=0.006))
        a = np.linspace(0, np.pi, 13)
        for side in (-0.02, 0.02):
            loop = pivot + np.stack([np.full(13, side), np.sin(a) * 0.13 - 0.125, np.cos(a) * c["width"] * 0.55], 1)
            v, f = tube(loop, 0.006, out=(1, 0, 0), sides=6)
            w.pieces.append(simple(v, f, bone_weight(len(v), bone), m, LABELS["bag"], 1, bias=0.006))
        return
    hw, hf, _ = (float(v) for v in body.girth(np.array(0.92)))
    thick = 0.035
    centre = np.array([s * (hw + thick + 0.035), 0.90, 0.02])
    v, f = rounded_box(centre, (thick, c["height"], c["width"]), 5)
    w.pieces.append(simple(v, f, bone_weight(len(v), "pelvis"), m, LABELS["bag"], 1, texture=_bag_texture(v), bias=0.01))
    # the strap: over the far (cross) or near shoulder, front and back
    over = np.array([-s * 0.085 if c["style"] == "cross" else s * 0.115, 1.452, -0.03])
    for face in (1, -1):
        k = np.linspace(0, 1, 26)[:, None]
        line = (1 - k) * over + k * np.array([s * (hw + 0.03), 0.985, 0.02])
        _, front, back = body.girth(line[:, 1])
        wide = body.girth(line[:, 1])[0]
        depth = np.where(face > 0, front, back) * np.clip(1 - np.abs(line[:, 0] / (wide + 0.02)) ** 3, 0, 1) ** 0.45
        top = step(line[:, 1], 1.46, 1.34)
        line[:, 2] = face * (depth * top + 0.026) - 0.03 * (1 - top)
        v, f = tube(line, 0.009, flat=0.35, sides=6)
        wt = skin_weights(v)[0]
        w.pieces.append(simple(v, f, _torso_only(wt), m, LABELS["bag"], 1, bias=0.022))


def _torso_only(weight: np.ndarray) -> np.ndarray:
    keep = [BONE[n] for n in ("pelvis", "abdomen", "chest", "neck", "r_clavicle", "l_clavicle")]
    w = np.zeros_like(weight)
    w[:, keep] = weight[:, keep]
    w[:, BONE["chest"]] += 1e-4
    return w / w.sum(1, keepdims=True)


def _bag_texture(v: np.ndarray) -> np.ndarray:
    return np.stack([v[:, 2], v[:, 1], np.abs(v[:, 0])], 1)


def _wear_neckwear(w: _Wardrobe, g: Garment) -> None:
    c, body = g.cut, w.body
    m = w.material(g.material)
    a = np.arange(28) / 28 * 2 * np.pi
    style = c["style"]
    extra = 0.028 if "outer" in w.person.outfit else 0.012

    def add(v, f, bias=0.01, **more):
        w.pieces.append(simple(v, f, _torso_only(skin_weights(v)[0]), m, LABELS["neckwear"], 1, bias=bias, **more))

    if style == "scarf":
        for lift, r in ((0, 0.086), (0.028, 0.078)):
            ring = np.stack([np.sin(a) * r, 1.452 + lift - 0.030 * np.cos(a), -0.030 + np.cos(a) * r * 0.98], 1)
            add(*tube(ring, 0.030, sides=10, closed=True, out=(0, 1, 0)))
        for x, k in ((0.035, 1.0), (-0.030, 0.8)):
            y = np.linspace(1.43, 1.43 - c["length"] * k, 14)
            z = np.maximum(body.chest_front(y), body.girth(y)[1] * 0.96) + extra + 0.012
            add(*tube(np.stack([x + 0.02 * np.linspace(0, 1, 14), y, z], 1), 0.036, flat=0.35, sides=10), bias=0.014)
    elif style == "tie":
        y = np.linspace(1.418, 1.05, 18)
        width = np.interp(y, [1.05, 1.09, 1.38, 1.395, 1.42], [0.004, 0.036, 0.020, 0.014, 0.020])
        add(*tube(np.stack([np.zeros(18), y, body.chest_front(y) + extra + 0.010], 1), width, flat=0.25, sides=8), bias=0.012)
    elif style == "choker":
        ring = np.stack([np.sin(a) * 0.060, 1.478 - 0.012 * np.cos(a), -0.024 + np.cos(a) * 0.060], 1)
        add(*tube(ring, 0.009, sides=6, closed=True, out=(0, 1, 0)))
    else:
        drop = c["length"] * 0.45
        front = np.clip(np.cos(a), 0, 1)
        y = 1.445 - 0.02 * np.cos(a) - drop * front**1.5
        z = np.where(np.cos(a) > 0.15, body.chest_front(y) + 0.006 + extra * 0.5, -0.030 + np.cos(a) * 0.068)
        ring = np.stack([np.sin(a) * 0.070, y, z], 1)
        add(*tube(ring, 0.0055, sides=6, closed=True), bias=0.02)


def _wear_headwear(w: _Wardrobe, g: Garment) -> None:
    m = w.material(g.material)
    style = g.cut["style"]
    v, f, level = _hat(style)
    cut = v[:, 1] - level(v)
    w.pieces.append(
        simple(
            v, f, bone_weight(len(v), "head"), m, LABELS["headwear"], 1, cut=cut.astype(np.float32), region=HEAD, bias=0.004, two_sided=True
        )
    )
    if style == "beanie":
        ring_a = np.arange(36) / 36 * 2 * np.pi
        ring = np.stack([np.sin(ring_a) * 0.090, 1.662 - 0.022 * np.cos(ring_a + np.pi), -0.012 + np.cos(ring_a) * 0.108], 1)
        b, bf = tube(ring, 0.017, flat=1.0, sides=8, closed=True, out=(0, 1, 0))
        w.pieces.append(simple(b, bf, bone_weight(len(b), "head"), m, LABELS["headwear"], 1, region=HEAD, bias=0.005))
    else:
        k = np.linspace(0, 1, 7)[:, None]
        a = np.linspace(-1.25, 1.25, 25)[None] if style == "cap" else np.arange(48)[None] / 48 * 2 * np.pi
        reach = 0.075 * np.cos(np.clip(a, -1.3, 1.3)) ** 0.6 if style == "cap" else 0.075 + 0.01 * np.cos(2 * a)
        droop = 0.030 * k**2 if style == "cap" else 0.022 * k**1.5 - 0.016 * k * np.cos(2 * a)
        x, z = np.sin(a) * (0.088 + k * reach), -0.012 + np.cos(a) * (0.106 + k * reach)
        level_y = 1.676
        grid = np.stack(np.broadcast_arrays(x, level_y - droop + 0.012 * np.cos(a), z), -1)
        b = grid.reshape(-1, 3)
        bf = grid_faces(7, grid.shape[1], closed=style != "cap")
        w.pieces.append(simple(b, bf, bone_weight(len(b), "head"), m, LABELS["headwear"], 1, region=HEAD, bias=0.005, two_sided=True))


@cache
def _hat(style: str):
    size = {"beanie": (0.0885, 0.112, 0.109), "cap": (0.0885, 0.108, 0.108), "brim": (0.092, 0.128, 0.110)}[style]
    v, f = rounded_box((0, 1.648, -0.012), size, 2.2 if style != "brim" else 2.9, rows=24, columns=40)
    level = {"beanie": lambda q: 1.650 + 0.10 * (q[:, 2] + 0.012), "cap": lambda q: 1.672 + 0.10 * (q[:, 2] + 0.012)}.get(
        style, lambda q: 1.672 + 0.08 * (q[:, 2] + 0.012)
    )
    return v, f, level


def _wear_eyeglass(w: _Wardrobe, g: Garment) -> None:
    c = g.cut
    m = w.material(g.material)
    a = np.arange(20) / 20 * 2 * np.pi
    p = 2 / c["round"]
    wide, high = c["width"], c["height"]

    def add(v, f, mat=m, **more):
        w.pieces.append(simple(v, f, bone_weight(len(v), "head"), mat, LABELS["eyeglass"], 1, region=HEAD, **{"bias": 0.006, **more}))

    for s in (-1, 1):
        x = s * (0.0335 + np.sign(np.cos(a)) * np.abs(np.cos(a)) ** p * wide)
        y = 1.608 + np.sign(np.sin(a)) * np.abs(np.sin(a)) ** p * high
        z = 0.110 - 6.0 * np.maximum(np.abs(x) - 0.01, 0) ** 2
        ring = np.stack([x, y, z], 1)
        add(*tube(ring, 0.0030, sides=5, closed=True))
        temple = np.array(
            [[s * (0.033 + wide), 1.614, 0.092], [s * 0.079, 1.615, 0.055], [s * 0.083, 1.611, -0.005], [s * 0.080, 1.59, -0.025]]
        )
        add(*tube(temple, 0.0030, sides=5, out=(0, 1, 0)))
        if c["dark"]:
            disc = np.concatenate([ring, [[s * 0.0335, 1.608, 0.110]]])
            f = np.stack([np.arange(20), (np.arange(20) + 1) % 20, np.full(20, 20)], 1)
            add(disc, f if s > 0 else f[:, ::-1], w.material(g.second), two_sided=True)
    bridge = np.array([[-0.008, 1.612, 0.109], [0, 1.615, 0.113], [0.008, 1.612, 0.109]])
    add(*tube(bridge, 0.0030, sides=5, out=(0, 1, 0)))


_WEAR = {
    "leggings": _wear_leggings,
    "pants": _wear_pants,
    "skirt": _wear_skirt,
    "dress": _wear_dress,
    "top": _wear_top,
    "outer": _wear_outer,
    "footwear": _wear_footwear,
    "belt": _wear_belt,
    "bag": _wear_bag,
    "neckwear": _wear_neckwear,
    "headwear": _wear_headwear,
    "eyeglass": _wear_eyeglass,
}


def _add_hair(w: _Wardrobe) -> None:
    person = w.person
    if person.hair == "bald":
        return
    style, hat = person.hair, w.person.outfit.get("headwear")
    if hat is not None:
        style = {"afro": "curly", "bun": "ponytail", "swept": "short", "undercut": "short"}.get(style, style)
    p, n, wt, f, cut = hair_mesh(style)
    if hat is not None:
        cut = np.minimum(cut, 1.690 - p[:, 1])
        p = np.where((p[:, 1] > 1.63)[:, None], p * [0.95, 1, 0.95], p).astype(np.float32)
    c = np.asarray(person.hair_colour)
    m = w.material(
        Material(
            "hair",
            tuple(c),
            tuple(np.clip(c * 0.55, 0, 1)),
            tuple(np.clip(c * 1.35 + 0.03, 0, 1)),
            0.006,
            0.5,
            0,
            0.25,
            0.4,
            person.seed % 60000,
            9 if style in ("afro", "curly", "buzz") else 0,
        )
    )
    region = np.full(len(f), HEAD)
    w.pieces.append(compact(p, n, p, wt, f, region, cut, m, LABELS["hair"], 1, bias=0.001, two_sided=True))


def _add_skin(w: _Wardrobe) -> None:
    person, body = w.person, w.body
    t = body.t
    m = w.material(Material("skin", person.skin, person.skin, person.hair_colour, 0.05, 0.5, 0, 0.12, 0.1, person.seed % 60000))
    cut = 0.012 - w.cover
    w.pieces.insert(0, compact(body.p, body.n, t.position, t.weight, t.face, t.region, cut, m, LABELS["skin"], 1))


def _stretch(person: Person) -> np.ndarray:
    s = person.stretch
    out = np.tile(np.eye(3), (len(BONES), 1, 1))
    for i, name in enumerate(BONES):
        flip = np.array([-1 if name.startswith("r_") else 1, 1, 1])
        along = lambda axis, k: np.eye(3) + (k - 1) * np.outer(axis * flip, axis * flip)  # noqa: E731
        if name in ("abdomen", "chest", "pelvis"):
            out[i] = np.diag([1, s["torso"], 1])
        elif name.endswith(("_thigh", "_shin", "_hang")):
            out[i] = along(LEG_AXIS, s["leg"])
        elif name.endswith(("_arm", "_forearm")):
            out[i] = along(ARM_AXIS, s["arm"])
        elif name == "head":
            out[i] = np.diag([s["head"] * s["face"], s["head"], s["head"]])
    return out


def assemble(person: Person) -> Figure:
    """The mesh of a dressed person."""
    w = _Wardrobe(person)
    for kind in _WEAR:
        if kind in person.outfit:
            _WEAR[kind](w, person.outfit[kind])
    _add_skin(w)
    _add_hair(w)
    pivots = PIVOTS.copy()
    shift = sum(a * (SHAPES[n].shoulder - 1) * 0.15 for n, a in person.shape.items())
    for i, name in enumerate(BONES):
        if name.endswith(("_arm", "_forearm", "_hand", "_fingers", "_carry")):
            pivots[i, 0] += shift * (-1 if name.startswith("r_") else 1)
    base = np.cumsum([0] + [len(p.position) for p in w.pieces])
    cat = lambda get: np.concatenate([get(p) for p in w.pieces])  # noqa: E731
    per_face = lambda get, kind: np.concatenate([np.full(len(p.face), get(p), kind) for p in w.pieces])  # noqa: E731
    return Figure(
        cat(lambda p: p.position).astype(np.float32),
        cat(lambda p: p.normal).astype(np.float32),
        cat(lambda p: p.texture).astype(np.float32),
        cat(lambda p: p.weight).astype(np.float32),
        cat(lambda p: p.cut).astype(np.float32),
        np.concatenate([p.face + b for p, b in zip(w.pieces, base)]),
        cat(lambda p: p.region),
        per_face(lambda p: p.material, np.int64),
        per_face(lambda p: p.label, np.int64),
        per_face(lambda p: p.instance, np.int64),
        per_face(lambda p: p.bias, np.float32),
        per_face(lambda p: p.two_sided, bool),
        np.array([m.row() for m in w.materials], np.float32),
        pivots,
        _stretch(person),
        (np.ascontiguousarray(w.body.t.weight[::7]), np.ascontiguousarray(w.body.p[::7])),
    )

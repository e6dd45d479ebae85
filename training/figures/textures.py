"""Colour of surface points: patterns of cloth, skin, face and hair, as functions of the template position (torch)."""

from __future__ import annotations

import torch
from torch import Tensor

from training.figures.body import BODY, HEAD
from training.figures.materials import PATTERN
from training.figures.skeleton import ARM_AXIS, ARM_OUT, SHOULDER


def wrap(p: Tensor, region: Tensor) -> tuple[Tensor, Tensor]:
    """Cloth coordinates (u around, v along), metres, of template points n x 3 by region."""
    x, y, z = p.unbind(1)
    ax = x.abs()
    leg = ax - (0.088 + (0.925 - y) * 0.0893)
    q0, q1, q2 = ax - float(SHOULDER[0]), y - float(SHOULDER[1]), z - float(SHOULDER[2])
    along = q0 * float(ARM_AXIS[0]) + q1 * float(ARM_AXIS[1])
    out = q0 * float(ARM_OUT[0]) + q1 * float(ARM_OUT[1])
    reach = torch.hypot(out, q2)
    body = region == BODY
    # an armhole round the shoulder, and trouser legs that begin under the hips
    is_arm = body & (along > 0.02 + 1.6 * (reach - 0.06).clamp_min(0)) & (reach < 0.15)
    is_leg = body & (y < 0.895) & ~is_arm
    sine = torch.where(is_arm, q2, torch.where(is_leg, leg, x))
    cosine = torch.where(is_arm, out, torch.where(is_leg, z, 1.5 * (z + 0.015)))
    radius = torch.where(is_arm, 0.05, torch.where(is_leg, 0.075, torch.where(region == HEAD, 0.09, 0.15)))
    return torch.atan2(sine, cosine) * radius, torch.where(is_arm, 1.40 - along, y)


def _hash(i: Tensor, j: Tensor, seed: Tensor) -> Tensor:
    """Repeatable random numbers in [0, 1) of integer cells (32-bit arithmetic that wraps)."""
    h = i.int() * 374761393 + j.int() * 668265263 + seed.int() * 144664733
    h = (h ^ ((h >> 13) & 0x7FFFF)) * 1274126177
    return ((h ^ ((h >> 16) & 0xFFFF)) & 0xFFFFFF).float() * (1 / 16777216)


def noise(u: Tensor, v: Tensor, seed: Tensor) -> Tensor:
    """Smooth value noise in [0, 1) with unit cells."""
    fu, fv = u.floor(), v.floor()
    a, b = u - fu, v - fv
    a, b = a * a * (3 - 2 * a), b * b * (3 - 2 * b)
    i, j = fu.int(), fv.int()
    top = torch.lerp(_hash(i, j, seed), _hash(i + 1, j, seed), a)
    low = torch.lerp(_hash(i, j + 1, seed), _hash(i + 1, j + 1, seed), a)
    return torch.lerp(top, low, b)


def _edge(x: Tensor, soft: Tensor | float) -> Tensor:
    return (x / soft * 0.5 + 0.5).clamp(0, 1)


def _mix(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    return a + (b - a) * t[:, None]


class _Points:
    """Surface points of one pattern, with their material's parameters (n each)."""

    def __init__(self, m: Tensor, p: Tensor, u: Tensor, v: Tensor, pixel: Tensor):
        self.a, self.b, self.c = m[:, 1:4], m[:, 4:7], m[:, 7:10]
        self.scale, self.duty, self.phase = m[:, 10], m[:, 11], m[:, 12]
        self.seed, self.detail = m[:, 15].int(), m[:, 16]
        self.x, self.y, self.z = p.unbind(1)
        self.u, self.v, self.pixel = u, v, pixel


def _solid(q):
    return q.a


def _wave(t, duty, soft):
    """1 inside the first `duty` of each unit period."""
    f = t - t.floor()
    return torch.minimum(_edge(f, soft), torch.maximum(_edge(duty - f, soft), _edge(f - 1 + soft * 0.5, soft)))


def _stripes(q):
    t = q.v / q.scale + q.phase
    soft = q.pixel / q.scale
    col = _mix(q.a, q.b, _wave(t, q.duty, soft))
    thin = (q.phase > 0.6).float()
    return _mix(col, q.c, _wave(t + 0.5 * (1 - q.duty) + 0.35, 0.12 * thin, soft) * thin)


def _pinstripes(q):
    return _mix(q.a, q.b, _wave(q.u / q.scale + q.phase, 0.14 + 0.25 * q.duty, q.pixel / q.scale))


def _check(q):
    soft = q.pixel / q.scale
    h, w = _wave(q.v / q.scale, q.duty, soft), _wave(q.u / q.scale, q.duty, soft)
    col = _mix(q.a, q.b, (h + w) * 0.45)
    line = torch.maximum(_wave(q.v / q.scale + 0.3, 0.07, soft), _wave(q.u / q.scale + 0.3, 0.07, soft))
    return _mix(col, q.c, line * 0.8)


def _gingham(q):
    soft = q.pixel / q.scale
    h, w = _wave(q.v / q.scale, 0.5, soft), _wave(q.u / q.scale, 0.5, soft)
    return _mix(torch.full_like(q.a, 0.93), q.a, (h + w) * 0.5)


def _dots(q):
    r = q.v / q.scale
    row = r.floor()
    c = q.u / q.scale + 0.5 * torch.remainder(row, 2)
    d = torch.hypot(c - c.floor() - 0.5, r - row - 0.5)
    return _mix(q.a, q.b, _edge(0.16 + 0.2 * q.duty - d, q.pixel / q.scale))


def _block(q):
    one, two = _edge(q.v - (1.28 - 0.22 * q.phase), q.pixel), _edge(q.v - (1.08 - 0.30 * q.phase), q.pixel)
    side = _edge(q.x, q.pixel)
    across = _mix(_mix(q.a, q.c, two), q.b, one)
    return torch.where((q.duty > 0.58)[:, None], _mix(q.a, q.b, side), across)


def _panel(q):
    return _mix(q.a, q.b, _edge(q.x.abs() - 0.075, q.pixel))


def _floral(q):
    r, c = q.v / q.scale, q.u / q.scale
    col = q.a
    for k, (petals, tone) in enumerate(((5, q.b), (4, q.c))):
        rr, cc = r + 0.5 * k, c + 0.5 * k
        i, j = cc.floor(), rr.floor()
        du = cc - i - 0.5 - 0.3 * (_hash(i.long(), j.long(), q.seed + k) - 0.5)
        dv = rr - j - 0.5 - 0.3 * (_hash(j.long(), i.long(), q.seed + 7 + k) - 0.5)
        turn = 6.28 * _hash(i.long() + 3, j.long(), q.seed + k)
        d, a = torch.hypot(du, dv), torch.atan2(dv, du)
        size = (0.24 if k == 0 else 0.17) * (1 + 0.35 * torch.cos(petals * a + turn))
        col = _mix(col, tone, _edge(size - d, q.pixel / q.scale))
        col = _mix(col, q.c if k == 0 else q.b, _edge(0.07 - d, q.pixel / q.scale))
    return col


def _graphic(q):
    """A plain cloth with an emblem on the chest."""
    x, y = q.x / 0.085, (q.y - 1.245) / 0.085
    kind = torch.remainder(q.seed, 5).long()
    d, a = torch.hypot(x, y), torch.atan2(y, x)
    disc = 0.85 - d
    star = (0.62 + 0.28 * torch.cos(5 * a - 1.57)) - d
    box = torch.minimum(0.9 - x.abs(), 0.45 - y.abs())
    ring = 0.20 - (d - 0.65).abs()
    bars = torch.minimum(torch.minimum(0.95 - x.abs(), 0.62 - y.abs()), 0.13 - (torch.remainder(y + 0.2, 0.42) - 0.21).abs())
    sdf = torch.stack([disc, star, box, ring, bars]).gather(0, kind[None])[0]
    soft = q.pixel / 0.085
    front = (q.z > 0).float()
    col = _mix(q.a, q.b, _edge(sdf, soft) * front)
    inner_x, inner_y = torch.remainder(x * 2.2 + q.phase, 1) - 0.5, torch.remainder(y * 2.2 + q.duty, 1) - 0.5
    letter = torch.maximum(_edge(0.13 - inner_x.abs(), soft * 2.2), _edge(0.12 - inner_y.abs(), soft * 2.2) * (inner_x > 0))
    inside = _edge(sdf - 0.16, soft) * front * (kind != 3)
    return _mix(col, q.c, letter * inside)


def _denim(q):
    grain = noise(q.u * 420, q.v * 420, q.seed)
    fade = noise(q.u * 9, q.v * 5, q.seed + 5) * 0.6 + _edge(0.05 - (q.u.abs() - 0.02).abs(), 0.05) * 0.4
    return _mix(q.a, q.b, (0.32 * fade + 0.22 * (grain - 0.5)).clamp(0, 1))


def _zigzag(q):
    t = q.v / q.scale + (torch.remainder(q.u / q.scale, 1) - 0.5).abs()
    return _mix(q.a, q.b, _wave(t, q.duty, q.pixel / q.scale))


def _camo(q):
    u, v = q.u / q.scale, q.v / q.scale
    n = 0.65 * noise(u, v, q.seed) + 0.35 * noise(u * 2.3, v * 2.3, q.seed + 1)
    m = 0.65 * noise(u + 9, v, q.seed + 2) + 0.35 * noise(u * 2.3, v * 2.3, q.seed + 3)
    return _mix(_mix(q.a, q.b, _edge(n - 0.52, 0.03)), q.c, _edge(m - 0.60, 0.03))


def _paint(q):
    u, v = q.u / q.scale, q.v / q.scale
    w = noise(u * 1.4, v * 1.4, q.seed + 4) * 1.6
    n = noise(u + w, v * 0.6 + w, q.seed)
    m = noise(u * 1.7 + w, v + 5, q.seed + 2)
    return _mix(_mix(q.a, q.b, _edge(n - 0.5, 0.10)), q.c, _edge(m - 0.66, 0.06))


def _ombre(q):
    return _mix(q.a, q.b, ((1.30 - q.v) / 0.55).clamp(0, 1))


def _knit(q):
    rib = 0.5 + 0.5 * torch.cos(q.u / q.scale * 6.2832)
    fuzz = noise(q.u * 300, q.v * 160, q.seed)
    return q.a * (0.80 + 0.16 * rib + 0.12 * (fuzz - 0.5))[:, None]


def _leather(q):
    return q.a * (0.92 + 0.16 * noise(q.u * 90, q.v * 90, q.seed))[:, None]


def _skin(q):
    """Skin, with the face drawn on the front of the head."""
    tone = 1 + 0.05 * (noise(q.u * 25, q.v * 25, q.seed) - 0.5)
    return q.a * tone[:, None]


def _shoe(q):
    sole = _edge(0.020 - q.y, q.pixel)
    laces = (
        (q.detail > 0.5)
        * (q.z > 0.0)
        * (q.z < 0.075)
        * (q.y > 0.045)
        * _wave(q.z / 0.018, 0.5, q.pixel / 0.018)
        * ((q.x.abs() - 0.172).abs() < 0.016)
    )
    return _mix(_mix(q.a, q.b, laces.float() * 0.8), q.b, sole)


def _hair(q):
    around = torch.atan2(q.x, q.z + 0.02)
    curly = q.detail > 0.5
    strand = (
        noise(around * 30 + 2.0 * noise(q.y * 18, around * 3, q.seed), q.y * 7, q.seed) * 0.6
        + noise(around * 75, q.y * 12, q.seed + 1) * 0.4
    )
    curl = noise(q.x * 110, q.y * 110 + q.z * 70, q.seed)
    t = torch.where(curly, curl, strand)
    return _mix(_mix(q.a, q.b, (1.1 - 2.0 * t).clamp(0, 0.75)), q.c, (1.6 * t - 1.0).clamp(0, 0.5))


def _seat(q):
    return q.a * (0.97 + 0.05 * noise(q.x * 40, q.y * 8, q.seed))[:, None]


_SHADERS = {
    "solid": _solid,
    "stripes": _stripes,
    "pinstripes": _pinstripes,
    "check": _check,
    "gingham": _gingham,
    "dots": _dots,
    "block": _block,
    "floral": _floral,
    "graphic": _graphic,
    "denim": _denim,
    "zigzag": _zigzag,
    "camo": _camo,
    "ombre": _ombre,
    "knit": _knit,
    "leather": _leather,
    "paint": _paint,
    "skin": _skin,
    "hair": _hair,
    "shoe": _shoe,
    "lens": _solid,
    "seat": _seat,
    "panel": _panel,
}


def _details(col: Tensor, m: Tensor, p: Tensor, u: Tensor, v: Tensor, pixel: Tensor) -> Tensor:
    """Seams, buttons, zips and pockets, on garments that have them."""
    kind = m[:, 16]
    x, y, z = p.unbind(1)
    ax, front = x.abs(), (z > 0).float()
    dark, light = col * 0.62, (col * 0.5 + 0.45)
    line = lambda d, w: _edge(w - d.abs(), pixel)  # noqa: E731
    is_ = lambda k: (kind == k).float() * front  # noqa: E731
    body = ((v - y).abs() < 1e-6).float()
    placket = line(ax - 0.017, 0.0012) * (y > 0.8) * body
    button = _edge(0.0058 - torch.hypot(x, torch.remainder(y, 0.085) - 0.0425), pixel) * body
    col = _mix(col, dark, placket * is_(1) * 0.5)
    col = _mix(col, light, button * is_(1))
    fly = torch.maximum(
        line(x, 0.0015) * (y > 0.90) * (y < 1.03), line(y - (1.005 - (ax - 0.06).clamp_min(0) * 0.9), 0.0018) * (ax > 0.05) * (ax < 0.13)
    )
    band = line(y - 1.008, 0.0012)
    col = _mix(col, dark, torch.maximum(fly, band) * is_(3) * 0.7)
    lapel = line(ax - (0.035 + 0.5 * (y - 1.20).clamp_min(0)), 0.0022) * (y > 1.2) * (y < 1.40) * body
    col = _mix(col, dark, lapel * is_(4) * 0.8)
    pocket = line(torch.maximum((ax - 0.09).abs() / 0.04, (y - 1.27).abs() / 0.045) * 0.04 - 0.04, 0.0016) * body
    hip_pocket = line(y - 0.985, 0.003) * (ax > 0.06) * (ax < 0.13) * body
    col = _mix(col, dark, torch.maximum(pocket * is_(5), hip_pocket * is_(4)) * 0.7)
    buckle = _edge(torch.minimum(0.026 - ax, 0.022 - (y - 1.028).abs()), pixel) * is_(6)
    return _mix(col, col.new_tensor([0.75, 0.68, 0.45]).expand_as(col), buckle)


def colour(m: Tensor, p: Tensor, region: Tensor, pixel: Tensor, present: set[int], wrapped: tuple[Tensor, Tensor]) -> Tensor:
    """Linear-ish RGB (n x 3) of points: material rows m (n x 18), template positions p, regions, metres per pixel (n).

    present: the pattern numbers that occur; wrapped: the (u, v) of `wrap`.
    """
    u, v = wrapped
    out = torch.empty_like(p)
    kind = m[:, 0]
    for name, k in PATTERN.items():
        if k not in present:
            continue
        index = (kind == k).nonzero().squeeze(1)
        out[index] = _SHADERS.get(name, _solid)(_Points(*(t.index_select(0, index) for t in (m, p, u, v, pixel))))
    index = (m[:, 16] > 0).nonzero().squeeze(1)
    if len(index):
        out[index] = _details(*(t.index_select(0, index) for t in (out, m, p, u, v, pixel)))
    return out.clamp(0, 1)


def creases(m: Tensor, p: Tensor) -> Tensor:
    """Relative brightness (n) of folds in cloth."""
    seed = m[:, 15].int()
    u, v = p[:, 0] + 0.7 * p[:, 2], p[:, 1]
    a, b = u * 19 + v * 9, v * 8 - u * 5
    relief = noise(a + 0.45, b + 0.2, seed + 11) - noise(a, b, seed + 11)  # light on one flank, shade on the other
    return 1 + m[:, 14] * relief * 0.9

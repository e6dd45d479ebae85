"""Colour of surface points: patterns of cloth, skin, face and hair, as functions of the template position (torch)."""

from __future__ import annotations

import torch
from torch import Tensor

from training.figures.blending import edge, mix
from training.figures.body import BODY, HEAD
from training.figures.materials import (
    COLOUR_COLUMNS,
    DETAIL_COLUMN,
    DUTY_COLUMN,
    FOLD_COLUMN,
    PATTERN,
    PATTERN_COLUMN,
    PHASE_COLUMN,
    SCALE_COLUMN,
    SECOND_COLUMNS,
    SEED_COLUMN,
    THIRD_COLUMNS,
    Detail,
)
from training.figures.skeleton import ARM_AXIS, ARM_OUT, SHOULDER


def wrap(position: Tensor, region: Tensor) -> tuple[Tensor, Tensor]:
    """Cloth coordinates (u around, v along), metres, of template points K x 3 by region K."""
    x, y, z = position.unbind(1)
    aside = x.abs()
    leg = aside - (0.088 + (0.925 - y) * 0.0893)
    x_off, y_off, z_off = aside - float(SHOULDER[0]), y - float(SHOULDER[1]), z - float(SHOULDER[2])
    along = x_off * float(ARM_AXIS[0]) + y_off * float(ARM_AXIS[1])
    out = x_off * float(ARM_OUT[0]) + y_off * float(ARM_OUT[1])
    reach = torch.hypot(out, z_off)
    body = region == BODY
    # an armhole round the shoulder, and trouser legs that begin under the hips
    is_arm = body & (along > 0.02 + 1.6 * (reach - 0.06).clamp_min(0)) & (reach < 0.15)
    is_leg = body & (y < 0.895) & ~is_arm
    sine = torch.where(is_arm, z_off, torch.where(is_leg, leg, x))
    cosine = torch.where(is_arm, out, torch.where(is_leg, z, 1.5 * (z + 0.015)))
    radius = torch.where(is_arm, 0.05, torch.where(is_leg, 0.075, torch.where(region == HEAD, 0.09, 0.15)))
    return torch.atan2(sine, cosine) * radius, torch.where(is_arm, 1.40 - along, y)


def _hash(i: Tensor, j: Tensor, seed: Tensor) -> Tensor:
    """Repeatable random numbers in [0, 1) of integer cells (32-bit arithmetic that wraps)."""
    bits = i.int() * 374761393 + j.int() * 668265263 + seed.int() * 144664733
    bits = (bits ^ ((bits >> 13) & 0x7FFFF)) * 1274126177
    return ((bits ^ ((bits >> 16) & 0xFFFF)) & 0xFFFFFF).float() * (1 / 16777216)


def noise(u: Tensor, v: Tensor, seed: Tensor) -> Tensor:
    """Smooth value noise in [0, 1) with unit cells."""
    column, row = u.floor(), v.floor()
    right, down = u - column, v - row
    right, down = right * right * (3 - 2 * right), down * down * (3 - 2 * down)
    i, j = column.int(), row.int()
    top = torch.lerp(_hash(i, j, seed), _hash(i + 1, j, seed), right)
    low = torch.lerp(_hash(i, j + 1, seed), _hash(i + 1, j + 1, seed), right)
    return torch.lerp(top, low, down)


class _Points:
    """K surface points of one pattern: colours K x 3, measures of the pattern, template position, cloth coordinates, and the size of
    a sample (K each, metres)."""

    def __init__(self, material: Tensor, position: Tensor, u: Tensor, v: Tensor, pixel: Tensor):
        self.main, self.second, self.third = (material[:, part] for part in (COLOUR_COLUMNS, SECOND_COLUMNS, THIRD_COLUMNS))
        self.scale, self.duty, self.phase = (material[:, column] for column in (SCALE_COLUMN, DUTY_COLUMN, PHASE_COLUMN))
        self.seed, self.detail = material[:, SEED_COLUMN].int(), material[:, DETAIL_COLUMN]
        self.x, self.y, self.z = position.unbind(1)
        self.u, self.v, self.pixel = u, v, pixel


def _solid(points: _Points) -> Tensor:
    return points.main


def _wave(turns: Tensor, duty: Tensor | float, soft: Tensor) -> Tensor:
    """1 inside the first ``duty`` of each unit period."""
    part = turns - turns.floor()
    return torch.minimum(edge(part, soft), torch.maximum(edge(duty - part, soft), edge(part - 1 + soft * 0.5, soft)))


def _stripes(points: _Points) -> Tensor:
    turns = points.v / points.scale + points.phase
    soft = points.pixel / points.scale
    colour = mix(points.main, points.second, _wave(turns, points.duty, soft))
    thin = (points.phase > 0.6).float()
    return mix(colour, points.third, _wave(turns + 0.5 * (1 - points.duty) + 0.35, 0.12 * thin, soft) * thin)


def _pinstripes(points: _Points) -> Tensor:
    return mix(
        points.main, points.second, _wave(points.u / points.scale + points.phase, 0.14 + 0.25 * points.duty, points.pixel / points.scale)
    )


def _check(points: _Points) -> Tensor:
    soft = points.pixel / points.scale
    across, along = _wave(points.v / points.scale, points.duty, soft), _wave(points.u / points.scale, points.duty, soft)
    colour = mix(points.main, points.second, (across + along) * 0.45)
    line = torch.maximum(_wave(points.v / points.scale + 0.3, 0.07, soft), _wave(points.u / points.scale + 0.3, 0.07, soft))
    return mix(colour, points.third, line * 0.8)


def _gingham(points: _Points) -> Tensor:
    soft = points.pixel / points.scale
    across, along = _wave(points.v / points.scale, 0.5, soft), _wave(points.u / points.scale, 0.5, soft)
    return mix(torch.full_like(points.main, 0.93), points.main, (across + along) * 0.5)


def _dots(points: _Points) -> Tensor:
    row_place = points.v / points.scale
    row = row_place.floor()
    column_place = points.u / points.scale + 0.5 * torch.remainder(row, 2)
    distance = torch.hypot(column_place - column_place.floor() - 0.5, row_place - row - 0.5)
    return mix(points.main, points.second, edge(0.16 + 0.2 * points.duty - distance, points.pixel / points.scale))


def _block(points: _Points) -> Tensor:
    upper, lower = edge(points.v - (1.28 - 0.22 * points.phase), points.pixel), edge(points.v - (1.08 - 0.30 * points.phase), points.pixel)
    side = edge(points.x, points.pixel)
    across = mix(mix(points.main, points.third, lower), points.second, upper)
    return torch.where((points.duty > 0.58)[:, None], mix(points.main, points.second, side), across)


def _panel(points: _Points) -> Tensor:
    return mix(points.main, points.second, edge(points.x.abs() - 0.075, points.pixel))


def _floral(points: _Points) -> Tensor:
    down, along = points.v / points.scale, points.u / points.scale
    colour = points.main
    for layer, (petals, tone) in enumerate(((5, points.second), (4, points.third))):
        row_place, column_place = down + 0.5 * layer, along + 0.5 * layer
        i, j = column_place.floor(), row_place.floor()
        du = column_place - i - 0.5 - 0.3 * (_hash(i.long(), j.long(), points.seed + layer) - 0.5)
        dv = row_place - j - 0.5 - 0.3 * (_hash(j.long(), i.long(), points.seed + 7 + layer) - 0.5)
        turn = 6.28 * _hash(i.long() + 3, j.long(), points.seed + layer)
        distance, angle = torch.hypot(du, dv), torch.atan2(dv, du)
        size = (0.24 if layer == 0 else 0.17) * (1 + 0.35 * torch.cos(petals * angle + turn))
        colour = mix(colour, tone, edge(size - distance, points.pixel / points.scale))
        colour = mix(colour, points.third if layer == 0 else points.second, edge(0.07 - distance, points.pixel / points.scale))
    return colour


def _graphic(points: _Points) -> Tensor:
    """A plain cloth with an emblem on the chest."""
    x, y = points.x / 0.085, (points.y - 1.245) / 0.085
    kind = torch.remainder(points.seed, 5).long()
    distance, angle = torch.hypot(x, y), torch.atan2(y, x)
    disc = 0.85 - distance
    star = (0.62 + 0.28 * torch.cos(5 * angle - 1.57)) - distance
    box = torch.minimum(0.9 - x.abs(), 0.45 - y.abs())
    ring = 0.20 - (distance - 0.65).abs()
    bars = torch.minimum(torch.minimum(0.95 - x.abs(), 0.62 - y.abs()), 0.13 - (torch.remainder(y + 0.2, 0.42) - 0.21).abs())
    inside_by = torch.stack([disc, star, box, ring, bars]).gather(0, kind[None])[0]
    soft = points.pixel / 0.085
    front = (points.z > 0).float()
    colour = mix(points.main, points.second, edge(inside_by, soft) * front)
    inner_x, inner_y = torch.remainder(x * 2.2 + points.phase, 1) - 0.5, torch.remainder(y * 2.2 + points.duty, 1) - 0.5
    letter = torch.maximum(edge(0.13 - inner_x.abs(), soft * 2.2), edge(0.12 - inner_y.abs(), soft * 2.2) * (inner_x > 0))
    inside = edge(inside_by - 0.16, soft) * front * (kind != 3)
    return mix(colour, points.third, letter * inside)


def _denim(points: _Points) -> Tensor:
    grain = noise(points.u * 420, points.v * 420, points.seed)
    fade = noise(points.u * 9, points.v * 5, points.seed + 5) * 0.6 + edge(0.05 - (points.u.abs() - 0.02).abs(), 0.05) * 0.4
    return mix(points.main, points.second, (0.32 * fade + 0.22 * (grain - 0.5)).clamp(0, 1))


def _zigzag(points: _Points) -> Tensor:
    turns = points.v / points.scale + (torch.remainder(points.u / points.scale, 1) - 0.5).abs()
    return mix(points.main, points.second, _wave(turns, points.duty, points.pixel / points.scale))


def _camo(points: _Points) -> Tensor:
    u, v = points.u / points.scale, points.v / points.scale
    first = 0.65 * noise(u, v, points.seed) + 0.35 * noise(u * 2.3, v * 2.3, points.seed + 1)
    other = 0.65 * noise(u + 9, v, points.seed + 2) + 0.35 * noise(u * 2.3, v * 2.3, points.seed + 3)
    return mix(mix(points.main, points.second, edge(first - 0.52, 0.03)), points.third, edge(other - 0.60, 0.03))


def _paint(points: _Points) -> Tensor:
    u, v = points.u / points.scale, points.v / points.scale
    warp = noise(u * 1.4, v * 1.4, points.seed + 4) * 1.6
    first = noise(u + warp, v * 0.6 + warp, points.seed)
    other = noise(u * 1.7 + warp, v + 5, points.seed + 2)
    return mix(mix(points.main, points.second, edge(first - 0.5, 0.10)), points.third, edge(other - 0.66, 0.06))


def _ombre(points: _Points) -> Tensor:
    return mix(points.main, points.second, ((1.30 - points.v) / 0.55).clamp(0, 1))


def _knit(points: _Points) -> Tensor:
    rib = 0.5 + 0.5 * torch.cos(points.u / points.scale * 6.2832)
    fuzz = noise(points.u * 300, points.v * 160, points.seed)
    return points.main * (0.80 + 0.16 * rib + 0.12 * (fuzz - 0.5))[:, None]


def _leather(points: _Points) -> Tensor:
    return points.main * (0.92 + 0.16 * noise(points.u * 90, points.v * 90, points.seed))[:, None]


def _skin(points: _Points) -> Tensor:
    """Skin, with the face drawn on the front of the head."""
    tone = 1 + 0.05 * (noise(points.u * 25, points.v * 25, points.seed) - 0.5)
    return points.main * tone[:, None]


def _shoe(points: _Points) -> Tensor:
    sole = edge(0.020 - points.y, points.pixel)
    laces = (
        (points.detail > Detail.NONE)
        * (points.z > 0.0)
        * (points.z < 0.075)
        * (points.y > 0.045)
        * _wave(points.z / 0.018, 0.5, points.pixel / 0.018)
        * ((points.x.abs() - 0.172).abs() < 0.016)
    )
    return mix(mix(points.main, points.second, laces.float() * 0.8), points.second, sole)


def _hair(points: _Points) -> Tensor:
    around = torch.atan2(points.x, points.z + 0.02)
    curly = points.detail > Detail.NONE
    strand = (
        noise(around * 30 + 2.0 * noise(points.y * 18, around * 3, points.seed), points.y * 7, points.seed) * 0.6
        + noise(around * 75, points.y * 12, points.seed + 1) * 0.4
    )
    curl = noise(points.x * 110, points.y * 110 + points.z * 70, points.seed)
    tone = torch.where(curly, curl, strand)
    return mix(mix(points.main, points.second, (1.1 - 2.0 * tone).clamp(0, 0.75)), points.third, (1.6 * tone - 1.0).clamp(0, 0.5))


def _seat(points: _Points) -> Tensor:
    return points.main * (0.97 + 0.05 * noise(points.x * 40, points.y * 8, points.seed))[:, None]


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


def _details(colour: Tensor, material: Tensor, position: Tensor, u: Tensor, v: Tensor, pixel: Tensor) -> Tensor:
    """Seams, buttons, zips and pockets, on garments that have them."""
    kind = material[:, DETAIL_COLUMN]
    x, y, z = position.unbind(1)
    aside, front = x.abs(), (z > 0).float()
    dark, light = colour * 0.62, (colour * 0.5 + 0.45)

    def line(distance: Tensor, half_width: float) -> Tensor:
        return edge(half_width - distance.abs(), pixel)

    def has(detail: Detail) -> Tensor:
        return (kind == detail).float() * front

    body = ((v - y).abs() < 1e-6).float()
    placket = line(aside - 0.017, 0.0012) * (y > 0.8) * body
    button = edge(0.0058 - torch.hypot(x, torch.remainder(y, 0.085) - 0.0425), pixel) * body
    colour = mix(colour, dark, placket * has(Detail.BUTTONS) * 0.5)
    colour = mix(colour, light, button * has(Detail.BUTTONS))
    fly = torch.maximum(
        line(x, 0.0015) * (y > 0.90) * (y < 1.03),
        line(y - (1.005 - (aside - 0.06).clamp_min(0) * 0.9), 0.0018) * (aside > 0.05) * (aside < 0.13),
    )
    band = line(y - 1.008, 0.0012)
    colour = mix(colour, dark, torch.maximum(fly, band) * has(Detail.FLY) * 0.7)
    lapel = line(aside - (0.035 + 0.5 * (y - 1.20).clamp_min(0)), 0.0022) * (y > 1.2) * (y < 1.40) * body
    colour = mix(colour, dark, lapel * has(Detail.LAPELS) * 0.8)
    pocket = line(torch.maximum((aside - 0.09).abs() / 0.04, (y - 1.27).abs() / 0.045) * 0.04 - 0.04, 0.0016) * body
    hip_pocket = line(y - 0.985, 0.003) * (aside > 0.06) * (aside < 0.13) * body
    colour = mix(colour, dark, torch.maximum(pocket * has(Detail.CHEST_POCKETS), hip_pocket * has(Detail.LAPELS)) * 0.7)
    buckle = edge(torch.minimum(0.026 - aside, 0.022 - (y - 1.028).abs()), pixel) * has(Detail.BUCKLE)
    return mix(colour, colour.new_tensor([0.75, 0.68, 0.45]).expand_as(colour), buckle)


def colour(material: Tensor, position: Tensor, region: Tensor, pixel: Tensor, present: set[int]) -> Tensor:
    """The unlit colour of points, K x 3, 0..1.

    Args:
        material: K x ROW_LENGTH.
        position: K x 3, points of the template, metres.
        region: K, how the texture is wrapped.
        pixel: K, metres per sample.
        present: the numbers of the patterns that occur.
    """
    points = (material, position, *wrap(position, region), pixel)
    colours = torch.empty_like(position)
    kind = material[:, PATTERN_COLUMN]
    for name, number in PATTERN.items():
        if number not in present:
            continue
        index = (kind == number).nonzero().squeeze(1)
        colours[index] = _SHADERS.get(name, _solid)(_Points(*(values.index_select(0, index) for values in points)))
    index = (material[:, DETAIL_COLUMN] > Detail.NONE).nonzero().squeeze(1)
    if len(index):
        colours[index] = _details(*(values.index_select(0, index) for values in (colours, *points)))
    return colours.clamp(0, 1)


def creases(material: Tensor, position: Tensor) -> Tensor:
    """Relative brightness (K) of the folds in cloth: material K x ROW_LENGTH, position K x 3, metres."""
    seed = material[:, SEED_COLUMN].int()
    u, v = position[:, 0] + 0.7 * position[:, 2], position[:, 1]
    across, along = u * 19 + v * 9, v * 8 - u * 5
    relief = noise(across + 0.45, along + 0.2, seed + 11) - noise(across, along, seed + 11)  # light on one flank, shade on the other
    return 1 + material[:, FOLD_COLUMN] * relief * 0.9

"""Faces, drawn on the front of the head in template coordinates (torch)."""

from __future__ import annotations

import torch
from torch import Tensor

FACE_PARAMETERS = 24


def face_row(face: dict) -> list[float]:
    """Flat face parameters: iris 0-2, lip 3-5, brow 6-8, then nine numbers, padded to FACE_PARAMETERS."""
    row = [
        *face["iris"],
        *face["lip"],
        *face["brow"],
        face["brow_width"],
        face["brow_tilt"],
        face["eye"],
        face["mouth"],
        face["full"],
        face["beard"],
        face["blush"],
        face["lash"],
        face["smile"],
    ]
    return row + [0.0] * (FACE_PARAMETERS - len(row))


def is_face(p: Tensor) -> Tensor:
    """Which template points (n x 3) belong to the face: in front of the ears, above the jaw line."""
    x, y, z = p.unbind(1)
    jaw = 1.508 + 0.45 * (0.058 - z).clamp_min(0)
    return (z > -0.004) & (y > jaw) & (y < 1.76) & (x.abs() < 0.0768)


def _edge(x: Tensor, soft: Tensor | float) -> Tensor:
    return (x / soft * 0.5 + 0.5).clamp(0, 1)


def _mix(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    return a + (b - a) * t[:, None]


def paint(skin: Tensor, p: Tensor, f: Tensor, hair: Tensor, pixel: Tensor) -> Tensor:
    """Colour (n x 3) of face points with features; f: n x FACE_PARAMETERS, hair: n x 3, pixel: metres."""
    x, y, z = p.unbind(1)
    ax = x.abs()
    iris, lip, brow = f[:, 0:3], f[:, 3:6], f[:, 6:9]
    brow_w, tilt, eye, mouth, full, beard, blush, lash, smile = f[:, 9:18].unbind(1)
    soft = pixel.clamp_min(0.0012)
    col = skin
    # warm cheeks, lips' surroundings and a shaded eye socket
    cheek = torch.exp(-(((ax - 0.040) / 0.020) ** 2 + ((y - 1.575) / 0.018) ** 2))
    col = _mix(col, skin * col.new_tensor([1.04, 0.82, 0.80]), cheek * (0.25 + 0.5 * blush))
    socket = torch.exp(-(((ax - 0.031) / 0.022) ** 2 + ((y - 1.616) / 0.012) ** 2))
    col = _mix(col, skin * col.new_tensor([0.80, 0.70, 0.68]), socket * 0.45)
    jaw = _edge(1.575 - 0.20 * (ax - 0.03) - y, 0.022) * (1 - _edge(0.020 - torch.hypot(x / 1.5, y - 1.546), 0.008))
    upper = _edge(0.0055 - (y - 1.5585).abs(), 0.004) * (ax < 0.026)
    col = _mix(col, hair * 0.75, torch.maximum(jaw, upper) * beard * 0.75)
    # eyes
    ex, ey = (ax - 0.031) / (0.0150 * eye), (y - 1.610 - 0.06 * (ax - 0.031)) / (0.0072 * eye)
    almond = 1 - ex * ex - ey.abs() * (1.0 + 0.15 * ex)
    inside = _edge(almond * 0.0072, soft)
    col = _mix(col, torch.full_like(col, 0.90) * (0.75 + 0.25 * skin.mean(1, keepdim=True).clamp_max(1)), inside)
    d = torch.hypot(ax - 0.031, y - 1.6105)
    col = _mix(col, iris, inside * _edge(0.0064 * eye - d, soft))
    col = _mix(col, torch.full_like(col, 0.03), inside * _edge(0.0031 - d, soft))
    glint = torch.hypot(x - torch.sign(x) * 0.031 + 0.002, y - 1.6130)
    col = _mix(col, torch.ones_like(col), inside * _edge(0.0013 - glint, soft) * 0.8)
    lid = (y - 1.610 - 0.06 * (ax - 0.031)) - 0.0072 * eye * (1 - ex * ex).clamp_min(0)
    lid_line = _edge(0.0013 + 0.0009 * lash - lid.abs(), soft) * _edge(1.12 - ex.abs(), 0.1)
    col = _mix(col, torch.full_like(col, 0.06), lid_line * (0.45 + 0.45 * lash))
    crease = _edge(0.0010 - (lid - 0.0048).abs(), soft) * _edge(1.0 - ex.abs(), 0.2)
    col = _mix(col, skin * 0.62, crease * 0.45)
    # brows
    arch = 1.6285 + tilt * (ax - 0.031) * 0.5 - 5.0 * (ax - 0.036) ** 2
    taper = (1 - 0.55 * ((ax - 0.018) / 0.032).clamp(0, 1)) * brow_w
    col = _mix(col, brow, _edge(taper - (y - arch).abs(), soft) * _edge(ax - 0.0135, 0.003) * _edge(0.050 - ax, 0.004) * 0.75)
    # nose: sides, tip and nostrils
    side = torch.exp(-(((ax - 0.0115) / 0.005) ** 2 + ((y - 1.582) / 0.010) ** 2))
    col = _mix(col, skin * 0.80, side * 0.5)
    nostril = _edge(0.0034 - torch.hypot((ax - 0.0072), (y - 1.5705) * 1.7), soft)
    col = _mix(col, skin * 0.38, nostril * 0.8)
    under = torch.exp(-((x / 0.012) ** 2 + ((y - 1.5655) / 0.0035) ** 2))
    col = _mix(col, skin * 0.72, under * 0.45)
    bridge = torch.exp(-((x / 0.0045) ** 2 + ((y - 1.595) / 0.018) ** 2))
    col = _mix(col, (skin * 1.12).clamp_max(1), bridge * 0.35)
    # mouth
    k = (ax / mouth).clamp_max(1.3)
    line = 1.5475 + 0.0045 * smile * k * k
    rise = (0.0052 * full * (1 - k * k)).clamp_min(0) * (1 - 0.28 * torch.exp(-((ax / 0.004) ** 2)))
    drop = (0.0068 * full * (1 - k * k)).clamp_min(0)
    up, low = torch.minimum(line + rise - y, y - line), torch.minimum(y - line + drop, line - y)
    front = (z > 0.03).float() * _edge(mouth - ax, 0.003)
    col = _mix(col, lip * 0.88, _edge(up, soft) * front)
    col = _mix(col, (lip * 1.06).clamp_max(1), _edge(low, soft) * front)
    col = _mix(col, lip * 0.42, _edge(0.0010 - (y - line).abs(), soft) * _edge(mouth * 1.02 - ax, 0.002) * 0.85 * front)
    shade = torch.exp(-((x / 0.014) ** 2 + ((y - 1.5345) / 0.004) ** 2))
    return _mix(col, skin * 0.78, shade * 0.40)

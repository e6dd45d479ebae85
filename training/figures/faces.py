"""Faces, drawn on the front of the head in template coordinates (torch)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from training.figures.blending import edge, mix

FACE_PARAMETERS = 24
SHARPEST = 0.0012  # metres; features are drawn no sharper
EYE_X = 0.031  # middle of the left eye, metres
_MEASURES = ("brow_width", "brow_tilt", "eye", "mouth", "full", "beard", "blush", "lash", "smile")


def face_row(face: dict[str, Any]) -> list[float]:
    """The parameters as FACE_PARAMETERS numbers: colours of iris, lip and brow, nine measures, and zeros."""
    row = [*face["iris"], *face["lip"], *face["brow"], *(face[name] for name in _MEASURES)]
    return row + [0.0] * (FACE_PARAMETERS - len(row))


def is_face(position: Tensor) -> Tensor:
    """Which template points (K x 3, metres) belong to the face: in front of the ears, above the jaw line."""
    x, y, z = position.unbind(1)
    jaw = 1.508 + 0.45 * (0.058 - z).clamp_min(0)
    return (z > -0.004) & (y > jaw) & (y < 1.76) & (x.abs() < 0.0768)


def paint(skin: Tensor, position: Tensor, face: Tensor, hair: Tensor, pixel: Tensor) -> Tensor:
    """Skin with the features of a face.

    Args:
        skin: K x 3, colours, 0..1.
        position: K x 3, points of the template, metres.
        face: K x FACE_PARAMETERS, of :func:`face_row`.
        hair: K x 3, colours, 0..1.
        pixel: K, metres per sample.

    Returns:
        K x 3, which may exceed 1 slightly.
    """
    x, y, _ = position.unbind(1)
    soft = pixel.clamp_min(SHARPEST)
    iris, lip, brow = face[:, 0:3], face[:, 3:6], face[:, 6:9]
    brow_width, tilt, eye, mouth, full, beard, blush, lash, smile = face[:, 9:18].unbind(1)
    colour = _cheeks_and_beard(skin, x, y, hair, beard, blush)
    colour = _eyes(colour, skin, x, y, soft, iris, eye, lash)
    colour = _brows(colour, x, y, soft, brow, brow_width, tilt)
    colour = _nose(colour, skin, x, y, soft)
    return _mouth(colour, skin, position, soft, lip, mouth, full, smile)


def _cheeks_and_beard(skin: Tensor, x: Tensor, y: Tensor, hair: Tensor, beard: Tensor, blush: Tensor) -> Tensor:
    """Skin with warm cheeks, shaded eye sockets and a beard."""
    aside = x.abs()
    colour = skin
    cheek = torch.exp(-(((aside - 0.040) / 0.020) ** 2 + ((y - 1.575) / 0.018) ** 2))
    colour = mix(colour, skin * colour.new_tensor([1.04, 0.82, 0.80]), cheek * (0.25 + 0.5 * blush))
    socket = torch.exp(-(((aside - EYE_X) / 0.022) ** 2 + ((y - 1.616) / 0.012) ** 2))
    colour = mix(colour, skin * colour.new_tensor([0.80, 0.70, 0.68]), socket * 0.45)
    jaw = edge(1.575 - 0.20 * (aside - 0.03) - y, 0.022) * (1 - edge(0.020 - torch.hypot(x / 1.5, y - 1.546), 0.008))
    upper = edge(0.0055 - (y - 1.5585).abs(), 0.004) * (aside < 0.026)
    return mix(colour, hair * 0.75, torch.maximum(jaw, upper) * beard * 0.75)


def _eyes(colour: Tensor, skin: Tensor, x: Tensor, y: Tensor, soft: Tensor, iris: Tensor, eye: Tensor, lash: Tensor) -> Tensor:
    aside = x.abs()
    across, upwards = (aside - EYE_X) / (0.0150 * eye), (y - 1.610 - 0.06 * (aside - EYE_X)) / (0.0072 * eye)
    almond = 1 - across * across - upwards.abs() * (1.0 + 0.15 * across)
    inside = edge(almond * 0.0072, soft)
    colour = mix(colour, torch.full_like(colour, 0.90) * (0.75 + 0.25 * skin.mean(1, keepdim=True).clamp_max(1)), inside)
    away = torch.hypot(aside - EYE_X, y - 1.6105)
    colour = mix(colour, iris, inside * edge(0.0064 * eye - away, soft))
    colour = mix(colour, torch.full_like(colour, 0.03), inside * edge(0.0031 - away, soft))
    glint = torch.hypot(x - torch.sign(x) * EYE_X + 0.002, y - 1.6130)
    colour = mix(colour, torch.ones_like(colour), inside * edge(0.0013 - glint, soft) * 0.8)
    lid = (y - 1.610 - 0.06 * (aside - EYE_X)) - 0.0072 * eye * (1 - across * across).clamp_min(0)
    lid_line = edge(0.0013 + 0.0009 * lash - lid.abs(), soft) * edge(1.12 - across.abs(), 0.1)
    colour = mix(colour, torch.full_like(colour, 0.06), lid_line * (0.45 + 0.45 * lash))
    crease = edge(0.0010 - (lid - 0.0048).abs(), soft) * edge(1.0 - across.abs(), 0.2)
    return mix(colour, skin * 0.62, crease * 0.45)


def _brows(colour: Tensor, x: Tensor, y: Tensor, soft: Tensor, brow: Tensor, brow_width: Tensor, tilt: Tensor) -> Tensor:
    aside = x.abs()
    arch = 1.6285 + tilt * (aside - EYE_X) * 0.5 - 5.0 * (aside - 0.036) ** 2
    taper = (1 - 0.55 * ((aside - 0.018) / 0.032).clamp(0, 1)) * brow_width
    return mix(colour, brow, edge(taper - (y - arch).abs(), soft) * edge(aside - 0.0135, 0.003) * edge(0.050 - aside, 0.004) * 0.75)


def _nose(colour: Tensor, skin: Tensor, x: Tensor, y: Tensor, soft: Tensor) -> Tensor:
    """The sides of the nose, nostrils, the shade below and the light on the bridge."""
    aside = x.abs()
    side = torch.exp(-(((aside - 0.0115) / 0.005) ** 2 + ((y - 1.582) / 0.010) ** 2))
    colour = mix(colour, skin * 0.80, side * 0.5)
    nostril = edge(0.0034 - torch.hypot((aside - 0.0072), (y - 1.5705) * 1.7), soft)
    colour = mix(colour, skin * 0.38, nostril * 0.8)
    under = torch.exp(-((x / 0.012) ** 2 + ((y - 1.5655) / 0.0035) ** 2))
    colour = mix(colour, skin * 0.72, under * 0.45)
    bridge = torch.exp(-((x / 0.0045) ** 2 + ((y - 1.595) / 0.018) ** 2))
    return mix(colour, (skin * 1.12).clamp_max(1), bridge * 0.35)


def _mouth(colour: Tensor, skin: Tensor, position: Tensor, soft: Tensor, lip: Tensor, mouth: Tensor, full: Tensor, smile: Tensor) -> Tensor:
    x, y, z = position.unbind(1)
    aside = x.abs()
    place = (aside / mouth).clamp_max(1.3)
    line = 1.5475 + 0.0045 * smile * place * place
    rise = (0.0052 * full * (1 - place * place)).clamp_min(0) * (1 - 0.28 * torch.exp(-((aside / 0.004) ** 2)))
    drop = (0.0068 * full * (1 - place * place)).clamp_min(0)
    upper, lower = torch.minimum(line + rise - y, y - line), torch.minimum(y - line + drop, line - y)
    front = (z > 0.03).float() * edge(mouth - aside, 0.003)
    colour = mix(colour, lip * 0.88, edge(upper, soft) * front)
    colour = mix(colour, (lip * 1.06).clamp_max(1), edge(lower, soft) * front)
    colour = mix(colour, lip * 0.42, edge(0.0010 - (y - line).abs(), soft) * edge(mouth * 1.02 - aside, 0.002) * 0.85 * front)
    shade = torch.exp(-((x / 0.014) ** 2 + ((y - 1.5345) / 0.004) ** 2))
    return mix(colour, skin * 0.78, shade * 0.40)

"""The distance field of a body (numpy), and the builds between which people vary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.figures.implicit import Loft, cone, ellipsoid, smooth_min
from training.figures.skeleton import ANKLE, ARM_AXIS, ARM_OUT, HIP, LEG_AXIS, SHOULDER, WRIST

SHOULDER_SHIFT = 0.15  # metres outwards of the shoulder joint, per 1 of a build's ``shoulder`` above 1


@dataclass(frozen=True)
class Build:
    """What a body shape is made of: multipliers of the template's sections."""

    hips: float = 1.0
    waist: float = 1.0
    belly: float = 0.0
    chest: float = 1.0
    shoulder: float = 1.0
    bust: float = 0.5
    limb: float = 1.0
    muscle: float = 0.3
    jaw: float = 1.0
    neck: float = 1.0


def _torso_table(b: Build):
    h, w, c = b.hips, b.waist, b.chest
    k = b.belly
    return [
        (0.84, 0.105 * h, 0.060, 0.065),
        (0.88, 0.150 * h, 0.080, 0.100 * h),
        (0.92, 0.172 * h, 0.094, 0.118 * h),
        (0.965, 0.166 * h, 0.098 + 0.3 * k, 0.108 * h),
        (1.01, 0.150 * (h + w) / 2, 0.098 + 0.8 * k, 0.092),
        (1.06, 0.134 * w, 0.092 + k, 0.080),
        (1.11, 0.126 * w, 0.088 + k, 0.076),
        (1.16, 0.129 * (w + c) / 2, 0.091 + 0.8 * k, 0.081),
        (1.22, 0.139 * c, 0.100 + 0.3 * k, 0.091),
        (1.28, 0.147 * c, 0.104, 0.100),
        (1.34, 0.150 * c, 0.096, 0.104),
        (1.38, 0.136 * b.shoulder, 0.082, 0.098),
        (1.415, 0.100 * b.shoulder, 0.062, 0.086),
        (1.455, 0.060, 0.050, 0.064),
    ]


def _leg_table(b: Build):
    m, g = b.limb, 1 + 0.12 * b.muscle
    rows = [
        (0.0, 0.086, 0.090, 0.092),
        (0.07, 0.087, 0.090, 0.090),
        (0.15, 0.081, 0.084, 0.083),
        (0.25, 0.069, 0.074, 0.071),
        (0.35, 0.057, 0.062, 0.058),
        (0.42, 0.051, 0.054, 0.049),
        (0.47, 0.049, 0.048, 0.052),
        (0.54, 0.051 * g, 0.045, 0.064 * g),
        (0.62, 0.046 * g, 0.041, 0.058 * g),
        (0.70, 0.036, 0.036, 0.043),
        (0.77, 0.029, 0.032, 0.034),
        (0.84, 0.030, 0.036, 0.034),
    ]
    soft = [1.0, 1.0, 0.95, 0.85, 0.75, 0.6, 0.6, 0.7, 0.6, 0.5, 0.35, 0.3]
    return [(t, x * (1 + (m - 1) * s), f * (1 + (m - 1) * s), k * (1 + (m - 1) * s)) for (t, x, f, k), s in zip(rows, soft)]


def _arm_table(b: Build):
    m, g = b.limb, 1 + 0.28 * (b.muscle - 0.3)
    rows = [
        (-0.02, 0.038 * g, 0.044, 0.044),
        (0.025, 0.044 * g, 0.048 * g, 0.048 * g),
        (0.06, 0.046 * g, 0.049 * g, 0.048 * g),
        (0.10, 0.044 * g, 0.047 * g, 0.045 * g),
        (0.17, 0.041 * g, 0.043 * g, 0.042 * g),
        (0.25, 0.037, 0.037, 0.038),
        (0.285, 0.037, 0.036, 0.036),
        (0.33, 0.038 * g, 0.039 * g, 0.037),
        (0.40, 0.033, 0.035, 0.033),
        (0.46, 0.026, 0.028, 0.027),
        (0.515, 0.021, 0.027, 0.026),
    ]
    return [(t, x * m, f * m, k * m) for t, x, f, k in rows]


def body_field(b: Build):
    """Distance field of a whole body of one build (symmetric in x)."""
    torso = Loft((0, 0, 0), (0, 1, 0), (1, 0, 0), (0, 0, 1), _torso_table(b), power=2.35, cap=0.8)
    leg = Loft(HIP, LEG_AXIS, (1, 0, 0), (0, 0, 1), _leg_table(b))
    shift = np.array([(b.shoulder - 1) * SHOULDER_SHIFT, 0, 0], np.float32)
    arm = Loft(SHOULDER + shift, ARM_AXIS, ARM_OUT, (0, 0, 1), _arm_table(b))
    n = b.neck
    neck = Loft(
        (0, 1.38, -0.045),
        (0, 1, 0.20),
        (1, 0, 0),
        (0, 0, 1),
        [
            (0, 0.066 * n, 0.06, 0.06),
            (0.05, 0.058 * n, 0.055 * n, 0.058 * n),
            (0.12, 0.052 * n, 0.052 * n, 0.054 * n),
            (0.18, 0.053 * n, 0.052, 0.05),
        ],
    )
    head, hand, foot = _head_field(b), _hand_field(), _foot_field()

    def field(p: np.ndarray) -> np.ndarray:
        p = np.stack([np.abs(p[:, 0]), p[:, 1], p[:, 2]], 1).astype(np.float32)
        d = smooth_min(torso(p), ellipsoid(p, (0.078 * b.hips, 0.895, -0.052), (0.082 * b.hips, 0.085, 0.080 * b.hips)), 0.05)
        d = smooth_min(d, cone(p, (0.040, 1.432, -0.035), np.add(SHOULDER + shift, (-0.006, -0.002, 0)), 0.035 * n, 0.039), 0.05)
        if b.bust > 0:
            r = 0.030 + 0.036 * b.bust
            d = smooth_min(d, ellipsoid(p, (0.070, 1.272, 0.068 + 0.012 * b.bust), (r * 1.12, r * 1.1, r)), 0.035)
        d = smooth_min(d, ellipsoid(p, (0.07, 1.32, 0.055), (0.075, 0.05, 0.045 + 0.012 * b.muscle)), 0.04)
        d = smooth_min(d, smooth_min(leg(p), foot(p), 0.03), 0.035)
        limb = smooth_min(arm(p), hand(p - shift), 0.012)
        d = smooth_min(d, limb, 0.045)
        d = smooth_min(d, neck(p), 0.035)
        return smooth_min(d, head(p), 0.018)

    return field


def _head_field(b: Build):
    j = b.jaw

    def field(p: np.ndarray) -> np.ndarray:
        d = ellipsoid(p, (0, 1.632, -0.012), (0.0745, 0.092, 0.094))
        d = smooth_min(d, ellipsoid(p, (0, 1.580, 0.022), (0.060 * j, 0.074, 0.068)), 0.03)
        d = smooth_min(d, ellipsoid(p, (0.036, 1.575, 0.046), (0.026, 0.030, 0.030)), 0.02)
        d = smooth_min(d, cone(p, (0.0, 1.520, 0.066), (0.012 * j, 1.519, 0.062), 0.020, 0.018), 0.03)
        d = smooth_min(d, cone(p, (0.052 * j, 1.560, 0.0), (0.022, 1.518, 0.055), 0.016, 0.016), 0.03)
        d = smooth_min(d, cone(p, (0, 1.640, 0.074), (0.03, 1.637, 0.064), 0.015, 0.013), 0.02)
        socket = ellipsoid(p, (0.031, 1.612, 0.098), (0.021, 0.013, 0.020))
        d = -smooth_min(-d, socket, 0.012)
        d = smooth_min(d, cone(p, (0, 1.618, 0.082), (0, 1.582, 0.102), 0.0075, 0.0105), 0.012)
        d = smooth_min(d, ellipsoid(p, (0.010, 1.577, 0.090), (0.010, 0.008, 0.012)), 0.008)
        d = smooth_min(d, ellipsoid(p, (0, 1.5515, 0.077), (0.024, 0.0065, 0.015)), 0.008)
        d = smooth_min(d, ellipsoid(p, (0, 1.5425, 0.075), (0.020, 0.0065, 0.015)), 0.008)
        return smooth_min(d, ellipsoid(p, (0.075, 1.597, -0.010), (0.010, 0.030, 0.018)), 0.008)

    return field


def _hand_field():
    e, n, z = ARM_AXIS, ARM_OUT, np.array([0, 0, 1], np.float32)

    def at(along: float, wide: float, out: float = 0.0) -> np.ndarray:
        return WRIST + along * e + wide * z + out * n

    palm = Loft(
        WRIST,
        e,
        n,
        z,
        [(-0.02, 0.019, 0.026, 0.026), (0.02, 0.016, 0.030, 0.029), (0.06, 0.0145, 0.038, 0.037), (0.09, 0.0125, 0.039, 0.038)],
        cap=0.9,
    )
    fingers = []
    for wide, length in ((0.029, 0.066), (0.0100, 0.074), (-0.0095, 0.070), (-0.028, 0.056)):
        middle = at(0.085 + 0.55 * length, wide * 1.04, -0.006)
        fingers.append((at(0.080, wide), middle, 0.0092, 0.0084))
        fingers.append((middle, at(0.085 + length, wide * 1.0, -0.018), 0.0084, 0.0068))
    thumb = [
        (at(0.018, 0.022), at(0.055, 0.047, -0.012), 0.013, 0.011),
        (at(0.055, 0.047, -0.012), at(0.088, 0.054, -0.020), 0.0105, 0.008),
    ]

    def field(p: np.ndarray) -> np.ndarray:
        d = palm(p)
        for a, b, ra, rb in fingers:
            d = smooth_min(d, cone(p, a, b, ra, rb), 0.006)
        for a, b, ra, rb in thumb:
            d = smooth_min(d, cone(p, a, b, ra, rb), 0.012)
        return d

    return field


def _foot_field():
    heel, toe = np.add(ANKLE, (0, -0.058, -0.028)), np.array([0.183, 0.020, 0.150], np.float32)

    def field(p: np.ndarray) -> np.ndarray:
        d = smooth_min(
            cone(p, heel, np.add(ANKLE, (0.002, -0.01, 0.0)), 0.028, 0.032),
            cone(p, np.add(ANKLE, (0.004, -0.02, 0.03)), toe - (0.004, 0, 0.035), 0.032, 0.019),
            0.04,
        )
        d = smooth_min(d, cone(p, heel, toe - (-0.012, 0, 0.055), 0.026, 0.020), 0.03)
        d = smooth_min(d, cone(p, toe - (0.020, 0, 0.06), toe - (0.012, 0.002, 0.0), 0.020, 0.016), 0.02)
        d = smooth_min(d, cone(p, toe - (-0.02, 0, 0.06), toe - (-0.018, 0.004, 0.02), 0.020, 0.014), 0.02)
        return np.maximum(d, 0.002 - p[:, 1])

    return field


SHAPES = {
    "female": Build(hips=1.06, waist=0.90, chest=0.93, shoulder=0.93, bust=0.85, limb=0.96, muscle=0.1, jaw=0.93, neck=0.86),
    "male": Build(hips=0.93, waist=1.10, chest=1.12, shoulder=1.13, bust=0.0, limb=1.06, muscle=0.85, jaw=1.10, neck=1.12),
    "heavy": Build(hips=1.15, waist=1.30, belly=0.045, chest=1.12, shoulder=1.04, bust=0.75, limb=1.20, muscle=0.3, jaw=1.10, neck=1.10),
    "curvy": Build(hips=1.15, waist=0.95, chest=1.0, shoulder=1.0, bust=1.05, limb=1.06, muscle=0.2),
}

"""The distance field of a body (numpy), and the builds between which people vary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.figures.implicit import Field, Loft, Row, cone, ellipsoid, smooth_min
from training.figures.skeleton import ANKLE, ARM_AXIS, ARM_OUT, HIP, LEG_AXIS, SHOULDER, WRIST

SHOULDER_SHIFT = 0.15  # metres outwards of the shoulder joint, per 1 of a build's ``shoulder`` above 1


@dataclass(frozen=True)
class Build:
    """What a body shape is made of: factors of the template's measures.

    Attributes:
        belly: metres that it stands out in front.
        bust: 0 for none.
        muscle: 0..1.
    """

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


def _torso_table(build: Build) -> list[Row]:
    """Rows of a loft along y."""
    hips, waist, chest, belly = build.hips, build.waist, build.chest, build.belly
    return [
        (0.84, 0.105 * hips, 0.060, 0.065),
        (0.88, 0.150 * hips, 0.080, 0.100 * hips),
        (0.92, 0.172 * hips, 0.094, 0.118 * hips),
        (0.965, 0.166 * hips, 0.098 + 0.3 * belly, 0.108 * hips),
        (1.01, 0.150 * (hips + waist) / 2, 0.098 + 0.8 * belly, 0.092),
        (1.06, 0.134 * waist, 0.092 + belly, 0.080),
        (1.11, 0.126 * waist, 0.088 + belly, 0.076),
        (1.16, 0.129 * (waist + chest) / 2, 0.091 + 0.8 * belly, 0.081),
        (1.22, 0.139 * chest, 0.100 + 0.3 * belly, 0.091),
        (1.28, 0.147 * chest, 0.104, 0.100),
        (1.34, 0.150 * chest, 0.096, 0.104),
        (1.38, 0.136 * build.shoulder, 0.082, 0.098),
        (1.415, 0.100 * build.shoulder, 0.062, 0.086),
        (1.455, 0.060, 0.050, 0.064),
    ]


def _leg_table(build: Build) -> list[Row]:
    """Rows of a loft from the hip to the ankle; the limbs' factor counts less towards the foot."""
    limb, calf = build.limb, 1 + 0.12 * build.muscle
    rows = [
        (0.0, 0.086, 0.090, 0.092),
        (0.07, 0.087, 0.090, 0.090),
        (0.15, 0.081, 0.084, 0.083),
        (0.25, 0.069, 0.074, 0.071),
        (0.35, 0.057, 0.062, 0.058),
        (0.42, 0.051, 0.054, 0.049),
        (0.47, 0.049, 0.048, 0.052),
        (0.54, 0.051 * calf, 0.045, 0.064 * calf),
        (0.62, 0.046 * calf, 0.041, 0.058 * calf),
        (0.70, 0.036, 0.036, 0.043),
        (0.77, 0.029, 0.032, 0.034),
        (0.84, 0.030, 0.036, 0.034),
    ]
    soft = [1.0, 1.0, 0.95, 0.85, 0.75, 0.6, 0.6, 0.7, 0.6, 0.5, 0.35, 0.3]
    factors = [1 + (limb - 1) * share for share in soft]
    scaled = zip(rows, factors, strict=True)
    return [(along, width * factor, front * factor, back * factor) for (along, width, front, back), factor in scaled]


def _arm_table(build: Build) -> list[Row]:
    """Rows of a loft from the shoulder to the wrist."""
    limb, thickness = build.limb, 1 + 0.28 * (build.muscle - 0.3)
    rows = [
        (-0.02, 0.038 * thickness, 0.044, 0.044),
        (0.025, 0.044 * thickness, 0.048 * thickness, 0.048 * thickness),
        (0.06, 0.046 * thickness, 0.049 * thickness, 0.048 * thickness),
        (0.10, 0.044 * thickness, 0.047 * thickness, 0.045 * thickness),
        (0.17, 0.041 * thickness, 0.043 * thickness, 0.042 * thickness),
        (0.25, 0.037, 0.037, 0.038),
        (0.285, 0.037, 0.036, 0.036),
        (0.33, 0.038 * thickness, 0.039 * thickness, 0.037),
        (0.40, 0.033, 0.035, 0.033),
        (0.46, 0.026, 0.028, 0.027),
        (0.515, 0.021, 0.027, 0.026),
    ]
    return [(along, width * limb, front * limb, back * limb) for along, width, front, back in rows]


def _neck_table(build: Build) -> list[Row]:
    """Rows of a loft upwards."""
    neck = build.neck
    return [
        (0, 0.066 * neck, 0.06, 0.06),
        (0.05, 0.058 * neck, 0.055 * neck, 0.058 * neck),
        (0.12, 0.052 * neck, 0.052 * neck, 0.054 * neck),
        (0.18, 0.053 * neck, 0.052, 0.05),
    ]


def body_field(build: Build) -> Field:
    """Distance field of a whole body of one build, symmetric in x."""
    torso = Loft((0, 0, 0), (0, 1, 0), (1, 0, 0), (0, 0, 1), _torso_table(build), power=2.35, cap=0.8)
    leg = Loft(HIP, LEG_AXIS, (1, 0, 0), (0, 0, 1), _leg_table(build))
    shift = np.array([(build.shoulder - 1) * SHOULDER_SHIFT, 0, 0], np.float32)
    arm = Loft(SHOULDER + shift, ARM_AXIS, ARM_OUT, (0, 0, 1), _arm_table(build))
    neck = Loft((0, 1.38, -0.045), (0, 1, 0.20), (1, 0, 0), (0, 0, 1), _neck_table(build))
    head, hand, foot = _head_field(build), _hand_field(), _foot_field()

    def field(points: np.ndarray) -> np.ndarray:
        points = np.stack([np.abs(points[:, 0]), points[:, 1], points[:, 2]], 1).astype(np.float32)
        seat = ellipsoid(points, (0.078 * build.hips, 0.895, -0.052), (0.082 * build.hips, 0.085, 0.080 * build.hips))
        distance = smooth_min(torso(points), seat, 0.05)
        collar = cone(points, (0.040, 1.432, -0.035), np.add(SHOULDER + shift, (-0.006, -0.002, 0)), 0.035 * build.neck, 0.039)
        distance = smooth_min(distance, collar, 0.05)
        if build.bust > 0:
            radius = 0.030 + 0.036 * build.bust
            bust = ellipsoid(points, (0.070, 1.272, 0.068 + 0.012 * build.bust), (radius * 1.12, radius * 1.1, radius))
            distance = smooth_min(distance, bust, 0.035)
        distance = smooth_min(distance, ellipsoid(points, (0.07, 1.32, 0.055), (0.075, 0.05, 0.045 + 0.012 * build.muscle)), 0.04)
        distance = smooth_min(distance, smooth_min(leg(points), foot(points), 0.03), 0.035)
        limb = smooth_min(arm(points), hand(points - shift), 0.012)
        distance = smooth_min(distance, limb, 0.045)
        distance = smooth_min(distance, neck(points), 0.035)
        return smooth_min(distance, head(points), 0.018)

    return field


def _head_field(build: Build) -> Field:
    jaw = build.jaw

    def field(points: np.ndarray) -> np.ndarray:
        distance = ellipsoid(points, (0, 1.632, -0.012), (0.0745, 0.092, 0.094))
        distance = smooth_min(distance, ellipsoid(points, (0, 1.580, 0.022), (0.060 * jaw, 0.074, 0.068)), 0.03)
        distance = smooth_min(distance, ellipsoid(points, (0.036, 1.575, 0.046), (0.026, 0.030, 0.030)), 0.02)
        distance = smooth_min(distance, cone(points, (0.0, 1.520, 0.066), (0.012 * jaw, 1.519, 0.062), 0.020, 0.018), 0.03)
        distance = smooth_min(distance, cone(points, (0.052 * jaw, 1.560, 0.0), (0.022, 1.518, 0.055), 0.016, 0.016), 0.03)
        distance = smooth_min(distance, cone(points, (0, 1.640, 0.074), (0.03, 1.637, 0.064), 0.015, 0.013), 0.02)
        socket = ellipsoid(points, (0.031, 1.612, 0.098), (0.021, 0.013, 0.020))
        distance = -smooth_min(-distance, socket, 0.012)
        distance = smooth_min(distance, cone(points, (0, 1.618, 0.082), (0, 1.582, 0.102), 0.0075, 0.0105), 0.012)
        distance = smooth_min(distance, ellipsoid(points, (0.010, 1.577, 0.090), (0.010, 0.008, 0.012)), 0.008)
        distance = smooth_min(distance, ellipsoid(points, (0, 1.5515, 0.077), (0.024, 0.0065, 0.015)), 0.008)
        distance = smooth_min(distance, ellipsoid(points, (0, 1.5425, 0.075), (0.020, 0.0065, 0.015)), 0.008)
        return smooth_min(distance, ellipsoid(points, (0.075, 1.597, -0.010), (0.010, 0.030, 0.018)), 0.008)

    return field


def _hand_field() -> Field:
    """The left hand."""
    down, back, front = ARM_AXIS, ARM_OUT, np.array([0, 0, 1], np.float32)

    def at(along: float, wide: float, out: float = 0.0) -> np.ndarray:
        return WRIST + along * down + wide * front + out * back

    palm = Loft(
        WRIST,
        down,
        back,
        front,
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

    def field(points: np.ndarray) -> np.ndarray:
        distance = palm(points)
        for start, end, start_radius, end_radius in fingers:
            distance = smooth_min(distance, cone(points, start, end, start_radius, end_radius), 0.006)
        for start, end, start_radius, end_radius in thumb:
            distance = smooth_min(distance, cone(points, start, end, start_radius, end_radius), 0.012)
        return distance

    return field


def _foot_field() -> Field:
    """The left foot, flat on the floor at y = 0."""
    heel, toe = np.add(ANKLE, (0, -0.058, -0.028)), np.array([0.183, 0.020, 0.150], np.float32)

    def field(points: np.ndarray) -> np.ndarray:
        distance = smooth_min(
            cone(points, heel, np.add(ANKLE, (0.002, -0.01, 0.0)), 0.028, 0.032),
            cone(points, np.add(ANKLE, (0.004, -0.02, 0.03)), toe - (0.004, 0, 0.035), 0.032, 0.019),
            0.04,
        )
        distance = smooth_min(distance, cone(points, heel, toe - (-0.012, 0, 0.055), 0.026, 0.020), 0.03)
        distance = smooth_min(distance, cone(points, toe - (0.020, 0, 0.06), toe - (0.012, 0.002, 0.0), 0.020, 0.016), 0.02)
        distance = smooth_min(distance, cone(points, toe - (-0.02, 0, 0.06), toe - (-0.018, 0.004, 0.02), 0.020, 0.014), 0.02)
        return np.maximum(distance, 0.002 - points[:, 1])

    return field


SHAPES = {
    "female": Build(hips=1.06, waist=0.90, chest=0.93, shoulder=0.93, bust=0.85, limb=0.96, muscle=0.1, jaw=0.93, neck=0.86),
    "male": Build(hips=0.93, waist=1.10, chest=1.12, shoulder=1.13, bust=0.0, limb=1.06, muscle=0.85, jaw=1.10, neck=1.12),
    "heavy": Build(hips=1.15, waist=1.30, belly=0.045, chest=1.12, shoulder=1.04, bust=0.75, limb=1.20, muscle=0.3, jaw=1.10, neck=1.10),
    "curvy": Build(hips=1.15, waist=0.95, chest=1.0, shoulder=1.0, bust=1.05, limb=1.06, muscle=0.2),
}

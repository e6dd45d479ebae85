"""The human template: skeleton, surface, body shapes and skin weights, in one rest pose.

Rest space: metres, x to the person's left, y up, z to the front; arms and legs spread (an "A" pose).
All cuts and textures of skin and cloth are functions of the *template* position, so they stay with the body.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from training.figures.implicit import Loft, cone, ellipsoid, gradient, project, smooth_min, triangulate

BONES = (
    "pelvis",
    "abdomen",
    "chest",
    "neck",
    "head",
    "r_clavicle",
    "r_arm",
    "r_forearm",
    "r_hand",
    "r_fingers",
    "l_clavicle",
    "l_arm",
    "l_forearm",
    "l_hand",
    "l_fingers",
    "r_thigh",
    "r_shin",
    "r_foot",
    "l_thigh",
    "l_shin",
    "l_foot",
    "r_hang",
    "l_hang",
    "r_carry",
    "l_carry",
)
BONE = {name: i for i, name in enumerate(BONES)}
PARENT = (-1, 0, 1, 2, 3, 2, 5, 6, 7, 8, 2, 10, 11, 12, 13, 0, 15, 16, 0, 18, 19, 15, 18, 8, 13)

ARM_AXIS = np.array([np.sqrt(0.5), -np.sqrt(0.5), 0], np.float32)  # left arm in rest
ARM_OUT = np.array([np.sqrt(0.5), np.sqrt(0.5), 0], np.float32)  # back of the left hand
SHOULDER = np.array([0.163, 1.388, -0.018], np.float32)
UPPER_ARM, FOREARM = 0.275, 0.240
ELBOW = SHOULDER + UPPER_ARM * ARM_AXIS
WRIST = ELBOW + FOREARM * ARM_AXIS
HIP = np.array([0.088, 0.925, 0.0], np.float32)
KNEE = np.array([0.128, 0.500, 0.006], np.float32)
ANKLE = np.array([0.163, 0.085, -0.022], np.float32)
LEG_AXIS = (ANKLE - HIP) / np.linalg.norm(ANKLE - HIP)
HEAD_TOP = 1.725
# regions (per face), which choose how a texture is wrapped
BODY, HANGING, HEAD = range(3)  # the body's own surface (told apart further by place), cloth that hangs from it, the head

_LEFT_PIVOT = {
    "clavicle": (0.03, 1.395, -0.01),
    "arm": SHOULDER,
    "forearm": ELBOW,
    "hand": WRIST,
    "fingers": WRIST + 0.088 * ARM_AXIS,
    "thigh": HIP,
    "shin": KNEE,
    "foot": ANKLE,
    "hang": KNEE,
    "carry": WRIST + 0.10 * ARM_AXIS,
}
_MIDDLE_PIVOT = {
    "pelvis": (0, 0.95, 0),
    "abdomen": (0, 1.05, -0.01),
    "chest": (0, 1.19, -0.015),
    "neck": (0, 1.445, -0.025),
    "head": (0, 1.53, -0.005),
}


def _pivots() -> np.ndarray:
    rows = []
    for name in BONES:
        if name in _MIDDLE_PIVOT:
            rows.append(_MIDDLE_PIVOT[name])
        else:
            side, part = name.split("_")
            rows.append(np.asarray(_LEFT_PIVOT[part]) * ([-1, 1, 1] if side == "r" else [1, 1, 1]))
    return np.array(rows, np.float32)


PIVOTS = _pivots()  # (bones, 3)

# face joints in template coordinates: nose, right eye, left eye, right ear, left ear
FACE_POINTS = np.array(
    [[0, 1.580, 0.112], [-0.031, 1.611, 0.078], [0.031, 1.611, 0.078], [-0.074, 1.598, 0.0], [0.074, 1.598, 0.0]], np.float32
)


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
    shift = np.array([(b.shoulder - 1) * 0.15, 0, 0], np.float32)
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
        d = smooth_min(d, cone(p, (0.040, 1.432, -0.035), SHOULDER + shift + (-0.006, -0.002, 0), 0.035 * n, 0.039), 0.05)
        if b.bust > 0:
            r = 0.030 + 0.036 * b.bust
            d = smooth_min(d, ellipsoid(p, (0.070, 1.272, 0.068 + 0.012 * b.bust), (r * 1.12, r * 1.1, r)), 0.035)
        d = smooth_min(d, ellipsoid(p, (0.07, 1.32, 0.055), (0.075, 0.05, 0.045 + 0.012 * b.muscle)), 0.04)
        d = smooth_min(d, smooth_min(leg(p), foot(p), 0.03), 0.035)
        limb = smooth_min(arm(p - 0), hand(p - shift), 0.012)
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
    at = lambda along, wide, out=0.0: WRIST + along * e + wide * z + out * n  # noqa: E731
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
    heel, toe = ANKLE + (0, -0.058, -0.028), np.array([0.183, 0.020, 0.150], np.float32)

    def field(p: np.ndarray) -> np.ndarray:
        d = smooth_min(
            cone(p, heel, ANKLE + (0.002, -0.01, 0.0), 0.028, 0.032),
            cone(p, ANKLE + (0.004, -0.02, 0.03), toe - (0.004, 0, 0.035), 0.032, 0.019),
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


@dataclass(frozen=True)
class Template:
    """The body mesh.  Arrays are per vertex unless named otherwise."""

    position: np.ndarray  # (v, 3) template position
    normal: np.ndarray  # (v, 3)
    shape: dict  # name -> ((v, 3) displacement, (v, 3) change of normal)
    weight: np.ndarray  # (v, bones)
    face: np.ndarray  # (f, 3)
    region: np.ndarray  # (f,)
    arm: np.ndarray  # membership of an arm, 0..1
    arm_along: np.ndarray  # metres from the shoulder joint down the nearer arm
    leg: np.ndarray  # membership of a leg, 0..1
    drape: np.ndarray  # metres a loose cloth stands off below the chest
    part: np.ndarray  # 0 body, 1 head, 2 and 3 hands: separate, overlapping meshes


def step(x, a, b):
    """Smooth 0..1 step as x goes from a to b (a may exceed b)."""
    t = np.clip((x - a) / (b - a), 0, 1)
    return t * t * (3 - 2 * t)


def arm_coordinates(p: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(along, out, front) metres in the frame of the nearer arm for template points (n, 3)."""
    q = np.stack([np.abs(p[:, 0]), p[:, 1], p[:, 2]], 1) - SHOULDER
    return q @ ARM_AXIS, q @ ARM_OUT, q[:, 2]


def skin_weights(p: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights (n, bones) and memberships of arms and legs (n,) for template points."""
    x, y, _ = p.T
    w = np.zeros((len(p), len(BONES)), np.float32)
    along, out, front = arm_coordinates(p)
    reach = np.hypot(out, front)
    arm = step(along, -0.045, 0.090) * np.where(along > 0.17, step(reach, 0.17, 0.13), step(reach, 0.112, 0.062)) * (np.abs(x) > 0.08)
    arm *= step(y, 1.50, 1.45)
    leg = step(y, 0.985, 0.825) * (1 - arm) * (along < 0.45)
    leg = np.where((y < 0.80) & (np.abs(x) < 0.33), 1.0, leg)
    left = step(x, -0.035, 0.035)
    torso = np.clip(1 - arm - leg, 0, 1)
    neck, head = step(y, 1.415, 1.48), step(y, 1.495, 1.555)
    chest, abdomen = step(y, 1.12, 1.26), step(y, 0.98, 1.10)
    clavicle = step(np.abs(x), 0.03, 0.14) * step(y, 1.24, 1.37) * (1 - neck) * 0.8
    w[:, BONE["head"]] = torso * head
    w[:, BONE["neck"]] = torso * neck * (1 - head)
    upper = torso * (1 - neck)
    w[:, BONE["chest"]] = upper * chest * (1 - clavicle)
    w[:, BONE["abdomen"]] = upper * abdomen * (1 - chest)
    w[:, BONE["pelvis"]] = upper * (1 - abdomen) * (1 - chest)
    elbow, wrist, finger = step(along, UPPER_ARM - 0.045, UPPER_ARM + 0.045), step(along, 0.495, 0.535), step(along, 0.595, 0.63)
    knee, ankle = step(y, 0.56, 0.445), step(y, 0.125, 0.075)
    thumb = front > 0.034
    for side, share in (("l", left), ("r", 1 - left)):
        w[:, BONE[f"{side}_clavicle"]] = upper * chest * clavicle * share
        w[:, BONE[f"{side}_arm"]] = arm * share * (1 - elbow)
        w[:, BONE[f"{side}_forearm"]] = arm * share * elbow * (1 - wrist)
        finger_only = np.where(thumb & (along < 0.62), 0, finger)
        w[:, BONE[f"{side}_hand"]] = arm * share * wrist * (1 - finger_only)
        w[:, BONE[f"{side}_fingers"]] = arm * share * wrist * finger_only
        w[:, BONE[f"{side}_thigh"]] = leg * share * (1 - knee)
        w[:, BONE[f"{side}_shin"]] = leg * share * knee * (1 - ankle)
        w[:, BONE[f"{side}_foot"]] = leg * share * knee * ankle
    return w / w.sum(1, keepdims=True), arm.astype(np.float32), leg.astype(np.float32)


def _mesh(field) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The template's vertices, faces and parts: a coarse body, finer head and hands, slightly overlapping."""
    parts = []
    p, f = triangulate(field, (-0.62, -0.02, -0.22), (0.62, 1.50, 0.26), 0.0180)
    parts.append((p, f))
    parts.append(triangulate(field, (-0.105, 1.475, -0.135), (0.105, 1.75, 0.15), 0.0088))
    hand_low, hand_high = WRIST + (-0.070, -0.20, -0.075), WRIST + (0.19, 0.065, 0.085)
    for sign in (1, -1):
        low, high = (
            (hand_low, hand_high) if sign > 0 else (np.array([-hand_high[0], *hand_low[1:]]), np.array([-hand_low[0], *hand_high[1:]]))
        )
        parts.append(triangulate(field, low, high, 0.0080))
    kept = []
    for i, (p, f) in enumerate(parts):
        along, out, front = arm_coordinates(p)
        hand = (along > 0.495) & (np.abs(p[:, 0]) > 0.35)
        if i == 0:
            keep = ~((along > 0.545) & (np.abs(p[:, 0]) > 0.35)) & (p[:, 1] < 1.512)
        elif i == 1:
            keep = p[:, 1] > 1.472
        else:
            keep = hand
        kept.append((p, f[keep[f].all(1)]))
    points, faces, base = [], [], 0
    for p, f in kept:
        used = np.unique(f)
        remap = np.zeros(len(p), np.int64)
        remap[used] = np.arange(len(used)) + base
        points.append(p[used])
        faces.append(remap[f])
        base += len(used)
    return np.concatenate(points), np.concatenate(faces), np.concatenate([np.full(len(q), i) for i, q in enumerate(points)])


def _drape(p: np.ndarray, arm: np.ndarray) -> np.ndarray:
    """How far a cloth hung from the chest stands off the body, per vertex."""
    angle = np.arctan2(p[:, 0], p[:, 2] + 0.01)
    r = np.hypot(p[:, 0], p[:, 2] + 0.01)
    bins, rows = 24, 40
    a = ((angle + np.pi) / (2 * np.pi) * bins).astype(int) % bins
    row = np.clip(((1.36 - p[:, 1]) / 0.6 * rows), -1, rows - 1).astype(int)
    ok = (arm < 0.1) & (row >= 0) & (p[:, 1] > 0.76)
    table = np.zeros((rows, bins))
    np.maximum.at(table, (row[ok], a[ok]), r[ok])
    for i in range(1, rows):
        table[i] = np.maximum(table[i], np.where(table[i] > 0, np.maximum(table[i - 1] - 0.0008, table[i]), table[i - 1]))
    for _ in range(2):
        table = (np.roll(table, 1, 1) + 2 * table + np.roll(table, -1, 1)) / 4
    d = np.where(row >= 0, table[np.maximum(row, 0), a] - r, 0) * (1 - arm)
    return np.clip(d, 0, 0.09).astype(np.float32)


@lru_cache(maxsize=1)
def template() -> Template:
    """The one body template (built on first use, a few seconds)."""
    field = body_field(Build())
    p, f, part = _mesh(field)
    p = project(field, p, 2)
    n = gradient(field, p)
    shape = {}
    for name, build in SHAPES.items():
        other = body_field(build)
        q = p.copy()
        arm = skin_weights(p)[1]
        q[:, 0] += np.sign(p[:, 0]) * arm * (build.shoulder - 1) * 0.15
        q = project(other, q, 3)
        shape[name] = (q - p, gradient(other, q) - n)
    w, arm, leg = skin_weights(p)
    region = np.where((p[:, 1] > 1.49)[f].all(1), HEAD, BODY)
    return Template(p, n, shape, w, f, region, arm, arm_coordinates(p)[0].astype(np.float32), leg, _drape(p, arm), part)

"""Poses: named, anatomically valid bases, their random variation, and forward kinematics (numpy)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from training.figures.skeleton import ANKLE, ARM_AXIS, BONES, HIP, PARENT

REST_ABDUCTION = np.degrees(np.arctan2(ANKLE[0] - HIP[0], HIP[1] - ANKLE[1]))


@dataclass(frozen=True)
class Arm:
    """Directions of the upper arm and forearm in the chest's frame, as if for the left arm (x outwards)."""

    upper: tuple = (0.17, -1, -0.02)
    fore: tuple = (0.08, -1, 0.20)
    roll: float = 0.0  # degrees, forearm roll of the hand (positive: palm turns back)
    bend: float = 0.0  # degrees, wrist towards the palm
    curl: float = 18.0  # degrees, fingers


@dataclass(frozen=True)
class Leg:
    """Degrees: forward lift, outward lift, outward turn, knee bend, and pitch of the foot (toes down)."""

    lift: float = 0.0
    out: float = 2.5
    turn: float = 8.0
    knee: float = 2.0
    foot: float = 0.0
    flat: bool = True  # foot level with the floor, before its pitch


@dataclass(frozen=True)
class Pose:
    """One pose.  Angles in degrees: yaw turns to the person's left, lean is forwards, tilt is to the left."""

    right_arm: Arm = field(default_factory=Arm)
    left_arm: Arm = field(default_factory=Arm)
    right_leg: Leg = field(default_factory=Leg)
    left_leg: Leg = field(default_factory=Leg)
    yaw: float = 0.0
    lean: float = 0.0
    pelvis_tilt: float = 0.0
    spine: tuple = (0.0, 0.0, 0.0)  # bend forwards, twist left, bend left
    head: tuple = (0.0, 0.0, 0.0)  # nod, turn left, tilt left
    seat: bool = False
    name: str = "stand"


DOWN = Arm()
RELAXED = Arm((0.22, -1, -0.08), (0.05, -1, 0.30))
HIP_HAND = Arm((0.78, -0.72, -0.30), (-0.74, -0.62, 0.40), roll=-20, bend=15, curl=25)
POCKET = Arm((0.36, -0.95, -0.20), (-0.16, -0.95, 0.28), roll=10, curl=40)
BEHIND = Arm((0.30, -0.95, -0.42), (-0.40, -0.85, -0.22), roll=30)
CROSS_LOW = Arm((0.18, -0.92, 0.28), (-0.86, 0.10, 0.52), roll=20, curl=30)
CROSS_HIGH = Arm((0.20, -0.94, 0.30), (-0.80, 0.24, 0.62), roll=20, curl=30)
UP = Arm((0.48, 0.88, 0.08), (0.05, 1, 0.12), roll=0)
UP_BENT = Arm((0.72, 0.70, 0.10), (-0.62, 0.72, 0.02), roll=0, bend=10)
WAVE = Arm((0.86, -0.42, 0.18), (0.30, 0.93, 0.25), roll=0, curl=6)
HAIR = Arm((0.66, 0.42, 0.42), (-0.62, 0.80, -0.10), bend=20, curl=35)
CHIN = Arm((0.22, -0.88, 0.46), (-0.28, 0.80, 0.36), bend=25, curl=45)
SPREAD = Arm((1, -0.05, 0.05), (1, 0, 0.18))
FRONT = Arm((0.18, -0.40, 0.95), (-0.05, -0.05, 1))
HOLD = Arm((0.22, -0.98, 0.10), (-0.10, -0.18, 0.98), curl=45)
BAG_HAND = Arm((0.22, -1, -0.10), (0.12, -0.55, 0.85), curl=60)
SWING_FRONT = Arm((0.14, -0.92, 0.38), (-0.04, -0.72, 0.72), curl=30)
SWING_BACK = Arm((0.20, -0.90, -0.50), (0.10, -0.96, -0.12), curl=30)
RUN_FRONT = Arm((0.18, -0.86, 0.50), (-0.16, 0.35, 0.92), curl=60)
RUN_BACK = Arm((0.26, -0.68, -0.72), (0.06, -0.72, 0.66), curl=60)
LAP = Arm((0.16, -0.92, 0.36), (-0.22, -0.52, 0.82), roll=30, curl=15)
CLASP = Arm((0.24, -0.95, 0.10), (-0.42, -0.78, 0.46), roll=15, curl=35)

_BASES: dict[str, Pose] = {
    "stand": Pose(DOWN, DOWN),
    "contrapposto": Pose(RELAXED, RELAXED, Leg(0, 1, 6, 1), Leg(12, 8, 18, 20), pelvis_tilt=-5, spine=(0, 0, 5), head=(2, 8, -4)),
    "hands_on_hips": Pose(HIP_HAND, HIP_HAND, Leg(0, 5, 10), Leg(0, 5, 10)),
    "one_hand_on_hip": Pose(HIP_HAND, RELAXED, Leg(0, 1, 6, 1), Leg(8, 8, 16, 14), pelvis_tilt=-5, spine=(0, 0, 4)),
    "hands_in_pockets": Pose(POCKET, POCKET, Leg(0, 4, 10), Leg(3, 5, 14, 8)),
    "arms_crossed": Pose(CROSS_HIGH, CROSS_LOW, Leg(0, 4, 9), Leg(0, 4, 9)),
    "arms_behind": Pose(BEHIND, BEHIND, head=(3, 6, 3)),
    "arms_up": Pose(UP, UP, Leg(0, 5, 10), Leg(0, 5, 10)),
    "hands_over_head": Pose(UP_BENT, UP_BENT, Leg(0, 2, 8), Leg(5, 6, 14, 10), pelvis_tilt=-4),
    "arms_spread": Pose(SPREAD, SPREAD, Leg(0, 7, 10), Leg(0, 7, 10)),
    "wave": Pose(WAVE, RELAXED, Leg(0, 3, 8), Leg(0, 3, 8), head=(0, -6, 4)),
    "hand_in_hair": Pose(HAIR, RELAXED, Leg(0, 2, 6), Leg(10, 6, 14, 18), pelvis_tilt=-4, head=(2, 10, -8)),
    "hand_at_chin": Pose(CHIN, CROSS_LOW, Leg(0, 3, 8), Leg(4, 4, 12, 8), head=(3, -6, 4)),
    "reach_forward": Pose(FRONT, RELAXED, Leg(0, 3, 8), Leg(0, 3, 8), yaw=40),
    "hold": Pose(HOLD, RELAXED, Leg(0, 3, 8), Leg(6, 4, 12, 12), head=(10, -6, 0)),
    "clasped": Pose(CLASP, CLASP, Leg(0, 2, 6), Leg(3, 3, 8, 6)),
    "walk": Pose(SWING_BACK, SWING_FRONT, Leg(22, 1, 4, 6, -8), Leg(-18, 1, 4, 18, 26), spine=(2, -6, 0)),
    "walk_side": Pose(SWING_BACK, SWING_FRONT, Leg(24, 1, 4, 5, -12), Leg(-20, 1, 4, 22, 28), yaw=78, spine=(2, -8, 0)),
    "walk_away": Pose(SWING_FRONT, SWING_BACK, Leg(-14, 1, 4, 26, 26), Leg(20, 1, 4, 6, -6), yaw=172, spine=(2, 6, 0)),
    "run": Pose(RUN_FRONT, RUN_BACK, Leg(-22, 1, 2, 70, 30, False), Leg(52, 1, 2, 62, 5, False), yaw=62, lean=8, spine=(4, 12, 0)),
    "crossed_legs": Pose(RELAXED, HIP_HAND, Leg(6, -5, 8, 6), Leg(-4, -5, 8, 2), pelvis_tilt=3),
    "step_to_side": Pose(RELAXED, RELAXED, Leg(4, 12, 18, 12), Leg(0, 10, 10, 2), pelvis_tilt=2),
    "lunge": Pose(HIP_HAND, HIP_HAND, Leg(44, 4, 6, 52, 0), Leg(-26, 3, 4, 14, 32), yaw=35),
    "sit": Pose(LAP, LAP, Leg(84, 7, 4, 84), Leg(84, 7, 4, 84), yaw=28, seat=True),
    "sit_front": Pose(LAP, CLASP, Leg(80, 9, 8, 78), Leg(84, 9, 8, 88), yaw=8, lean=4, seat=True),
    "sit_crossed": Pose(LAP, CLASP, Leg(84, 3, 2, 80), Leg(98, -13, -6, 68, 25, False), yaw=-38, lean=4, seat=True),
    "three_quarter": Pose(RELAXED, RELAXED, Leg(0, 2, 8), Leg(8, 5, 14, 12), yaw=40, head=(0, -16, 0)),
    "three_quarter_right": Pose(RELAXED, POCKET, Leg(8, 5, 14, 12), Leg(0, 2, 8), yaw=-40, head=(0, 16, 0)),
    "side_left": Pose(DOWN, DOWN, Leg(3, 1, 4, 3), Leg(-4, 1, 4, 3), yaw=88),
    "side_right": Pose(DOWN, DOWN, Leg(-4, 1, 4, 3), Leg(3, 1, 4, 3), yaw=-88),
    "back": Pose(DOWN, DOWN, yaw=180),
    "back_three_quarter": Pose(RELAXED, RELAXED, Leg(0, 2, 8), Leg(6, 4, 12, 10), yaw=140),
    "back_hands_on_hips": Pose(HIP_HAND, HIP_HAND, Leg(0, 5, 10), Leg(0, 5, 10), yaw=178),
    "look_over_shoulder": Pose(RELAXED, RELAXED, Leg(0, 2, 8), Leg(6, 4, 12, 10), yaw=142, spine=(0, -18, 0), head=(2, -52, 3)),
}
NAMES = tuple(_BASES)
_WEIGHT = {
    "stand": 3,
    "contrapposto": 3,
    "back": 3,
    "three_quarter": 3,
    "three_quarter_right": 3,
    "side_left": 1.6,
    "side_right": 1.6,
    "walk": 2,
    "hands_on_hips": 2,
    "one_hand_on_hip": 2.5,
    "hands_in_pockets": 2.5,
    "back_three_quarter": 1.6,
    "run": 0.7,
    "arms_spread": 0.5,
    "lunge": 0.6,
    "reach_forward": 0.6,
    "arms_up": 0.8,
}


def base_pose(name: str) -> Pose:
    """A named pose, without variation."""
    return replace(_BASES[name], name=name)


def _jitter_arm(rng: np.random.Generator, arm: Arm, amount: float) -> Arm:
    def turn(v):
        v = np.asarray(v, float) / np.linalg.norm(v)
        v = v + rng.normal(0, amount, 3)
        return tuple(v / np.linalg.norm(v))

    return replace(
        arm,
        upper=turn(arm.upper),
        fore=turn(arm.fore),
        roll=arm.roll + rng.normal(0, 150 * amount),
        bend=arm.bend + rng.normal(0, 80 * amount),
        curl=float(np.clip(arm.curl + rng.normal(0, 10), 4, 70)),
    )


def _jitter_leg(rng: np.random.Generator, leg: Leg, a: float) -> Leg:
    return replace(
        leg,
        lift=leg.lift + rng.normal(0, 3 * a),
        out=leg.out + rng.normal(0, 1.2 * a),
        turn=leg.turn + rng.normal(0, 4 * a),
        knee=max(0.0, leg.knee + rng.normal(0, 4 * a)),
        foot=leg.foot + rng.normal(0, 2 * a),
    )


def _mirror(p: Pose) -> Pose:
    s, h = p.spine, p.head
    return replace(
        p,
        right_arm=p.left_arm,
        left_arm=p.right_arm,
        right_leg=p.left_leg,
        left_leg=p.right_leg,
        yaw=-p.yaw,
        pelvis_tilt=-p.pelvis_tilt,
        spine=(s[0], -s[1], -s[2]),
        head=(h[0], -h[1], -h[2]),
    )


_FREE_ARMS = (
    DOWN,
    RELAXED,
    RELAXED,
    HIP_HAND,
    POCKET,
    BEHIND,
    WAVE,
    HAIR,
    CHIN,
    HOLD,
    BAG_HAND,
    CLASP,
    SWING_FRONT,
    SWING_BACK,
    UP,
    UP_BENT,
)


def sample_pose(rng: np.random.Generator, calm: bool = False) -> Pose:
    """Draw a pose from the wide distribution (or, if `calm`, a quiet front view)."""
    if calm:
        name = rng.choice(["stand", "stand", "contrapposto", "hands_in_pockets", "one_hand_on_hip", "arms_behind"])
        pose, amount = base_pose(name), 0.035
    else:
        p = np.array([_WEIGHT.get(n, 1.0) for n in NAMES])
        pose, amount = base_pose(NAMES[rng.choice(len(NAMES), p=p / p.sum())]), 0.075
        if not pose.seat and rng.random() < 0.25:
            pose = replace(pose, right_arm=_FREE_ARMS[rng.integers(len(_FREE_ARMS))])
        if not pose.seat and rng.random() < 0.25:
            pose = replace(pose, left_arm=_FREE_ARMS[rng.integers(len(_FREE_ARMS))])
    if rng.random() < 0.5 and pose.name not in ("side_left", "side_right"):
        pose = _mirror(pose)
    turn = rng.normal(0, 4 if calm else 11)
    if not calm and abs(pose.yaw) < 20 and rng.random() < 0.15:
        turn += rng.uniform(-180, 180)
    a = 0.6 if calm else 1.0
    jitter3 = lambda v, s: tuple(np.asarray(v) + rng.normal(0, 1, 3) * s * a)  # noqa: E731
    return replace(
        pose,
        right_arm=_jitter_arm(rng, pose.right_arm, amount),
        left_arm=_jitter_arm(rng, pose.left_arm, amount),
        right_leg=_jitter_leg(rng, pose.right_leg, a),
        left_leg=_jitter_leg(rng, pose.left_leg, a),
        yaw=pose.yaw + turn,
        lean=pose.lean + rng.normal(0, 1.5),
        pelvis_tilt=pose.pelvis_tilt + rng.normal(0, 1.0),
        spine=jitter3(pose.spine, np.array([2.5, 4, 2])),
        head=jitter3(pose.head, np.array([4, 9, 4])),
    )


def rx(a):
    c, s = np.cos(np.radians(a)), np.sin(np.radians(a))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def ry(a):
    c, s = np.cos(np.radians(a)), np.sin(np.radians(a))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


def rz(a):
    c, s = np.cos(np.radians(a)), np.sin(np.radians(a))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def about(axis, angle):
    """Rotation matrix about a unit axis by degrees."""
    x, y, z = axis
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    a = np.radians(angle)
    return np.eye(3) + np.sin(a) * k + (1 - np.cos(a)) * (k @ k)


def _frame(d, hinge):
    d = d / np.linalg.norm(d)
    h = hinge - d * (hinge @ d)
    h = h / np.linalg.norm(h)
    return np.stack([d, h, np.cross(d, h)], 1)


def _closest_rotation(m):
    u, _, v = np.linalg.svd(m)
    return u @ np.diag([1, 1, np.linalg.det(u @ v)]) @ v


def _solve_arm(w: dict, arm: Arm, side: str, chest: np.ndarray) -> None:
    flip = np.array([1 if side == "l" else -1, 1, 1])
    rest, front = ARM_AXIS * flip, np.array([0, 0, 1.0])
    u, f = (np.asarray(v, float) / np.linalg.norm(v) * flip for v in (arm.upper, arm.fore))
    towards = (f - u * (f @ u)) + 0.12 * (front - u * u[2])
    hinge = np.cross(u, towards)
    rest_frame = _frame(rest, np.cross(rest, front))
    # the shoulder blade follows a raised arm
    raise_angle = 26 * np.clip((u[1] + 0.15) / 1.1, 0, 1) - 4 * np.clip(-u[1], 0, 1)
    w[f"{side}_clavicle"] = chest @ rz(raise_angle * flip[0])
    w[f"{side}_arm"] = chest @ _frame(u, hinge) @ rest_frame.T
    fore = chest @ _frame(f, hinge) @ rest_frame.T
    w[f"{side}_forearm"] = fore
    hand = fore @ about(rest, arm.roll * flip[0]) @ about(front * flip[0], -arm.bend)
    w[f"{side}_hand"] = hand
    w[f"{side}_fingers"] = hand @ about(front * flip[0], -arm.curl)


def _solve_leg(w: dict, leg: Leg, side: str, pelvis: np.ndarray) -> None:
    s = 1 if side == "l" else -1
    thigh = pelvis @ rz(s * (leg.out - REST_ABDUCTION)) @ rx(-leg.lift) @ ry(s * leg.turn)
    shin = thigh @ rx(leg.knee)
    foot = shin
    if leg.flat:
        z = shin @ np.array([0, 0.25 * (1 if leg.lift > 45 else 0), 1.0])
        foot = ry(np.degrees(np.arctan2(z[0], z[2])))
    w[f"{side}_thigh"], w[f"{side}_shin"] = thigh, shin
    w[f"{side}_foot"] = foot @ rx(leg.foot)
    w[f"{side}_hang"] = _closest_rotation(0.55 * pelvis + 0.45 * shin)


def rotations(p: Pose) -> np.ndarray:
    """World rotation of every bone, (bones, 3, 3); the camera looks along -z."""
    w: dict[str, np.ndarray] = {}
    root = ry(p.yaw) @ rx(p.lean)
    w["pelvis"] = root @ rz(p.pelvis_tilt)
    bend = lambda k: rx(p.spine[0] * k) @ ry(p.spine[1] * k) @ rz((p.spine[2] - p.pelvis_tilt) * k)  # noqa: E731
    w["abdomen"] = w["pelvis"] @ bend(0.5)
    w["chest"] = w["abdomen"] @ bend(0.5)
    nod = lambda k: rx(p.head[0] * k) @ ry(p.head[1] * k) @ rz(-p.head[2] * k)  # noqa: E731
    w["neck"] = w["chest"] @ nod(0.4)
    w["head"] = w["neck"] @ nod(0.6)
    for side, arm, leg in (("r", p.right_arm, p.right_leg), ("l", p.left_arm, p.left_leg)):
        _solve_arm(w, arm, side, w["chest"])
        _solve_leg(w, leg, side, w["pelvis"])
        w[f"{side}_carry"] = ry(p.yaw)
    return np.stack([w[name] for name in BONES]).astype(np.float32)


def bone_affines(p: Pose, pivots: np.ndarray, stretch: np.ndarray) -> np.ndarray:
    """Affine maps (bones, 3, 4) from rest space to posed space.

    pivots: (bones, 3) rest joints of this body; stretch: (bones, 3, 3) rest-space shape change of each bone.
    """
    turn = rotations(p)
    place = np.zeros((len(BONES), 3))
    for i, parent in enumerate(PARENT):
        if parent >= 0:
            place[i] = place[parent] + turn[parent] @ stretch[parent] @ (pivots[i] - pivots[parent])
        else:
            place[i] = pivots[i]
    linear = turn @ stretch
    shift = place - np.einsum("bij,bj->bi", linear, pivots)
    return np.concatenate([linear, shift[:, :, None]], 2).astype(np.float32)

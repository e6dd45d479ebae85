"""Poses: named, anatomically valid bases, their random variation, and forward kinematics (numpy)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from training.figures.skeleton import ANKLE, ARM_AXIS, BONES, HIP, PARENT

# degrees that the thighs are spread in the rest pose
REST_ABDUCTION = np.degrees(np.arctan2(ANKLE[0] - HIP[0], HIP[1] - ANKLE[1]))


Angles = tuple[float, float, float]  # degrees
Direction = tuple[float, float, float]  # of any length
CALM_POSES = ("stand", "stand", "contrapposto", "hands_in_pockets", "one_hand_on_hip", "arms_behind")
MIRROR_SHARE = 0.5  # of the poses
OTHER_ARM_SHARE = 0.25  # of the arms do something that the named pose does not say


@dataclass(frozen=True)
class Arm:
    """An arm, in the chest's frame and as if it were the left one (x outwards).

    Attributes:
        upper: direction of the upper arm.
        fore: direction of the forearm.
        roll: degrees that the hand is rolled with the forearm; positive turns the palm back.
        bend: degrees of the wrist towards the palm.
        curl: degrees of the fingers.
    """

    upper: Direction = (0.17, -1, -0.02)
    fore: Direction = (0.08, -1, 0.20)
    roll: float = 0.0
    bend: float = 0.0
    curl: float = 18.0


@dataclass(frozen=True)
class Leg:
    """A leg, in degrees.

    Attributes:
        lift: of the thigh, forwards.
        out: of the thigh, outwards.
        turn: outwards.
        knee: its bend.
        foot: its pitch, toes down.
        flat: whether the foot is level with the floor before its pitch.
    """

    lift: float = 0.0
    out: float = 2.5
    turn: float = 8.0
    knee: float = 2.0
    foot: float = 0.0
    flat: bool = True


@dataclass(frozen=True)
class Pose:
    """One pose; angles in degrees.

    Attributes:
        yaw: of the whole body, to the person's left.
        lean: of the whole body, forwards.
        pelvis_tilt: to the left.
        spine: bend forwards, twist left, bend left.
        head: nod, turn left, tilt left.
        seat: whether the person sits.
        name: of the pose that it varies.
    """

    right_arm: Arm = field(default_factory=Arm)
    left_arm: Arm = field(default_factory=Arm)
    right_leg: Leg = field(default_factory=Leg)
    left_leg: Leg = field(default_factory=Leg)
    yaw: float = 0.0
    lean: float = 0.0
    pelvis_tilt: float = 0.0
    spine: Angles = (0.0, 0.0, 0.0)
    head: Angles = (0.0, 0.0, 0.0)
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
_SHARES = {
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
"""How often a pose is drawn, relative to those that are not listed, which have 1."""


def base_pose(name: str) -> Pose:
    """A named pose, without variation."""
    return replace(_BASES[name], name=name)


def _jitter_arm(rng: np.random.Generator, arm: Arm, amount: float) -> Arm:
    def turned(direction: Direction) -> Direction:
        unit = np.asarray(direction, float) / np.linalg.norm(direction)
        moved = unit + rng.normal(0, amount, 3)
        return tuple(moved / np.linalg.norm(moved))

    return replace(
        arm,
        upper=turned(arm.upper),
        fore=turned(arm.fore),
        roll=arm.roll + rng.normal(0, 150 * amount),
        bend=arm.bend + rng.normal(0, 80 * amount),
        curl=float(np.clip(arm.curl + rng.normal(0, 10), 4, 70)),
    )


def _jitter_leg(rng: np.random.Generator, leg: Leg, amount: float) -> Leg:
    return replace(
        leg,
        lift=leg.lift + rng.normal(0, 3 * amount),
        out=leg.out + rng.normal(0, 1.2 * amount),
        turn=leg.turn + rng.normal(0, 4 * amount),
        knee=max(0.0, leg.knee + rng.normal(0, 4 * amount)),
        foot=leg.foot + rng.normal(0, 2 * amount),
    )


def _mirror(pose: Pose) -> Pose:
    (forwards, twist, bend), (nod, turn, tilt) = pose.spine, pose.head
    return replace(
        pose,
        right_arm=pose.left_arm,
        left_arm=pose.right_arm,
        right_leg=pose.left_leg,
        left_leg=pose.right_leg,
        yaw=-pose.yaw,
        pelvis_tilt=-pose.pelvis_tilt,
        spine=(forwards, -twist, -bend),
        head=(nod, -turn, -tilt),
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
"""What an arm may do whatever the rest of the body does."""


def sample_pose(rng: np.random.Generator, calm: bool = False) -> Pose:
    """Draw a pose from the wide distribution or, if ``calm``, a quiet front view."""
    if calm:
        name = str(rng.choice(CALM_POSES))
        pose, amount = base_pose(name), 0.035
    else:
        shares = np.array([_SHARES.get(name, 1.0) for name in NAMES])
        pose, amount = base_pose(NAMES[rng.choice(len(NAMES), p=shares / shares.sum())]), 0.075
        if not pose.seat and rng.random() < OTHER_ARM_SHARE:
            pose = replace(pose, right_arm=_FREE_ARMS[rng.integers(len(_FREE_ARMS))])
        if not pose.seat and rng.random() < OTHER_ARM_SHARE:
            pose = replace(pose, left_arm=_FREE_ARMS[rng.integers(len(_FREE_ARMS))])
    if rng.random() < MIRROR_SHARE and pose.name not in ("side_left", "side_right"):
        pose = _mirror(pose)
    turn = rng.normal(0, 4 if calm else 11)
    if not calm and abs(pose.yaw) < 20 and rng.random() < 0.15:
        turn += rng.uniform(-180, 180)
    vigour = 0.6 if calm else 1.0

    def jitter(angles: Angles, spread: tuple[float, float, float]) -> Angles:
        return tuple(np.asarray(angles) + rng.normal(0, 1, 3) * np.array(spread) * vigour)

    return replace(
        pose,
        right_arm=_jitter_arm(rng, pose.right_arm, amount),
        left_arm=_jitter_arm(rng, pose.left_arm, amount),
        right_leg=_jitter_leg(rng, pose.right_leg, vigour),
        left_leg=_jitter_leg(rng, pose.left_leg, vigour),
        yaw=pose.yaw + turn,
        lean=pose.lean + rng.normal(0, 1.5),
        pelvis_tilt=pose.pelvis_tilt + rng.normal(0, 1.0),
        spine=jitter(pose.spine, (2.5, 4, 2)),
        head=jitter(pose.head, (4, 9, 4)),
    )


def _sine_cosine(angle: float) -> tuple[float, float]:
    return np.sin(np.radians(angle)), np.cos(np.radians(angle))


def about_x(angle: float) -> np.ndarray:
    """Rotation matrix by degrees, from y towards z."""
    sine, cosine = _sine_cosine(angle)
    return np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])


def about_y(angle: float) -> np.ndarray:
    """Rotation matrix by degrees, from z towards x."""
    sine, cosine = _sine_cosine(angle)
    return np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])


def about_z(angle: float) -> np.ndarray:
    """Rotation matrix by degrees, from x towards y."""
    sine, cosine = _sine_cosine(angle)
    return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])


def about(axis: np.ndarray, angle: float) -> np.ndarray:
    """Rotation matrix about a unit axis by degrees."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    sine, cosine = _sine_cosine(angle)
    return np.eye(3) + sine * cross + (1 - cosine) * (cross @ cross)


def _frame(direction: np.ndarray, hinge: np.ndarray) -> np.ndarray:
    """A rotation whose first axis is the direction, and whose second is as near to the hinge as can be."""
    direction = direction / np.linalg.norm(direction)
    second = hinge - direction * (hinge @ direction)
    second = second / np.linalg.norm(second)
    return np.stack([direction, second, np.cross(direction, second)], 1)


def _closest_rotation(matrix: np.ndarray) -> np.ndarray:
    left, _, right = np.linalg.svd(matrix)
    return left @ np.diag([1, 1, np.linalg.det(left @ right)]) @ right


def _solve_arm(world: dict[str, np.ndarray], arm: Arm, side: str, chest: np.ndarray) -> None:
    flip = np.array([1 if side == "l" else -1, 1, 1])
    rest, front = ARM_AXIS * flip, np.array([0, 0, 1.0])
    upper, fore_direction = (np.asarray(direction, float) / np.linalg.norm(direction) * flip for direction in (arm.upper, arm.fore))
    towards = (fore_direction - upper * (fore_direction @ upper)) + 0.12 * (front - upper * upper[2])
    hinge = np.cross(upper, towards)
    rest_frame = _frame(rest, np.cross(rest, front))
    # the shoulder blade follows a raised arm
    raise_angle = 26 * np.clip((upper[1] + 0.15) / 1.1, 0, 1) - 4 * np.clip(-upper[1], 0, 1)
    world[f"{side}_clavicle"] = chest @ about_z(raise_angle * flip[0])
    world[f"{side}_arm"] = chest @ _frame(upper, hinge) @ rest_frame.T
    fore = chest @ _frame(fore_direction, hinge) @ rest_frame.T
    world[f"{side}_forearm"] = fore
    hand = fore @ about(rest, arm.roll * flip[0]) @ about(front * flip[0], -arm.bend)
    world[f"{side}_hand"] = hand
    world[f"{side}_fingers"] = hand @ about(front * flip[0], -arm.curl)


def _solve_leg(world: dict[str, np.ndarray], leg: Leg, side: str, pelvis: np.ndarray) -> None:
    sign = 1 if side == "l" else -1
    thigh = pelvis @ about_z(sign * (leg.out - REST_ABDUCTION)) @ about_x(-leg.lift) @ about_y(sign * leg.turn)
    shin = thigh @ about_x(leg.knee)
    foot = shin
    if leg.flat:
        toes = shin @ np.array([0, 0.25 * (1 if leg.lift > 45 else 0), 1.0])
        foot = about_y(np.degrees(np.arctan2(toes[0], toes[2])))
    world[f"{side}_thigh"], world[f"{side}_shin"] = thigh, shin
    world[f"{side}_foot"] = foot @ about_x(leg.foot)
    world[f"{side}_hang"] = _closest_rotation(0.55 * pelvis + 0.45 * shin)


def _head_turn(head: Angles, share: float) -> np.ndarray:
    """A share of the head's rotation."""
    nod, turn, tilt = head
    return about_x(nod * share) @ about_y(turn * share) @ about_z(-tilt * share)


def rotations(pose: Pose) -> np.ndarray:
    """World rotation of every bone, bones x 3 x 3; the camera looks along -z."""
    world: dict[str, np.ndarray] = {}
    root = about_y(pose.yaw) @ about_x(pose.lean)
    world["pelvis"] = root @ about_z(pose.pelvis_tilt)
    forwards, twist, left = pose.spine
    half_bend = about_x(forwards * 0.5) @ about_y(twist * 0.5) @ about_z((left - pose.pelvis_tilt) * 0.5)
    world["abdomen"] = world["pelvis"] @ half_bend
    world["chest"] = world["abdomen"] @ half_bend
    world["neck"] = world["chest"] @ _head_turn(pose.head, 0.4)
    world["head"] = world["neck"] @ _head_turn(pose.head, 0.6)
    for side, arm, leg in (("r", pose.right_arm, pose.right_leg), ("l", pose.left_arm, pose.left_leg)):
        _solve_arm(world, arm, side, world["chest"])
        _solve_leg(world, leg, side, world["pelvis"])
        world[f"{side}_carry"] = about_y(pose.yaw)
    return np.stack([world[name] for name in BONES]).astype(np.float32)


def bone_affines(pose: Pose, pivots: np.ndarray, stretch: np.ndarray) -> np.ndarray:
    """Affine maps (bones, 3, 4) from the rest pose to another, metres.

    Args:
        pose: the other pose.
        pivots: bones x 3, the joints of the body in the rest pose, metres.
        stretch: bones x 3 x 3, change of each bone's shape in the rest pose.
    """
    turn = rotations(pose)
    place = np.zeros((len(BONES), 3))
    for i, parent in enumerate(PARENT):
        if parent >= 0:
            place[i] = place[parent] + turn[parent] @ stretch[parent] @ (pivots[i] - pivots[parent])
        else:
            place[i] = pivots[i]
    linear = turn @ stretch
    shift = place - np.einsum("bij,bj->bi", linear, pivots)
    return np.concatenate([linear, shift[:, :, None]], 2).astype(np.float32)

"""How a figure stands before the camera: its pose, the frame, a seat, and where its joints are seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.figures.annotate import joints_in_space
from training.figures.figure import Figure
from training.figures.pieces import rounded_box
from training.figures.poses import NAMES, Pose, base_pose, bone_affines, sample_pose
from training.figures.skeleton import BONES, HEAD_TOP, PIVOTS

POSES = 77  # the stream of random numbers of a person's poses
CALM_SHARE = 0.85  # of the first poses are quiet front views
CLOSE_SHARES = (0.12, 0.40)  # of the first poses, and of all others, are cut off between the knees and the hips
HIPS, KNEES = [8, 11], [9, 12]  # joints
BODY_HEIGHT = 1.72  # metres; an upright body that is smaller is not drawn larger
SEAT_WIDTH, SEAT_DEPTH = 0.24, 0.21  # half of each, metres
SEAT_UNDER_HIPS = 0.125  # metres


@dataclass(frozen=True)
class View:
    """One image to make.

    Attributes:
        affine: bones x 3 x 4, from the rest pose to the camera's space, metres.
        scale: pixels per metre, at the canvas size.
        shift: canvas pixel (x, y) of the posed origin.
        floor: canvas y of the floor.
        seat: V x 3, posed vertices of the seat, metres; None without one.
    """

    affine: np.ndarray
    scale: float
    shift: tuple[float, float]
    floor: float
    seat: np.ndarray | None


def pose_of(seed: int, index: int) -> tuple[Pose, np.random.Generator]:
    """The pose ``index`` of a person, and the generator that frames it."""
    rng = np.random.default_rng([int(seed), POSES, int(index)])
    return sample_pose(rng, calm=index == 0 and rng.random() < CALM_SHARE), rng


def make_view(figure: Figure, pose: Pose, rng: np.random.Generator, size: tuple[int, int], index: int) -> View:
    """Pose a figure and choose the camera.

    Args:
        figure: in the rest pose.
        pose: that it takes.
        rng: draws the frame.
        size: (H, W) of the canvas.
        index: of the pose; the first is seldom cut off.
    """
    affine = bone_affines(pose, figure.pivots, figure.stretch)
    blend = (figure.coarse_weight @ affine.reshape(len(BONES), 12)).reshape(-1, 3, 4)
    posed = (blend[:, :, :3] @ figure.coarse_position[:, :, None])[:, :, 0] + blend[:, :, 3]
    joints = joints_in_space(affine, figure.pivots)[0]
    lowest = None
    if rng.random() < CLOSE_SHARES[index > 0] and not pose.seat:
        hip, knee = joints[HIPS, 1].mean(), joints[KNEES, 1].mean()
        lowest = float(np.interp(rng.random(), [0, 0.5, 1], [knee, knee + 0.22, hip + 0.02]))
    scale, shift = _whole(posed, rng, size) if lowest is None else _close(posed, rng, size, lowest)
    floor = float(posed[:, 1].min())
    seat = _posed_seat(joints[HIPS].mean(0), floor, pose.yaw) if pose.seat else None
    return View(affine, scale, shift, shift[1] - scale * floor, seat)


def _whole(posed: np.ndarray, rng: np.random.Generator, size: tuple[int, int]) -> tuple[float, tuple[float, float]]:
    """Scale and shift that show all of the posed points (n, 3)."""
    h, w = size
    low, high = posed.min(0), posed.max(0)
    top, bottom = rng.uniform(0.045, 0.085) * h, rng.uniform(0.925, 0.965) * h
    room = bottom - top
    scale = min(room / (high[1] - low[1]), 1.12 * room / BODY_HEIGHT, 0.94 * w / (high[0] - low[0]))
    spare = room - scale * (high[1] - low[1])
    x = w / 2 - scale * (low[0] + high[0]) / 2
    return float(scale), _shaken(rng, w, x, bottom + scale * low[1] - spare * 0.5)


def _close(posed: np.ndarray, rng: np.random.Generator, size: tuple[int, int], lowest: float) -> tuple[float, tuple[float, float]]:
    """Scale and shift that show the posed points (n, 3) above the height ``lowest``, metres."""
    h, w = size
    head = posed[:, 1].max()
    top = rng.uniform(0.05, 0.10) * h
    upper = posed[posed[:, 1] > lowest]
    scale = min((h - top) / max(head - lowest, 0.5), 1.10 * w / np.ptp(upper[:, 0]))
    x = w / 2 - scale * (0.5 * np.median(upper[:, 0]) + 0.25 * (upper[:, 0].min() + upper[:, 0].max()))
    return float(scale), _shaken(rng, w, x, top + scale * head)


def _shaken(rng: np.random.Generator, width: int, x: float, y: float) -> tuple[float, float]:
    return float(x + rng.normal(0, 0.008) * width), float(y)


def seat_mesh() -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3), metres, and faces (F, 3) of a seat, one metre high, about the origin."""
    return rounded_box((0, 0, 0), (SEAT_WIDTH, 0.5, SEAT_DEPTH), 9.0, 17, 32)


def _posed_seat(hips: np.ndarray, floor: float, yaw: float) -> np.ndarray:
    """The vertices of a seat (V, 3) from the height ``floor`` to under the hips (3,), metres, turned by ``yaw`` degrees."""
    position, _ = seat_mesh()
    top = hips[1] - SEAT_UNDER_HIPS
    angle = np.radians(yaw)
    position = position * [1, max(top - floor, 0.1), 1] + [0, (top + floor) / 2, -0.02]
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    return (position @ turn.T + [hips[0], 0, hips[2]]).astype(np.float32)


def project_joints(figure: Figure, view: View, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Joints (18, 2) in canvas pixels, and which are visible (18,): on the canvas of ``size``, and not turned away."""
    points, facing = joints_in_space(view.affine, figure.pivots)
    x, y = points[:, 0] * view.scale + view.shift[0], view.shift[1] - points[:, 1] * view.scale
    xy = np.stack([x, y], 1).astype(np.float32)
    inside = (xy >= 0).all(1) & (xy[:, 0] < size[1]) & (xy[:, 1] < size[0])
    return xy, facing & inside


def named_poses(size: tuple[int, int] = (256, 176)) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The named poses of an average body, full length: joints (18, 2) in canvas pixels and which face the camera (18,), by name."""
    poses = {}
    h, w = size
    for name in NAMES:
        affine = bone_affines(base_pose(name), PIVOTS, np.tile(np.eye(3), (len(BONES), 1, 1)))
        points, facing = joints_in_space(affine, PIVOTS)
        top, low = max(points[0, 1] + HEAD_TOP - 1.58, points[:, 1].max() + 0.15), points[:, 1].min() - 0.09
        scale = min(0.88 * h / (top - low), 0.88 * h / 1.5, 0.86 * w / (np.ptp(points[:, 0]) + 0.25))
        x = w / 2 - scale * (points[:, 0].min() + points[:, 0].max()) / 2
        y = h / 2 + scale * (top + low) / 2
        poses[name] = (np.stack([points[:, 0] * scale + x, y - points[:, 1] * scale], 1).astype(np.float32), facing)
    return poses

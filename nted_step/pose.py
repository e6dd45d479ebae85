"""Poses of 18 joints: names, limbs, colours, the 18-row text format, and the conditioning map that the model reads."""

from __future__ import annotations

import codecs
import math
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

JOINTS = (
    "nose", "neck", "right shoulder", "right elbow", "right wrist", "left shoulder", "left elbow", "left wrist",
    "right hip", "right knee", "right ankle", "left hip", "left knee", "left ankle",
    "right eye", "left eye", "right ear", "left ear",
)  # fmt: skip
"""OpenPose/COCO-18 order; right and left are the person's own."""

LIMBS = (
    (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13),
    (1, 0), (0, 14), (14, 16), (0, 15), (15, 17),
)  # fmt: skip
"""The 17 limbs that are drawn, as pairs of joint indices. (OpenPose lists two more, ear to shoulder, drawn by nobody.)"""

LIMB_COLOURS = (
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0), (0, 255, 85),
    (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255), (0, 0, 255), (85, 0, 255), (170, 0, 255), (255, 0, 255),
    (255, 0, 170), (255, 0, 85),
)  # fmt: skip
"""OpenPose's rainbow: one colour per joint, and one per limb in the same order. RGB."""

RADIUS = 4  # pixels; discs and limbs are drawn with it at every canvas size, as the published model was trained
BASE_SIZE = (256, 176)  # H, W of the canvas in which pose text files are written
FRAME_OFFSET = 40  # pose text files count x on a 256-wide white-padded frame around the 176-wide canvas
MAX_CHARACTERS = 1_000_000  # a file of many people is some kilobytes; more is a mistake
BINARY = {b"\x93NUMPY": "an array of NumPy", b"\x89PNG": "a picture", b"\xff\xd8\xff": "a picture", b"RIFF": "a picture",
          b"GIF8": "a picture", b"PK\x03\x04": "an archive", b"\x80": "a pickle", b"%PDF": "a PDF"}  # fmt: skip
"""How files begin that are taken for poses and are none."""


class PoseError(ValueError):
    """A pose that cannot be used; the message is one line that says what is wrong and where."""


@dataclass(frozen=True)
class Pose:
    """18 joints on a canvas.

    Attributes:
        xy: 18 x 2 float32, (x, y) in canvas pixels; rows of hidden joints have no meaning.
        visible: 18 bool.
    """

    xy: np.ndarray
    visible: np.ndarray

    def __post_init__(self) -> None:
        xy = np.array(self.xy, dtype=np.float32)  # a copy: frozen means that nobody else holds the arrays
        visible = np.array(self.visible, dtype=bool)
        if xy.shape != (18, 2) or visible.shape != (18,):
            raise PoseError(f"a pose has 18 joints of x and y, not arrays of shape {xy.shape} and {visible.shape}")
        if not np.isfinite(xy[visible]).all():
            raise PoseError(f"joint {JOINTS[_first(visible & ~np.isfinite(xy).all(1))]!r} is not a finite number")
        xy[~visible] = -1
        xy.setflags(write=False)
        visible.setflags(write=False)
        object.__setattr__(self, "xy", xy)
        object.__setattr__(self, "visible", visible)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pose) and np.array_equal(self.xy, other.xy) and np.array_equal(self.visible, other.visible)

    def __hash__(self) -> int:
        return hash((self.xy.tobytes(), self.visible.tobytes()))

    def require_drawable(self, size: tuple[int, int]) -> Pose:
        """Itself, if at least one limb can be drawn and every visible joint lies on the canvas. Raises PoseError."""
        if not any(self.visible[a] and self.visible[b] for a, b in LIMBS):
            raise PoseError("the pose shows no limb: at least two connected joints must be visible")
        height, width = size
        x, y = self.xy[:, 0], self.xy[:, 1]
        outside = self.visible & ((x < 0) | (y < 0) | (x > width) | (y > height))
        if outside.any():
            joint = _first(outside)
            raise PoseError(f"joint {JOINTS[joint]!r} at ({x[joint]:g}, {y[joint]:g}) lies outside the {width}x{height} canvas")
        return self

    def near(self, other: Pose, within: float = 0.1) -> bool:
        """Whether both show the same joints, none further apart than ``within`` pixels in x or in y."""
        seen = self.visible
        return np.array_equal(seen, other.visible) and bool((np.abs(self.xy - other.xy)[seen] <= within).all())

    def scaled(self, old: tuple[int, int], new: tuple[int, int]) -> Pose:
        """The same pose on a canvas of another size (H, W)."""
        return Pose(self.xy * (new[1] / old[1], new[0] / old[0]), self.visible)

    @classmethod
    def from_text(cls, text: str, size: tuple[int, int] = BASE_SIZE, name: str = "pose") -> Pose:
        """Read 18 rows ``x y`` (DeepFashion in GFLA's split): x on the padded 256-wide frame, -1 for a missing joint.

        Numbers stand apart by blanks, tabs, commas or semicolons; a third in each row is how certain the joint is, 0 for a missing one.
        Lines that begin with ``#`` are passed over. ``size`` is the canvas (H, W) to put the pose on; joints may lie off it. ``name`` is
        what errors call the text, its file name for example, or nothing. Raises PoseError.
        """
        start = f"{name}: " if name else ""
        rows = _rows(text)
        if len(rows) != 18:
            raise PoseError(f"{start}expected 18 rows of 'x y', found {len(rows)}")
        try:
            points = np.array([[float(value) for value in row] for row in rows])
        except ValueError:
            raise PoseError(f"{start}every row must be two numbers, 'x y'") from None
        if points.shape == (18, 3):  # how certain, too
            points = np.where(points[:, 2:] > 0, points[:, :2], -1.0)
        if points.shape != (18, 2):
            raise PoseError(f"{start}every row must be two numbers, 'x y'")
        if not np.isfinite(points).all():
            raise PoseError(f"{start}joint {JOINTS[_first(~np.isfinite(points).all(1))]!r} is not a finite number")
        visible = ~(points == -1).any(axis=1)
        height, width = size
        scale = (width / BASE_SIZE[1], height / BASE_SIZE[0])
        return cls((points - (FRAME_OFFSET, 0)) * scale, visible)

    def to_text(self, size: tuple[int, int] = BASE_SIZE) -> str:
        """The inverse of :meth:`from_text`."""
        height, width = size
        points = self.xy.astype(np.float64) * (BASE_SIZE[1] / width, BASE_SIZE[0] / height) + (FRAME_OFFSET, 0)
        return "".join(f"{x:.9g} {y:.9g}\n" if seen else "-1 -1\n" for (x, y), seen in zip(points, self.visible, strict=True))


def _first(mask: np.ndarray) -> int:
    return int(np.flatnonzero(mask)[0])


def _rows(text: str) -> list[list[str]]:
    """The cells of a pose text, without comments and without a heading."""
    lines = [line.strip() for line in text.lstrip("\ufeff").splitlines()]
    rows = [re.split(r"[\s,;]+", line.strip(",;")) for line in lines if line and not line.startswith(("#", "%"))]
    return rows[1:] if len(rows) == 19 and [cell.strip("\"'").lower() for cell in rows[0][:2]] == ["x", "y"] else rows


def decode_text(data: bytes) -> str:
    """The text of a pose file in UTF-8, or in UTF-16 as some programs on Windows write it. Raises PoseError where it is no text."""
    for start, kind in BINARY.items():
        if data.startswith(start):
            raise PoseError(f"this is {kind}, not text")
    try:
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return data.decode("utf-16")
        if b"\x00" in data[:64]:  # UTF-16 of digits without a mark: every other byte is zero
            return data.decode("utf-16-be" if data[:1] == b"\x00" else "utf-16-le")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        if any(byte < 32 and byte not in b"\t\r\n\f" for byte in data):
            raise PoseError("this is not text") from None
        return data.decode("latin-1")  # all that counts is ASCII


def load_pose_text(path: str | Path, size: tuple[int, int] = BASE_SIZE) -> Pose:
    """The first person of a pose file, 18 rows of text or JSON of other tools, on a canvas of ``size`` (H, W).

    What was left out or moved is a warning. Raises PoseError, one line with the file's name.
    """
    from nted_step.pose_formats import load  # which imports this module

    imported = load(path, size)
    for note in imported.notes:
        warnings.warn(f"{path}: {note}", stacklevel=2)
    return imported.people[0]


def skeleton_map(pose: Pose, size: tuple[int, int]) -> Tensor:
    """The conditioning map of the generator: 20 x H x W float32 in [0, 1].

    Channels 0-2 are the drawn figure, 3-19 the L1 distance to each limb divided by 3; all are quantised to 8 bits, as
    in the published data pipeline. A limb with a missing end is all ones.
    """
    return torch.from_numpy(skeleton_u8(pose, size)).float() / 255


def joint_tensor(pose: Pose, size: tuple[int, int]) -> Tensor:
    """The joints as numbers: 18 x 3 float32, x and y in [-1, 1] across the canvas of ``size`` (H, W), and 1 where the joint is visible."""
    height, width = size
    xy = torch.from_numpy(pose.xy / (width, height)).float() * 2 - 1
    seen = torch.tensor(pose.visible, dtype=torch.float32)[:, None]
    return torch.cat([xy * seen, seen], dim=1)


def skeleton_u8(pose: Pose, size: tuple[int, int]) -> np.ndarray:
    """:func:`skeleton_map` as 20 x H x W uint8, the form in which training stores and moves it."""
    out = np.empty((3 + len(LIMBS), *size), np.uint8)
    out[:3] = draw_figure(pose, size).transpose(2, 0, 1)
    for channel, (a, b) in zip(out[3:], LIMBS, strict=True):
        channel[:] = 255
        if pose.visible[a] and pose.visible[b]:
            away = channel.copy()
            cv2.fillConvexPoly(away, _limb_polygon(pose.xy[a], pose.xy[b]), 0)
            distance = cv2.distanceTransform(away, cv2.DIST_L1, 3)
            channel[:] = np.minimum(distance / 3, 255).astype(np.uint8)
    return out


def draw_figure(pose: Pose, size: tuple[int, int]) -> np.ndarray:
    """The OpenPose figure as H x W x 3 uint8: discs at the joints, limbs blended over them.

    The published pipeline draws the RGB rainbow into a BGR image and swaps; the model expects that order.
    """
    canvas: np.ndarray = np.zeros((*size, 3), np.uint8)
    for (x, y), seen, colour in zip(pose.xy, pose.visible, LIMB_COLOURS, strict=True):
        if seen:
            cv2.circle(canvas, (int(x), int(y)), RADIUS, colour, thickness=-1)
    for (a, b), colour in zip(LIMBS, LIMB_COLOURS, strict=False):
        if pose.visible[a] and pose.visible[b]:
            limb = canvas.copy()
            cv2.fillConvexPoly(limb, _limb_polygon(pose.xy[a], pose.xy[b]), colour)
            canvas = cv2.addWeighted(canvas, 0.4, limb, 0.6, 0)
    return canvas[:, :, ::-1]


def _limb_polygon(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """An ellipse from joint to joint, RADIUS to each side."""
    (x0, y0), (x1, y1) = start.tolist(), end.tolist()
    centre = (int((x0 + x1) / 2), int((y0 + y1) / 2))
    axes = (int(math.hypot(x0 - x1, y0 - y1) / 2), RADIUS)
    return np.asarray(cv2.ellipse2Poly(centre, axes, int(math.degrees(math.atan2(y0 - y1, x0 - x1))), 0, 360, 1))


def face_box(pose: Pose) -> np.ndarray:
    """(x, y) of the right eye and of the left eye, float32; -1 four times when either is hidden."""
    return pose.xy[[14, 15]].reshape(4) if pose.visible[[14, 15]].all() else np.full(4, -1, np.float32)

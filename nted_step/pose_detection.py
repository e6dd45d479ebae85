"""The poses of the people in a photo, found by MoveNet SinglePose Thunder, whose weights are in the box.

found = PoseDetector.from_pretrained().find(load_photo("person.jpg").image)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nted_step.bundled import POSE_WEIGHTS
from nted_step.movenet import KEYPOINTS, SIDE, MoveNet
from nted_step.pose import Pose, PoseError
from nted_step.pose_formats.layouts import COCO_17, LEFT_SHOULDER, NECK, RIGHT_SHOULDER
from nted_step.weights import CONFIG_NAME, WEIGHTS_NAME, WeightsError, check_tensors, read_folder, write_folder

NETWORK = "movenet-singlepose-thunder-4"
FRONT, FACE = 3, 5  # of the keypoints the first ones: nose and eyes; and the ears
LOOK_HEIGHT = 512  # pixels of a canvas in which joints are looked for; more show the network nothing new

LIMB_SCORE = 0.4  # from which on a joint was seen; a knee below the photo's edge has up to .36
# Scores alone do not tell a face from the back of a head: sunlit faces have noses of .39, back views ears of .78. The shoulders do: the
# network knows left from right, and a person seen from behind has them the other way round.
FRONT_SCORE, SIDE_SCORE, BACK_SCORE = 0.25, 0.5, 0.9  # from which on a joint of the face was seen
FACING = 0.2  # of the torso's height: shoulders less far apart are seen from the side
LEAST_JOINTS, LEAST_SCORE = 4, 0.5  # limb joints that a person shows, and their mean score; no picture without people had two from .4 on
PADDING = -1.0  # black, as published
BEYOND = 1 / 64  # of the photo's longer side, a cell of the network: how far outside a joint still lies on the edge

# The second look, as in TensorFlow Hub's MoveNet tutorial: a square around the hips' middle.
REGION_SCORE = 0.2  # of joints that decide where it lies
TORSO_REACH, BODY_REACH = 1.9, 1.2  # half its side, in the farthest distance of a torso's joint, and of any joint
# MoveNet returns one person, but its map of centres has a peak for each. Of single people no second peak has more than .09; of rows of
# people the least has .5.
CENTRE_SCORE = 0.3
MOST_PEOPLE = 6  # each takes a look of their own
SAME_PERSON = 0.15  # of the larger one's height: joints that are closer on average are of one person

TORSO = tuple(KEYPOINTS.index(name) for name in ("left shoulder", "right shoulder", "left hip", "right hip"))

Square = tuple[int, int, int]
"""(left, top, side) in pixels of a photo; it may reach beyond it."""


@dataclass(frozen=True)
class Detection:
    """Somebody in a photo.

    Attributes:
        pose: the joints that were seen, on the canvas that was asked for.
        score: mean score of the limbs' joints that were seen, in [0, 1].
        scores: 18 float32 in [0, 1], of every joint, seen or not; the neck has the lower one of its shoulders.
    """

    pose: Pose
    score: float
    scores: np.ndarray


class PoseDetector:
    """Finds the poses of people in a photo.

    Args:
        network: with its weights; it is moved to ``device`` and put into evaluation mode.
        device: where it runs.
    """

    def __init__(self, network: MoveNet, device: str | torch.device = "cpu") -> None:
        self.device = torch.device(device)
        self.network = network.float().eval().requires_grad_(False).to(self.device)

    @classmethod
    def from_pretrained(cls, folder: str | Path = POSE_WEIGHTS, device: str | torch.device = "cpu") -> PoseDetector:
        """Read a weights folder; no network is used. Raises WeightsError."""
        return cls(load_network(folder), device)

    def find(self, photo: Tensor, size: tuple[int, int] | None = None) -> Detection | None:
        """The pose in a photo, of the person nearest to its middle, or None when nobody is found.

        Args:
            photo: 3 x H x W in [-1, 1], upright, of any size.
            size: (H, W) of the canvas to put the pose on, of the photo's shape; the photo's own size by default.
        """
        seen: tuple[int, int] = (photo.shape[1], photo.shape[2])
        return found_in(self.keypoints(photo), seen, size or seen)

    @torch.inference_mode()
    def find_all(self, photo: Tensor, size: tuple[int, int] | None = None) -> list[Detection]:
        """Everybody in a photo, at most ``MOST_PEOPLE``, from left to right; arguments of :meth:`find`.

        Each person is looked for where the network's map of centres has a peak, and then once more in a square around them.
        """
        seen: tuple[int, int] = (photo.shape[1], photo.shape[2])
        photo = photo.detach().to(self.device, torch.float32)
        whole = whole_square(*seen)
        maps = self.network.maps(cut_square(photo[None], whole))
        cells = dict.fromkeys([*self.network.main_centre(maps).tolist(), *self.network.centres(maps, CENTRE_SCORE).tolist()])
        guesses = [self.network.decode(maps, torch.tensor([cell], device=self.device)) for cell in list(cells)[:MOST_PEOPLE]]
        looks = [self._look_around(photo, _to_photo(guess, whole)[0]) for guess in guesses]
        people = [found for points in looks if (found := found_in(points, seen, size or seen))]
        return sorted(without_repeats(people), key=lambda person: person.pose.xy[person.pose.visible, 0].mean())

    @torch.inference_mode()
    def keypoints(self, photo: Tensor) -> np.ndarray:
        """17 x 3 float32 of a photo 3 x H x W in [-1, 1]: x and y in its pixels, the score in [0, 1]; see ``movenet.KEYPOINTS``.

        The person is looked for in the whole photo, and then once more in a square around them where that is smaller.
        """
        photo = photo.detach().to(self.device, torch.float32)
        return self._look_around(photo, self._look(photo, whole_square(*photo.shape[1:])))

    @torch.inference_mode()
    def whole(self, photos: Tensor) -> np.ndarray:
        """N x 17 x 3 as :meth:`keypoints`, of photos N x 3 x H x W in [-1, 1] that one person fills, seen once each."""
        photos = photos.detach().to(self.device, torch.float32)
        square = whole_square(*photos.shape[-2:])
        return _to_photo(self.network(cut_square(photos, square)), square)

    def _look_around(self, photo: Tensor, points: np.ndarray) -> np.ndarray:
        """Once more in a square around the person found, where that is smaller than the photo."""
        square = person_square(points, *photo.shape[1:])
        return points if square is None else self._look(photo, square)

    def _look(self, photo: Tensor, square: Square) -> np.ndarray:
        points: np.ndarray = _to_photo(self.network(cut_square(photo[None], square)), square)[0]
        return points


def whole_square(height: int, width: int) -> Square:
    """The smallest square around a photo."""
    side = max(height, width)
    return (width - side) // 2, (height - side) // 2, side


def person_square(points: np.ndarray, height: int, width: int) -> Square | None:
    """The square to look at again, or None where the whole photo was right.

    Args:
        points: 17 x 3, (x, y, score) in pixels of the photo of ``height`` and ``width``.
    """
    seen = points[:, 2] > REGION_SCORE
    shoulders, hips = seen[list(TORSO[:2])].any(), seen[list(TORSO[2:])].any()
    if not (shoulders and hips):
        return None
    middle = points[list(TORSO[2:]), :2].mean(0)
    away = np.abs(points[:, :2] - middle).max(1)
    half = max(TORSO_REACH * away[list(TORSO)].max(), BODY_REACH * away[seen].max())
    half = min(half, max(middle[0], width - middle[0], middle[1], height - middle[1]))
    if half >= max(height, width) / 2:
        return None
    left, top = np.floor(middle - half).astype(int).tolist()
    return left, top, max(1, round(2 * half))


def cut_square(photos: Tensor, square: Square) -> Tensor:
    """What the network is shown: N x 3 x H x W in [-1, 1] -> N x 3 x 256 x 256 whole numbers in [0, 255], black outside."""
    left, top, side = square
    height, width = photos.shape[-2:]
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + side, width), min(top + side, height)
    part = F.pad(photos[:, :, y0:y1, x0:x1], (x0 - left, left + side - x1, y0 - top, top + side - y1), value=PADDING)
    if side != SIDE:
        part = F.interpolate(part, (SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False)
    return ((part + 1) * 127.5).round().clamp(0, 255)


def _to_photo(points: Tensor, square: Square) -> np.ndarray:
    left, top, side = square
    found: np.ndarray = points.float().cpu().numpy() * np.array([side, side, 1], np.float32) + np.array([left, top, 0], np.float32)
    return found


def found_in(points: np.ndarray, seen: tuple[int, int], size: tuple[int, int]) -> Detection | None:
    """What keypoints say of a person.

    Args:
        points: 17 x 3, (x, y, score) in pixels of the photo.
        seen: (H, W) of the photo.
        size: (H, W) of the canvas to put the pose on.

    Returns:
        None when fewer than ``LEAST_JOINTS`` of the limbs' joints are seen, when they are too unsure on average, or when no two connected
        joints are among them.
    """
    limbs = visible_keypoints(points, seen)[FACE:]
    if limbs.sum() < LEAST_JOINTS or (score := float(points[FACE:, 2][limbs].mean())) < LEAST_SCORE:
        return None
    known = np.concatenate([points, visible_keypoints(points, seen)[:, None]], 1)
    rows = np.array([np.zeros(4) if index is None else known[index] for index in COCO_17.joints])
    shoulders = rows[[RIGHT_SHOULDER, LEFT_SHOULDER]]
    rows[NECK] = [*shoulders[:, :2].mean(0), *shoulders[:, 2:].min(0)]
    try:
        xy = rows[:, :2].clip(0, [seen[1], seen[0]])
        pose = Pose(xy, rows[:, 3] > 0).scaled(seen, size).require_drawable(size)
    except PoseError:
        return None
    return Detection(pose, score, rows[:, 2].astype(np.float32))


def without_repeats(people: Sequence[Detection]) -> list[Detection]:
    """The same people, of those found more than once only the surest."""
    kept: list[Detection] = []
    for person in sorted(people, key=lambda each: -each.score):
        if not any(_is_same(person.pose, other.pose) for other in kept):
            kept.append(person)
    return kept


def _is_same(a: Pose, b: Pose) -> bool:
    """Whether two poses on one canvas are of the same person: joints seen in both lie on each other."""
    both = a.visible & b.visible
    if not both.any():
        return False
    height = max(float(np.ptp(pose.xy[pose.visible], axis=0).max()) for pose in (a, b))
    return float(np.hypot(*(a.xy - b.xy)[both].T).mean()) < SAME_PERSON * height


def visible_keypoints(points: np.ndarray, seen: tuple[int, int]) -> np.ndarray:
    """Which of keypoints ... x 17 x 3, (x, y, score) in pixels of a photo of ``seen`` (H, W), were seen: ... x 17 bool.

    Ears alone are the back of a head and count as hidden.
    """
    facing = _facing(points)[..., None]
    of_face = np.where(facing > FACING, FRONT_SCORE, np.where(facing < -FACING, BACK_SCORE, SIDE_SCORE))
    least = np.where(np.arange(len(KEYPOINTS)) < FACE, of_face, LIMB_SCORE)
    xy, beyond = points[..., :2], BEYOND * max(seen)
    inside = np.all((xy >= -beyond) & (xy <= np.array([seen[1], seen[0]]) + beyond), axis=-1)
    found = inside & (points[..., 2] >= least)
    found[..., FRONT:FACE] &= found[..., :FRONT].any(-1, keepdims=True)
    return found


def _facing(points: np.ndarray) -> np.ndarray:
    """How far the left shoulder is right of the right one, in heights of the torso: positive for a person who faces the camera."""
    left, right, left_hip, right_hip = (
        points[..., KEYPOINTS.index(name), :2] for name in ("left shoulder", "right shoulder", "left hip", "right hip")
    )
    torso = np.abs((left_hip + right_hip - left - right)[..., 1]) / 2
    return (left - right)[..., 0] / np.maximum(torso, 1)


def load_network(folder: str | Path = POSE_WEIGHTS) -> MoveNet:
    """The network of a weights folder, float32, in evaluation mode. Raises WeightsError."""
    folder = Path(folder)
    document, state, _ = read_folder(folder)
    if document.get("network") != NETWORK:
        raise WeightsError(f"{folder / CONFIG_NAME}: not the weights of {NETWORK}")
    with torch.device("meta"):
        network = MoveNet()
    check_tensors({key: tuple(value.shape) for key, value in network.state_dict().items()}, state, str(folder / WEIGHTS_NAME))
    network.load_state_dict({key: value.float() for key, value in state.items()}, strict=True, assign=True)
    return network.eval().requires_grad_(False)


def save_detector(folder: str | Path, network: MoveNet, training: Mapping[str, Any], dtype: torch.dtype = torch.float16) -> Path:
    """As :func:`nted_step.weights.save_weights`, for a pose detector."""
    return write_folder(folder, {"format": "nted_step pose detector", "network": NETWORK}, network.state_dict(), training, dtype)

"""Pairs of a data set that :mod:`training.deepfashion.prepare` has written."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import lmdb
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from nted_step.pose import BASE_SIZE, Pose, joint_tensor, skeleton_u8
from training.data.pairs import Pairs, PeopleStore
from training.deepfashion.augmentation import Crop, random_crop
from training.deepfashion.records import COMPLETE_NAME, Record, RecordError, close_reader, read_entry, size_folder, unpack

AGAIN = "run python -m training prepare again with the same --output"


class PreparedError(ValueError):
    """A prepared data set, or an entry of one, that cannot be used; the message is one line that names it and the remedy."""


@dataclass(frozen=True)
class PosedImage:
    """One image: ``image`` 3 x h x w float32 in [-1, 1], ``pose`` in its pixels, ``mask`` 1 x h x w in [0, 1]."""

    image: Tensor
    pose: Pose
    mask: Tensor

    def cropped(self, crop: Crop) -> PosedImage:
        return PosedImage(crop.image(self.image), crop.pose(self.pose, tuple(self.image.shape[-2:])), crop.image(self.mask))


class PreparedStore(PeopleStore):
    """The listed pairs of one part at one size.

    A "person" is a row of the pair list and has two "poses": 0 is the row's source and 1 its target. Pairs with an image that the
    preparation had to leave out are not among the rows.

    Each process opens the environment at its first read, so the store may be forked and pickled at any time.

    Args:
        output: the folder given to ``python -m training prepare``.
        size: canvas (H, W).
        part: "train" or "test".
        augment: whether :meth:`draw` enlarges and crops at random and returns every pair in both directions.
        limit: keep only the first rows, at most this many.

    Raises:
        PreparedError: the size or part does not exist, or its preparation was not completed.
    """

    poses = 2

    def __init__(self, output: str | Path, size: tuple[int, int], part: str = "train", augment: bool = True, limit: int | None = None):
        self.folder, self.size, self.augment = size_folder(output, size), tuple(size), augment
        left_out = self._left_out(part)
        path = self.folder / f"{part}_pairs.txt"
        self.rows = [(a, b) for a, b in _read_pairs(path) if a not in left_out and b not in left_out][:limit]
        if not self.rows:
            raise PreparedError(f"{path}: no pair has both its images; see report.json, repair, then {AGAIN}")

    @property
    def people(self) -> int:
        """Number of pairs listed."""
        return len(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> Pairs:
        """The row's source and target as a batch of one, never augmented; :func:`training.data.pairs.concatenate` joins batches."""
        return self.pairs(np.array([row]), np.array([0]), np.array([1]))

    def pairs(self, person: np.ndarray, source_pose: np.ndarray, target_pose: np.ndarray) -> Pairs:
        """The pairs named by three index arrays of length B, never augmented, so the same each time.

        Raises PreparedError with the key of an entry that is missing or damaged.
        """
        sources = [self._person(row, pose) for row, pose in zip(person, source_pose, strict=True)]
        return self._batch(sources, [self._person(row, pose) for row, pose in zip(person, target_pose, strict=True)])

    def draw(self, rng: np.random.Generator, count: int, symmetric: bool | None = None) -> Pairs:
        """``count`` pairs, uniformly over rows and directions.

        If augmented, every image has a crop of its own. If symmetric (the default when augmented), the second half is the first in
        the other direction, as published. Raises PreparedError like :meth:`pairs`.
        """
        symmetric = self.augment if symmetric is None else symmetric
        drawn = -(-count // 2) if symmetric else count
        row, source = rng.integers(self.people, size=drawn), rng.integers(self.poses, size=drawn)
        first = [self._augmented(rng, *index) for index in zip(row, source, strict=True)]
        second = [self._augmented(rng, *index) for index in zip(row, 1 - source, strict=True)]
        if not symmetric:
            return self._batch(first, second)
        return self._batch((first + second)[:count], (second + first)[:count])

    def close(self) -> None:
        """Close this process's environment; the next read opens it again."""
        close_reader(self.folder)

    def _left_out(self, part: str) -> set[str]:
        """Names of the images without an entry, from the file that a completed preparation wrote."""
        path = self.folder / COMPLETE_NAME
        try:
            document = json.loads(path.read_bytes())
            parts, left_out = document["parts"], set(document["left_out"])
        except FileNotFoundError:
            raise PreparedError(f"{self.folder}: this size is not prepared, or not completely; {AGAIN}") from None
        except (OSError, ValueError, KeyError, TypeError):
            raise PreparedError(f"{path}: cannot be read; {AGAIN}") from None
        if part not in parts:
            raise PreparedError(
                f"{self.folder}: has no {part} pairs, only {', '.join(parts)}; add {part}_pairs.txt to the --root and {AGAIN}"
            )
        return left_out

    @property
    def names(self) -> list[str]:
        """Names of the images in the pairs, each once, in order."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def has(self, name: str) -> bool:
        """Whether there is an entry of this name. Raises PreparedError for an environment that cannot be read."""
        try:
            return read_entry(self.folder, name) is not None
        except lmdb.Error as error:
            raise PreparedError(f"{self.folder}: cannot be read ({error}); remove that folder and {AGAIN}") from None

    def images(self, names: Sequence[str]) -> Tensor:
        """Images by name: N x 3 x h x w in [-1, 1]. Raises PreparedError like :meth:`pairs`."""
        return torch.stack([self._read(name).image for name in names])

    def _augmented(self, rng: np.random.Generator, row: int, pose: int) -> PosedImage:
        person = self._person(row, pose)
        return person.cropped(random_crop(rng, self.size)) if self.augment else person

    def _person(self, row: int, pose: int) -> PosedImage:
        return self._read(self.rows[row][pose])

    def _read(self, key: str) -> PosedImage:
        record = self._record(key)
        image, mask = (_pixels(data) for data in (record.picture, record.mask))
        if image is None or image.shape != (3, *self.size):
            raise PreparedError(f"{self.folder}: entry {key!r} is not a picture of {self.size[0]}x{self.size[1]}; {AGAIN}")
        covered = torch.ones(1, *self.size) if mask is None else mask.float() / 255
        return PosedImage(image.float() / 127.5 - 1, record.pose, covered)

    def _record(self, key: str) -> Record:
        try:
            data = read_entry(self.folder, key)
            if data is None:
                raise PreparedError(f"{self.folder}: entry {key!r} is missing; {AGAIN}")
            return unpack(data)
        except RecordError as error:
            raise PreparedError(f"{self.folder}: entry {key!r} is {error}; {AGAIN}") from None
        except lmdb.Error as error:
            raise PreparedError(f"{self.folder}: entry {key!r} cannot be read ({error}); remove that folder and {AGAIN}") from None

    def _batch(self, sources: Sequence[PosedImage], targets: Sequence[PosedImage]) -> Pairs:
        return Pairs(
            source=torch.stack([person.image for person in sources]),
            target=torch.stack([person.image for person in targets]),
            skeleton=torch.stack([skeleton(person.pose, self.size) for person in targets]),
            mask=torch.stack([person.mask for person in targets]),
            face=torch.stack([face(person.pose) for person in targets]),
            source_skeleton=torch.stack([skeleton(person.pose, self.size) for person in sources]),
            source_joints=torch.stack([joint_tensor(person.pose, self.size) for person in sources]),
            target_joints=torch.stack([joint_tensor(person.pose, self.size) for person in targets]),
        )


def face(pose: Pose) -> Tensor:
    """x and y of the right and the left eye, all -1 if either is hidden: 4 float32."""
    seen = pose.visible[[14, 15]].all()
    return torch.from_numpy(pose.xy[[14, 15]].astype(np.float32).reshape(4)) if seen else torch.full((4,), -1.0)


def skeleton(pose: Pose, size: tuple[int, int]) -> Tensor:
    """The conditioning map 20 x h x w in [0, 1]. Below 256x176 it is drawn at 256x176 and averaged down, as for rendered figures."""
    if size[0] >= BASE_SIZE[0]:
        return torch.from_numpy(skeleton_u8(pose, size)).float() / 255
    drawn = torch.from_numpy(skeleton_u8(pose.scaled(size, BASE_SIZE), BASE_SIZE)).float()
    return F.interpolate(drawn[None], size=size, mode="area")[0].round() / 255


def _read_pairs(path: Path) -> list[tuple[str, str]]:
    try:
        return [(a, b) for a, b in (line.split(",") for line in path.read_text(encoding="utf-8").splitlines())]
    except (OSError, ValueError):
        raise PreparedError(f"{path}: cannot be read; {AGAIN}") from None


def _pixels(data: bytes) -> Tensor | None:
    """An encoded picture as C x h x w uint8; None for empty data."""
    if not data:
        return None
    pixels = np.array(Image.open(io.BytesIO(data)))
    return torch.from_numpy(pixels if pixels.ndim == 3 else pixels[:, :, None]).permute(2, 0, 1)

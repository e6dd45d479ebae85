"""Garment swaps with a known answer: two rendered people, and the first of them wearing the other's garment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from appearance_control.classes import labels_of
from nted_step.classes import CLASSES
from nted_step.pose import Pose
from training.evaluation.garment_colour import scaled_area
from training.figures import FigureBatch, render_people
from training.figures.person import sample_person, with_garments

PART_ODDS = {"upper": 0.6, "lower": 0.25, "shoes": 0.15}  # chance of each to be tried first
DONORS, POSES = 40, 6  # people and target poses tried for a wearer before another part is tried
LEAST_PIXELS = 150  # on a 256x176 canvas: what must be visible of a garment in both photos and in the target pose
SAME = 2  # grey levels; a pixel that changes by no more than this counts as unchanged by the swap


class CaseError(ValueError):
    """No such swap is possible; the message is one line."""


@dataclass(frozen=True)
class SwapCase:
    """A swap and its true result.

    Attributes:
        part: name out of ``appearance_control.classes.SWAP_PARTS``.
        wearer_seed, donor_seed: of the people; their photos are of pose 0.
        pose_index: of the wearer's target pose.
        pose: the target pose on the canvas.
        wearer, donor: the photos, 3 x H x W uint8.
        wearer_pose, donor_pose: the poses in them.
        plain, truth: the wearer in the target pose without and with the garment, in the same light, camera and background;
            3 x H x W uint8.
        wearer_mask, garment_mask: H x W bool, where ``plain`` shows what is replaced and ``truth`` what replaces it.
    """

    part: str
    wearer_seed: int
    donor_seed: int
    pose_index: int
    pose: Pose
    wearer: Tensor
    donor: Tensor
    wearer_pose: Pose
    donor_pose: Pose
    plain: Tensor
    truth: Tensor
    wearer_mask: Tensor
    garment_mask: Tensor

    @property
    def inside(self) -> Tensor:
        """H x W bool: the garment, and wherever else the swap changes the picture, such as shadows and bared skin."""
        changed = (self.plain.int() - self.truth.int()).abs().amax(dim=0) > SAME
        return changed | self.garment_mask


def find_case(seed: int, size: tuple[int, int]) -> SwapCase:
    """The swap for wearer ``seed``; the seed alone decides its part, its donor (one of the next people) and its pose.

    Both people wear something of the part that is visible in their photos and in the answer. Raises CaseError.
    """
    parts = np.random.default_rng([seed, 11]).choice(list(PART_ODDS), len(PART_ODDS), replace=False, p=list(PART_ODDS.values()))
    for part in parts.tolist():
        if (case := _case_of(seed, part, size)) is not None:
            return case
    raise CaseError(f"person {seed} shows nothing that one of the next {DONORS} people could lend")


def _case_of(seed: int, part: str, size: tuple[int, int]) -> SwapCase | None:
    labels = labels_of([part])
    least = scaled_area(LEAST_PIXELS, size)

    def shown(classes: Tensor) -> Tensor:
        return torch.isin(classes, torch.tensor(sorted(labels)))

    wearer = render_people([seed], [0], size)
    if shown(wearer.class_map[0]).sum() < least:
        return None
    names = tuple(CLASSES[label - 1] for label in sorted(labels))
    for other in range(seed + 1, seed + 1 + DONORS):
        if not _exchanges(seed, other, names):
            continue
        donor = render_people([other], [0], size)
        if shown(donor.class_map[0]).sum() < least:
            continue
        for index in range(1, POSES):
            plain = render_people([seed], [index], size)
            truth = render_people([seed], [index], size, garments_from=[other], garment_classes=names)
            if min(shown(plain.class_map[0]).sum(), shown(truth.class_map[0]).sum()) >= least:
                return SwapCase(
                    part=part, wearer_seed=seed, donor_seed=other, pose_index=index, pose=_pose(plain),
                    wearer=wearer.image[0], donor=donor.image[0], wearer_pose=_pose(wearer), donor_pose=_pose(donor),
                    plain=plain.image[0], truth=truth.image[0],
                    wearer_mask=shown(plain.class_map[0]), garment_mask=shown(truth.class_map[0]),
                )  # fmt: skip
    return None


def _pose(figure: FigureBatch) -> Pose:
    return Pose(figure.joints[0].numpy(), figure.visible[0].numpy())


def _exchanges(seed: int, other: int, names: tuple[str, ...]) -> bool:
    """Whether the wearer can put on the donor's garments of some classes and keep the others; not if one of them wears a dress."""
    wearer, donor = sample_person(seed), sample_person(other)
    wanted = {name: (donor if name in names else wearer).outfit.get(name) for name in CLASSES}
    worn = with_garments(wearer, donor, names).outfit
    return all(worn.get(name) == garment for name, garment in wanted.items())

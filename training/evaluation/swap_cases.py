"""Garment swaps with a known result: two rendered people, and the first of them wearing the other's garment."""

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

PARTS = {"upper": 0.6, "lower": 0.25, "shoes": 0.15}  # probability of being tried first
DONORS, POSES = 40, 6  # people and target poses tried for a wearer before the next part
LEAST_PIXELS = 150  # on a 256x176 canvas: a garment must show this many in both photos and in the target pose
SAME = 2  # grey levels; a pixel that changes by no more is not part of the swap


class CaseError(ValueError):
    """No such swap is possible; the message is one line."""


@dataclass(frozen=True)
class SwapCase:
    """A swap and its true result.

    Attributes:
        part: name out of ``appearance_control.classes.PARTS``.
        wearer_seed, donor_seed: of the people; their photos are of pose 0.
        pose_index: of the wearer's target pose. pose: that pose, in pixels of the canvas.
        wearer, donor: the photos, 3 x H x W uint8; wearer_pose, donor_pose: the poses in them.
        plain, truth: the wearer in the target pose, without and with the garment, same light, camera and background; 3 x H x W uint8.
        wearer_mask, garment_mask: H x W bool, where ``plain`` shows the replaced garment and ``truth`` the new one.
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
        """H x W bool: where the swap changes the picture, including shadows and bared skin, or shows the new garment."""
        changed = (self.plain.int() - self.truth.int()).abs().amax(dim=0) > SAME
        return changed | self.garment_mask


def find_case(seed: int, size: tuple[int, int]) -> SwapCase:
    """The swap of wearer ``seed``; the seed alone decides the part, the donor (one of the next people) and the pose.

    Both people wear a garment of this part, and it is visible in their photos and in the true result. Raises CaseError.
    """
    parts = np.random.default_rng([seed, 11]).choice(list(PARTS), len(PARTS), replace=False, p=list(PARTS.values()))
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
    """Whether the wearer can exchange the garments of these classes and keep all others, which a dress may prevent."""
    wearer, donor = sample_person(seed), sample_person(other)
    wanted = {name: (donor if name in names else wearer).outfit.get(name) for name in CLASSES}
    worn = with_garments(wearer, donor, names).outfit
    return all(worn.get(name) == garment for name, garment in wanted.items())

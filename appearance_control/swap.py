"""Garment swap: plans a wearer in other people's clothes. :mod:`appearance_control.dressing` then puts the clothes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from appearance_control.coefficients import coefficients
from appearance_control.dressing import DressedPerson, GarmentLayer
from appearance_control.garment import Garment, check_garments
from appearance_control.garment_masks import GarmentMasks
from appearance_control.posed_people import ImageParser, PersonParses, PosedPeople, PoseRendering
from nted_step.person import Person
from nted_step.pipeline import NTEDStepPipeline
from nted_step.pose import Pose
from nted_step.sampler import StepOutput


@dataclass(frozen=True)
class GarmentPlan:
    """What one garment changes.

    Attributes:
        garment: as requested.
        rendering: of its person alone in the target pose.
        garment_mask, wearer_mask: H x W bool in the target pose.
        layer: how it is put on.
        notes: what the user should know, one line each.
    """

    garment: Garment
    rendering: PoseRendering
    garment_mask: np.ndarray
    wearer_mask: np.ndarray
    layer: GarmentLayer
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SwapPlan:
    """What a swap changes on a wearer.

    Attributes:
        rendering: of the wearer alone in the target pose.
        garments: in the order in which they are put on.
    """

    wearer: Person
    rendering: PoseRendering
    garments: tuple[GarmentPlan, ...]

    def dressed(self, strengths: Sequence[float] | None = None) -> DressedPerson:
        """The wearer with the garments on, at other ``strengths`` than planned if given."""
        layers = [plan.layer for plan in self.garments]
        if strengths is not None:
            layers = [replace(layer, strength=strength) for layer, strength in zip(layers, strengths, strict=True)]
        return DressedPerson(self.wearer, layers)

    @property
    def notes(self) -> list[str]:
        return [note for plan in self.garments for note in plan.notes]

    def same_coefficients(self, other: SwapPlan) -> bool:
        """Whether another plan for the same garments takes the same textures."""
        pairs = zip(self.garments, other.garments, strict=True)
        shares = [pair for ours, theirs in pairs for pair in zip(ours.layer.coefficients, theirs.layer.coefficients, strict=True)]
        return all(bool((ours == theirs).all()) for ours, theirs in shares)


class SwapPlanner:
    """Plans swaps onto one wearer in one pose. ``parser`` is needed for garments without a mask.

    >>> planner = SwapPlanner(pipeline, wearer, pose, parser=FashionParser.from_pretrained())
    >>> plan = planner.plan([Garment(other, ("upper",))])
    >>> for output in pipeline.generate(plan.dressed(), pose):
    ...     show(output.step, output.image)

    A plan needs everybody rendered in their own clothes. Each person is rendered and parsed once, and further plans with other
    garments, parts, masks or strengths reuse the result.
    """

    def __init__(self, pipeline: NTEDStepPipeline, wearer: Person, pose: Pose, *, parser: ImageParser | None = None, seed: int = 0):
        self.wearer, self.pose, self.seed = wearer, pose, seed
        self._device = pipeline.device
        self._people = PosedPeople(pipeline, pose, seed)
        self._parses = PersonParses(parser, self._people)

    def render(self, garments: Sequence[Garment]) -> Iterator[StepOutput]:
        """The renderings that a plan needs, step by step, for callers that may want to stop early. Raises as :meth:`plan` does."""
        checked = check_garments(garments, self._people.size)
        yield from self._people.render([self.wearer, *(garment.person for garment in checked)])

    def plan(self, garments: Sequence[Garment]) -> SwapPlan:
        """What the garments change. Raises SwapError, MaskError or PartError."""
        plans = tuple(self._plan_garment(garment) for garment in check_garments(garments, self._people.size))
        return SwapPlan(self.wearer, self._people.rendering(self.wearer), plans)

    def _plan_garment(self, garment: Garment) -> GarmentPlan:
        found = GarmentMasks(garment, self.wearer, self._people, self._parses)
        theirs, ours = (self._people.rendering(person) for person in (garment.person, self.wearer))
        masks = (torch.from_numpy(mask)[None, None].float().to(self._device) for mask in (found.garment, found.wearer))
        shares = coefficients(theirs.distribution, ours.distribution, *masks, part=garment.mask is not None)
        notes = list(found.notes)
        if not any(share.any() for share in shares):
            notes.append(f"{garment.name}: too little of it is recognised, so the wearer stays unchanged; paint a mask of the garment")
        layer = replace(found.layer, coefficients=shares, strength=garment.strength)
        return GarmentPlan(garment, theirs, found.garment, found.wearer, layer, tuple(notes))

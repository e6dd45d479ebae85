"""A swap that a visitor asks for, and the plan that was made for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from appearance_control.dressing import DressedPerson
from appearance_control.garment import Garment
from appearance_control.studio.wardrobe import GarmentChoice
from appearance_control.swap import SwapPlan, SwapPlanner
from nted_step.pose import Pose
from pose_editor.studio.session import Subject

MAX_REUSES = 8  # plans after the first that a planner makes before its renderings of people are dropped


@dataclass(frozen=True)
class SwapRequest:
    """One result that a visitor asks for.

    Attributes:
        choices: the garments, which may be none.
        givers: whoever wears each of them.
        edit: of the page; run: what :meth:`pose_editor.studio.model_runner.ModelRunner.claim` returned for it.
    """

    wearer: Subject
    choices: tuple[GarmentChoice, ...]
    givers: tuple[Subject, ...]
    pose: Pose
    seed: int
    edit: int
    run: int

    def garments(self) -> list[Garment]:
        return [
            Garment(giver.person, (choice.part,), choice.strength, choice.mask, "photo", name=giver.title)
            for choice, giver in zip(self.choices, self.givers, strict=True)
        ]

    def garment_settings(self) -> list[dict[str, Any]]:
        """What a saved file says about the garments."""
        return [
            {
                "person": choice.person,
                "part": choice.part,
                "strength": choice.strength,
                "mask": "recognised" if choice.mask is None else "by hand",
            }
            for choice in self.choices
        ]


@dataclass(frozen=True)
class PlannedSwap:
    """A plan, the request that it is for, and the planner, which knows the people as rendered in the request's pose."""

    request: SwapRequest
    plan: SwapPlan
    planner: SwapPlanner
    reuses: int = 0  # earlier plans of the same planner

    def dressed(self, wearer: Subject, choices: Sequence[GarmentChoice], seed: int) -> DressedPerson | None:
        """The wearer in these garments, in whatever pose; None if the plan is for other people, garments or noise."""
        request = self.request
        if request.wearer is not wearer or request.seed != seed or len(request.choices) != len(choices):
            return None
        if not all(choice.same_garment(planned) for choice, planned in zip(choices, request.choices, strict=True)):
            return None
        return self.put_on([choice.strength for choice in choices])

    def put_on(self, strengths: Sequence[float] | None = None) -> DressedPerson:
        """The wearer in the planned garments, over what the wearer came with; at other ``strengths`` than planned if given."""
        return self.plan.dressed(strengths).over(self.request.wearer.dressed)

    def serves(self, request: SwapRequest) -> bool:
        """Whether the planner can plan another request, too."""
        ours = self.request
        same_pose = ours.wearer.person is request.wearer.person and ours.pose == request.pose and ours.seed == request.seed
        return same_pose and self.reuses < MAX_REUSES

"""People as the model renders them in the target pose, and what the parser finds on them; each is computed once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from appearance_control.coefficients import transfer_mask
from appearance_control.garment import SwapError
from nted_step.execution import render_step
from nted_step.person import Person
from nted_step.pipeline import NTEDStepPipeline
from nted_step.pose import Pose
from nted_step.sampler import StepOutput

if TYPE_CHECKING:
    from appearance_control.parser import Parse


class ImageParser(Protocol):
    """A :class:`appearance_control.parser.FashionParser`, or what remembers its answers."""

    def parse_image(self, image: Tensor) -> Parse: ...


@dataclass(frozen=True)
class PoseRendering:
    """One person rendered in the target pose.

    Attributes:
        image: 3 x H x W, about [-1, 1], of the last step.
        distribution: logits of the last step, 1 x K x h x w each.
    """

    image: Tensor
    distribution: tuple[Tensor, ...]


class PosedPeople:
    """People in their own clothes, rendered in one pose from one noise."""

    def __init__(self, pipeline: NTEDStepPipeline, pose: Pose, seed: int = 0):
        self.pipeline, self.pose, self.seed = pipeline, pose, seed
        self.size = pipeline.config.size
        self._renderings: dict[Person, PoseRendering] = {}

    def render(self, people: Iterable[Person]) -> Iterator[StepOutput]:
        """Render everybody who has not been rendered yet, step by step. If the caller stops early, the people completed are kept."""
        for person in people:
            if person not in self._renderings:
                yield from self.render_person(person)

    def render_person(self, person: Person) -> Iterator[StepOutput]:
        images = []
        for output in self.pipeline.generate(person, self.pose, seed=self.seed):
            images.append(output.image)
            yield output
        self._renderings[person] = PoseRendering(images[-1], self._distribution(person, images[-2]))

    def rendering(self, person: Person) -> PoseRendering:
        for _ in self.render([person]):
            pass
        return self._renderings[person]

    @torch.no_grad()
    def _distribution(self, person: Person, before: Tensor) -> tuple[Tensor, ...]:
        """Distribution logits of the last step, run again from its input 3 x H x W: the pipeline returns images alone."""
        last = self.pipeline.config.steps - 1
        condition = self.pipeline.condition(person, self.pose, last)
        return render_step(self.pipeline.generator, person.textures(last), before[None], condition, last).distribution

    def transfer_mask(self, mask: np.ndarray, person: Person) -> np.ndarray:
        """A mask on a person's photo, H x W bool, moved along the textures to the person's rendering: H x W bool."""
        attention = person.extraction(self.pipeline.config.steps - 1).attention[-1][0].float()
        mixture = self.rendering(person).distribution[-1][0].float().softmax(dim=0)
        share = transfer_mask(torch.from_numpy(mask).float().to(attention.device), attention, mixture)
        full = F.interpolate(share[None, None], size=self.size, mode="bilinear", align_corners=False)[0, 0]
        # Half way between the least and the greatest share: textures spread over the whole photo give no clear 0 and 1.
        return (full > (full.min() + full.max()) / 2).cpu().numpy()


class PersonParses:
    """What the parser finds on people, in their photos and in the target pose. Raises SwapError if there is no parser."""

    def __init__(self, parser: ImageParser | None, people: PosedPeople):
        self.parser, self._people = parser, people
        self._photos: dict[Person, Parse] = {}
        self._renderings: dict[Person, Parse] = {}

    def photo(self, person: Person) -> Parse:
        if person not in self._photos:
            self._photos[person] = self._parse(person.source[0])
        return self._photos[person]

    def rendering(self, person: Person) -> Parse:
        if person not in self._renderings:
            self._renderings[person] = self._parse(self._people.rendering(person).image)
        return self._renderings[person]

    def _parse(self, image: Tensor) -> Parse:
        if self.parser is None:
            raise SwapError("there is no parser: give masks made by hand, or parser weights")
        return self.parser.parse_image(image)

"""Garment swap: a wearer in other people's clothes. What is worn where is decided here; :mod:`appearance_control.dressing` puts it on."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from appearance_control.classes import classes_of, labels_of
from appearance_control.coefficients import carry, coefficients
from appearance_control.dressing import LOWER, Dressed, Worn, coverage
from appearance_control.masks import MOST_SHARE, MaskError, check_mask
from appearance_control.parser import FashionParser, Parse
from nted_step.execution import render_step
from nted_step.person import Person
from nted_step.pipeline import NTEDStepPipeline
from nted_step.pose import Pose
from nted_step.sampler import StepOutput

LEAST_AGREEMENT = 0.6  # of a mask made by hand and what the parser found, overlap over union, to be the same garment


class SwapError(ValueError):
    """A swap that cannot be made; the message is one line that says what was found. The wearer is unchanged."""


@dataclass(frozen=True)
class Garment:
    """What is taken from one person.

    Attributes:
        person: from ``pipeline.encode`` of a photo.
        parts: names out of ``classes.PARTS``.
        strength: 0 leaves the wearer as is, 1 takes the garment whole.
        mask: H x W made by hand instead of by the parser: bool, 0/255 uint8, or 0..1.
        mask_on: ``"pose"`` when the mask is drawn on this person's rendering in the target pose (``GarmentSwap.renderings``),
            ``"photo"`` when it is drawn on the photo.
        wearer_mask: H x W by hand, of what it replaces, on the wearer's rendering in the target pose.
        name: what messages call it.
    """

    person: Person
    parts: tuple[str, ...] = ("upper",)
    strength: float = 1.0
    mask: np.ndarray | None = None
    mask_on: str = "pose"
    wearer_mask: np.ndarray | None = None
    name: str = "the garment's photo"


@dataclass(frozen=True)
class View:
    """One person rendered in the target pose.

    Attributes:
        image: 3 x H x W, about [-1, 1], of the last step.
        distribution: logits of the last step, 1 x K x h x w each.
    """

    image: Tensor
    distribution: tuple[Tensor, ...]


@dataclass(frozen=True)
class Plan:
    """What one garment changes.

    Attributes:
        garment: as given.
        garment_mask, wearer_mask: H x W bool in the target pose.
        worn: how it is put on.
        notes: what a person should know, one line each.
    """

    garment: Garment
    garment_mask: np.ndarray
    wearer_mask: np.ndarray
    worn: Worn
    notes: list[str] = field(default_factory=list)


class GarmentSwap:
    """Wearer, garments and pose in; a stream of steps out.

    >>> swap = GarmentSwap(pipeline, wearer, [Garment(other, ("upper",))], pose, parser=FashionParser.from_pretrained())
    >>> for output in swap.generate():
    ...     show(output.step, output.image)

    The renderings of the people alone, on which masks are shown and painted, are ``wearer_view`` and ``garment_views``; with
    :meth:`with_garments` a changed mask, part or strength reuses them. ``told`` hears of every step that these renderings take; what it
    raises ends the work. Raises SwapError, MaskError or PartError.
    """

    def __init__(
        self,
        pipeline: NTEDStepPipeline,
        wearer: Person,
        garments: Sequence[Garment],
        pose: Pose,
        *,
        parser: FashionParser | None = None,
        seed: int = 0,
        told: Callable[[StepOutput], None] = lambda output: None,
    ):
        self.pipeline, self.wearer, self.pose, self.parser, self.seed, self.told = pipeline, wearer, pose, parser, seed, told
        self.size = pipeline.config.size
        self.garments = _checked(garments, self.size)
        self._views: dict[Person, View] = {}
        self._parses: dict[tuple[Person, str], Parse] = {}
        self._dress()

    def _dress(self) -> None:
        self.wearer_view = self.view(self.wearer)
        self.garment_views = [self.view(garment.person) for garment in self.garments]
        self.plans = [self._plan(garment, view) for garment, view in zip(self.garments, self.garment_views, strict=True)]

    def with_garments(self, garments: Sequence[Garment], told: Callable[[StepOutput], None] | None = None) -> GarmentSwap:
        """The same wearer and pose with other garments, parts, masks or strengths; people rendered before are not again."""
        other = copy.copy(self)  # what is known of the people is shared
        other.told, other.garments = told or self.told, _checked(garments, self.size)
        other._dress()
        return other

    def generate(self, steps: int | None = None) -> Iterator[StepOutput]:
        """Every step of the dressed wearer, as ``pipeline.generate`` yields them."""
        return self.pipeline.generate(self.dressed(), self.pose, seed=self.seed, steps=steps)

    def dressed(self) -> Dressed:
        """The wearer with the garments on."""
        return Dressed(self.wearer, [plan.worn for plan in self.plans])

    def view(self, person: Person) -> View:
        """A person alone in the target pose, rendered once."""
        if person not in self._views:
            images = []
            for output in self.pipeline.generate(person, self.pose, seed=self.seed):
                self.told(output)
                images.append(output.image)
            self._views[person] = View(images[-1], self._distribution(person, images[-2]))
        return self._views[person]

    @torch.no_grad()
    def _distribution(self, person: Person, before: Tensor) -> tuple[Tensor, ...]:
        """Of the last step from its input 3 x H x W, taken once more: the pipeline gives pictures alone."""
        pipeline, last = self.pipeline, self.pipeline.config.steps - 1
        condition = pipeline.condition(person, self.pose, last)
        return render_step(pipeline.generator, person.textures(last), before[None], condition, last).distribution

    def parse(self, person: Person, where: str = "pose") -> Parse:
        """What the parser sees of a person, looked at once: on the ``"photo"``, or on the rendering in the target ``"pose"``.

        Raises SwapError when there is no parser.
        """
        if self.parser is None:
            raise SwapError("there is no parser: give masks made by hand, or parser weights")
        if (person, where) not in self._parses:
            image = person.source[0] if where == "photo" else self.view(person).image
            self._parses[person, where] = self.parser.parse_image(image)
        return self._parses[person, where]

    def _plan(self, garment: Garment, view: View) -> Plan:
        notes: list[str] = []
        on_photo = self._photo_mask(garment, notes)
        theirs = garment.mask if on_photo is None else self._garment_mask(garment, on_photo, view, notes)
        ours = self._wearer_mask(garment, theirs, notes)
        device = self.pipeline.device
        masks = (torch.from_numpy(mask)[None, None].float().to(device) for mask in (theirs, ours))
        shares = coefficients(view.distribution, self.wearer_view.distribution, *masks, part=garment.mask is not None)
        if not any(share.any() for share in shares):
            notes.append(f"{garment.name}: no texture of the model is clearly of this garment; the wearer stays unchanged")
        in_pose = garment.mask if on_photo is None else None
        worn = Worn(garment.person, self._classes(garment, on_photo), on_photo, in_pose, shares, garment.strength)
        return Plan(garment, theirs, ours, worn, notes)

    def _classes(self, garment: Garment, on_photo: np.ndarray | None) -> frozenset[str]:
        """What is put on, as classes: those of the parts that the photo shows. None where a mask made by hand is another thing."""
        if self.parser is None or on_photo is None:
            return frozenset()
        photo = self.parse(garment.person, "photo")
        found = photo.mask(garment.parts)
        if garment.mask is not None and (found & on_photo).sum() < LEAST_AGREEMENT * (found | on_photo).sum():
            return frozenset()
        return frozenset(_worn(garment.parts, photo))

    def _photo_mask(self, garment: Garment, notes: list[str]) -> np.ndarray | None:
        """H x W bool, the garment on its photo; None for a mask made in the pose."""
        if garment.mask is not None:
            return garment.mask if garment.mask_on == "photo" else None
        photo = self.parse(garment.person, "photo")
        if (people := photo.people()) > 1:
            raise SwapError(f"{garment.name}: {people} people found; crop it to one")
        on_photo = photo.mask(garment.parts)
        if not on_photo.any():
            wanted = ", ".join(sorted({name for part in garment.parts for name in classes_of(part)}))
            raise SwapError(f"{garment.name}: no {wanted} found in it (found: {', '.join(photo.seen()) or 'nothing'})")
        if "lower" in garment.parts and not LOWER & set(photo.seen()) and "dress" in photo.seen():
            notes.append(
                f"{garment.name} shows a dress and no other garment below the waist: only shoes and belt are taken; choose dress to take it"
            )
        return check_mask(on_photo, self.size, f"{garment.name}: the garment found")

    def _garment_mask(self, garment: Garment, on_photo: np.ndarray, view: View, notes: list[str]) -> np.ndarray:
        """The garment in the target pose, on its person's rendering."""
        places = garment.person.places(self.pose)
        name = f"the mask on {garment.name}" if garment.mask is not None else garment.name
        if places is not None:
            worn = Worn(garment.person, self._classes(garment, on_photo), on_photo, None, (), 1.0)
            return check_mask((coverage(worn, self.pose, places, self.size)[0][0, 0] > 0.5).cpu().numpy(), self.size, name)
        if garment.mask is not None:
            return self._carried(on_photo, garment.person, view, name)
        photo = self.parse(garment.person, "photo")
        rendered = self.parse(garment.person).mask(_worn(garment.parts, photo))
        try:
            return check_mask(rendered, self.size)
        except MaskError:
            notes.append(f"{garment.name}: not recognised in the target pose, its place is carried over from the photo")
            return self._carried(on_photo, garment.person, view, garment.name)

    def _wearer_mask(self, garment: Garment, theirs: np.ndarray, notes: list[str]) -> np.ndarray:
        if garment.wearer_mask is not None:
            return garment.wearer_mask
        if self.parser is None or garment.mask is not None:
            return theirs  # the same place: both are in the same pose
        photo = self.parse(self.wearer, "photo")
        if (people := photo.people()) > 1:
            raise SwapError(f"the wearer's photo: {people} people found; crop it to one")
        ours = self.parse(self.wearer).mask(_worn(garment.parts, photo) or garment.parts)
        if ours.any() and ours.mean() <= MOST_SHARE:
            return ours
        if self.wearer.places(self.pose) is None:  # else it is put over whatever is worn
            notes.append(f"the wearer has no {' or '.join(garment.parts)} in this pose; the place of {garment.name}'s is taken")
        return theirs

    def _carried(self, mask: np.ndarray, person: Person, view: View, name: str) -> np.ndarray:
        last = self.pipeline.config.steps - 1
        attention = person.extraction(last).attention[-1][0].float()
        mixture = view.distribution[-1][0].float().softmax(dim=0)
        share = carry(torch.from_numpy(mask).float().to(attention.device), attention, mixture)
        full = F.interpolate(share[None, None], size=self.size, mode="bilinear", align_corners=False)[0, 0]
        # Half way between the least and the greatest share: textures that are spread over the photo give no clear 0 and 1.
        return check_mask((full > (full.min() + full.max()) / 2).cpu().numpy(), self.size, name)


def _worn(parts: Sequence[str], photo: Parse) -> tuple[str, ...]:
    """The classes of some parts that a photo shows. A soft rendering of a top over trousers may look like a dress, which nobody wears."""
    return tuple(sorted({name for part in parts for name in classes_of(part)} & set(photo.seen())))


def _checked(garments: Sequence[Garment], size: tuple[int, int]) -> list[Garment]:
    if not garments:
        raise SwapError("no garment given")
    return [_checked_garment(garment, size) for garment in garments]


def _checked_garment(garment: Garment, size: tuple[int, int]) -> Garment:
    labels_of(garment.parts)
    if not 0 <= garment.strength <= 1:
        raise SwapError(f"{garment.name}: the strength is 0..1, not {garment.strength}")
    if garment.mask_on not in ("pose", "photo"):
        raise SwapError(f"a mask is on the pose or on the photo, not on {garment.mask_on!r}")
    named = {"mask": f"the mask on {garment.name}", "wearer_mask": "the mask on the wearer"}
    checked = {key: check_mask(getattr(garment, key), size, name) for key, name in named.items() if getattr(garment, key) is not None}
    return replace(garment, **checked)

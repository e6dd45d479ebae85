"""Losses of the carrier: exact places where the surface is known, as in rendered figures, else the photo alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from nted_step.carrier import Carrier, Places, carry
from nted_step.carrying import Carried, carry_person
from training.data.pairs import Pairs
from training.settings import CarrierLossWeights

PLACE_UNIT = 32.0  # units per half canvas: a place error of one unit is 4 of 256 rows
NEAR_WEIGHT = 0.3  # weight of a place that the photo shows only nearby
PERSON_PIXELS = (88.0, 128.0)  # x and y, of a 256x176 canvas, per unit of a place


def predict(carrier: Carrier, source: Tensor, pairs: Pairs) -> Places:
    """The carrier's output for pairs, with ``source`` as their photos. Raises ValueError if the source poses are unknown."""
    if pairs.source_joints is None:
        raise ValueError("the source poses of these pairs are unknown; a carrier cannot be trained on them")
    return carrier(source, pairs.source_skeleton, pairs.skeleton, pairs.source_joints, pairs.target_joints)


@torch.no_grad()
def carry_pairs(carrier: Carrier, pairs: Pairs, device: torch.device) -> Carried:
    """The carried pixels of the pairs' photos, B x ... float32 on ``device``, where the carrier is."""
    known = ("source", "skeleton", "source_skeleton", "source_joints", "target_joints")
    moved = dataclasses.replace(pairs, **{name: getattr(pairs, name).to(device) for name in known if getattr(pairs, name) is not None})
    with torch.autocast(device.type, torch.bfloat16, device.type == "cuda"):
        places = predict(carrier, moved.source, moved)
    return carry_person(places, moved.source)


def losses(places: Places, pairs: Pairs, weights: CarrierLossWeights) -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted sum and its parts.

    Pairs whose surface is unknown are learned from by comparing the carried photo with the target, and from the person's mask if there
    is one.
    """
    grid = tuple(places.place.shape[-2:])
    mask = _at(pairs.mask, grid)
    parts = {} if pairs.mask.all() else {"person": F.binary_cross_entropy_with_logits(places.person, mask)}
    if pairs.place is None:
        parts["photo"] = _photo(places, pairs, mask * places.seen.sigmoid())
        parts["seen"] = -F.logsigmoid(places.seen).mean()  # without it, calling nothing seen would cost nothing
    else:
        exact, near = (pairs.seen == 1).float(), (pairs.seen == 0.5).float()
        weight = exact + NEAR_WEIGHT * near
        parts["place"] = _place(places.place, pairs.place, weight) + 0.25 * _place(places.direct, pairs.place, weight)
        person = _classes_at(pairs.target_classes, grid) > 0
        known = F.binary_cross_entropy_with_logits(places.seen, pairs.seen, reduction="none")
        parts["seen"] = (known * person[:, None]).sum() / person.sum().clamp_min(1)
        parts["classes"] = F.cross_entropy(places.classes, _classes_at(pairs.target_classes, grid))
        parts["mask"] = mask_loss(places.photo_mask, pairs)
        parts["photo"] = _photo(places, pairs, exact)
    return sum(getattr(weights, name) * value for name, value in parts.items()), parts


def mask_loss(photo_mask: Tensor, pairs: Pairs) -> Tensor:
    """Cross-entropy of the photo's person mask, logits B x 1 x h x w, where class maps tell it."""
    truth = _classes_at(pairs.source_classes, tuple(photo_mask.shape[-2:])) > 0
    return F.binary_cross_entropy_with_logits(photo_mask, truth[:, None].float())


def place_error(place: Tensor, pairs: Pairs) -> Tensor:
    """Distance between predicted and exact places in pixels of a 256x176 canvas, at each of the N cells that the photo shows: N."""
    away = (place - pairs.place) * place.new_tensor(PERSON_PIXELS).view(1, 2, 1, 1)
    return away.norm(dim=1, keepdim=True)[pairs.seen == 1]


def _place(place: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    error = F.smooth_l1_loss(place * PLACE_UNIT, truth * PLACE_UNIT, beta=0.5, reduction="none").sum(dim=1, keepdim=True)
    return (weight * error).sum() / weight.sum().clamp_min(1)


def _photo(places: Places, pairs: Pairs, weight: Tensor) -> Tensor:
    grid = tuple(places.place.shape[-2:])
    carried, target = carry(pairs.source, places.place, grid), _at(pairs.target, grid)
    return ((carried - target).abs() * weight).sum() / weight.sum().clamp_min(1) / 3


def _at(image: Tensor, grid: tuple[int, int]) -> Tensor:
    return image if tuple(image.shape[-2:]) == grid else F.interpolate(image, size=grid, mode="area")


def _classes_at(classes: Tensor, grid: tuple[int, int]) -> Tensor:
    if tuple(classes.shape[-2:]) == grid:
        return classes
    return F.interpolate(classes[:, None].float(), size=grid, mode="nearest-exact")[:, 0].long()


def jitter_sources(pairs: Pairs, generator: torch.Generator) -> Tensor:
    """The sources with changed light and colour and, mostly, another background: B x 3 x H x W in [-1, 1].

    It keeps a network that is trained on rendered figures from relying on their studio.
    """
    source = pairs.source
    count, device = len(source), source.device

    def draw(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator).to(device)

    if pairs.source_classes is not None:
        person = (pairs.source_classes > 0)[:, None].float()
        share = F.avg_pool2d(person, 3, 1, 1)
        elsewhere = share * _without_edge(source, person) + (1 - share) * _background(source, person, draw, generator)
        source = torch.where(draw(count, 1, 1, 1) < 0.6, elsewhere, source)
    gain = 1 + (draw(count, 3, 1, 1) - 0.5) * 0.3 + (draw(count, 1, 1, 1) - 0.5) * 0.5
    gamma = torch.exp((draw(count, 1, 1, 1) - 0.5) * 0.8)
    light = ((source + 1) / 2).clamp(1e-4, 1) ** gamma * gain
    noise = torch.randn(source.shape, generator=generator).to(device) * 0.04 * draw(count, 1, 1, 1)
    return (light * 2 - 1 + noise).clamp(-1, 1)


def _without_edge(source: Tensor, person: Tensor) -> Tensor:
    """The photo with the person's inner colours spread to the edge and beyond: a rim of the old background would reveal the mask."""
    inside = (F.avg_pool2d(person, 3, 1, 1) > 0.99).float()
    near = F.avg_pool2d(inside, 5, 1, 2)
    spread = F.avg_pool2d(source * inside, 5, 1, 2) / near.clamp_min(1e-3)
    return torch.where((inside == 0) & (near > 0), spread, source)


def _background(source: Tensor, person: Tensor, draw: Callable[..., Tensor], generator: torch.Generator) -> Tensor:
    """Another background, B x 3 x H x W in [-1, 1].

    It is of any colour, bright like a studio's, or of one of the person's own colours, which makes the mask hardest to find.
    """
    count, (height, width) = len(source), source.shape[-2:]
    coarse = torch.randn(count, 3, 8, 6, generator=generator).to(source.device) * draw(count, 1, 1, 1) ** 2
    any_colour = draw(count, 3, 1, 1) * 2 - 1
    bright = 1 - 0.4 * draw(count, 1, 1, 1) - 0.05 * draw(count, 3, 1, 1)
    chosen = (person.flatten(1) * draw(count, height * width)).argmax(dim=1)
    own = source.flatten(2).gather(2, chosen[:, None, None].expand(-1, 3, 1))[..., None]
    kind = draw(count, 1, 1, 1)
    plain = torch.where(kind < 0.4, any_colour, torch.where(kind < 0.7, bright, own))
    roughness = torch.where(kind < 0.4, 1.0, 0.25)
    return (plain + roughness * F.interpolate(coarse, size=(height, width), mode="bicubic")).clamp(-1, 1)


def jitter_joints(joints: Tensor, generator: torch.Generator) -> Tensor:
    """Joints B x 18 x 3 with errors about as large as a person's or a detector's; a few are missing."""
    moved = torch.randn(*joints.shape[:2], 2, generator=generator).to(joints.device) * 0.012
    kept = (torch.rand(*joints.shape[:2], 1, generator=generator) > 0.02).float().to(joints.device)
    return torch.cat([joints[..., :2] + moved, joints[..., 2:]], dim=-1) * joints[..., 2:] * kept

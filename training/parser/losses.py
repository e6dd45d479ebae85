"""Mask R-CNN's losses for a whole batch at once.

The rules are torchvision's (how anchors and proposals are matched and sampled), but every image has the same number of places for
boxes, and places that are empty weigh nothing. So no operation waits for another's result, which would be most of the time on a GPU:
torchvision goes image by image.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models.detection import MaskRCNN
from torchvision.ops import roi_align

from appearance_control.detection import BOX_WEIGHTS, PROPOSAL_IOU, RPN_WEIGHTS, decode, enlarge, log_odds
from appearance_control.network import PIXELS, STRIDES, ParserConfig
from training.parser.data import ParserBatch

ANCHORS = (64, 64)  # anchors an image that losses are taken from: at most so many that hold something, and that do not
BOXES = (32, 64)  # the same of proposals
MASKS = 16  # of the proposals that hold something, those whose masks are judged
PROPOSALS = 300  # boxes an image after overlaps are dropped
A_LEVEL = 200  # boxes a pyramid level before
ROUNDS = 8  # of dropping overlaps: exact for chains of so many boxes, each hidden by the one before
PIXEL_SHARE = 2.0  # weight of the pixel branch's loss
BETA = 1 / 9  # where the loss of boxes turns from square to linear


class Sample(NamedTuple):
    """Places of a batch chosen for a loss: ``places`` B x n indices, ``positive`` and ``valid`` B x n bool."""

    places: Tensor
    positive: Tensor
    valid: Tensor


def losses(network: MaskRCNN, config: ParserConfig, batch: ParserBatch, precision: str = "float32") -> dict[str, Tensor]:
    """The five losses of Mask R-CNN, and ``loss_pixels`` where there is a pixel branch. Convolutions run in ``precision``."""
    device = batch.images.device
    images = batch.images.contiguous(memory_format=torch.channels_last)
    low = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")
    with low:
        features = network.backbone(images)
        pixels = features.pop(PIXELS, None)
        logits, deltas = network.rpn.head(list(features.values()))
    features = {name: level.float() for name, level in features.items()}
    shapes = tuple(tuple(level.shape[-2:]) for level in features.values())
    anchors = _anchors(network, shapes, device)
    logits = [level.float().permute(0, 2, 3, 1).flatten(1) for level in logits]
    deltas = [level.float().unflatten(1, (-1, 4)).permute(0, 3, 4, 1, 2).reshape(len(level), -1, 4) for level in deltas]
    found = rpn_losses(torch.cat(logits, 1), torch.cat(deltas, 1), torch.cat(anchors), batch)
    with torch.no_grad():
        proposals, valid = propose(logits, deltas, anchors, batch.size)
        boxes, labels, owners, sample = choose_boxes(proposals, valid, batch)
    with low:
        found |= box_losses(network, features, boxes, labels, owners, sample, batch)
        count = min(MASKS, BOXES[0])
        positive = sample.positive[:, :count]
        odds = log_odds(pixels.detach().float()) if pixels is not None else None
        found["loss_mask"] = mask_loss(network, config, features, odds, (boxes, labels, owners, positive), batch)
    if pixels is not None:
        found["loss_pixels"] = PIXEL_SHARE * pixel_loss(pixels.float(), batch)
    return found


def _anchors(network: MaskRCNN, shapes: tuple[tuple[int, int], ...], device: torch.device) -> list[Tensor]:
    """Anchors of every level, kept on the generator from one batch to the next."""
    generator = network.rpn.anchor_generator
    key = (shapes, str(device))
    if getattr(generator, "kept", (None,))[0] != key:
        generator.kept = (key, [generator.level(stride, *shape).to(device) for stride, shape in zip(STRIDES, shapes, strict=True)])
    return generator.kept[1]


def overlap(first: Tensor, second: Tensor) -> Tensor:
    """IoU of B x n x 4 with B x m x 4 or m x 4 boxes -> B x n x m; 0 with a box of no area."""
    first, second = first[:, :, None], second[..., None, :, :]
    corner, end = torch.maximum(first[..., :2], second[..., :2]), torch.minimum(first[..., 2:], second[..., 2:])
    common = (end - corner).clamp(min=0).prod(-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1) for boxes in (first, second)]
    return common / (areas[0] + areas[1] - common).clamp(min=1e-6)


def encode(boxes: Tensor, anchors: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Regression targets: the inverse of :func:`appearance_control.detection.decode`, without its clipping."""
    size, anchor = (boxes[..., 2:] - boxes[..., :2]).clamp(min=1), (anchors[..., 2:] - anchors[..., :2]).clamp(min=1e-2)
    centre, around = (boxes[..., 2:] + boxes[..., :2]) / 2, (anchors[..., 2:] + anchors[..., :2]) / 2
    parts = [*((centre - around) / anchor).unbind(-1), *(size / anchor).log().unbind(-1)]
    return torch.stack([part * weight for part, weight in zip(parts, weights, strict=True)], dim=-1)


def sample(positive: Tensor, negative: Tensor, most: tuple[int, int]) -> Sample:
    """At random, up to so many of each of two kinds of places (B x n bool); the positive ones come first."""
    chosen, valid = [], []
    for kind, count in zip((positive, negative), most, strict=True):
        chance = torch.rand(kind.shape, device=kind.device).masked_fill(~kind, -1)
        value, place = chance.topk(min(count, kind.shape[1]), dim=1)
        chosen.append(place)
        valid.append(value >= 0)
    none = torch.zeros_like(valid[1])
    return Sample(torch.cat(chosen, 1), torch.cat([valid[0], none], 1), torch.cat(valid, 1))


def rpn_losses(logits: Tensor, deltas: Tensor, anchors: Tensor, batch: ParserBatch) -> dict[str, Tensor]:
    """Does an anchor hold something (above .7 IoU, or an instance's best anchor), and where exactly. Logits B x A, deltas B x A x 4."""
    with torch.no_grad():
        shared = overlap(batch.boxes, anchors)
        value, owner = shared.max(1)
        best = shared.amax(2, keepdim=True)
        positive = (value >= 0.7) | ((shared == best) & (best > 0)).any(1)
        taken = sample(positive, (value < 0.3) & ~positive, ANCHORS)
        owners = owner.gather(1, taken.places)
        target = encode(_take(batch.boxes, owners), anchors[taken.places], RPN_WEIGHTS)
    count = taken.valid.sum().clamp(min=1)
    judged = F.binary_cross_entropy_with_logits(logits.gather(1, taken.places), taken.positive.float(), reduction="none")
    return {
        "loss_objectness": (judged * taken.valid).sum() / count,
        "loss_rpn_box_reg": _box_loss(_take(deltas, taken.places), target, taken.positive) / count,
    }


def _take(values: Tensor, places: Tensor) -> Tensor:
    """B x n x k at places B x m -> B x m x k."""
    return values.gather(1, places[..., None].expand(-1, -1, values.shape[-1]))


def _box_loss(deltas: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    return (F.smooth_l1_loss(deltas, target, beta=BETA, reduction="none") * weight[..., None]).sum()


def propose(logits: list[Tensor], deltas: list[Tensor], anchors: list[Tensor], size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Boxes B x n x 4 that may hold something, n at most ``PROPOSALS``, and which of them are valid; as at inference."""
    boxes, scores = [], []
    for logit, delta, anchor in zip(logits, deltas, anchors, strict=True):
        score, place = logit.topk(min(A_LEVEL, logit.shape[1]), dim=1)
        box = decode(_take(delta, place), anchor[place], RPN_WEIGHTS, size)
        boxes.append(box)
        scores.append(score.masked_fill(~without_overlaps(box), -torch.inf))
    box, score = torch.cat(boxes, 1), torch.cat(scores, 1)
    score, place = score.topk(min(PROPOSALS, score.shape[1]), dim=1)
    return _take(box, place), score > -torch.inf


def without_overlaps(boxes: Tensor) -> Tensor:
    """Which of B x n x 4 boxes, best first, stay when those that overlap a better one that stays are dropped; B x n bool."""
    hides = (overlap(boxes, boxes) > PROPOSAL_IOU).float().triu(1)
    stays = boxes.new_ones(boxes.shape[:2])
    for _ in range(ROUNDS):
        stays = (torch.bmm(stays[:, None], hides)[:, 0] == 0).float()
    return stays.bool()


def choose_boxes(proposals: Tensor, valid: Tensor, batch: ParserBatch) -> tuple[Tensor, Tensor, Tensor, Sample]:
    """Proposals and true boxes to judge: boxes B x n x 4, labels B x n (0 nothing, -1 an empty place), the instance in each, the sample."""
    boxes = torch.cat([proposals, batch.boxes], 1)
    valid = torch.cat([valid, batch.labels > 0], 1)
    value, owner = overlap(batch.boxes, boxes).max(1)
    taken = sample(valid & (value >= 0.5), valid & (value < 0.5), BOXES)
    owners = owner.gather(1, taken.places)
    labels = batch.labels.gather(1, owners).masked_fill(~taken.positive, 0).masked_fill(~taken.valid, -1)
    return _take(boxes, taken.places), labels, owners, taken


def box_losses(
    network: MaskRCNN, features: dict[str, Tensor], boxes: Tensor, labels: Tensor, owners: Tensor, taken: Sample, batch: ParserBatch
) -> dict[str, Tensor]:
    """What a box holds, and where exactly it is."""
    heads, padded = network.roi_heads, [tuple(batch.images.shape[-2:])] * len(boxes)
    scores, deltas = heads.box_predictor(heads.box_head(heads.box_roi_pool(features, list(boxes), padded)))
    scores, deltas = scores.float(), deltas.float().view(*labels.shape, -1, 4)
    own = deltas.gather(2, labels.clamp(min=0)[..., None, None].expand(-1, -1, 1, 4))[:, :, 0]
    target = encode(_take(batch.boxes, owners), boxes, BOX_WEIGHTS)
    return {
        "loss_classifier": F.cross_entropy(scores, labels.flatten(), ignore_index=-1),
        "loss_box_reg": _box_loss(own, target, taken.positive) / taken.valid.sum().clamp(min=1),
    }


def mask_loss(
    network: MaskRCNN,
    config: ParserConfig,
    features: dict[str, Tensor],
    odds: Tensor | None,
    chosen: tuple[Tensor, ...],
    batch: ParserBatch,
) -> Tensor:
    """Which part of a box is the instance: its own logits, plus the pixels' log-odds B x L x h/2 x w/2 where there are some.

    ``chosen`` is boxes, labels and instances of the places of a batch, and which of the first of them count.
    """
    boxes, labels, owners, positive = chosen
    images, count = positive.shape
    boxes, labels, owners = boxes[:, :count], labels[:, :count].clamp(min=0), owners[:, :count]
    if config.pixels:
        boxes = enlarge(boxes, config.margin, batch.size)
    heads, padded = network.roi_heads, [tuple(batch.images.shape[-2:])] * images
    outputs = heads.mask_predictor(heads.mask_head(heads.mask_roi_pool(features, list(boxes), padded))).float()
    own = outputs.gather(1, labels.flatten()[:, None, None, None].expand(-1, 1, *outputs.shape[-2:]))[:, 0]
    side, flat = own.shape[-1], boxes.reshape(-1, 4)
    first = torch.arange(images, device=boxes.device)[:, None]
    with torch.no_grad(), torch.autocast(boxes.device.type, enabled=False):
        target = _crop(batch.masks().float(), first * batch.labels.shape[1] + owners, flat, side, 1 / batch.scale)
        if odds is not None:
            pixels = _crop(odds, first * odds.shape[1] + labels, flat, side, odds.shape[-1] / batch.images.shape[-1])
    if odds is not None:
        own = own + pixels
    judged = F.binary_cross_entropy_with_logits(own, target, reduction="none").mean((1, 2))
    return (judged * positive.flatten()).sum() / positive.sum().clamp(min=1)


def _crop(maps: Tensor, planes: Tensor, boxes: Tensor, side: int, scale: float) -> Tensor:
    """Of the planes of maps B x n x h x w, counted through the batch, those of the boxes N x 4 -> N x side x side."""
    rois = torch.cat([planes.flatten()[:, None].to(boxes), boxes], dim=1)
    return roi_align(maps.flatten(0, 1)[:, None], rois, (side, side), scale, -1, aligned=True)[:, 0]


def pixel_loss(logits: Tensor, batch: ParserBatch) -> Tensor:
    """Cross entropy of labels at the figures' own pixels, to which the logits are enlarged as at inference."""
    rows, columns = (-(-side * logits.shape[-2] // batch.images.shape[-2]) for side in batch.size)
    whole = F.interpolate(logits[..., :rows, :columns], size=batch.classes.shape[-2:], mode="bilinear", align_corners=False)
    return F.cross_entropy(whole, batch.classes.long())

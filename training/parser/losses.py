"""Mask R-CNN's losses for a whole batch at once.

Anchors and proposals are matched and sampled by torchvision's rules, but every image has the same number of slots for boxes, and
empty slots have no weight. So the CPU never waits for a result of the GPU, unlike in torchvision, which goes image by image and
spends most of its time on such waiting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models.detection import MaskRCNN
from torchvision.ops import roi_align

from appearance_control.detection import BOX_WEIGHTS, PROPOSAL_IOU, RPN_WEIGHTS, decode, enlarge, log_odds
from appearance_control.network import PIXELS, STRIDES, Anchors, ParserConfig
from training.parser.data import ParserBatch

SAMPLED_ANCHORS = (64, 64)  # per image, for the losses: at most this many positive and negative ones
SAMPLED_BOXES = (32, 64)  # the same for proposals
MASKS = 16  # positive proposals per image whose masks are trained
PROPOSALS = 300  # per image, after overlapping ones are dropped
PROPOSALS_PER_LEVEL = 200  # of the pyramid, before that
ROUNDS = 8  # of dropping overlaps: exact for chains of up to this many boxes that each overlap the next
PIXEL_SHARE = 2.0  # weight of the pixel branch's loss
BETA = 1 / 9  # error at which the box loss changes from quadratic to linear


@dataclass(frozen=True)
class Sample:
    """Boxes of a batch sampled for a loss: ``index`` B x n, ``positive`` and ``valid`` (not an empty slot) B x n bool."""

    index: Tensor
    positive: Tensor
    valid: Tensor


@dataclass(frozen=True)
class BoxSample:
    """Boxes sampled for the losses of the heads.

    Attributes:
        boxes: B x n x 4.
        labels: B x n int64, 0 for a box without an instance, -1 for an empty slot.
        owners: B x n, index of the instance that each box overlaps most.
        positive, valid: B x n bool; the positive ones come first.
    """

    boxes: Tensor
    labels: Tensor
    owners: Tensor
    positive: Tensor
    valid: Tensor


def losses(network: MaskRCNN, config: ParserConfig, batch: ParserBatch, precision: str = "float32") -> dict[str, Tensor]:
    """The five losses of Mask R-CNN, and ``loss_pixels`` if there is a pixel branch. Convolutions run in ``precision``."""
    device = batch.images.device
    images = batch.images.contiguous(memory_format=torch.channels_last)
    low = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")
    with low:
        features = network.backbone(images)
        pixels = features.pop(PIXELS, None)
        logits, deltas = network.rpn.head(list(features.values()))
    features = {name: level.float() for name, level in features.items()}
    shapes = tuple(tuple(level.shape[-2:]) for level in features.values())
    anchors = _anchors(network.rpn.anchor_generator.scale, shapes, device)
    logits = [level.float().permute(0, 2, 3, 1).flatten(1) for level in logits]
    deltas = [level.float().unflatten(1, (-1, 4)).permute(0, 3, 4, 1, 2).reshape(len(level), -1, 4) for level in deltas]
    parts = rpn_losses(torch.cat(logits, 1), torch.cat(deltas, 1), torch.cat(anchors), batch)
    with torch.no_grad():
        proposals, valid = propose(logits, deltas, anchors, batch.size)
        boxes = sample_boxes(proposals, valid, batch)
    with low:
        parts |= box_losses(network, features, boxes, batch)
        odds = log_odds(pixels.detach().float()) if pixels is not None else None
        parts["loss_mask"] = mask_loss(network, config, features, odds, boxes, batch)
    if pixels is not None:
        parts["loss_pixels"] = PIXEL_SHARE * pixel_loss(pixels.float(), batch)
    return parts


@lru_cache(maxsize=4)
def _anchors(scale: int, shapes: tuple[tuple[int, int], ...], device: torch.device) -> tuple[Tensor, ...]:
    """Anchors of every pyramid level, for features of these shapes (h, w); cached, because all batches have the same shapes."""
    anchors = Anchors(scale)
    return tuple(anchors.level(stride, *shape).to(device) for stride, shape in zip(STRIDES, shapes, strict=True))


def overlap(first: Tensor, second: Tensor) -> Tensor:
    """IoU of B x n x 4 with B x m x 4 or m x 4 boxes -> B x n x m; 0 for a box without area."""
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
    """Sample at random up to ``most`` positive and negative boxes (B x n bool each); the positive ones come first."""
    chosen, valid = [], []
    for kind, count in zip((positive, negative), most, strict=True):
        chance = torch.rand(kind.shape, device=kind.device).masked_fill(~kind, -1)
        value, index = chance.topk(min(count, kind.shape[1]), dim=1)
        chosen.append(index)
        valid.append(value >= 0)
    none = torch.zeros_like(valid[1])
    return Sample(torch.cat(chosen, 1), torch.cat([valid[0], none], 1), torch.cat(valid, 1))


def rpn_losses(logits: Tensor, deltas: Tensor, anchors: Tensor, batch: ParserBatch) -> dict[str, Tensor]:
    """Losses of the region proposal network: logits B x A, deltas B x A x 4.

    An anchor is positive above .7 IoU with an instance, or if no anchor overlaps the instance more, and negative below .3.
    """
    with torch.no_grad():
        shared = overlap(batch.boxes, anchors)
        value, owner = shared.max(1)
        best = shared.amax(2, keepdim=True)
        positive = (value >= 0.7) | ((shared == best) & (best > 0)).any(1)
        taken = sample(positive, (value < 0.3) & ~positive, SAMPLED_ANCHORS)
        owners = owner.gather(1, taken.index)
        target = encode(_take(batch.boxes, owners), anchors[taken.index], RPN_WEIGHTS)
    count = taken.valid.sum().clamp(min=1)
    entropy = F.binary_cross_entropy_with_logits(logits.gather(1, taken.index), taken.positive.float(), reduction="none")
    return {
        "loss_objectness": (entropy * taken.valid).sum() / count,
        "loss_rpn_box_reg": _box_loss(_take(deltas, taken.index), target, taken.positive) / count,
    }


def _take(values: Tensor, index: Tensor) -> Tensor:
    """B x n x k at index B x m -> B x m x k."""
    return values.gather(1, index[..., None].expand(-1, -1, values.shape[-1]))


def _box_loss(deltas: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    return (F.smooth_l1_loss(deltas, target, beta=BETA, reduction="none") * weight[..., None]).sum()


def propose(logits: list[Tensor], deltas: list[Tensor], anchors: Sequence[Tensor], size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Proposals B x n x 4, n at most ``PROPOSALS``, and which of them are valid, B x n bool; as at inference."""
    boxes, scores = [], []
    for logit, delta, anchor in zip(logits, deltas, anchors, strict=True):
        score, index = logit.topk(min(PROPOSALS_PER_LEVEL, logit.shape[1]), dim=1)
        box = decode(_take(delta, index), anchor[index], RPN_WEIGHTS, size)
        boxes.append(box)
        scores.append(score.masked_fill(~without_overlaps(box), -torch.inf))
    box, score = torch.cat(boxes, 1), torch.cat(scores, 1)
    score, index = score.topk(min(PROPOSALS, score.shape[1]), dim=1)
    return _take(box, index), score > -torch.inf


def without_overlaps(boxes: Tensor) -> Tensor:
    """Non-maximum suppression of B x n x 4 boxes, best first: which of them stay, B x n bool."""
    hides = (overlap(boxes, boxes) > PROPOSAL_IOU).float().triu(1)
    stays = boxes.new_ones(boxes.shape[:2])
    for _ in range(ROUNDS):
        stays = (torch.bmm(stays[:, None], hides)[:, 0] == 0).float()
    return stays.bool()


def sample_boxes(proposals: Tensor, valid: Tensor, batch: ParserBatch) -> BoxSample:
    """Sample proposals and true boxes for the losses of the heads; a box is positive from .5 IoU on."""
    boxes = torch.cat([proposals, batch.boxes], 1)
    valid = torch.cat([valid, batch.labels > 0], 1)
    value, owner = overlap(batch.boxes, boxes).max(1)
    taken = sample(valid & (value >= 0.5), valid & (value < 0.5), SAMPLED_BOXES)
    owners = owner.gather(1, taken.index)
    labels = batch.labels.gather(1, owners).masked_fill(~taken.positive, 0).masked_fill(~taken.valid, -1)
    return BoxSample(_take(boxes, taken.index), labels, owners, taken.positive, taken.valid)


def box_losses(network: MaskRCNN, features: dict[str, Tensor], sampled: BoxSample, batch: ParserBatch) -> dict[str, Tensor]:
    """Losses of the box head: the class of each box, and its exact position."""
    boxes, labels = sampled.boxes, sampled.labels
    heads, padded = network.roi_heads, [tuple(batch.images.shape[-2:])] * len(boxes)
    scores, deltas = heads.box_predictor(heads.box_head(heads.box_roi_pool(features, list(boxes), padded)))
    scores, deltas = scores.float(), deltas.float().view(*labels.shape, -1, 4)
    own = deltas.gather(2, labels.clamp(min=0)[..., None, None].expand(-1, -1, 1, 4))[:, :, 0]
    target = encode(_take(batch.boxes, sampled.owners), boxes, BOX_WEIGHTS)
    return {
        "loss_classifier": F.cross_entropy(scores, labels.flatten(), ignore_index=-1),
        "loss_box_reg": _box_loss(own, target, sampled.positive) / sampled.valid.sum().clamp(min=1),
    }


def mask_loss(
    network: MaskRCNN,
    config: ParserConfig,
    features: dict[str, Tensor],
    odds: Tensor | None,
    sampled: BoxSample,
    batch: ParserBatch,
) -> Tensor:
    """Loss of the mask head: its logits, plus the pixel branch's log-odds B x L x h/2 x w/2 if there are any, inside positive boxes."""
    count = min(MASKS, SAMPLED_BOXES[0])
    positive, images = sampled.positive[:, :count], len(sampled.boxes)
    boxes, labels, owners = sampled.boxes[:, :count], sampled.labels[:, :count].clamp(min=0), sampled.owners[:, :count]
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
    entropy = F.binary_cross_entropy_with_logits(own, target, reduction="none").mean((1, 2))
    return (entropy * positive.flatten()).sum() / positive.sum().clamp(min=1)


def _crop(maps: Tensor, planes: Tensor, boxes: Tensor, side: int, scale: float) -> Tensor:
    """Crop one plane of maps B x n x h x w for each of N boxes: ``planes`` index the B * n planes, boxes N x 4 -> N x side x side."""
    rois = torch.cat([planes.flatten()[:, None].to(boxes), boxes], dim=1)
    return roi_align(maps.flatten(0, 1)[:, None], rois, (side, side), scale, -1, aligned=True)[:, 0]


def pixel_loss(logits: Tensor, batch: ParserBatch) -> Tensor:
    """Cross-entropy of the classes at the figures' original size, to which the logits are enlarged as at inference."""
    rows, columns = (-(-side * logits.shape[-2] // batch.images.shape[-2]) for side in batch.size)
    enlarged = F.interpolate(logits[..., :rows, :columns], size=batch.classes.shape[-2:], mode="bilinear", align_corners=False)
    return F.cross_entropy(enlarged, batch.classes.long())

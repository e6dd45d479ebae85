"""Inference with torchvision's network by the rules of mmdetection 1.x, to the number.

Boxes are continuous here: (x1, y1, x2, y2) with x2 one beyond the last pixel, whereas in mmdetection x2 is the last pixel itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.models.detection import MaskRCNN
from torchvision.ops import batched_nms

from appearance_control.network import PIXELS, STRIDES
from nted_step.classes import LABEL_COUNT

MEAN = np.array([123.675, 116.28, 103.53], np.float32)
STD = np.array([58.395, 57.12, 57.375], np.float32)
BOX_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
RPN_WEIGHTS = (1.0, 1.0, 1.0, 1.0)
MAX_LOG_RATIO = abs(math.log(16 / 1000))
PROPOSAL_IOU = 0.7
SCORE, BOX_IOU, MAX_INSTANCES = 0.05, 0.5, 100
MASK_THRESHOLD = 0.5
MAX_LOG_ODDS = 8.0  # bound of a pixel's log-odds, so that an instance's mask can always overrule them


@dataclass(frozen=True)
class Prepared:
    """A photo as the network's input.

    Attributes:
        image: 1 x 3 x h x w float32, normalised, zero-padded to a multiple of 32.
        size: (h, w) of the resized photo without the padding.
        scale: resized over original.
        original: (H, W) of the photo.
    """

    image: Tensor
    size: tuple[int, int]
    scale: float
    original: tuple[int, int]


@dataclass(frozen=True)
class Detections:
    """Instances of one photo, best first.

    Attributes:
        boxes: N x 4 float32 in original pixels, continuous.
        scores: N in (0, 1].
        labels: N int64, 1..15.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor


def prepare(photo: np.ndarray, resize: tuple[int, int]) -> Prepared:
    """H x W x 3 uint8 RGB -> network input; the aspect ratio is kept, ``resize`` is (shorter, longer)."""
    import mmcv  # imported here because training uses this module without it

    resized, scale = mmcv.imrescale(photo, resize, return_scale=True)
    normal = mmcv.imnormalize(resized, MEAN, STD, to_rgb=False)
    padded = mmcv.impad_to_multiple(normal, 32)
    image = torch.from_numpy(np.ascontiguousarray(padded.transpose(2, 0, 1)))[None]
    return Prepared(image, resized.shape[:2], float(scale), photo.shape[:2])


def decode(deltas: Tensor, anchors: Tensor, weights: tuple[float, ...], size: tuple[int, int]) -> Tensor:
    """Boxes from regression outputs.

    Args:
        deltas: ... x 4 (dx, dy, dw, dh), to be divided by ``weights``.
        anchors: ... x 4 continuous boxes.
        size: (h, w) to clip to, by mmdetection's rule: no corner lies beyond the last pixel.
    """
    dx, dy, dw, dh = (part / weight for part, weight in zip(deltas.unbind(-1), weights, strict=True))
    x1, y1, x2, y2 = anchors.unbind(-1)
    width, height = x2 - x1, y2 - y1
    centre_x, centre_y = (x1 + x2) / 2 + dx * width, (y1 + y2) / 2 + dy * height
    half_width = width * dw.clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp() / 2
    half_height = height * dh.clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp() / 2
    h, w = size
    return torch.stack(
        [
            (centre_x - half_width).clamp(0, w - 1),
            (centre_y - half_height).clamp(0, h - 1),
            (centre_x + half_width).clamp(1, w),
            (centre_y + half_height).clamp(1, h),
        ],
        dim=-1,
    )


def to_original(boxes: Tensor, scale: float) -> Tensor:
    """Continuous boxes of the resized photo -> of the original: the last pixel is divided by the scale, then 1 is added."""
    first, last = boxes[..., :2], boxes[..., 2:] - 1
    return torch.cat([first / scale, last / scale + 1], dim=-1)


def to_resized(boxes: Tensor, scale: float) -> Tensor:
    """The inverse of :func:`to_original`."""
    first, last = boxes[..., :2], boxes[..., 2:] - 1
    return torch.cat([first * scale, last * scale + 1], dim=-1)


def propose(network: MaskRCNN, features: list[Tensor], size: tuple[int, int], most: int = 1000) -> Tensor:
    """At most ``most`` boxes of the resized photo that may hold something: the best per level, without overlaps within a level."""
    logits, deltas = network.rpn.head(features)
    boxes, scores, levels = [], [], []
    for number, (stride, logit, delta) in enumerate(zip(STRIDES, logits, deltas, strict=True)):
        height, width = logit.shape[-2:]
        score = logit[0].permute(1, 2, 0).flatten().float().sigmoid()
        delta = delta[0].view(-1, 4, height, width).permute(2, 3, 0, 1).reshape(-1, 4).float()
        best = score.topk(min(most, len(score))).indices
        anchors = network.rpn.anchor_generator.level(stride, height, width).to(delta.device)
        boxes.append(decode(delta[best], anchors[best], RPN_WEIGHTS, size))
        scores.append(score[best])
        levels.append(torch.full_like(best, number))
    box, score = torch.cat(boxes), torch.cat(scores)
    return box[batched_nms(box, score, torch.cat(levels), PROPOSAL_IOU)[:most]]


def select(scores: Tensor, boxes: Tensor, threshold: float = SCORE) -> Detections:
    """Detections that score above the threshold, without overlaps of more than one half within a class, at most 100 in all.

    Args:
        scores: N x L class probabilities, label 0 being the background; labels above 15 are untrained and dropped.
        boxes: N x L x 4 in original pixels.
    """
    scores, boxes = scores[:, 1:LABEL_COUNT], boxes[:, 1:LABEL_COUNT]
    row, column = (scores > threshold).nonzero(as_tuple=True)
    score, box = scores[row, column], boxes[row, column]
    kept = batched_nms(box, score, column, BOX_IOU)[:MAX_INSTANCES]
    return Detections(box[kept], score[kept], column[kept] + 1)


@torch.no_grad()
def detect(network: MaskRCNN, prepared: Prepared, proposals: int = 1000, margin: float = 0.0) -> tuple[Detections, np.ndarray]:
    """Instances of one photo, and their masks N x H x W bool in original pixels; ``proposals`` and ``margin`` as in ParserConfig."""
    features = {name: level.float() for name, level in network.backbone(prepared.image).items()}
    pixels = features.pop(PIXELS, None)
    padded = [tuple(prepared.image.shape[-2:])]
    regions = propose(network, list(features.values()), prepared.size, proposals)
    heads = network.roi_heads
    pooled = heads.box_head(heads.box_roi_pool(features, [regions], padded))
    logits, deltas = heads.box_predictor(pooled)
    boxes = decode(deltas.view(len(regions), -1, 4), regions[:, None], BOX_WEIGHTS, prepared.size)
    found = select(logits.softmax(dim=1), to_original(boxes, prepared.scale))
    if not len(found.scores):
        return found, np.zeros((0, *prepared.original), bool)
    kept = to_resized(found.boxes, prepared.scale)
    if pixels is not None:
        kept = enlarge(kept, margin, prepared.size)
    outputs = heads.mask_predictor(heads.mask_head(heads.mask_roi_pool(features, [kept], padded)))
    outputs = outputs[torch.arange(len(found.labels)), found.labels]
    if pixels is not None:
        return found, merge_masks(outputs, kept / prepared.scale, pixel_masks(pixels[0], found.labels, prepared)).cpu().numpy()
    small = outputs.sigmoid().cpu().numpy()
    pasted = [paste(mask, box, prepared.original) for mask, box in zip(small, found.boxes.cpu().numpy(), strict=True)]
    return found, np.stack(pasted)


def paste(probability: np.ndarray, box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A square mask of probabilities resized to its box as in mmdetection: corners truncated to whole pixels, no padding.

    Args:
        probability: 28 x 28 float32.
        box: (x1, y1, x2, y2), continuous.
        size: (H, W) of the result, bool.
    """
    import mmcv

    x1, y1, x2, y2 = (int(value) for value in (box[0], box[1], box[2] - 1, box[3] - 1))
    width, height = max(x2 - x1 + 1, 1), max(y2 - y1 + 1, 1)
    inside = mmcv.imresize(probability, (width, height)) > MASK_THRESHOLD
    mask = np.zeros(size, bool)
    mask[y1 : y1 + height, x1 : x1 + width] = inside[: size[0] - y1, : size[1] - x1]
    return mask


def enlarge(boxes: Tensor, margin: float, size: tuple[int, int]) -> Tensor:
    """Boxes ... x 4 enlarged on each side by ``margin`` times their width or height, clipped to an image of ``size`` (h, w)."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    more_x, more_y = (x2 - x1) * margin, (y2 - y1) * margin
    h, w = size
    return torch.stack(
        [(x1 - more_x).clamp(min=0), (y1 - more_y).clamp(min=0), (x2 + more_x).clamp(max=w), (y2 + more_y).clamp(max=h)], dim=-1
    )


def log_odds(logits: Tensor) -> Tensor:
    """Log-odds of each label against all others, bounded by ``MAX_LOG_ODDS``: softmax logits B x L x h x w -> the same shape."""
    chance = logits.softmax(dim=1)
    return (chance.clamp(min=1e-6).log() - (1 - chance).clamp(min=1e-6).log()).clamp(-MAX_LOG_ODDS, MAX_LOG_ODDS)


def pixel_masks(logits: Tensor, labels: Tensor, prepared: Prepared) -> Tensor:
    """Log-odds N x H x W, in original pixels, that a pixel has each of N labels; ``logits`` are L x h x w of the padded photo."""
    rows, columns = (math.ceil(side * logits.shape[-2] / prepared.image.shape[-2]) for side in prepared.size)
    odds = log_odds(logits[None])[:, labels, :rows, :columns]
    return F.interpolate(odds, size=prepared.original, mode="bilinear", align_corners=False)[0]


def merge_masks(logits: Tensor, boxes: Tensor, odds: Tensor) -> Tensor:
    """Masks N x H x W bool: each instance's logits, stretched over its box, plus the pixels' log-odds.

    A pixel belongs to a mask when the sum at its centre is positive and the centre lies in the box.

    Args:
        logits: N x m x m, of the mask head.
        boxes: N x 4 in pixels.
        odds: N x H x W.
    """
    height, width = odds.shape[-2:]
    x = (torch.arange(width, device=boxes.device) + 0.5 - boxes[:, 0:1]) / (boxes[:, 2:3] - boxes[:, 0:1]) * 2 - 1
    y = (torch.arange(height, device=boxes.device) + 0.5 - boxes[:, 1:2]) / (boxes[:, 3:4] - boxes[:, 1:2]) * 2 - 1
    inside = (y.abs() <= 1)[:, :, None] & (x.abs() <= 1)[:, None]
    grid = torch.stack([x[:, None].expand_as(inside), y[:, :, None].expand_as(inside)], dim=-1)
    own = F.grid_sample(logits[:, None], grid, mode="bilinear", padding_mode="border", align_corners=False)[:, 0]
    return (own + odds > 0) & inside

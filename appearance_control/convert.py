"""Converts mmfashion's parser (mmdetection 1.x, ``epoch_15.pth``) to a weights folder.

The file is opened with ``weights_only``, so that no code in it is run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from appearance_control.network import MMFASHION, build_network
from appearance_control.parser import load_network, save_parser
from nted_step.convert import load_plain
from nted_step.weights import WeightsError

RENAMES = (
    (r"backbone\.(.+)", r"backbone.body.\1"),
    (r"neck\.lateral_convs\.(\d)\.conv\.(\w+)", r"backbone.fpn.inner_blocks.\1.0.\2"),
    (r"neck\.fpn_convs\.(\d)\.conv\.(\w+)", r"backbone.fpn.layer_blocks.\1.0.\2"),
    (r"rpn_head\.rpn_conv\.(\w+)", r"rpn.head.conv.0.0.\1"),
    (r"rpn_head\.rpn_cls\.(\w+)", r"rpn.head.cls_logits.\1"),
    (r"rpn_head\.rpn_reg\.(\w+)", r"rpn.head.bbox_pred.\1"),
    (r"bbox_head\.shared_fcs\.0\.(\w+)", r"roi_heads.box_head.fc6.\1"),
    (r"bbox_head\.shared_fcs\.1\.(\w+)", r"roi_heads.box_head.fc7.\1"),
    (r"bbox_head\.fc_cls\.(\w+)", r"roi_heads.box_predictor.cls_score.\1"),
    (r"bbox_head\.fc_reg\.(\w+)", r"roi_heads.box_predictor.bbox_pred.\1"),
    (r"mask_head\.convs\.(\d)\.conv\.(\w+)", r"roi_heads.mask_head.\1.0.\2"),
    (r"mask_head\.upsample\.(\w+)", r"roi_heads.mask_predictor.conv5_mask.\1"),
    (r"mask_head\.conv_logits\.(\w+)", r"roi_heads.mask_predictor.mask_fcn_logits.\1"),
)


def rename(key: str) -> str | None:
    """A tensor's name in mmdetection 1.x -> in torchvision, or None for a name that a Mask R-CNN R50-FPN does not have."""
    for pattern, replacement in RENAMES:
        if re.fullmatch(pattern, key):
            return re.sub(pattern, replacement, key)
    return None


def read_mmfashion(path: str | Path) -> dict[str, Tensor]:
    """The checkpoint's tensors under torchvision's names. Raises WeightsError that names the file and the problem."""
    document = load_plain(path)
    state = document.get("state_dict") if isinstance(document, Mapping) else None
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path}: holds no 'state_dict' of tensors; is this mmfashion's epoch_15.pth?")
    renamed = {}
    for key, value in state.items():
        name = rename(str(key).removeprefix("module."))
        if name is None:
            raise WeightsError(f"{path}: {key!r} does not belong to a Mask R-CNN R50-FPN of mmdetection 1.x")
        renamed[name] = value
    return renamed


def convert(checkpoint: str | Path, output: str | Path) -> Path:
    """Write a weights folder for ``FashionParser.from_pretrained``. Raises WeightsError, in which case nothing is written."""
    state = read_mmfashion(checkpoint)
    network = build_network(MMFASHION)
    load_network(network, state, str(checkpoint))
    training = {"summary": "converted mmfashion parser", "licence": "Apache-2.0", "converted_from": Path(checkpoint).name}
    return save_parser(output, network, MMFASHION, training, torch.float32)

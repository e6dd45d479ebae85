"""Read the public research checkpoints (.pt) of NTED and NTED Step into the safetensors form. The one place that opens a pickle."""

from __future__ import annotations

import math
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nted_step.config import COARSEST_LEVEL, MAX_SIDE, NTEDStepConfig
from nted_step.generator import Generator
from nted_step.weights import WeightsError, load_strict, save_weights

KINDS = ("nted", "nted_step")
LICENCE_NOTICE = (
    "NTED's public weights are licensed CC BY-NC 4.0 by their authors: no commercial use, and name the authors "
    "(Ren et al., Neural Texture Extraction and Distribution, CVPR 2022). The converted file stays under that licence."
)
IMAGE_CHANNELS = 3
FIRST_WEIGHT = "skeleton_encoder.first.conv.weight"
PREFIXES = ("module.", "_orig_mod.")  # of DistributedDataParallel and of torch.compile
LEVEL_KEY = re.compile(r"target_image_renderer\.convs\.(\d{1,3})\.")
MOST_LEVELS = (MAX_SIDE // COARSEST_LEVEL).bit_length()
ONE_STEP_CHANNELS, STEP_CHANNELS = 20, 23  # of the skeleton encoder's input as published: the pose, and x_t before it


def convert(kind: str, checkpoint: str | Path, output: str | Path) -> Path:
    """Write ``config.json`` and ``model.safetensors`` for a research checkpoint.

    Args:
        kind: ``"nted_step"`` for a 20-step model, ``"nted"`` for the one-step model, which becomes a step model that
            gives the same answer at every step (see :func:`step_model_from_one_step`), ready for warm-started training.
        checkpoint: .pt file with the generator under ``net_G_ema`` or ``net_G``.
        output: folder to write.

    Returns:
        The folder. Raises WeightsError when the file is not such a checkpoint.
    """
    if kind not in KINDS:
        raise WeightsError(f"--from {kind}: choose one of {', '.join(KINDS)}")
    state = read_checkpoint(checkpoint)
    _check_kind(kind, state, str(checkpoint))
    if kind == "nted":
        state = step_model_from_one_step(state, str(checkpoint))
    config = infer_config(state, str(checkpoint), time_scale=0.0 if kind == "nted" else 1.0)
    generator = Generator(config)
    load_strict(generator, state, str(checkpoint))
    training = {
        "summary": "converted one-step NTED" if kind == "nted" else "converted NTED Step research checkpoint",
        "licence": "CC BY-NC 4.0",
        "converted_from": Path(checkpoint).name,
    }
    return save_weights(output, generator, training, torch.float32)


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """The generator's state dict in a .pt file: ``net_G_ema``, or ``net_G``, without the prefixes of wrappers. Never runs code.

    Raises WeightsError.
    """
    document = load_plain(path)
    for name in ("net_G_ema", "net_G"):
        state = document.get(name) if isinstance(document, Mapping) else None
        if isinstance(state, Mapping) and state and all(isinstance(value, Tensor) for value in state.values()):
            return {_unwrapped(key, path): _as_float(key, value, path) for key, value in state.items()}
    raise WeightsError(f"{path}: holds neither 'net_G_ema' nor 'net_G'; is this a checkpoint of NTED?")


def _unwrapped(key: object, path: str | Path) -> str:
    if not isinstance(key, str):
        raise WeightsError(f"{path}: a tensor is named {key!r}, which is no text; this is not a checkpoint of NTED")
    while prefix := next((prefix for prefix in PREFIXES if key.startswith(prefix)), ""):
        key = key.removeprefix(prefix)
    return key


def _as_float(key: object, value: Tensor, path: str | Path) -> Tensor:
    if value.dtype not in (torch.float32, torch.float16, torch.bfloat16, torch.float64):
        raise WeightsError(f"{path}: {key!r} is of type {str(value.dtype).removeprefix('torch.')}; weights are floating-point numbers")
    return value.float()


def _check_kind(kind: str, state: Mapping[str, Tensor], origin: str) -> None:
    """Refuse a checkpoint of the other kind, which its first layer tells."""
    channels = state[FIRST_WEIGHT].shape[1] if FIRST_WEIGHT in state and state[FIRST_WEIGHT].ndim == 4 else None
    other = {("nted", STEP_CHANNELS): "nted_step", ("nted_step", ONE_STEP_CHANNELS): "nted"}.get((kind, channels or 0))
    if other:
        raise WeightsError(f"{origin}: its skeleton encoder reads {channels} channels, so this is not {kind}; use --from {other}")


def load_plain(path: str | Path) -> Any:
    """What a .pt file of plain tensors holds; code in it is never run. Raises WeightsError naming the file."""
    try:
        with open(path, "rb") as file:
            start = file.read(200).lstrip().lower()
        if start.startswith((b"<!doctype", b"<html")):
            raise WeightsError(f"{path}: a web page, not a checkpoint; the download was answered by one, so fetch the file again")
        if start.startswith(b"version https://git-lfs"):
            raise WeightsError(f"{path}: a Git LFS pointer, not the checkpoint itself; fetch it with git lfs pull")
        return torch.load(path, map_location="cpu", weights_only=True)
    except WeightsError:
        raise
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror or 'cannot be read'}") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, zipfile.BadZipFile, ValueError, KeyError):
        raise WeightsError(f"{path}: not a checkpoint of plain tensors (damaged, or it holds code, which is never run)") from None


def step_model_from_one_step(state: Mapping[str, Tensor], origin: str) -> dict[str, Tensor]:
    """Let the skeleton encoder of one-step NTED (20 channels) also take x_t (3 + 20), without changing what it computes.

    The image channels' weights are zero; the others grow by sqrt(23/20), because equalised learning rates divide by
    the square root of the fan-in.
    """
    if FIRST_WEIGHT not in state:
        raise WeightsError(f"{origin}: the tensor {FIRST_WEIGHT!r} is missing")
    weight = state[FIRST_WEIGHT]
    out_channels, pose_channels = weight.shape[:2]
    image = weight.new_zeros(out_channels, IMAGE_CHANNELS, *weight.shape[2:])
    scale = math.sqrt((pose_channels + IMAGE_CHANNELS) / pose_channels)
    return dict(state) | {FIRST_WEIGHT: torch.cat([image, weight * scale], dim=1)}


def infer_config(state: Mapping[str, Tensor], origin: str, time_scale: float = 1.0) -> NTEDStepConfig:
    """Sizes of a step model from the shapes of its tensors; the canvas has the published 16:11 shape."""
    try:
        renderer = "target_image_renderer.convs.{}.conv0"
        count = 1 + max(int(found.group(1)) for key in state if (found := LEVEL_KEY.match(key)))
        if count > MOST_LEVELS:
            raise ValueError(f"{count} levels; a model has {MOST_LEVELS} at most")
        levels = [COARSEST_LEVEL << i for i in range(count)]
        channels, labels, kernels = {}, {}, {}
        for i, level in enumerate(levels):
            prefix = renderer.format(i)
            channels[level] = state[f"{prefix}.conv.weight"].shape[0]
            semantic = state.get(f"{prefix}.distribution_operation.semantic_distribution_filter.weight")
            labels[level], kernels[level] = (0, 1) if semantic is None else (semantic.shape[0], semantic.shape[-1])
        pose_channels = state[FIRST_WEIGHT].shape[1] - IMAGE_CHANNELS
        return NTEDStepConfig(
            size=(levels[-1], levels[-1] * 11 // 16), channels=channels, labels=labels, kernels=kernels,
            pose_channels=pose_channels, time_scale=time_scale,
        )  # fmt: skip
    except (KeyError, ValueError, IndexError) as error:
        raise WeightsError(f"{origin}: these are not the tensors of an NTED generator ({error})") from None

"""Model configuration: one frozen value from which every size in the model is derived."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

MAX_SIDE, MAX_STEPS, MAX_CHANNELS = 4096, 1000, 8192
CARRIED_CHANNELS = 5  # pixels (3), person, alpha
COARSEST_LEVEL = 16  # feature height at which the encoders end and the renderer starts


@dataclasses.dataclass(frozen=True)
class NTEDStepConfig:
    """Shape of one NTED Step model.

    A *level* is named by the height of its feature maps when the canvas height is ``size[0]``:
    level 16 is the coarsest, level ``size[0]`` the canvas itself.

    Attributes:
        size: canvas (H, W) in pixels; both sides divide by ``size[0] // 16``.
        steps: number of coarse-to-fine steps.
        min_size: (h, w) of ladder level 0.
        ladder: ``"linear"`` or ``"exponential"`` spacing between ``min_size`` and ``size``.
        channels: level -> feature channels, for every level 16, 32, ... ``size[0]``.
        labels: level -> number of neural textures per operation; 0 means no texture transfer there.
        kernels: level -> kernel side of the semantic filters and of the value convolution (odd).
        pose_channels: channels of the conditioning map (3 drawn figure + 17 limb distances).
        time_scale: share of the time embedding that is added: 1 for a step model, 0 for a converted one-step NTED, whose
            steps therefore all give its one answer; training warm-started from it raises the share to 1.
        grows_to: canvas (H, W) that this model will be grown to, when it is a stage of progressive growing: the ladder is
            that canvas's, clipped to ``size``, so that a step means the same at every stage. None for a finished model.
        carries: the photo's own pixels are carried into the pose (:mod:`nted_step.carrying`): they join the conditioning map, the
            skeleton encoder's features reach every level of the renderer, and a step shows them where the photo shows the person.
    """

    size: tuple[int, int] = (256, 176)
    steps: int = 20
    min_size: tuple[int, int] = (8, 5)
    ladder: str = "linear"
    channels: Mapping[int, int] = dataclasses.field(default_factory=dict)
    labels: Mapping[int, int] = dataclasses.field(default_factory=dict)
    kernels: Mapping[int, int] = dataclasses.field(default_factory=dict)
    pose_channels: int = 20
    time_scale: float = 1.0
    grows_to: tuple[int, int] | None = None
    carries: bool = False

    def __post_init__(self) -> None:
        self._check_ranges()
        height, width = self.size
        expected = self.levels
        if not expected or expected[-1] != height or width * COARSEST_LEVEL % height:
            raise ValueError(f"size {height}x{width}: the height must be 16 times a power of two and the width a multiple of height/16")
        for name in ("channels", "labels", "kernels"):
            if tuple(sorted(getattr(self, name))) != expected:
                raise ValueError(f"{name} must be given for exactly the levels {expected}, not {tuple(sorted(getattr(self, name)))}")
        if self.ladder not in ("linear", "exponential"):
            raise ValueError(f"ladder must be linear or exponential, not {self.ladder!r}"[:200])
        if any(self.kernels[level] not in (1, 3, 5, 7) for level in expected if self.labels[level]):
            raise ValueError("kernels must be 1, 3, 5 or 7 at every level that has labels")
        if self.labels[COARSEST_LEVEL] == 0 or (height > COARSEST_LEVEL and self.labels[height]):
            raise ValueError("labels: the coarsest level needs textures and the canvas level can have none")

    def _check_ranges(self) -> None:
        """Every number is one and no larger than a computer can serve, since a configuration may come from anybody. Raises ValueError."""
        sides = {"size": self.size, "grows_to": self.grows_to or self.size}
        named = [(name, side, MAX_SIDE) for name, pair in sides.items() for side in pair]
        named += [("min_size", side, most) for side, most in zip(self.min_size, self.size, strict=True)]
        named += [("steps", self.steps, MAX_STEPS), ("pose_channels", self.pose_channels, MAX_CHANNELS)]
        named += [("channels", count, MAX_CHANNELS) for count in self.channels.values()]
        named += [("labels", count + 1, MAX_CHANNELS) for count in self.labels.values()]
        for name, number, most in named:
            if type(number) is not int or not 1 <= number <= most:
                raise ValueError(f"{name} out of range: {number!r}"[:200])
        if type(self.carries) is not bool:
            raise ValueError(f"carries must be true or false, not {self.carries!r}"[:200])
        if not isinstance(self.time_scale, (int, float)) or not 0 <= self.time_scale <= 1:
            raise ValueError(f"time_scale must be 0..1, not {self.time_scale!r}"[:200])

    @property
    def conditioning_channels(self) -> int:
        """Channels that the skeleton encoder reads beside the image: the pose and, in a model that carries, pixels, person and alpha."""
        return self.pose_channels + (CARRIED_CHANNELS if self.carries else 0)

    @property
    def levels(self) -> tuple[int, ...]:
        """Levels from the coarsest to the canvas: (16, 32, ..., H)."""
        levels = [COARSEST_LEVEL]
        while levels[-1] < self.size[0]:
            levels.append(levels[-1] * 2)
        return tuple(levels)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form; :meth:`from_dict` is its inverse."""
        out = dataclasses.asdict(self)
        for name in ("channels", "labels", "kernels"):
            out[name] = {str(level): count for level, count in sorted(out[name].items())}
        for name in ("size", "min_size", "grows_to"):
            out[name] = list(out[name]) if out[name] else None
        return out

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> NTEDStepConfig:
        """Read what :meth:`to_dict` wrote. Raises ValueError naming what is unknown, missing or of the wrong kind."""
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"unknown configuration key {unknown[0]!r}")
        if missing := sorted({"size", "channels", "labels", "kernels"} - set(values)):
            raise ValueError(f"configuration key {missing[0]!r} is missing")
        try:
            out = dict(values)
            for name in ("size", "min_size", "grows_to"):
                if out.get(name) is not None:
                    height, width = out[name]
                    out[name] = (int(height), int(width))
            for name in ("channels", "labels", "kernels"):
                out[name] = {int(level): int(count) for level, count in out[name].items()}
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ValueError(f"configuration: {error}") from None
        return cls(**out)

    def __str__(self) -> str:
        return json.dumps(self.to_dict())


def _per_level(*counts: int) -> dict[int, int]:
    return {COARSEST_LEVEL << i: count for i, count in enumerate(counts)}


PRESETS: dict[str, NTEDStepConfig] = {
    # In the box: two CPU cores, no GPU.
    "lite": NTEDStepConfig(
        channels=_per_level(192, 192, 96, 48, 32), labels=_per_level(16, 32, 32, 32, 0), kernels=_per_level(1, 3, 3, 3, 1), carries=True
    ),
    # The published sizes (NTED, CVPR 2022).
    "base": NTEDStepConfig(
        channels=_per_level(512, 512, 512, 256, 128), labels=_per_level(16, 32, 64, 64, 0), kernels=_per_level(1, 3, 3, 3, 1)
    ),
    "fashion_512": NTEDStepConfig(
        size=(512, 352),
        channels=_per_level(512, 512, 512, 256, 128, 64),
        labels=_per_level(16, 32, 64, 64, 0, 0),
        kernels=_per_level(1, 3, 3, 3, 1, 1),
    ),
}


def preset(name: str) -> NTEDStepConfig:
    """The named preset. Raises ValueError listing the known names."""
    if name not in PRESETS:
        raise ValueError(f"unknown preset {name!r}; choose one of {', '.join(PRESETS)}")
    return PRESETS[name]

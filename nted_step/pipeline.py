"""Photo and pose in, a stream of steps out. Owns device, dtype and the per-person textures; knows no page and no files."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nted_step.config import NTEDStepConfig
from nted_step.folding import fold
from nted_step.generator import Generator, Textures
from nted_step.graphs import accelerate
from nted_step.packing import can_pack, pack
from nted_step.pose import Pose, skeleton_map
from nted_step.sampler import StepOutput, sample, step
from nted_step.schedule import ladder, seeded_noise, start_image
from nted_step.weights import Weights, load_weights

DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Person:
    """A photo as the model knows it: its texture set of every step, computed when first asked for, then kept.

    The textures of step t depend on the photo and t alone, so one Person serves every pose. Safe to share between threads.

    Attributes:
        source: 1 x 3 x H x W float32 in [-1, 1] on the pipeline's device.
    """

    def __init__(self, source: Tensor, encode: Callable[[Tensor, int], Textures], values: Callable[[Tensor, int], Textures] | None = None):
        """``encode`` (photo, step) -> Textures; ``values`` the same without the maps, where there is a quicker way to those."""
        self.source = source
        self._encode, self._values = encode, values or encode
        self._known: dict[int, Textures] = {}
        self._lock = threading.Lock()

    def textures(self, t: int) -> Textures:
        """The texture values of step t (0..steps-1), without the extraction maps, which would take most of the memory."""
        with self._lock:
            if t not in self._known:
                self._known[t] = Textures(self._values(self.source, t).values)
            return self._known[t]

    def extraction(self, t: int) -> Textures:
        """Texture values and extraction maps of step t, computed anew at every call."""
        return self._encode(self.source, t)

    def forget(self) -> None:
        """Give the memory of the textures back. Whoever asks for them again has them computed again."""
        with self._lock:
            self._known.clear()

    @property
    def nbytes(self) -> int:
        """Bytes held by the photo and the textures known so far."""
        known = list(self._known.values())  # at one moment: a run beside this one may add to them
        tensors = [self.source, *(value for textures in known for value in textures.values)]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


class NTEDStepPipeline:
    """Re-pose people: ``encode`` a photo once, then ``generate`` it in any pose.

    >>> pipeline = NTEDStepPipeline.from_pretrained("assets/weights/lite")
    >>> person = pipeline.encode(load_photo("photo.png", pipeline.config.size).image)
    >>> for output in pipeline.generate(person, pose, seed=0):
    ...     show(output.step, output.size, output.image)
    """

    def __init__(
        self, generator: Generator, *, device: str = "auto", dtype: str = "auto", weights: Weights | None = None, graphs: bool = True
    ):
        """``graphs``: on a CUDA device, record the steps once and repeat the recording; a process too short-lived for that says False."""
        self.device = choose_device(device)
        self.dtype = choose_dtype(dtype, self.device)
        self.generator = fold(generator.eval().requires_grad_(False))
        self.generator.to(self.device, self.dtype, memory_format=torch.channels_last)
        if can_pack(self.device, self.dtype):
            pack(self.generator)
        self.graphs = accelerate(self.generator) if graphs and self.device.type == "cuda" else None
        self.ladder = ladder(generator.config)
        self.origin = weights.origin if weights else "weights in memory"
        self.training: Mapping[str, Any] = weights.training if weights else {}
        self.sha256 = weights.sha256 if weights else ""

    @classmethod
    def from_pretrained(
        cls, folder_or_hub_repo: str | Path, revision: str | None = None, *, device: str = "auto", dtype: str = "auto"
    ) -> NTEDStepPipeline:
        """Weights from a folder or a Hub repository (``user/name``, fetched once and then read from the Hub's cache).

        Raises WeightsError (one line) when they cannot be had or are not what ``config.json`` says.
        """
        weights = load_weights(folder_or_hub_repo, revision)
        return cls(weights.build(), device=device, dtype=dtype, weights=weights)

    @property
    def config(self) -> NTEDStepConfig:
        return self.generator.config

    @property
    def description(self) -> str:
        """One line for people: which weights, what they know, and where they run."""
        trained = self.training.get("summary", "training unknown")
        return f"{self.origin} ({trained}) on {self.device.type}, {str(self.dtype).removeprefix('torch.')}"

    def encode(self, photo: Tensor) -> Person:
        """Photo 3 x H x W in [-1, 1] at the canvas size -> a Person. Cheap: textures are computed when a step needs them."""
        if tuple(photo.shape) != (3, *self.config.size):
            raise ValueError(f"the photo must be 3x{self.config.size[0]}x{self.config.size[1]}, not {'x'.join(map(str, photo.shape))}")
        return Person(photo[None].to(self.device, torch.float32), self._encode, self._recorded_values if self.graphs else None)

    def generate(
        self, person: Person, pose: Pose, *, seed: int = 0, steps: int | None = None, start: StepOutput | None = None
    ) -> Iterator[StepOutput]:
        """Yield step 0 (the noisy start) and every step up to ``steps`` (all by default) as soon as it is there.

        Args:
            person: from :meth:`encode` of this pipeline.
            pose: target pose on the canvas; PoseError if nothing of it can be drawn or a joint lies outside.
            seed: of the start noise, the only randomness; the same seed gives the same result.
            steps: last step to compute, 0..config.steps.
            start: an earlier output of the same person, pose and seed to go on from instead of from noise.
        """
        last = self.config.steps if steps is None else steps
        if not 0 <= last <= self.config.steps:
            raise ValueError(f"steps must be 0..{self.config.steps}, not {last}")
        pose.require_drawable(self.config.size)
        skeleton = skeleton_map(pose, self.config.size)[None].to(self.device, self.dtype, memory_format=torch.channels_last)
        if start is None:
            noise = seeded_noise(seed, self.config.size).to(self.device)
            x, first = start_image(person.source, noise, self.config), 0
        else:
            x, first = start.image.to(self.device).view(1, 3, *self.config.size), start.step
        advance = self.graphs.step if self.graphs else None
        for output in sample(self.generator, person.textures, skeleton, x, first=first, last=last, advance=advance):
            yield StepOutput(output.step, output.size, output.image[0], output.seconds)

    @torch.no_grad()
    def trace(self, person: Person, pose: Pose, before: StepOutput, level: int) -> tuple[Tensor, Tensor]:
        """Where the step after ``before`` gets its textures from.

        Args:
            level: which level that has labels, 0 the coarsest.

        Returns:
            (mixture K x h x w, how much of each of the K textures every pixel of the result takes; attention K x h x w,
            where in the photo each texture was taken from, summing to 1). Pixel by pixel, mixture^T attention is the answer.
        """
        if not 0 <= before.step < self.config.steps:
            raise ValueError(f"a step from 0 to {self.config.steps - 1} has a step after it, not {before.step}")
        pose.require_drawable(self.config.size)
        skeleton = skeleton_map(pose, self.config.size)[None].to(self.device, self.dtype, memory_format=torch.channels_last)
        x = before.image.to(self.device).view(1, 3, *self.config.size)
        found = person.extraction(before.step)
        place = 2 * level + 1  # two extractions per level; the second is the one nearer to the image
        if not 0 <= place < len(found.attention):
            raise ValueError(f"level must be 0..{len(found.attention) // 2 - 1}, not {level}")
        rendering = step(self.generator, found, x, skeleton, before.step)
        mixture = rendering.distribution[place][0].float().softmax(dim=0)
        return mixture.cpu(), found.attention[place][0].float().cpu()

    @torch.no_grad()
    def _encode(self, source: Tensor, t: int) -> Textures:
        source = source.to(self.dtype, memory_format=torch.channels_last)
        return self.generator.encode_reference(source, torch.tensor([t], device=self.device))

    @torch.no_grad()
    def _recorded_values(self, source: Tensor, t: int) -> Textures:
        return self.graphs.textures(source.to(self.dtype), t)


def choose_device(name: str) -> torch.device:
    """``auto`` takes CUDA, then Apple's MPS, then the CPU. Raises ValueError for a device that is not there."""
    if name not in DEVICES and not name.startswith("cuda:"):
        raise ValueError(f"unknown device {name!r}; choose one of {', '.join(DEVICES)}")
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, there in present.items() if there))
    if not present[name.split(":")[0]]:
        raise ValueError(f"device {name!r} is not available here; use --device cpu")
    return torch.device(name)


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """``auto`` is bfloat16 where the processor computes it natively, else float32. Raises ValueError for an unknown name."""
    if name != "auto":
        if name not in DTYPES:
            raise ValueError(f"unknown dtype {name!r}; choose auto, {', '.join(DTYPES)}")
        return DTYPES[name]
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if native else torch.float32

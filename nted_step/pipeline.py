"""Photo and pose in, a stream of steps out. Owns the device and the dtype; independent of the page and of files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nted_step.carrying import Carried, at_level, cut_out_mask, enlarge
from nted_step.config import NTEDStepConfig
from nted_step.execution import Execution, render_step
from nted_step.generator import Generator
from nted_step.optimisation import optimise
from nted_step.person import Appearance, Person, PlaceFinder
from nted_step.pose import Pose, skeleton_map
from nted_step.sampler import StepOutput, condition, sample
from nted_step.schedule import degrade, ladder, seeded_noise, start_image
from nted_step.weights import Weights, load_weights

DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


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
        self.execution: Execution = optimise(generator, self.device, self.dtype, graphs=graphs)
        self.generator = generator
        carrier = weights.carrier if weights else None
        self.carrier = (
            PlaceFinder(carrier.build(), generator.config.size, self.device, self.dtype) if generator.config.carries and carrier else None
        )
        self.ladder = ladder(generator.config)
        self.origin = weights.origin if weights else "weights in memory"
        self.training: Mapping[str, Any] = weights.training if weights else {}
        self.sha256 = weights.sha256 if weights else ""
        self.carrier_sha256 = carrier.sha256 if carrier else ""

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

    def encode(self, photo: Tensor, pose: Pose | None = None, large: Tensor | None = None) -> Person:
        """A Person. Cheap: textures and places are computed when a step needs them.

        Args:
            photo: 3 x H x W in [-1, 1] at the canvas size.
            pose: the pose in the photo, on the canvas. Without one a model that carries works on, but carries nothing.
            large: 3 x h x w uint8, the same picture with more pixels, for results larger than the canvas.

        Raises ValueError for another size, PoseError for a pose of which nothing can be drawn.
        """
        if tuple(photo.shape) != (3, *self.config.size):
            raise ValueError(f"the photo must be 3x{self.config.size[0]}x{self.config.size[1]}, not {'x'.join(map(str, photo.shape))}")
        if pose is not None:
            pose.require_drawable(self.config.size)
        return Person(photo[None].to(self.device, torch.float32), self.execution, pose, self.carrier, large)

    def generate(
        self, person: Appearance, pose: Pose, *, seed: int = 0, steps: int | None = None, start: StepOutput | None = None
    ) -> Iterator[StepOutput]:
        """Yield step 0 (the noisy start) and every step up to ``steps`` (all by default) as soon as it is there.

        Args:
            person: from :meth:`encode` of this pipeline, or what stands in a Person's place.
            pose: target pose on the canvas; PoseError if nothing of it can be drawn or a joint lies outside.
            seed: of the start noise, the only randomness; the same seed gives the same result.
            steps: last step to compute, 0..config.steps.
            start: an earlier output of the same person, pose and seed to go on from instead of from noise.
        """
        last = self.config.steps if steps is None else steps
        if not 0 <= last <= self.config.steps:
            raise ValueError(f"steps must be 0..{self.config.steps}, not {last}")
        skeleton = self.skeleton(pose)
        if start is None:
            noise = seeded_noise(seed, self.config.size).to(self.device)
            x, first = start_image(person.source, noise, self.config), 0
        else:
            x, first = start.image.to(self.device).view(1, 3, *self.config.size), start.step
        carried = person.carried(pose) if last > first else None
        for output in sample(self.execution, person, skeleton, x, carried=carried, first=first, last=last):
            rendered = None if output.rendered is None else output.rendered[0]
            yield StepOutput(output.step, output.size, output.image[0], output.seconds, rendered)

    def lend(
        self, person: Appearance, pose: Pose, *, seed: int = 0, steps: int | None = None, start: StepOutput | None = None
    ) -> Iterator[StepOutput]:
        """As :meth:`generate`, for a run that a person waits for. A pipeline that is lent a GPU overrides this and nothing else, so
        that a preview cannot take it."""
        return self.generate(person, pose, seed=seed, steps=steps, start=start)

    @torch.no_grad()
    def in_photo(self, person: Appearance, pose: Pose, output: StepOutput) -> Tensor:
        """A step's image with the photo's own background in place of the rendered one, both at the step's resolution.

        Args:
            person, pose: those of the run that ``output`` is from.

        Returns:
            3 x H x W on the canvas; the step's image itself for the noisy start, and where the pose in the photo is not known.
        """
        background, carried = (person.background(), person.carried(pose)) if output.step else (None, None)
        if background is None or carried is None:
            return output.image
        mask, behind = (degrade(plane, output.size) for plane in (cut_out_mask(carried), background))
        return (behind + mask * (output.image.to(self.device)[None] - behind))[0]

    @torch.no_grad()
    def enlarge(
        self, person: Appearance, pose: Pose, output: StepOutput, size: tuple[int, int], *, in_photo: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """A result with more pixels than the canvas: places are smooth, so the photo's own detail is carried; the rest is enlarged.

        Args:
            person, pose: those of the run that ``output`` is the last step of.
            size: (H, W) of the picture, of the canvas's aspect.
            in_photo: before the photo's own background.

        Returns:
            (image 3 x H x W, not clamped; the person's mask H x W in [0, 1] to cut it out by, None where nothing is carried).
        """
        image = output.image if output.rendered is None else output.rendered
        carried = person.carried(pose, size)
        if carried is None:
            return F.interpolate(output.image[None].float(), size=size, mode="bicubic", align_corners=False)[0], None
        large, mask = enlarge(carried, image[None].float()), cut_out_mask(carried)
        background = person.background(size) if in_photo else None
        return (large if background is None else background + mask * (large - background))[0], mask[0, 0]

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
        x = before.image.to(self.device).view(1, 3, *self.config.size)
        found = person.extraction(before.step)
        place = 2 * level + 1  # two extractions per level; the second is the one nearer to the image
        if not 0 <= place < len(found.attention):
            raise ValueError(f"level must be 0..{len(found.attention) // 2 - 1}, not {level}")
        rendering = render_step(self.generator, found, x, self.condition(person, pose, before.step), before.step)
        mixture = rendering.distribution[place][0].float().softmax(dim=0)
        return mixture.cpu(), found.attention[place][0].float().cpu()

    @torch.no_grad()
    def condition(self, person: Appearance, pose: Pose, t: int) -> Tensor:
        """1 x conditioning_channels x H x W, what the generator reads of a pose at step t beside the image."""
        skeleton = self.skeleton(pose)
        if not self.config.carries:
            return skeleton
        carried = person.carried(pose) or Carried.nothing(person.source)
        return condition(skeleton, at_level(carried, lambda planes: degrade(planes, self.ladder[t + 1])).condition)

    def skeleton(self, pose: Pose) -> Tensor:
        """1 x 20 x H x W conditioning of a pose, as the generator reads it. Raises PoseError where nothing of it can be drawn."""
        pose.require_drawable(self.config.size)
        return skeleton_map(pose, self.config.size)[None].to(self.device, self.dtype, memory_format=torch.channels_last)


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

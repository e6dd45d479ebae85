"""Refinement of a swap's coefficients by gradient (NTED, appearance control): like the garment inside, like the wearer outside."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from appearance_control.coefficients import blend
from appearance_control.features import Features
from appearance_control.swap import GarmentSwap
from nted_step.generator import Textures

LEARNING_RATE = 0.03
OUTSIDE = 1.0  # weight of the wearer's likeness outside, against the garment's inside
TOWARDS = 0.5  # how far the target inside is from the preview to the garment's rendering
BAND = 1 / 32  # of the canvas's height around the masks that is neither inside nor outside: parsed edges are not exact
CHANGED = 0.2  # mean difference of preview and wearer, of 2 from black to white, above which a place is not outside either
PERCEPTUAL = 0.1  # weight of the features, against the pixels' squared difference in [-1, 1]
REGULARISER = 0.01  # pull of related coefficients to 1 and of unrelated ones to 0
REPARSE_EVERY = 50  # iterations between two looks at what is garment in the result, and between two whole chains
DIVERGED = 10.0  # times the first loss


@dataclass(frozen=True)
class Refinement:
    """Progress after one iteration.

    Attributes:
        iteration: 0 for the start, then 1, 2, ...
        loss, best: now, and the lowest so far under the masks in use.
        seconds: since the start.
        image: 3 x H x W, the last step with the best coefficients so far.
        note: empty, or why the refinement ended early.
    """

    iteration: int
    loss: float
    best: float
    seconds: float
    image: Tensor
    note: str = ""


def refine(swap: GarmentSwap, iterations: int, features: Features, learning_rate: float = LEARNING_RATE) -> Iterator[Refinement]:
    """Improve ``swap.plans`` in place, one optimiser step at a time; stop asking to stop.

    Only the last step is differentiated, and of it only the rendering: its input comes from the whole chain with the coefficients
    of the moment, renewed whenever the result is parsed again. The image is compared with one target: inside, half way from the
    preview, which has the wearer's build, to the garment's rendering; the wearer's rendering outside; and the result itself where
    neither says anything: where the old garment was and the new one is not, at the edges of masks, and where the preview differs
    so much from the wearer that the parser must have missed a part. Features are compared with the target's and not, as in the
    paper, with those of the garment's rendering: they see their surroundings, and would ask for the other person's too.

    After every yield ``swap`` holds the best coefficients so far, all finite and in 0..1; a loss that is not finite or grows
    tenfold ends the refinement with a note and leaves them so.
    """
    if iterations < 1:
        raise ValueError(f"iterations must be at least 1, not {iterations}")
    work = _Work(swap, features)
    optimizer = torch.optim.Adam(work.parameters, lr=learning_rate)
    began, first = time.perf_counter(), None
    for iteration in range(iterations + 1):
        if iteration % REPARSE_EVERY == 0:
            work.renew(reparse=iteration > 0)
            first = None
        loss, image = work.loss()
        value = float(loss.detach())
        first = value if first is None else first
        if not math.isfinite(value) or value > DIVERGED * max(first, 1e-6):
            note = f"stopped at iteration {iteration}: the refinement diverged (loss {value:.3g}); the best so far is kept"
            yield Refinement(iteration, value, work.best, time.perf_counter() - began, work.best_image, note)
            return
        work.keep(value, image.detach())
        yield Refinement(iteration, value, work.best, time.perf_counter() - began, work.best_image)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        work.clamp()


class _Work:
    """Coefficients under optimisation, what they are compared with, and the best of them."""

    def __init__(self, swap: GarmentSwap, features: Features):
        self.swap, self.features = swap, features
        self.start = [tuple(share.clone() for share in plan.coefficients) for plan in swap.plans]
        self.live = [tuple(share.clone().requires_grad_() for share in plan.coefficients) for plan in swap.plans]
        self.parameters = [share for shares in self.live for share in shares]
        self.inside = [_tensor(plan.garment_mask, swap) for plan in swap.plans]
        self.best, self.best_image = math.inf, swap.wearer_view.image
        last = swap.pipeline.config.steps - 1
        self.times = torch.tensor([last], device=swap.pipeline.device)
        self.own = swap.wearer.textures(last).values
        self.other = [plan.garment.person.textures(last).values for plan in swap.plans]

    def _outside(self, preview: Tensor) -> Tensor:
        """1 x 1 x H x W, 1 where the result should look like the wearer; from the preview 3 x H x W."""
        claimed = torch.stack([_tensor(plan.garment_mask | plan.wearer_mask, self.swap) for plan in self.swap.plans]).amax(dim=0)
        band = round(BAND * self.swap.size[0])
        near = F.max_pool2d(claimed, 2 * band + 1, stride=1, padding=band)
        alike = (preview - self.swap.wearer_view.image).abs().mean(dim=0) < CHANGED
        return (1 - near) * alike

    @torch.no_grad()
    def renew(self, *, reparse: bool) -> None:
        """The last step's input from the whole chain with the best coefficients, and masks and target from its result."""
        before, result = (output.image for output in deque(self.swap.generate(), maxlen=2))
        if not reparse:
            self.preview, self.outside = result, self._outside(result)
        self.best, self.best_image = math.inf, result
        skeleton = self.swap.skeleton()
        self.encoded = self.swap.pipeline.generator.encode_pose(before[None].to(skeleton.dtype), skeleton, self.times)
        if reparse and self.swap.parser is not None:
            parse = self.swap.parser.parse_image(result)
            for number, plan in enumerate(self.swap.plans):
                mask = parse.mask(plan.garment.parts)
                if plan.garment.mask is None and mask.any():
                    self.inside[number] = _tensor(mask & plan.garment_mask, self.swap)
        if reparse:
            for live, plan in zip(self.live, self.swap.plans, strict=True):
                for share, kept in zip(live, plan.coefficients, strict=True):
                    share.copy_(kept)
        self.target = self._target(result)
        self.wanted = self.features(self.target)

    def _target(self, result: Tensor) -> Tensor:
        """1 x 3 x H x W: what the result should look like."""
        target = torch.where(self.outside > 0, self.swap.wearer_view.image, result)
        for view, mask, plan in zip(self.swap.garment_views, self.inside, self.swap.plans, strict=True):
            mixed = torch.lerp(self.swap.wearer_view.image, view.image, plan.garment.strength)
            target = torch.where(mask > 0, torch.lerp(self.preview, mixed, TOWARDS), target)
        return target

    def loss(self) -> tuple[Tensor, Tensor]:
        """The loss, and the image 3 x H x W of the last step with the coefficients of the moment."""
        values = self.own
        for plan, other, shares in zip(self.swap.plans, self.other, self.live, strict=True):
            values = blend(values, other, shares, plan.garment.strength)
        image = self.swap.pipeline.generator.render(self.encoded, Textures(values)).image.float()
        inside = torch.stack(self.inside).amax(dim=0)
        total = sum(OUTSIDE * _mean(difference, self.outside) + _mean(difference, inside) for difference in self._differences(image))
        pulls = [(now - start).square().mean() for live, first in zip(self.live, self.start, strict=True) for now, start in zip(live, first, strict=True)]
        return total + REGULARISER * torch.stack(pulls).mean(), image[0]

    def _differences(self, image: Tensor) -> list[Tensor]:
        """How far an image 1 x 3 x H x W is from the target, place by place: in pixels, and in every level of features."""
        levels = [
            PERCEPTUAL / len(self.wanted) * (ours - theirs).square().sum(dim=1, keepdim=True) / theirs.square().sum(dim=1).mean()
            for ours, theirs in zip(self.features(image), self.wanted, strict=True)
        ]
        return [(image - self.target).square().mean(dim=1, keepdim=True), *levels]

    def keep(self, value: float, image: Tensor) -> None:
        if value < self.best:
            self.best, self.best_image = value, image
            for plan, live in zip(self.swap.plans, self.live, strict=True):
                plan.coefficients = tuple(share.detach().clone() for share in live)

    @torch.no_grad()
    def clamp(self) -> None:
        for share in self.parameters:
            share.clamp_(0, 1)


def _mean(difference: Tensor, mask: Tensor) -> Tensor:
    """Mean of 1 x 1 x h x w inside a 1 x 1 x H x W mask; 0 where it is empty."""
    inside = F.interpolate(mask, size=difference.shape[-2:], mode="area")
    return (difference * inside).sum() / inside.sum().clamp(min=1e-6)


def _tensor(mask: np.ndarray, swap: GarmentSwap) -> Tensor:
    return torch.from_numpy(mask)[None, None].float().to(swap.pipeline.device)

"""The objective of an iteration: the losses of the generator and of the discriminator over the steps that were rolled out."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from nted_step.classes import FACE
from training import losses
from training.data.pairs import Pairs
from training.efficientnet import EfficientNetFeatures
from training.perceptual import VGGFeatures
from training.rollout import TrainedStep
from training.settings import LossWeights, Settings

BACKGROUND = 0.3  # weight of the background's pixels in the EL0 loss
FEATURES_FOR_VGG = 2.0  # weight of feature matching in place of the perceptual loss, as a multiple of that loss's weight


def without_vgg(weights: LossWeights) -> LossWeights:
    """The weights to use if VGG19 is not available: feature matching takes the place of the perceptual losses."""
    if not weights.needs_vgg:
        return weights
    return dataclasses.replace(weights, perceptual=0.0, face=0.0, features=max(weights.features, FEATURES_FOR_VGG * weights.perceptual))


class Objective:
    """The losses of one stage.

    Args:
        settings: the run's.
        weights: the stage's factors; a loss with factor 0 is not computed.
        vgg, efficientnet: None if no weight needs them.
        device_type: "cpu" or "cuda", for autocast.
    """

    def __init__(
        self,
        settings: Settings,
        weights: LossWeights,
        vgg: VGGFeatures | None,
        device_type: str,
        efficientnet: EfficientNetFeatures | None = None,
    ):
        self.settings, self.weights, self.vgg, self.device_type, self.efficientnet = settings, weights, vgg, device_type, efficientnet

    @property
    def adversarial(self) -> bool:
        """Whether any loss needs the discriminator."""
        return bool(self.weights.gan or self.weights.step or self.weights.features)

    def autocast(self, enabled: bool = True) -> torch.autocast:
        return torch.autocast(self.device_type, torch.bfloat16, enabled and self.settings.precision == "bfloat16")

    def generator(self, steps: list[TrainedStep], discriminator: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum, and its parts. The discriminator gets no gradient."""
        weights = self.weights
        output, target = _joined(steps)
        parts = {}
        if weights.pixel:
            parts["pixel"] = losses.pixel(output, target, torch.cat([self.emphasis(step.pairs) for step in steps]))
        if weights.attention:
            parts["attention"] = torch.stack([_attention(step) for step in steps]).mean()
        if weights.classes and steps[0].pairs.source_classes is not None:
            parts["classes"] = torch.stack([_classes(step, self.settings.person) for step in steps]).mean()
        if self.efficientnet is not None:
            parts["el0"] = self._el0(output, target, steps)
        if self.vgg is not None:
            parts |= self._perceptual(output, target, _faces(steps))
        if self.adversarial:
            parts |= self._adversarial(output, target, steps, discriminator)
        return sum(getattr(weights, name) * value for name, value in parts.items()), parts

    def _adversarial(self, output: Tensor, target: Tensor, steps: list[TrainedStep], discriminator: nn.Module) -> dict[str, Tensor]:
        discriminator.requires_grad_(False)
        with self.autocast():
            fake = discriminator(output, _runs(steps))
        parts = {"gan": losses.generator_gan(fake.logit), "step": losses.step_prediction(fake.step_logprob, _times(steps))}
        if self.weights.features:
            with torch.no_grad(), self.autocast():
                real = discriminator(target, _runs(steps))
            parts["features"] = losses.feature_matching(real.features, fake.features)
        discriminator.requires_grad_(True)
        return parts

    def _perceptual(self, output: Tensor, target: Tensor, faces: Tensor | None) -> dict[str, Tensor]:
        parts = {}
        if self.weights.perceptual:
            parts["perceptual"] = self._vgg_loss(output, target)
        if self.weights.face and faces is not None:
            seen = (faces >= 0).all(dim=1)
            # Without a face in the batch the loss is 0, but still depends on the output.
            crops = [losses.face_crop(image[seen], faces[seen]) for image in (output, target)]
            parts["face"] = self._vgg_loss(*crops) if seen.any() else output.sum() * 0
        return parts

    def _el0(self, output: Tensor, target: Tensor, steps: list[TrainedStep]) -> Tensor:
        """EL0 over the person and, with less weight, the background, because otherwise halos would cost nothing."""
        mask = torch.cat([step.pairs.mask for step in steps])
        with torch.no_grad(), self.autocast():
            real = self.efficientnet(target)
        with self.autocast():
            fake = self.efficientnet(output)
        return losses.el0_distance(real, fake, BACKGROUND + (1 - BACKGROUND) * mask).mean()

    def _vgg_loss(self, output: Tensor, target: Tensor) -> Tensor:
        with torch.no_grad(), self.autocast():
            real = self.vgg(target)
        with self.autocast():
            fake = self.vgg(output)
        return losses.perceptual(real, fake) + losses.STYLE * losses.style(real, fake)

    def discriminator(self, steps: list[TrainedStep], discriminator: nn.Module, regularise: bool) -> tuple[Tensor, dict[str, Tensor]]:
        """Like :meth:`generator`; ``regularise`` adds R1 on both heads, in the same graph."""
        output, target = _joined(steps)
        t, runs = _times(steps), _runs(steps)
        with self.autocast():  # one batch, but separate statistics
            verdict = discriminator(torch.cat([target, output.detach()]), 2 * runs)
        real, fake = verdict.logit.chunk(2)
        real_step, fake_step = verdict.step_logprob.chunk(2)
        parts = {
            "d_gan": losses.discriminator_gan(real, fake),
            "d_step": losses.step_prediction(real_step, t) + losses.step_prediction(fake_step, t),
        }
        total = self.weights.gan * parts["d_gan"] + self.weights.step * parts["d_step"]
        if regularise:  # in one backward pass with the other losses, as distributed training requires
            parts["r1"] = self._penalty(target, runs, discriminator)
            total = total + self.weights.r1 / 2 * self.settings.r1_every * parts["r1"]
        return total, parts

    def _penalty(self, target: Tensor, runs: int, discriminator: nn.Module) -> Tensor:
        """R1 on both heads, in float32, because it is a second derivative."""
        if self.settings.r1_images:
            target, runs = target[: self.settings.r1_images], 1
        images = target.detach().requires_grad_()
        with self.autocast(enabled=False):
            verdict = discriminator(images, runs)
            return losses.r1_penalty(verdict.logit, images) + losses.r1_penalty(verdict.step_logprob, images)

    def emphasis(self, pairs: Pairs) -> Tensor:
        """Weight of every pixel in the pixel loss, B x 1 x h x w."""
        weight = 1 + self.settings.person * pairs.mask
        if pairs.target_classes is None:
            return weight
        return weight + self.settings.face * (pairs.target_classes == FACE)[:, None]


def _joined(steps: list[TrainedStep]) -> tuple[Tensor, Tensor]:
    """Outputs and targets of all steps, concatenated."""
    return torch.cat([step.rendering.image.float() for step in steps]), torch.cat([step.target for step in steps])


def _times(steps: list[TrainedStep]) -> Tensor:
    return torch.cat([step.t for step in steps])


def _faces(steps: list[TrainedStep]) -> Tensor | None:
    return None if steps[0].pairs.face is None else torch.cat([step.pairs.face for step in steps])


def _runs(steps: list[TrainedStep]) -> int:
    """Number of equal runs in the concatenated batch, for the discriminator's statistics; 1 if they are not equal."""
    return len(steps) if len({len(step.t) for step in steps}) == 1 else 1


def _classes(step: TrainedStep, person: float) -> Tensor:
    classes, maps = (step.pairs.source_classes, step.pairs.target_classes), (step.textures.attention, step.rendering.distribution)
    return losses.class_reconstruction(*classes, *maps, person)


def _attention(step: TrainedStep) -> Tensor:
    return losses.attention_reconstruction(
        step.pairs.source, step.target, step.textures.attention, step.rendering.distribution, mode="area"
    )

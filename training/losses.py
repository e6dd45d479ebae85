"""The losses of the step model, each a pure function of tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from nted_step.classes import LABEL_COUNT

PIXEL_KNEE = 0.5  # error up to which the pixel loss is quadratic; images range over 2
STYLE = 500.0  # published factor of the Gram term within the perceptual loss
LEAST_LENGTH = 1e-3  # lower bound of the length by which the EL0 distance divides a position's features
LEAST_SHARE = 0.02  # added to every class's share, so that the loss of a class that the source does not show stays finite


def pixel(output: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Smooth L1 between images B x 3 x H x W, averaged with a weight for every pixel, B x 1 x H x W.

    Not published: it is for training without a pretrained perceptual network. Without weights the plain background would supply most
    of the gradient. A quadratic error, unlike L1, prefers the mean to the median where the edge of a garment is uncertain.
    """
    error = F.smooth_l1_loss(output, target, beta=PIXEL_KNEE, reduction="none") / PIXEL_KNEE
    return (weight * error).sum() / (weight.sum() * output.shape[1])


def discriminator_gan(real_logit: Tensor, fake_logit: Tensor) -> Tensor:
    """Logistic loss of D: softplus(-D(real)) + softplus(D(fake)), means over the batch (Goodfellow et al., 2014)."""
    return F.softplus(-real_logit).mean() + F.softplus(fake_logit).mean()


def generator_gan(fake_logit: Tensor) -> Tensor:
    """Non-saturating loss of G: softplus(-D(fake))."""
    return F.softplus(-fake_logit).mean()


def step_prediction(step_logprob: Tensor, t: Tensor) -> Tensor:
    """Negative log-likelihood of the step an image belongs to (the auxiliary classifier of ACGAN).

    step_logprob B x steps, t B with classes 0..steps-1.
    """
    return F.nll_loss(step_logprob.float(), t)


def r1_penalty(output: Tensor, images: Tensor) -> Tensor:
    """Squared norm of d(sum of output)/d(images), mean over the batch (Mescheder et al., 2018).

    ``output`` is the logit, or all log-probabilities of the step head; ``images`` must require gradients.
    """
    (gradient,) = torch.autograd.grad(output.sum(), images, create_graph=True)
    return gradient.square().flatten(1).sum(1).mean()


def feature_matching(real: tuple[Tensor, ...], fake: tuple[Tensor, ...]) -> Tensor:
    """L1 between the discriminator's features of the target and of the output, mean over blocks (Wang et al., pix2pixHD).

    A substitute for a perceptual loss that needs no pretrained network.
    """
    return torch.stack([F.l1_loss(f.float(), r.detach().float()) for r, f in zip(real, fake, strict=True)]).mean()


def perceptual(real: tuple[Tensor, ...], fake: tuple[Tensor, ...]) -> Tensor:
    """Sum over layers of the L1 between a fixed network's features of the target and of the output (Johnson et al., 2016)."""
    return torch.stack([F.l1_loss(f.float(), r.detach().float()) for r, f in zip(real, fake, strict=True)]).sum()


def el0_distance(real: tuple[Tensor, ...], fake: tuple[Tensor, ...], mask: Tensor | None = None) -> Tensor:
    """EL0, the distance between EfficientNet-Lite0's features of the target and of the output: B float32, lower is nearer.

    At every position of every map, the features are scaled to unit length over their channels, and the squared differences are summed
    over channels: 0 for equal features, 1 for features after a ReLU that have nothing in common, at most 4. These are averaged over
    the positions of a map, each weighted with the share of it that is person, and then over the maps. This is LPIPS without learned
    weights. To compare the person alone, the features must be those of the masked images.

    Args:
        real, fake: from ``training.efficientnet.EfficientNetFeatures``, which takes the same mask; only ``fake`` gets gradients.
        mask: B x 1 x H x W in [0, 1] at the images' size, 1 on the person; None: all positions have the same weight. Without a person the
            distance is 0.
    """
    distances = []
    for r, f in zip(real, fake, strict=True):
        error = (_unit(f) - _unit(r.detach())).square().sum(dim=1, keepdim=True)
        share = torch.ones_like(error) if mask is None else F.interpolate(mask.float(), size=error.shape[-2:], mode="area")
        distances.append((error * share).flatten(1).sum(1) / share.flatten(1).sum(1).clamp(min=1e-6))
    return torch.stack(distances).mean(dim=0)


def _unit(features: Tensor) -> Tensor:
    """Scaled to unit length over channels, float32; features shorter than LEAST_LENGTH stay shorter, which bounds their gradient."""
    return F.normalize(features.float(), dim=1, eps=LEAST_LENGTH)


def style(real: tuple[Tensor, ...], fake: tuple[Tensor, ...]) -> Tensor:
    """Sum over layers of the L1 between Gram matrices (Gatys et al., 2016), before the factor :data:`STYLE`."""
    return torch.stack([F.l1_loss(gram(f), gram(r.detach())) for r, f in zip(real, fake, strict=True)]).sum()


def gram(features: Tensor) -> Tensor:
    """Channel products averaged over positions and channels: B x C x h x w -> B x C x C float32."""
    flat = features.float().flatten(2)
    with torch.autocast(flat.device.type, enabled=False):
        return flat @ flat.transpose(1, 2) / (flat.shape[1] * flat.shape[2])


def at_sizes(image: Tensor, sizes: Iterable[tuple[int, int]], mode: str = "area") -> dict[tuple[int, int], Tensor]:
    """An image B x C x H x W resized to each of the sizes (h, w), with mode ``nearest`` as published or the mean over ``area``.

    If the next larger size is a multiple, the area is averaged from that one, which gives the same mean from fewer pixels.
    """
    resized: dict[tuple[int, int], Tensor] = {}
    last = image
    for size in sorted({tuple(size) for size in sizes}, reverse=True):
        height, width = last.shape[-2:]
        if mode == "area" and height % size[0] == 0 and width % size[1] == 0:
            last = F.avg_pool2d(last, (height // size[0], width // size[1]))
            resized[size] = last
        else:
            resized[size] = F.interpolate(image, size=size, mode=mode)
    return resized


def warp_by_attention(small: Tensor, attention: Tensor, distribution: Tensor) -> Tensor:
    """The source carried to the target pose by extraction x distribution (NTED, the attention reconstruction loss).

    Args:
        small: B x C x h' x w', the source, or another map of it, resized to the extraction's level.
        attention: B x K x h' x w' extraction map, summing to 1 over positions.
        distribution: B x K x h x w logits over labels.

    Returns:
        B x C x h x w.
    """
    # B x C x K: the mean colour of each label
    colours = torch.bmm(small.flatten(2), attention.to(small.dtype).flatten(2).transpose(1, 2))
    mixture = distribution.float().softmax(dim=1).to(colours.dtype)
    return torch.bmm(colours, mixture.flatten(2)).view(*small.shape[:2], *distribution.shape[-2:])


def attention_reconstruction(
    source: Tensor, target: Tensor, attention: tuple[Tensor, ...], distribution: tuple[Tensor, ...], mode: str = "nearest"
) -> Tensor:
    """Mean over operations of the L1 between the warped source and the target, both resized to the operation's level."""
    here, there = at_sizes(source, _sizes(attention), mode), at_sizes(target, _sizes(distribution), mode)
    losses = []
    for extraction, logits, coarse, fine in _operations(attention, distribution):
        losses.append(F.l1_loss(warp_by_attention(here[coarse], extraction, logits), there[fine]))
    return torch.stack(losses).mean()


def _sizes(maps: tuple[Tensor, ...]) -> list[tuple[int, int]]:
    return [tuple(level.shape[-2:]) for level in maps]


def _operations(attention: tuple[Tensor, ...], distribution: tuple[Tensor, ...]) -> Iterator[tuple]:
    """For each operation its extraction and distribution maps, and the sizes of both."""
    return zip(attention, distribution, _sizes(attention), _sizes(distribution), strict=True)


def class_reconstruction(
    source: Tensor, target: Tensor, attention: tuple[Tensor, ...], distribution: tuple[Tensor, ...], person: float
) -> Tensor:
    """Attention reconstruction of class maps: a garment in the target must come from the same garment in the source.

    Not published: rendered figures have the class of every pixel, and colour alone does not distinguish a sleeve from a trouser leg.
    The source's class maps are warped to the target pose like its colours. The loss is the cross-entropy to the target's classes,
    with a weight of 1 + ``person`` for the person's pixels, mean over operations.

    Args:
        source, target: B x H x W int64, classes 0..15.
        attention, distribution: as in :func:`attention_reconstruction`.
    """
    here, there = (at_sizes(class_planes(classes), _sizes(maps)) for classes, maps in ((source, attention), (target, distribution)))
    losses = []
    for extraction, logits, coarse, fine in _operations(attention, distribution):
        truth = there[fine]
        share = warp_by_attention(here[coarse], extraction, logits)
        entropy = -(truth * (share + LEAST_SHARE).log()).sum(dim=1)
        weight = 1 + person * (1 - truth[:, 0])
        losses.append((weight * entropy).sum() / weight.sum())
    return torch.stack(losses).mean()


def class_planes(classes: Tensor) -> Tensor:
    """B x H x W int64 -> B x 16 x H x W float32, 1 where the class is."""
    return (classes[:, None] == torch.arange(LABEL_COUNT, device=classes.device)[:, None, None]).float()


def face_crop(image: Tensor, face: Tensor) -> Tensor:
    """A square around the eyes, enlarged twice: image B x 3 x H x W, face B x 4 (x, y of both eyes) -> B x 3 x H/4 x H/4.

    The square's side is H/8; pixels beyond the canvas repeat its border. If the eyes are hidden, four times -1, the crop is zeros.
    """
    height, width = image.shape[-2:]
    half, side = height // 16, height // 4
    centre = face.view(-1, 2, 2).mean(dim=1)
    offsets = torch.linspace(-half, half - 1, side, device=image.device)
    x = (centre[:, :1] + offsets) / (width - 1) * 2 - 1
    y = (centre[:, 1:] + offsets) / (height - 1) * 2 - 1
    grid = torch.stack([x[:, None, :].expand(-1, side, -1), y[:, :, None].expand(-1, -1, side)], dim=-1)
    crop = F.grid_sample(image, grid.to(image.dtype), align_corners=True, padding_mode="border")
    hidden = (face == -1).all(dim=1)
    return crop.masked_fill(hidden[:, None, None, None], 0)

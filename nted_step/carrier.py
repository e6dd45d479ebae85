"""The carrier: predicts where in the photo each point of the posed person is found, so that the photo's own pixels can be carried there.

A coarse transformer matches the photo and its pose with the target pose. The place of each target cell is a mixture: one place that the
network predicts directly, and one per limb, where the cell would be if it moved rigidly with that limb (:mod:`nted_step.limbs`). A finer
head then samples the photo at the predicted place and corrects it. In the line of appearance flow (GFLA, Ren et al., 2020)
and of coordinate-based inpainting (Grigorev et al., 2019).
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nted_step.classes import LABEL_COUNT
from nted_step.limbs import SEGMENTS, cell_centres, limb_places

GRID_HEIGHT = 128
HALF_REFINEMENTS = 2
STILL = 0.008  # of half the canvas, about a pixel: a limb that moves less than this has not moved
DIRECT_REACH, FINE_REACH = 0.3, 0.05  # of half the canvas, per unit of the heads' outputs


@dataclass(frozen=True)
class CarrierConfig:
    """Shape of a carrier.

    Attributes:
        size: canvas (H, W) of the poses, of which only the aspect matters.
        widths: channels at 128, 64, 32 and 16 rows; each divides by 8.
        layers, heads: of the transformer over the coarsest features; cross_layers, cross_heads: of the attention from the target's
            32 x 22 features to the photo's.
        pose_channels: of a skeleton map.
    """

    size: tuple[int, int] = (256, 176)
    widths: tuple[int, int, int, int] = (32, 64, 128, 192)
    layers: int = 4
    heads: int = 6
    cross_layers: int = 2
    cross_heads: int = 4
    pose_channels: int = 20

    def __post_init__(self) -> None:
        height, width = self.size
        if height % GRID_HEIGHT or width * 16 % height or height > 4096:
            raise ValueError(
                f"a carrier's canvas has a multiple of {GRID_HEIGHT} rows and a width that divides by height/16, not {self.size}"
            )
        counts = [*self.widths, self.layers, self.heads, self.cross_layers, self.cross_heads, self.pose_channels]
        if any(type(count) is not int or not 1 <= count <= 4096 for count in counts) or len(self.widths) != 4:
            raise ValueError("carrier: widths, layers, heads and channels must be whole numbers of 1 and more")
        if any(width % 8 for width in self.widths) or self.widths[3] % self.heads or self.widths[2] % self.cross_heads:
            raise ValueError("carrier: widths must divide by 8 and by the number of their heads")

    @property
    def grid(self) -> tuple[int, int]:
        """(h, w) of the cells at which the carrier answers."""
        return GRID_HEIGHT, self.size[1] * GRID_HEIGHT // self.size[0]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form; :meth:`from_dict` is its inverse."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in dataclasses.asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CarrierConfig:
        """Read what :meth:`to_dict` wrote. Raises ValueError naming what is unknown or of the wrong kind."""
        if unknown := sorted(set(values) - {field.name for field in dataclasses.fields(cls)}):
            raise ValueError(f"unknown carrier configuration key {unknown[0]!r}")
        given: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        return cls(**given)


@dataclass(frozen=True)
class Places:
    """A carrier's prediction for one photo, its pose, and a target pose; h x w is the grid.

    Attributes:
        place: B x 2 x h x w float32, where in the photo each cell of the target is: x and y, -1 and 1 the photo's borders.
        person: B x 1 x h x w logits, the cell shows the person.
        seen: B x 1 x h x w logits: 1 the photo shows this very place, 0.5 the same garment or skin nearby, 0 nothing like it.
        classes: B x 16 x h x w logits, the background and the 15 classes in the target pose.
        photo_mask: B x 1 x h x w logits, the person in the photo.
        direct: B x 2 x h x w, the direct prediction alone, which has a loss of its own so that it also works where limbs are hidden.
    """

    place: Tensor
    person: Tensor
    seen: Tensor
    classes: Tensor
    photo_mask: Tensor
    direct: Tensor


@dataclass(frozen=True)
class PhotoFeatures:
    """A photo as the carrier encodes it: the image at its grid, features at 128, 64, 32 and 16 rows, decoded ones at 128, 64 and 32 rows,
    the person's mask, and the joints."""

    image: Tensor
    features: tuple[Tensor, ...]
    decoded: tuple[Tensor, ...]
    mask: Tensor
    joints: Tensor

    def tensors(self) -> list[Tensor]:
        """Everything that is held."""
        return [self.image, *self.features, *self.decoded, self.mask, self.joints]


def conv_block(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """3x3 convolution, group normalisation, SiLU."""
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 3, stride, 1), nn.GroupNorm(8, out_channels), nn.SiLU())


class SelfAttention(nn.Module):
    """Pre-norm transformer block over tokens B x N x C."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm_attention, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value, self.out, self.heads = nn.Linear(width, 3 * width), nn.Linear(width, width), heads
        self.mlp = nn.Sequential(nn.Linear(width, 3 * width), nn.GELU(), nn.Linear(3 * width, width))

    def forward(self, tokens: Tensor) -> Tensor:
        qkv = self.query_key_value(self.norm_attention(tokens))
        query, key, value = (_split_heads(part, self.heads) for part in qkv.chunk(3, dim=-1))
        tokens = tokens + self.out(_attend(query, key, value))
        return tokens + self.mlp(self.norm_mlp(tokens))


class CrossAttention(nn.Module):
    """The target's tokens attend to the photo's."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm_query, self.norm_key = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key_value, self.out, self.heads = (
            nn.Linear(width, width),
            nn.Linear(width, 2 * width),
            nn.Linear(width, width),
            heads,
        )

    def forward(self, target: Tensor, photo: Tensor) -> Tensor:
        query = _split_heads(self.query(self.norm_query(target)), self.heads)
        key, value = (_split_heads(part, self.heads) for part in self.key_value(self.norm_key(photo)).chunk(2, dim=-1))
        return target + self.out(_attend(query, key, value))


def _split_heads(x: Tensor, heads: int) -> Tensor:
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def _attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    if query.requires_grad and query.device.type == "cpu":  # the fused kernel's backward takes several times as long there
        share = (query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5).softmax(dim=-1)
        out = share.to(value.dtype) @ value
    else:
        out = F.scaled_dot_product_attention(query, key, value)
    return out.transpose(1, 2).flatten(2)


class Pyramid(nn.Module):
    """Maps at 128 rows -> features at 128, 64, 32 and 16 rows."""

    def __init__(self, in_channels: int, widths: tuple[int, int, int, int]):
        super().__init__()
        first, second, third, fourth = widths
        self.levels = nn.ModuleList(
            [
                conv_block(in_channels, first),
                conv_block(first, second, 2),
                nn.Sequential(conv_block(second, third, 2), conv_block(third, third)),
                nn.Sequential(conv_block(third, fourth, 2), conv_block(fourth, fourth)),
            ]
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Finest first."""
        features = []
        for level in self.levels:
            x = level(x)
            features.append(x)
        return features


class Decoder(nn.Module):
    """Features of a photo at 128, 64, 32 and 16 rows -> features at 128, 64 and 32 rows that know what surrounds them."""

    def __init__(self, widths: tuple[int, int, int, int]):
        super().__init__()
        self.narrow = nn.ModuleList(nn.Conv2d(coarse, fine, 1) for fine, coarse in itertools.pairwise(widths))
        self.mix = nn.ModuleList(conv_block(width, width) for width in widths[:3])

    def decode(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Finest first."""
        decoded = [features[3]]
        for feature, narrow, mix in reversed(list(zip(features[:3], self.narrow, self.mix, strict=True))):
            decoded.append(mix(_double(narrow(decoded[-1])) + feature))
        return decoded[:0:-1]


class MaskDecoder(Decoder):
    """Features of a photo at 128, 64, 32 and 16 rows -> logits of the person's mask, B x 1 x h x w float32 at 128 rows.

    From coarse to fine, so that pale clothes before a pale background are recognised by what surrounds them.
    """

    def __init__(self, widths: tuple[int, int, int, int]):
        super().__init__(widths)
        self.head = nn.Conv2d(widths[0], 1, 3, padding=1)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        return self.head(self.decode(features)[0]).float()


class Refinement(nn.Module):
    """Corrects features of the target by what the photo shows at the places found so far; it begins by correcting nothing."""

    def __init__(self, width: int):
        super().__init__()
        self.look = nn.Conv2d(width + 2, width, 1)
        self.mix = nn.Sequential(nn.GroupNorm(8, width), nn.SiLU(), conv_block(width, width))
        self.out = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.get_parameter("bias"))

    def forward(self, target: Tensor, photo: Tensor, place: Tensor) -> Tensor:
        """Features of the target and of the photo, B x C x h x w, and the place of each cell so far, B x 2 x h x w."""
        moved = (place - cell_centres((place.shape[2], place.shape[3]), place.device)).to(photo.dtype)
        found = torch.cat([_sample(photo, place), moved], dim=1)
        return target + self.out(self.mix(target + self.look(found)))


class Carrier(nn.Module):
    """(photo, its pose, target pose) -> :class:`Places`."""

    def __init__(self, config: CarrierConfig):
        super().__init__()
        self.config = config
        first, second, third, fourth = config.widths
        h, w = config.grid
        self.photo_encoder = Pyramid(3 + config.pose_channels, config.widths)
        self.pose_encoder = Pyramid(config.pose_channels, config.widths)
        self.coarse_positions = nn.Parameter(torch.randn(2, fourth, h // 8, w // 8) * 0.02)
        self.middle_positions = nn.Parameter(torch.randn(2, third, h // 4, w // 4) * 0.02)
        self.attention = nn.ModuleList(SelfAttention(fourth, config.heads) for _ in range(config.layers))
        self.to_middle = conv_block(fourth + third, third)
        self.cross_attention = nn.ModuleList(CrossAttention(third, config.cross_heads) for _ in range(config.cross_layers))
        self.cross_mix = nn.ModuleList(conv_block(third, third) for _ in range(config.cross_layers))
        self.to_half = nn.Sequential(conv_block(third + second, second), conv_block(second, second))
        outputs = 2 + 1 + 1 + LABEL_COUNT
        self.half_head = nn.Conv2d(second, outputs, 3, padding=1)
        self.half_mixture = nn.Conv2d(second, 1 + len(SEGMENTS), 3, padding=1)
        self.mask_decoder = MaskDecoder(config.widths)
        self.place_decoder = Decoder(config.widths)
        self.half_refinements = nn.ModuleList(Refinement(second) for _ in range(HALF_REFINEMENTS))
        self.fine_half, self.fine_pose = nn.Conv2d(second, first, 1), nn.Conv2d(first, first, 1)
        self.fine_photo = nn.Conv2d(first + 3 + 1, first, 1)
        self.fine_mix = nn.Sequential(nn.GroupNorm(8, first), nn.SiLU(), conv_block(first, first))
        self.fine_head = nn.Conv2d(first, outputs + 1 + len(SEGMENTS), 3, padding=1)
        self.fine_refinement = Refinement(first)
        self._initialise()

    def _initialise(self) -> None:
        """Heads start near zero, and the mixture at the direct prediction."""
        for head in (self.half_head, self.half_mixture, self.fine_head):
            nn.init.normal_(head.weight, std=0.01)
            nn.init.constant_(head.get_parameter("bias"), 0.0)
        self.half_mixture.get_parameter("bias").data[0] = 3.0

    def forward(
        self, source: Tensor, source_skeleton: Tensor, target_skeleton: Tensor, source_joints: Tensor, target_joints: Tensor
    ) -> Places:
        """Source B x 3 x H x W in [-1, 1]; skeletons B x 20 x H x W; joints B x 18 x 3, see :func:`nted_step.pose.joint_tensor`.

        The canvas may be any whole multiple of the grid, or smaller.
        """
        return self.find(self.read(source, source_skeleton, source_joints), target_skeleton, target_joints)

    def read(self, source: Tensor, skeleton: Tensor, joints: Tensor) -> PhotoFeatures:
        """Encode a photo and the pose in it, once for all target poses; arguments as of :meth:`forward`."""
        photo = _to_grid(source)
        features = self.photo_encoder(torch.cat([photo, _to_grid(skeleton)], dim=1).to(self.coarse_positions.dtype))
        return PhotoFeatures(photo, tuple(features), tuple(self.place_decoder.decode(features)), self.mask_decoder(features), joints)

    def find(self, photo: PhotoFeatures, skeleton: Tensor, joints: Tensor) -> Places:
        """Predict where in the photo each point of a target pose is."""
        poses = self.pose_encoder(_to_grid(skeleton).to(self.coarse_positions.dtype))
        target16 = self._match_coarse(poses[3], photo.features[3])
        half = self._match_middle(target16, poses, photo.features)
        return self._answer(half, poses, photo, joints)

    def _match_coarse(self, target: Tensor, photo: Tensor) -> Tensor:
        """Features of the target at 16 rows, after attending to the photo's."""
        both = [(x + position).flatten(2) for x, position in zip((target, photo), self.coarse_positions, strict=True)]
        tokens = torch.cat(both, dim=2).transpose(1, 2)
        for block in self.attention:
            tokens = block(tokens)
        return tokens[:, : target.shape[2] * target.shape[3]].transpose(1, 2).reshape(target.shape)

    def _match_middle(self, coarse: Tensor, poses: list[Tensor], photos: tuple[Tensor, ...]) -> Tensor:
        """Features of the target at 64 rows."""
        x = self.to_middle(torch.cat([_double(coarse), poses[2]], dim=1)) + self.middle_positions[0]
        photo = (photos[2] + self.middle_positions[1]).flatten(2).transpose(1, 2)
        for cross, mix in zip(self.cross_attention, self.cross_mix, strict=True):
            x = cross(x.flatten(2).transpose(1, 2), photo).transpose(1, 2).reshape(x.shape)
            x = x + mix(x)
        return self.to_half(torch.cat([_double(x), poses[1]], dim=1))

    def _answer(self, half: Tensor, poses: list[Tensor], photo: PhotoFeatures, joints: Tensor) -> Places:
        candidates, known = limb_places(photo.joints, joints, self.config.grid, self.config.size[1] / self.config.size[0])
        for refinement in self.half_refinements:
            coarse, mixture = self._half_answer(half)
            there = mix_places(self._direct(coarse), candidates, mixture, known).detach()
            half = refinement(half, photo.decoded[1], F.avg_pool2d(there, 2))
        coarse, mixture = self._half_answer(half)
        direct = self._direct(coarse)
        there = mix_places(direct, candidates, mixture, known).detach()
        found = _sample(torch.cat([photo.features[0].float(), photo.image.float(), photo.mask.sigmoid()], dim=1), there).to(half.dtype)
        fine = self.fine_mix(_double(self.fine_half(half)) + self.fine_pose(poses[0]) + self.fine_photo(found))
        fine = self.fine_head(self.fine_refinement(fine, photo.decoded[0], there)).float()
        mixture = mixture + fine[:, 20:]
        place = mix_places(direct, candidates, mixture, known) + FINE_REACH * fine[:, :2]
        place = hold_still(place, candidates, mixture, known)
        person, seen, classes = (coarse[:, 2:] + fine[:, 2:20]).split((1, 1, LABEL_COUNT), dim=1)
        return Places(place, person, seen, classes, photo.mask, direct)

    def _half_answer(self, half: Tensor) -> tuple[Tensor, Tensor]:
        coarse, mixture = (_smooth_double(head(half).float()) for head in (self.half_head, self.half_mixture))
        return coarse, mixture

    def _direct(self, coarse: Tensor) -> Tensor:
        return cell_centres(self.config.grid, coarse.device) + DIRECT_REACH * coarse[:, :2]


def mix_places(direct: Tensor, candidates: Tensor, logits: Tensor, known: Tensor) -> Tensor:
    """Mean of the direct place B x 2 x h x w and the limbs' B x S x 2 x h x w, by softmax of logits B x 1+S x h x w; limbs that are not
    known (B x S) have no part in it."""
    open_to = torch.cat([torch.ones_like(known[:, :1]), known], dim=1)
    share = logits.masked_fill(~open_to[:, :, None, None], -torch.inf).softmax(dim=1)
    every = torch.cat([direct[:, None], candidates.clamp(-2, 2)], dim=1)
    return (share[:, :, None] * every).sum(dim=1)


def hold_still(place: Tensor, candidates: Tensor, logits: Tensor, known: Tensor) -> Tensor:
    """Places B x 2 x h x w, where the cells of a limb that has not moved stay where they are; other arguments as of :func:`mix_places`.

    A carrier hardly learns this: of the limbs of its training pairs one in 5,000 has moved less than a pixel. But a person who drags a
    wrist moves nothing else.
    """
    centres = cell_centres((place.shape[2], place.shape[3]), place.device)
    still = torch.exp(-((candidates - centres).norm(dim=2) / STILL).square())
    share = logits[:, 1:].masked_fill(~known[:, :, None, None], -torch.inf).softmax(dim=1).nan_to_num()  # nothing known: nothing is held
    return place + (share * still).sum(dim=1, keepdim=True) * (centres - place)


def _to_grid(maps: Tensor) -> Tensor:
    height, width = maps.shape[-2:]
    if height < GRID_HEIGHT:  # an early stage of growing
        return F.interpolate(maps, size=(GRID_HEIGHT, width * GRID_HEIGHT // height), mode="bilinear", align_corners=False)
    return maps if height == GRID_HEIGHT else F.avg_pool2d(maps, height // GRID_HEIGHT)


def _sample(photo: Tensor, place: Tensor) -> Tensor:
    """What the photo, or features of it, show at each place; in float32, since bfloat16 cannot tell neighbouring pixels apart."""
    found = F.grid_sample(photo.float(), place.permute(0, 2, 3, 1), align_corners=False, padding_mode="border")
    return found.to(photo.dtype)


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def _smooth_double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def carry(image: Tensor, place: Tensor, size: tuple[int, int] | None = None) -> Tensor:
    """Move an image's pixels to the target pose.

    Args:
        image: B x C x H x W, a photo or anything that lies on it.
        place: B x 2 x h x w of :class:`Places`.
        size: (H', W') of the result; the image's own by default.

    Returns:
        B x C x H' x W' float32; a smooth map of places gives more detail the more the image has.
    """
    size = size or (image.shape[-2], image.shape[-1])
    grid = place if tuple(place.shape[-2:]) == size else F.interpolate(place, size=size, mode="bilinear", align_corners=False)
    # Bicubic: bilinear weights would take a sixth of the sharpness wherever a place lies between pixels.
    return F.grid_sample(image.float(), grid.permute(0, 2, 3, 1), mode="bicubic", align_corners=False, padding_mode="border")

"""MoveNet SinglePose Thunder (version 4) as a plain torch module, number by number as in Google's published graph.

MobileNetV2 of width 1.75 with its batch normalisations folded into the convolutions, a feature pyramid down to stride 4, and
CenterNet's heads. Source: https://tfhub.dev/google/movenet/singlepose/thunder/4 (Apache-2.0), whose graph this reproduces.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 256  # pixels of the square that the network sees
CELLS = 64  # of its output, along each side
PEAK = 2  # cells around a person's centre in which no other is looked for
KEYPOINTS = (
    "nose", "left eye", "right eye", "left ear", "right ear", "left shoulder", "right shoulder", "left elbow", "right elbow",
    "left wrist", "right wrist", "left hip", "right hip", "left knee", "right knee", "left ankle", "right ankle",
)  # fmt: skip
"""COCO's order; left and right are the person's own."""

STEM, WIDTHS = 56, (32, 40, 40, 56, 56, 56, 112, 112, 112, 112, 168, 168, 168, 280, 280, 280, 560)
STRIDE_2 = (1, 3, 6, 13)  # blocks that halve the resolution
EXPANSION, TOP = 6, 1280
LATERALS = {2: 24, 5: 32, 9: 64}  # block whose output joins the pyramid -> channels there
PYRAMID = ((64, 32), (32, 24), (24, 24))  # channels of its smoothing convolutions, from stride 16 down to 4
HIDDEN = 96  # channels within a head
HEADS = {"center": 1, "heatmap": len(KEYPOINTS), "regress": 2 * len(KEYPOINTS), "offset": 2 * len(KEYPOINTS)}
# As the graph stores its constants, in 16 bits: they decide where two places are almost equally likely.
SCALE, DISTANCE = torch.tensor([1 / 127.5, 1.8]).half().tolist()  # of pixels; cells added to a distance that divides


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's "SAME" padding: where it is odd, the last row and column get the pixel more."""

    def __init__(self, inner: int, outer: int, kernel: int, stride: int = 1, groups: int = 1, bias: bool = True):
        super().__init__(inner, outer, kernel, stride, groups=groups, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        down, across = (max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in x.shape[-2:])
        if down or across:
            x = F.pad(x, (across // 2, across - across // 2, down // 2, down - down // 2))
        return super().forward(x)


class Block(nn.Module):
    """MobileNetV2's inverted residual: expand, 3x3 within each channel, project; plus its input where the shapes are equal."""

    def __init__(self, inner: int, outer: int, stride: int, expansion: int):
        super().__init__()
        hidden = inner * expansion
        self.expand = SameConv2d(inner, hidden, 1) if expansion > 1 else None
        self.depthwise = SameConv2d(hidden, hidden, 3, stride, groups=hidden)
        self.project = SameConv2d(hidden, outer, 1)
        self.adds = inner == outer and stride == 1 and expansion > 1

    def forward(self, x: Tensor) -> Tensor:
        hidden = x if self.expand is None else F.relu6(self.expand(x))
        out = self.project(F.relu6(self.depthwise(hidden)))
        return x + out if self.adds else out


class Separable(nn.Module):
    """3x3 within each channel, 1x1 across them, ReLU."""

    def __init__(self, inner: int, outer: int):
        super().__init__()
        self.depthwise = SameConv2d(inner, inner, 3, groups=inner, bias=False)
        self.pointwise = SameConv2d(inner, outer, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.pointwise(self.depthwise(x)))


def centre_prior() -> Tensor:
    """How much the centre of a person counts by where it is, 64 x 64: 1 / (cells from the middle + 1.8). Stored with the weights."""
    cells = torch.arange(CELLS) - CELLS / 2
    return 1 / (torch.hypot(cells[:, None], cells) + DISTANCE)


class MoveNet(nn.Module):
    """17 keypoints of the person nearest to the middle of a square picture."""

    prior: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv2d(3, STEM, 3, stride=2)
        inner = (STEM, *WIDTHS)
        self.blocks = nn.ModuleList(
            Block(inner[k], width, 2 if k in STRIDE_2 else 1, EXPANSION if k else 1) for k, width in enumerate(WIDTHS)
        )
        self.top = SameConv2d(WIDTHS[-1], TOP, 1)
        self.bottom = SameConv2d(TOP, PYRAMID[0][0], 1)
        self.laterals = nn.ModuleDict({str(k): SameConv2d(WIDTHS[k], width, 1) for k, width in LATERALS.items()})
        self.pyramid = nn.ModuleList(Separable(*widths) for widths in PYRAMID)
        self.heads = nn.ModuleDict(
            {name: nn.Sequential(Separable(PYRAMID[-1][1], HIDDEN), SameConv2d(HIDDEN, width, 1)) for name, width in HEADS.items()}
        )
        self.register_buffer("prior", centre_prior())

    def forward(self, square: Tensor) -> Tensor:
        """Find keypoints.

        Args:
            square: N x 3 x 256 x 256 RGB in [0, 255]; the published network is given whole numbers.

        Returns:
            N x 17 x 3: x and y as fractions of the square (a joint at its edge may lie beyond by a cell), and the score in [0, 1].
        """
        return self.decode(self.maps(square))

    def maps(self, square: Tensor) -> dict[str, Tensor]:
        """The heads' outputs, N x C x 64 x 64; ``center`` and ``heatmap`` are logits, ``regress`` and ``offset`` cells, (y, x) a joint."""
        x = F.relu6(self.stem(square * SCALE - 1))
        laterals = []
        for k, block in enumerate(self.blocks):
            x = block(x)
            if k in LATERALS:
                laterals.append(self.laterals[str(k)](x))
        x = self.bottom(F.relu6(self.top(x)))
        for smooth in self.pyramid:
            x = smooth(F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False) + laterals.pop())
        return {name: head(x) for name, head in self.heads.items()}

    def decode(self, maps: dict[str, Tensor], centres: Tensor | None = None) -> Tensor:
        """The published post-processing: :meth:`maps` -> what :meth:`forward` returns.

        The person is the one at the highest centre, weighed down away from the middle. From there every joint is guessed, and of a joint's
        heatmap the highest place wins, weighed down away from its guess.

        Args:
            centres: N cells, row * 64 + column, where the persons are instead; see :meth:`centres`.
        """
        count, joints = len(maps["center"]), len(KEYPOINTS)
        people = torch.arange(count, device=maps["center"].device)
        best = self.main_centre(maps) if centres is None else centres
        row, column = best // CELLS, best % CELLS
        guess = maps["regress"][people, :, row, column].view(count, joints, 2) + torch.stack([row, column], 1)[:, None]
        cells = torch.arange(CELLS, device=guess.device, dtype=guess.dtype)
        down, across = cells - guess[..., 0, None], cells - guess[..., 1, None]
        away = (down[..., :, None] ** 2 + across[..., None, :] ** 2).sqrt()
        scores = maps["heatmap"].sigmoid()
        best = (scores / (away + DISTANCE)).flatten(2).argmax(2)
        row, column = best // CELLS, best % CELLS
        which = torch.arange(joints, device=guess.device)
        offset = maps["offset"].view(count, joints, 2, CELLS, CELLS)[people[:, None], which, :, row, column]
        x, y = (column + offset[..., 1]) / CELLS, (row + offset[..., 0]) / CELLS
        return torch.stack([x, y, scores[people[:, None], which, row, column]], 2)

    def main_centre(self, maps: dict[str, Tensor]) -> Tensor:
        """The cell, row * 64 + column, of the person whom the published network finds: N whole numbers."""
        return (maps["center"][:, 0].sigmoid() * self.prior).flatten(1).argmax(1)

    @staticmethod
    def centres(maps: dict[str, Tensor], least: float) -> Tensor:
        """The cells, row * 64 + column, where a person is centred in one picture, whose maps are 1 x C x 64 x 64.

        Those are the peaks of the map of centres from a score of ``least`` on, the highest first.
        """
        scores = maps["center"].sigmoid()
        peaks = (F.max_pool2d(scores, 2 * PEAK + 1, stride=1, padding=PEAK) == scores) & (scores >= least)
        cells = peaks.flatten().nonzero()[:, 0]
        return cells[scores.flatten()[cells].argsort(descending=True)]

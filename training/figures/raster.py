"""Triangle rasteriser in plain tensor operations: one z-buffer for a batch of images."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

LEAST_AREA = 1e-4  # square pixels, twice the area of a triangle that is drawn
DEPTH_RANGE = 3  # metres in front of and behind the origin
DEPTH_STEPS = 3e5  # per metre, between which the nearest surface is told apart
RUN_BITS = 32  # of a z-buffer's entry, below the depth


class Triangles(NamedTuple):
    """The T triangles that can show.

    Attributes:
        plane: T x 12 float32, coefficients of x, y and 1, counted from the box's first pixel, of four affine functions: the shares of
            the first and second corner, depth, and cut.
        box: T x 4 int64: x, y, width and height of the bounding box, pixels.
        face: T int64, numbers of faces.
    """

    plane: Tensor
    box: Tensor
    face: Tensor


class Covered(NamedTuple):
    """The K pixels that show something.

    Attributes:
        pixel: K int64, flat index image * H * W + y * W + x.
        triangle: K int64, which triangle is the nearest.
        first: K float32, share of its first corner.
        second: K float32, share of its second corner; the third's is the rest.
        depth: K float32, metres, nearer is larger.
    """

    pixel: Tensor
    triangle: Tensor
    first: Tensor
    second: Tensor
    depth: Tensor


class _Spans(NamedTuple):
    """Runs of pixels within a row: the triangle, the row in its box, the first x in its box, and the length."""

    triangle: Tensor
    row: Tensor
    first: Tensor
    length: Tensor


def setup(xyz: Tensor, cut: Tensor, faces: Tensor, bias: Tensor, two_sided: Tensor, size: tuple[int, int]) -> Triangles:
    """Find the triangles that can show, and their functions of the pixel.

    Args:
        xyz: V x 3 float32 (pixel x, pixel y, depth in metres; nearer is larger).
        cut: V float32, shown where >= 0.
        faces: F x 3 int64.
        bias: F float32, added to the depth.
        two_sided: F bool, whether the back of a face is drawn, too.
        size: (H, W).
    """
    h, w = size
    x, y = xyz[:, 0].contiguous(), xyz[:, 1].contiguous()
    (xa, ya), (xb, yb), (xc, yc) = ((x.index_select(0, corner), y.index_select(0, corner)) for corner in faces.unbind(1))
    area = (xb - xa) * (yc - ya) - (yb - ya) * (xc - xa)
    face = ((area < -LEAST_AREA) | (two_sided & (area > LEAST_AREA))).nonzero().squeeze(1)
    corners = faces.index_select(0, face).flatten()
    points = xyz.index_select(0, corners).reshape(-1, 3, 3)
    cuts = cut.index_select(0, corners).reshape(-1, 3)
    low = points[..., :2].amin(1).sub(0.5).ceil().clamp_min(0)
    high = points[..., :2].amax(1).sub(0.5).floor()
    high = torch.minimum(high, high.new_tensor([w - 1, h - 1]))
    extent = high - low + 1
    keep = ((extent[:, 0] > 0) & (extent[:, 1] > 0) & (cuts.amax(1) >= 0)).nonzero().squeeze(1)
    face, points, cuts, low, extent = (values.index_select(0, keep) for values in (face, points, cuts, low, extent))
    plane = _planes(points, cuts, area[face])
    plane[:, 8] += bias[face]
    # constants at the first pixel centre of the box, so that coordinates stay small
    box = torch.cat([low, extent], 1)
    x, y = box[:, 0] + 0.5, box[:, 1] + 0.5
    for start in range(0, 12, 3):
        plane[:, start + 2] += plane[:, start] * x + plane[:, start + 1] * y
    return Triangles(plane, box.long(), face)


def _planes(points: Tensor, cuts: Tensor, area: Tensor) -> Tensor:
    """T x 12 coefficients of x, y and 1, counted from the image's corner; of corners T x 3 x 3, cuts T x 3, and twice the area T."""
    (xa, ya, za), (xb, yb, zb), (xc, yc, zc) = (corner.unbind(-1) for corner in points.unbind(1))
    inverse = 1 / area
    first = torch.stack([(yb - yc) * inverse, (xc - xb) * inverse, (xb * yc - xc * yb) * inverse], -1)
    second = torch.stack([(yc - ya) * inverse, (xa - xc) * inverse, (xc * ya - xa * yc) * inverse], -1)

    def affine(at_first: Tensor, at_second: Tensor, at_third: Tensor) -> Tensor:
        plane = first * (at_first - at_third)[:, None] + second * (at_second - at_third)[:, None]
        plane[:, 2] += at_third
        return plane

    return torch.cat([first, second, affine(za, zb, zc), affine(*cuts.unbind(1))], 1)


def _spans(plane: Tensor, box: Tensor) -> _Spans:
    """The runs of pixels inside four half-planes a x + b y + c >= 0: of the three corners' shares, and of the cut."""
    device = plane.device
    count = box[:, 3]
    triangle = torch.repeat_interleave(torch.arange(len(count), device=device), count)
    y = torch.arange(len(triangle), device=device) - (count.cumsum(0) - count).index_select(0, triangle)
    term = plane.t()
    # each half-plane bounds x from below (a > 0) or above, by slope * y + base
    a = torch.stack([term[0], term[3], -term[0] - term[3], term[9]])
    b = torch.stack([term[1], term[4], -term[1] - term[4], term[10]])
    c = torch.stack([term[2], term[5], 1 - term[2] - term[5], term[11]]) + 1e-4
    a = torch.where(a.abs() < 1e-9, 1e-9, a)
    slope, base, above = -b / a, -c / a, a < 0
    limit = slope.index_select(1, triangle).mul_(y.float()).add_(base.index_select(1, triangle))
    above = above.index_select(1, triangle)
    low = limit.masked_fill(above, 0).amax(0).clamp_min_(0).ceil_()
    high = torch.minimum(limit.masked_fill_(~above, 1e9).amin(0).floor_(), (box[:, 2] - 1).float().index_select(0, triangle))
    length = high - low + 1
    keep = (length > 0).nonzero().squeeze(1)
    return _Spans(triangle.index_select(0, keep), y.index_select(0, keep), low.index_select(0, keep), length.index_select(0, keep).long())


def rasterise(triangles: Triangles, image: Tensor, images: int, size: tuple[int, int]) -> Covered:
    """The nearest triangle of each pixel of ``images`` images H x W; ``image`` (T) says which one a triangle is in."""
    h, w = size
    plane, box = triangles.plane, triangles.box
    spans = _spans(plane, box)
    row = spans.row.float()
    depths = plane[:, 6:9].index_select(0, spans.triangle)
    at_first, slope = depths[:, 0] * spans.first + depths[:, 1] * row + depths[:, 2], depths[:, 0].contiguous()
    start = (image * (h * w) + box[:, 1] * w + box[:, 0]).index_select(0, spans.triangle) + spans.row * w + spans.first.long()
    run = torch.repeat_interleave(torch.arange(len(spans.length), device=plane.device), spans.length)
    local = torch.arange(len(run), device=plane.device) - (spans.length.cumsum(0) - spans.length).index_select(0, run)
    depth = slope.index_select(0, run) * local + at_first.index_select(0, run)
    # depth in steps above the number of the run: the nearest does not depend on the order
    key = ((depth.clamp_(-DEPTH_RANGE, DEPTH_RANGE) + DEPTH_RANGE) * DEPTH_STEPS).long().mul_(1 << RUN_BITS).add_(run)
    near = torch.full((images * h * w,), -1, dtype=torch.int64, device=plane.device)
    near.scatter_reduce_(0, start.index_select(0, run).add_(local), key, "amax")
    pixel = (near >= 0).nonzero().squeeze(1)
    run = near.index_select(0, pixel) & ((1 << RUN_BITS) - 1)
    triangle = spans.triangle.index_select(0, run)
    x, y = (pixel - start.index_select(0, run)).float() + spans.first.index_select(0, run), row.index_select(0, run)
    terms = plane.index_select(0, triangle)
    first, second, depth = (terms[:, part] * x + terms[:, part + 1] * y + terms[:, part + 2] for part in (0, 3, 6))
    return Covered(pixel, triangle, first, second, depth)

"""Triangle rasteriser in plain tensor operations: one z-buffer for a batch of images."""

from __future__ import annotations

import torch
from torch import Tensor


def setup(xyz: Tensor, cut: Tensor, faces: Tensor, bias: Tensor, two_sided: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Per-triangle affine functions of the pixel, for the triangles that can show.

    xyz: V x 3 (pixel x, pixel y, depth; nearer is larger).  cut: V, kept where >= 0.  faces: F x 3.
    Returns (plane T x 12: coefficients of x, y, 1 from the box's first pixel, for w0, w1, depth, cut;
    box T x 4 integers x0, y0, width, height; face T).
    """
    h, w = size
    i, j, k = faces.unbind(1)
    x, y = xyz[:, 0].contiguous(), xyz[:, 1].contiguous()
    (xa, ya), (xb, yb), (xc, yc) = ((x.index_select(0, v), y.index_select(0, v)) for v in (i, j, k))
    area = (xb - xa) * (yc - ya) - (yb - ya) * (xc - xa)
    face = ((area < -1e-4) | (two_sided & (area > 1e-4))).nonzero().squeeze(1)
    corner = faces.index_select(0, face)
    p = xyz.index_select(0, corner.flatten()).reshape(-1, 3, 3)
    low = p[..., :2].amin(1).sub(0.5).ceil().clamp_min(0)
    high = p[..., :2].amax(1).sub(0.5).floor()
    high = torch.minimum(high, high.new_tensor([w - 1, h - 1]))
    extent = high - low + 1
    cuts = cut.index_select(0, corner.flatten()).reshape(-1, 3)
    keep = ((extent[:, 0] > 0) & (extent[:, 1] > 0) & (cuts.amax(1) >= 0)).nonzero().squeeze(1)
    face, p, cuts, low, extent = (
        face[keep],
        p.index_select(0, keep),
        cuts.index_select(0, keep),
        low.index_select(0, keep),
        extent.index_select(0, keep),
    )
    (xa, ya, za), (xb, yb, zb), (xc, yc, zc) = (v.unbind(-1) for v in p.unbind(1))
    inv = 1 / area[face]
    # barycentric weights of a and b as affine functions of (x, y)
    w0 = torch.stack([(yb - yc) * inv, (xc - xb) * inv, (xb * yc - xc * yb) * inv], -1)
    w1 = torch.stack([(yc - ya) * inv, (xa - xc) * inv, (xc * ya - xa * yc) * inv], -1)

    def affine(va, vb, vc):
        k = w0 * (va - vc)[:, None] + w1 * (vb - vc)[:, None]
        k[:, 2] += vc
        return k

    plane = torch.cat([w0, w1, affine(za, zb, zc), affine(cuts[:, 0], cuts[:, 1], cuts[:, 2])], 1)
    plane[:, 8] += bias[face]
    # constants at the first pixel centre of the box, so that coordinates stay small
    box = torch.cat([low, extent], 1)
    x, y = box[:, 0] + 0.5, box[:, 1] + 0.5
    for k in range(0, 12, 3):
        plane[:, k + 2] += plane[:, k] * x + plane[:, k + 1] * y
    return plane, box.long(), face


def _spans(plane: Tensor, box: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Runs of pixels: (triangle, row in its box, first x, length), from four half-planes a x + b y + c >= 0."""
    device = plane.device
    count = box[:, 3]
    tri = torch.repeat_interleave(torch.arange(len(count), device=device), count)
    y = torch.arange(len(tri), device=device) - (count.cumsum(0) - count).index_select(0, tri)
    k = plane.t()
    # each half-plane bounds x from below (a > 0) or above, by slope * y + base
    a = torch.stack([k[0], k[3], -k[0] - k[3], k[9]])
    b = torch.stack([k[1], k[4], -k[1] - k[4], k[10]])
    c = torch.stack([k[2], k[5], 1 - k[2] - k[5], k[11]]) + 1e-4
    a = torch.where(a.abs() < 1e-9, 1e-9, a)
    slope, base, above = -b / a, -c / a, a < 0
    limit = slope.index_select(1, tri).mul_(y.float()).add_(base.index_select(1, tri))
    above = above.index_select(1, tri)
    low = limit.masked_fill(above, 0).amax(0).clamp_min_(0).ceil_()
    high = torch.minimum(limit.masked_fill_(~above, 1e9).amin(0).floor_(), (box[:, 2] - 1).float().index_select(0, tri))
    length = high - low + 1
    keep = (length > 0).nonzero().squeeze(1)
    return tri.index_select(0, keep), y.index_select(0, keep), low.index_select(0, keep), length.index_select(0, keep).long()


def rasterise(plane: Tensor, box: Tensor, image: Tensor, images: int, size: tuple[int, int]):
    """Nearest triangle of each pixel.

    Returns (pixel K flat index image*H*W, triangle K row of `plane`, w0 K, w1 K, depth K) of covered pixels.
    """
    h, w = size
    device = plane.device
    tri, y, first, length = _spans(plane, box)
    fy = y.float()
    p = plane[:, 6:9].index_select(0, tri)
    depth0, slope = p[:, 0] * first + p[:, 1] * fy + p[:, 2], p[:, 0].contiguous()
    start = (image * (h * w) + box[:, 1] * w + box[:, 0]).index_select(0, tri) + y * w + first.long()
    run = torch.repeat_interleave(torch.arange(len(tri), device=device), length)
    local = torch.arange(len(run), device=device) - (length.cumsum(0) - length).index_select(0, run)
    depth = slope.index_select(0, run) * local + depth0.index_select(0, run)
    # depth in steps of 3.3 micrometres above the number of the run: the nearest does not depend on the order
    key = ((depth.clamp_(-3, 3) + 3) * 3e5).long().mul_(1 << 32).add_(run)
    near = torch.full((images * h * w,), -1, dtype=torch.int64, device=device)
    near.scatter_reduce_(0, start.index_select(0, run).add_(local), key, "amax")
    covered = (near >= 0).nonzero().squeeze(1)
    run = near.index_select(0, covered) & 0xFFFFFFFF
    row = tri.index_select(0, run)
    fx, fy = (covered - start.index_select(0, run)).float() + first.index_select(0, run), fy.index_select(0, run)
    k = plane.index_select(0, row)
    w0 = k[:, 0] * fx + k[:, 1] * fy + k[:, 2]
    w1 = k[:, 3] * fx + k[:, 4] * fy + k[:, 5]
    return covered, row, w0, w1, k[:, 6] * fx + k[:, 7] * fy + k[:, 8]

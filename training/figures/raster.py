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
    p = xyz[faces]                                                  # F x 3 x 3
    a, b, c = p.unbind(1)
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    low = p[..., :2].amin(1).sub(.5).ceil().clamp_min(0)
    high = p[..., :2].amax(1).sub(.5).floor()
    high = torch.minimum(high, high.new_tensor([w - 1, h - 1]))
    extent = (high - low + 1).clamp_min(0)
    cuts = cut[faces]
    show = (extent.prod(-1) > 0) & (area.abs() > 1e-4) & ((area < 0) | two_sided) & (cuts.amax(1) >= 0)
    face = show.nonzero().squeeze(1)
    p, cuts, low, extent = p[face], cuts[face], low[face], extent[face]
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
    x, y = box[:, 0] + .5, box[:, 1] + .5
    for k in range(0, 12, 3):
        plane[:, k + 2] += plane[:, k] * x + plane[:, k + 1] * y
    return plane, box.long(), face


def rasterise(plane: Tensor, box: Tensor, image: Tensor, images: int, size: tuple[int, int]):
    """Nearest triangle of each pixel.

    Returns (pixel K flat index image*H*W, triangle K row of `plane`, w0 K, w1 K, depth K) of covered pixels.
    """
    h, w = size
    device = plane.device
    count = box[:, 2] * box[:, 3]
    row = torch.repeat_interleave(torch.arange(len(count), device=device), count)
    start = count.cumsum(0) - count
    local = torch.arange(len(row), device=device) - start[row]
    width = box[:, 2][row]
    dy = torch.div(local, width, rounding_mode="floor")
    dx = local - dy * width
    fx, fy = dx.float(), dy.float()
    k = plane[row]
    w0 = k[:, 0] * fx + k[:, 1] * fy + k[:, 2]
    w1 = k[:, 3] * fx + k[:, 4] * fy + k[:, 5]
    cut = k[:, 9] * fx + k[:, 10] * fy + k[:, 11]
    keep = ((w0 >= 0) & (w1 >= 0) & (w0 + w1 <= 1) & (cut >= 0)).nonzero().squeeze(1)
    k, fx, fy, row = k[keep], fx[keep], fy[keep], row[keep]
    w0, w1 = w0[keep], w1[keep]
    depth = k[:, 6] * fx + k[:, 7] * fy + k[:, 8]
    base = image * (h * w) + box[:, 1] * w + box[:, 0]
    pixel = base[row] + dy[keep] * w + dx[keep]
    near = torch.zeros(images * h * w, dtype=torch.int64, device=device)
    key = ((depth.clamp(-4, 4) + 4) * 2e5).long() * (1 << 32) + torch.arange(1, len(row) + 1, device=device)
    near.scatter_reduce_(0, pixel, key, "amax")
    covered = near.nonzero().squeeze(1)
    first = (near[covered] & 0xFFFFFFFF) - 1
    return covered, row[first], w0[first], w1[first], depth[first]

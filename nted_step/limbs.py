"""Where a limb of the target pose lies in the photo, if the limb moved as a rigid segment between two joints."""

from __future__ import annotations

import torch
from torch import Tensor

HEAD = (0, 14, 15, 16, 17)
HIPS = (8, 11)
# A segment runs from the mean of the visible joints on its left to that of those on its right; and how long it is on a body 1.7 m tall.
SEGMENTS: tuple[tuple[tuple[int, ...], tuple[int, ...], float], ...] = (
    ((1,), HEAD, 0.22),
    ((1,), HIPS, 0.52),
    ((2,), (8,), 0.52),
    ((5,), (11,), 0.52),
    ((2,), (3,), 0.29),
    ((3,), (4,), 0.26),
    ((5,), (6,), 0.29),
    ((6,), (7,), 0.26),
    ((8,), (9,), 0.42),
    ((9,), (10,), 0.42),
    ((11,), (12,), 0.42),
    ((12,), (13,), 0.42),
)
LEAST_LENGTH = 0.02  # of the canvas's height: a segment seen end on has no direction
MOST_STRETCH = 4.0


def limb_places(source: Tensor, target: Tensor, grid: tuple[int, int], aspect: float) -> tuple[Tensor, Tensor]:
    """For every segment: where each cell of the target canvas would be in the photo if it moved with that segment.

    Along the segment its own change of length applies, across it the change of the whole body's scale, because a limb that points at
    the camera gets shorter and not thinner.

    Args:
        source, target: B x 18 x 3, see :func:`nted_step.pose.joint_tensor`.
        grid: (h, w) of the cells.
        aspect: width / height of the canvas.

    Returns:
        (places B x S x 2 x h x w, x and y in [-1, 1] across the photo; known B x S bool, both poses show the segment).
    """
    (here, here_seen), (there, there_seen) = (_segments(joints, aspect) for joints in (source, target))
    known = here_seen & there_seen
    axis, other = there[:, :, 1] - there[:, :, 0], here[:, :, 1] - here[:, :, 0]
    length, other_length = (v.norm(dim=-1, keepdim=True).clamp_min(LEAST_LENGTH) for v in (axis, other))
    unit, other_unit = axis / length, other / other_length
    along_scale = (other_length / length).clamp(1 / MOST_STRETCH, MOST_STRETCH)
    across_scale = (_body_scale(here, here_seen) / _body_scale(there, there_seen)).clamp(1 / MOST_STRETCH, MOST_STRETCH)[:, None, None]
    # place = from + (R_here diag(along, across) R_there^T) (cell - to), a 2 x 2 matrix per segment
    normal, other_normal = (torch.stack([-v[..., 1], v[..., 0]], dim=-1) for v in (unit, other_unit))
    matrix = (along_scale * other_unit)[..., :, None] * unit[..., None, :] + (across_scale * other_normal)[..., :, None] * normal[
        ..., None, :
    ]
    offset = here[:, :, 0] - (matrix @ there[:, :, 0, :, None])[..., 0]
    cells = cell_centres(grid, source.device).flatten(1) * _isotropic(aspect, source.device)[:, None]
    places = matrix @ cells + offset[..., None]
    places = places / _isotropic(aspect, source.device)[:, None]
    return places.unflatten(-1, grid), known


def cell_centres(grid: tuple[int, int], device: torch.device) -> Tensor:
    """2 x h x w: x and y of every cell's centre in [-1, 1] across the canvas."""
    y, x = ((torch.arange(n, device=device, dtype=torch.float32) + 0.5) / n * 2 - 1 for n in grid)
    return torch.stack([x.expand(grid), y[:, None].expand(grid)])


def _isotropic(aspect: float, device: torch.device) -> Tensor:
    return torch.tensor([aspect, 1.0], device=device)


def _segments(joints: Tensor, aspect: float) -> tuple[Tensor, Tensor]:
    """Ends B x S x 2 x (x, y) in units of half the canvas's height, and which are visible, B x S."""
    xy, seen = joints[..., :2].float() * _isotropic(aspect, joints.device), joints[..., 2:].float()
    ends, known = [], []
    for first, last, _ in SEGMENTS:
        weights = [seen[:, list(side)] for side in (first, last)]
        means = [(xy[:, list(side)] * w).sum(1) / w.sum(1).clamp_min(1) for side, w in zip((first, last), weights, strict=True)]
        ends.append(torch.stack(means, dim=1))
        known.append(torch.stack([w.sum(dim=(1, 2)) > 0 for w in weights]).all(dim=0))
    return torch.stack(ends, dim=1), torch.stack(known, dim=1)


def _body_scale(ends: Tensor, seen: Tensor) -> Tensor:
    """B: the size of the body on the canvas. Foreshortening only makes segments shorter, so the longest for its kind tells."""
    typical = torch.tensor([length for *_, length in SEGMENTS], device=ends.device)
    return ((ends[:, :, 1] - ends[:, :, 0]).norm(dim=-1) / typical * seen).amax(dim=1).clamp_min(0.1)

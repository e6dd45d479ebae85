"""How colours of surface points are put on top of each other, with edges as soft as a sample is large (torch)."""

from __future__ import annotations

from torch import Tensor


def edge(distance: Tensor, soft: Tensor | float) -> Tensor:
    """0..1: 0.5 at the edge, 1 where ``distance`` is ``soft`` or more inside it, both in the same unit."""
    return (distance / soft * 0.5 + 0.5).clamp(0, 1)


def mix(below: Tensor, above: Tensor, share: Tensor) -> Tensor:
    """Colours K x 3: ``above`` where ``share`` (K) is 1, ``below`` where it is 0."""
    return below + (above - below) * share[:, None]

"""What the server keeps for one visitor of the garments tab."""

from __future__ import annotations

from dataclasses import dataclass

from appearance_control.studio.request import PlannedSwap
from pose_editor.studio.session import Session

PLAN_BYTES = 4 * 2**20  # about, of a plan with its renderings


@dataclass
class SwapSession(Session):
    """A visitor's photos and the newest swap."""

    planned: PlannedSwap | None = None
    asked_row: int | None = None  # of the garment that the photo in ``asked`` is for; None for the wearer

    def nbytes(self) -> int:
        return super().nbytes() + (PLAN_BYTES if self.planned else 0)

    def forget(self) -> None:
        super().forget()
        self.planned = None

"""What the server keeps for one visitor of the garments tab."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from appearance_control.studio.request import PlannedSwap
from nted_step.person import Person
from pose_editor.studio.session import Session, Subject

PHOTO_NAMES = ("@1", "@2", "@3", "@4")  # of a visitor's own photos; a fifth replaces the one least recently used

PLAN_BYTES = 4 * 2**20  # about, of a plan with its renderings


@dataclass
class SwapSession(Session):
    """A visitor's photos, the most recently used last, and the newest swap."""

    photos: OrderedDict[str, Subject] = field(default_factory=OrderedDict)
    photo_count: int = 0  # all that were given, including those forgotten
    planned: PlannedSwap | None = None

    def nbytes(self) -> int:
        return super().nbytes() + (PLAN_BYTES if self.planned else 0)

    def people(self) -> list[Person]:
        return [*super().people(), *(subject.person for subject in list(self.photos.values()))]

    def forget(self) -> None:
        super().forget()
        self.photos.clear()
        self.planned = None

    def add_photo(self, subject: Subject) -> str:
        """The name of the new photo: a free one, or that of the photo least recently used."""
        name = PHOTO_NAMES[len(self.photos)] if len(self.photos) < len(PHOTO_NAMES) else next(iter(self.photos))
        self.photo_count += 1
        self.photos[name] = subject
        self.photos.move_to_end(name)
        return name

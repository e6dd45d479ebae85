"""The people on the page, and what the server keeps for one visitor."""

from __future__ import annotations

from dataclasses import dataclass, field

from nted_step.image import Fit
from nted_step.person import Appearance, Person
from nted_step.pipeline import NTEDStepPipeline
from nted_step.pose import Pose
from nted_step.sampler import StepOutput
from pose_editor.studio import export
from pose_editor.studio.person_cache import PersonCache

# Runs are numbered EDIT * edit + PREVIEW or STEPS, and the largest number wins. Every Stop adds one to the number in force.
EDIT, PREVIEW, STEPS = 1000, 1, 2


@dataclass(frozen=True, eq=False)
class Subject:
    """Somebody on the page: the photo as fitted, the pose in it, and the model's view of it.

    Attributes:
        title: what the page calls this person.
        picture: data URL of the fitted photo.
        pose: the pose in the photo, or a standing one where nobody knows.
        person: of ``pipeline``, and of no use to another.
        crop: (left, top, right, bottom) of the canvas that is photo and not padding.
        window: what the canvas shows of the whole photo, see :meth:`nted_step.image.FittedPhoto.window`.
        in_photo: a photograph, before whose own background results are shown; figures have a studio.
    """

    title: str
    picture: str
    pose: Pose
    person: Person
    pipeline: NTEDStepPipeline
    crop: tuple[int, int, int, int]
    window: tuple[float, float, float] = (0.0, 0.0, 1.0)
    in_photo: bool = False


@dataclass(frozen=True)
class Result:
    """A run as the page shows it, and what it was computed with.

    Attributes:
        appearance: the subject's person, who may be dressed in something else.
        output: the newest step.
        edit: the edit of the pose that it is for.
    """

    run: export.Run
    subject: Subject
    appearance: Appearance
    output: StepOutput
    edit: int = 0


@dataclass
class Session:
    """What the server keeps for one visitor."""

    cache: PersonCache = field(default_factory=PersonCache)  # the photos given in this tab, encoded
    upload: Subject | None = None
    file: tuple[str, str] | None = None  # path and name of the uploaded photo, to fit it another way
    fit: Fit = "auto"  # how it is fitted
    opened: int = 0  # the edit that showed the uploaded photo, until its pose was searched for
    last: Result | None = None  # the newest result, to be saved
    edit: int = 0  # newest edit that was run
    run: int = 0  # number of the run in force, see ModelRunner.claim; all others stop
    kept: bool = False  # whether it holds a photo or a result, see VisitorStore

    def nbytes(self) -> int:
        """Bytes of photos and results."""
        people = {id(person): person for person in self.people()}
        pictures = self.last.run.images if self.last else ()
        return sum(person.nbytes for person in people.values()) + sum(3 * picture.width * picture.height for picture in pictures)

    def people(self) -> list[Person]:
        """Everybody in this visitor's photos."""
        return [*self.cache.people(), *([self.upload.person] if self.upload else [])]

    def forget(self) -> None:
        """Drop photos and results. The visitor may go on with other ones."""
        self.cache.clear()
        self.upload = self.file = self.last = None
        self.opened, self.kept = 0, False

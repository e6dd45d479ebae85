"""The people on the page, and what the server keeps for one visitor."""

from __future__ import annotations

from dataclasses import dataclass, field

from nted_step.image import Fit
from nted_step.person import Appearance, Person
from nted_step.pipeline import NTEDStepPipeline
from nted_step.pose import Pose
from nted_step.sampler import StepOutput
from pose_editor.studio import export
from pose_editor.studio.person_cache import KeptPeople

# The numbers of the runs of one edit, larger wins: EDIT * edit + PREVIEW or STEPS; every Stop makes the number in force one larger.
EDIT, PREVIEW, STEPS = 1000, 1, 2


@dataclass(frozen=True, eq=False)
class Subject:
    """A person on the page: the photo as fitted, its own pose, and the model's view of it.

    Attributes:
        title: what the page calls this person.
        picture: data URL of the fitted photo.
        pose: the pose in the photo.
        person: of ``pipeline``, and of use to no other.
        crop: (left, top, right, bottom) of the canvas that is photo and not padding.
        window: what the canvas shows of the whole photo, see :meth:`nted_step.image.FittedPhoto.window`.
    """

    title: str
    picture: str
    pose: Pose
    person: Person
    pipeline: NTEDStepPipeline
    crop: tuple[int, int, int, int]
    window: tuple[float, float, float] = (0.0, 0.0, 1.0)


@dataclass(frozen=True)
class Result:
    """A run as the page shows it, of whom, and what it was computed with.

    Attributes:
        person: the subject's, or the subject dressed in something.
        output: the newest step.
        edit: that it is of.
    """

    run: export.Run
    subject: Subject
    person: Appearance
    output: StepOutput
    edit: int = 0


@dataclass
class Session:
    """What the server keeps for one visitor."""

    kept: KeptPeople = field(default_factory=KeptPeople)  # all photos given in this tab, as the model knows them
    upload: Subject | None = None
    file: tuple[str, str] | None = None  # path and name of the uploaded photo, to fit it another way
    fit: Fit = "auto"  # how it is fitted
    opened: int = 0  # the edit that showed the uploaded photo; until another one nobody has touched its pose
    last: Result | None = None  # the newest result, to be saved
    edit: int = 0  # newest edit that was run
    run: int = 0  # what runs for this visitor, see Studio.claim; everything else stops

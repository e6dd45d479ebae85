"""The people on the page, and what the server keeps for one visitor."""

from __future__ import annotations

from collections import OrderedDict
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

PHOTO_NAMES = ("@1", "@2", "@3", "@4")  # of a visitor's own photos; a fifth replaces the one least recently used


@dataclass(frozen=True)
class PhotoFile:
    """A photo as it was given: a path, or the bytes of a photo that the visitor's browser remembered; and what messages call it."""

    source: str | bytes
    name: str


@dataclass(frozen=True)
class PhotoPeople:
    """A photo file, and who was found in it.

    Attributes:
        picture: data URL of the whole photo, without padding.
        box: (left, top, right, bottom) of the photo on the whole canvas, which is LARGE times the model's and shows all of it.
        people: their poses on the whole canvas, from left to right.
        problem: why nobody was found; empty where somebody was.
    """

    file: PhotoFile
    picture: str
    box: tuple[int, int, int, int]
    people: tuple[Pose, ...] = ()
    problem: str = ""


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
        given: of a visitor's photo, what it was made of, to fit it another way.
        fit: how it is fitted.
        whole_pose: the pose in it on the canvas of the whole photo, see :class:`PhotoPeople`; None where it is not known.
        dressed: ``person`` in the garments of other people; None for somebody in their own clothes.
    """

    title: str
    picture: str
    pose: Pose
    person: Person
    pipeline: NTEDStepPipeline
    crop: tuple[int, int, int, int]
    window: tuple[float, float, float] = (0.0, 0.0, 1.0)
    in_photo: bool = False
    given: PhotoPeople | None = None
    fit: Fit = "auto"
    whole_pose: Pose | None = None
    dressed: Appearance | None = None

    @property
    def appearance(self) -> Appearance:
        """What a run renders."""
        return self.dressed or self.person


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

    def nbytes(self) -> int:
        """Bytes of pictures and tensors; Pillow keeps four for a pixel of three colours."""
        tensors = [each for each in (self.output.image, self.output.rendered) if each is not None]
        pixels = sum(picture.width * picture.height for picture in self.run.images)
        return 4 * pixels + sum(tensor.numel() * tensor.element_size() for tensor in tensors)


@dataclass
class Session:
    """What the server keeps for one visitor, in one tab."""

    cache: PersonCache = field(default_factory=PersonCache)  # the photos given in this tab, encoded
    photos: OrderedDict[str, Subject] = field(default_factory=OrderedDict)  # of both tabs, the most recently used last
    photo_count: int = 0  # all that were given in this tab, including those forgotten
    shown: str | None = None  # which of them is posed in this tab, or was
    asked: PhotoPeople | None = None  # a photo of several people, until the visitor says whom
    last: Result | None = None  # the newest result, to be saved
    edit: int = 0  # newest edit that was run
    run: int = 0  # number of the run in force, see ModelRunner.claim; all others stop
    kept: bool = False  # whether it holds a photo or a result, see VisitorStore

    @property
    def upload(self) -> Subject | None:
        """The own photo that is posed in this tab, or was."""
        return self.photos.get(self.shown or "")

    @upload.setter
    def upload(self, subject: Subject) -> None:
        if self.shown in self.photos:
            self.photos[self.shown or ""] = subject
        else:
            self.shown = self.add_photo(subject)

    def add_photo(self, subject: Subject) -> str:
        """The name of the new photo: a free one, or that of the photo least recently used."""
        free = [name for name in PHOTO_NAMES if name not in self.photos]
        name = free[0] if free else next(iter(self.photos))
        self.photo_count += 1
        self.photos[name] = subject
        self.photos.move_to_end(name)
        return name

    def remove_photo(self, name: str) -> None:
        """Forget one of the visitor's photos, and the result of it."""
        subject = self.photos.pop(name, None)
        if subject is None:
            return
        self.cache.drop(subject.person)
        if self.last and self.last.subject.person is subject.person:
            self.last = None
        if self.shown == name:
            self.shown = None

    def share_photos(self, other: Session) -> None:
        """From now on this tab and another have the same photos."""
        if other.photos:
            self.photos = other.photos
        else:
            other.photos = self.photos

    def nbytes(self) -> int:
        """Bytes of photos and results."""
        people = {id(person): person for person in self.people()}
        photos = list(self.photos.values())
        remembered = sum(len(subject.picture) + (len(subject.given.picture) if subject.given else 0) for subject in photos)
        return remembered + sum(person.nbytes for person in people.values()) + (self.last.nbytes() if self.last else 0)

    def people(self) -> list[Person]:
        """Everybody in this visitor's photos."""
        return [*self.cache.people(), *(subject.person for subject in list(self.photos.values()))]

    def forget(self) -> None:
        """Drop photos and results. The visitor may go on with other ones."""
        self.cache.clear()
        self.photos.clear()
        self.last = self.asked = self.shown = None
        self.kept = False

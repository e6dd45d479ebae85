"""Everything the garment tab's events do: plain functions of the page's studio and a visitor's garments."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from appearance_control.classes import PartError
from appearance_control.masks import MaskError
from appearance_control.studio import parse_cache
from appearance_control.studio.mask_images import mask_url
from appearance_control.studio.wardrobe import Wanted, Wardrobe
from nted_step.image import ImageError, to_pil, to_tensor
from nted_step.person import Person
from nted_step.pose import Pose, PoseError
from nted_step.sampler import StepOutput
from pose_editor import formats
from pose_editor.editor import PoseEditor
from pose_editor.picker import PhotoPicker
from pose_editor.studio.events import PoseEvents
from pose_editor.studio.presentation import data_url, notice
from pose_editor.studio.run_frames import RunFrames
from pose_editor.studio.save_events import SaveEvents
from pose_editor.studio.session import Result, Session, Subject
from pose_editor.studio.studio import Studio
from pose_editor.viewer import StepViewer
from pose_editor.widget import sentence

if TYPE_CHECKING:
    from appearance_control.swap import GarmentSwap

PHOTOS = ("@1", "@2", "@3", "@4")  # names of a visitor's own photos; a fifth takes the place of the one least recently used
NO_PARSER = "There are no parser weights here, so no garment is recognised by itself: press Paint… and paint it."
REUSES = 8  # swaps that share what was rendered of people, before it is forgotten


class Superseded(Exception):
    """A newer change of the visitor's wants the model."""


@dataclass(frozen=True)
class Fitting:
    """A swap, and what it was made of."""

    subject: Subject
    wanted: list[Wanted]
    seed: int
    swap: GarmentSwap
    uses: int = 0  # swaps before it that rendered for it

    def is_of(self, subject: Subject, wanted: list[Wanted], seed: int) -> bool:
        """Whether its coefficients serve another pose or strength."""
        alike = len(wanted) == len(self.wanted) and all(ours.alike(theirs) for ours, theirs in zip(wanted, self.wanted, strict=True))
        return self.subject is subject and self.seed == seed and alike


@dataclass
class Visit(Session):
    """What the server keeps for one visitor of this tab."""

    photos: OrderedDict[str, Subject] = field(default_factory=OrderedDict)  # the newest in use is the last
    given: int = 0  # photos, forgotten ones too
    fitting: Fitting | None = None

    def keep(self, subject: Subject) -> str:
        """The photo's name, that of the photo least recently used where all are taken."""
        name = PHOTOS[len(self.photos)] if len(self.photos) < len(PHOTOS) else next(iter(self.photos))
        self.given += 1
        self.photos[name] = subject
        self.photos.move_to_end(name)
        return name


class GarmentDesk:
    """``studio`` is the page's studio, ``opener`` reads the parser. Every event yields what :meth:`only` makes."""

    def __init__(self, studio: Studio, opener: parse_cache.Opener) -> None:
        self.studio, self.opener = studio, opener

    @staticmethod
    def only(
        editor: Any = None, picker: Any = None, wardrobe: Any = None, viewer: Any = None, says: str | None = None, seen: Any = None
    ) -> tuple[Any, ...]:
        """The outputs of this tab's events, of which most change a few."""
        return tuple(gr.skip() if each is None else each for each in (editor, picker, wardrobe, viewer, says, seen))

    # --- people -----------------------------------------------------------------------------------------------------

    def subject(self, name: str | None, visit: Visit) -> Subject:
        """An example, or one of the visitor's photos."""
        if name in self.studio.examples:
            return self.studio.examples[name]
        if name not in visit.photos:
            raise gr.Error("Photos are kept for an hour, and these are forgotten. Please choose somebody.", print_exception=False)
        found = visit.photos[name] = self.studio.with_current_weights(visit.photos[name], visit.cache)
        visit.photos.move_to_end(name)
        return found

    def people(self, visit: Visit) -> list[dict[str, str]]:
        """Everybody who can wear something or give it."""
        return [
            {"name": name, "title": subject.title, "picture": subject.picture}
            for name, subject in [*self.studio.examples.items(), *sorted(visit.photos.items())]
        ]

    def wear(
        self, name: str | None, wanted: tuple[list[Wanted], int], settings: dict[str, Any], visit: Visit, pose: Pose | None = None
    ) -> Iterator:
        """Somebody else is the wearer."""
        if not name:
            yield self.only()
            return
        subject, edit = self.subject(name, visit), visit.edit + 1
        value = formats.to_value(pose or subject.pose, edit)
        editor = PoseEditor(value=value, photo=subject.picture, rest=formats.to_value(subject.pose))
        yield self.only(editor=editor)
        yield from self.render(value, name, wanted, settings, visit)

    def photo_of_wearer(self, path: str | None, wanted: tuple[list[Wanted], int], settings: dict[str, Any], visit: Visit) -> Iterator:
        yield self.only()
        subject, says = self._photo(path, visit)
        if subject is None:
            yield self.only(says=says)
            return
        yield from self._wear_new(subject, wanted, settings, visit)

    def _wear_new(
        self, subject: Subject, wanted: tuple[list[Wanted], int], settings: dict[str, Any], visit: Visit, pose: Pose | None = None
    ) -> Iterator:
        name = visit.keep(subject)
        people = self.people(visit)
        yield self.only(picker=PhotoPicker(choices=people, value=name), wardrobe=Wardrobe(people=people))
        yield from self.wear(name, wanted, settings, visit, pose)

    def photo_of_garment(self, path: str | None, wanted: tuple[list[Wanted], int], visit: Visit) -> tuple[Any, ...]:
        """A photo for the row that asked for one. The page answers by sending its pose again."""
        subject, says = self._photo(path, visit)
        if subject is None:
            return self.only(says=says)
        name = visit.keep(subject)
        people = self.people(visit)
        put = {"into": wanted[1], "person": name, "n": visit.given}
        return self.only(picker=PhotoPicker(choices=people), wardrobe=Wardrobe(people=people, put=put))

    def _photo(self, path: str | None, visit: Visit) -> tuple[Subject | None, str]:
        try:
            return self.studio.upload(path or b"", Path(path or "the photo").name, visit.cache), ""
        except ImageError as error:
            return None, notice(sentence(error), "error")

    # --- between the tabs -------------------------------------------------------------------------------------------

    def fetch(
        self, value: dict[str, Any], chosen: str | None, session: Session, wanted: tuple[list[Wanted], int], settings: dict[str, Any],
        visit: Visit,
    ) -> Iterator:  # fmt: skip
        """The pose tab's person becomes the wearer, in the pose that stands there."""
        yield self.only()
        subject, pose = self.studio.subject(chosen, session), formats.from_value(value)
        if chosen:
            yield self.only(picker=chosen)
            yield from self.wear(chosen, wanted, settings, visit, pose)
        else:
            yield from self._wear_new(subject, wanted, settings, visit, pose)

    def send(self, visit: Visit, session: Session, settings: dict[str, Any]) -> Iterator:
        """The result becomes the pose tab's person: that tab's outputs, the tabs, and this tab's line."""
        if visit.last is None:
            yield (*PoseEvents.changes(), gr.skip(), notice("There is no result yet.", "error"))
            return
        run, studio = visit.last.run, self.studio
        photo = to_tensor(run.images[-1])
        person = session.cache.encode(studio.pipeline, photo, run.pose)
        session.upload = Subject("Dressed", data_url(run.images[-1]), run.pose, person, studio.pipeline, run.crop)
        session.file, session.fit, session.opened = None, "auto", 0
        message = notice("This is the result from the garment tab, as a photo to be posed.")
        tabs = gr.Tabs(selected="pose")
        for outputs in PoseEvents(studio).open(session.upload, None, message, session, seed=settings["seed"]):
            yield (*outputs, tabs, gr.skip())
            tabs = gr.skip()

    # --- the swap ---------------------------------------------------------------------------------------------------

    def enter(
        self, value: dict[str, Any], wearer: str | None, wanted: tuple[list[Wanted], int], settings: dict[str, Any], visit: Visit
    ) -> Iterator:
        """The tab is shown: its first result is made now, and not for those who never look."""
        if visit.edit or visit.last:
            yield self.only()
            return
        yield from self.render(value, wearer, wanted, settings, visit)

    def preview(
        self, value: dict[str, Any], wearer: str | None, wanted: tuple[list[Wanted], int], settings: dict[str, Any], visit: Visit
    ) -> Any:
        """While a joint is dragged, with the coefficients there are. Never raises: that would end the drag."""
        try:
            subject, pose, seed = self.subject(wearer, visit), formats.from_value(value), settings["seed"]
            person = self._dressed(visit.fitting, wanted[0], subject, seed) or subject.person
            return self.studio.preview_value(person, pose, visit, value["edit"], seed)
        except (PoseError, gr.Error):
            return gr.skip()

    def released(self, value: dict[str, Any], visit: Visit) -> None:
        self.studio.runner.announce(visit, value["edit"])

    def choosing(self, visit: Visit) -> None:
        self.studio.runner.announce(visit, visit.edit + 1)

    def render(
        self, value: dict[str, Any], wearer: str | None, wanted: tuple[list[Wanted], int], settings: dict[str, Any], visit: Visit
    ) -> Iterator:
        """A change is finished: all steps at once with the coefficients there are, then those of this very pose if they differ."""
        edit, garments, seed = value["edit"], wanted[0], settings["seed"]
        try:
            subject, pose = self.subject(wearer, visit), formats.from_value(value).require_drawable(self.studio.canvas)
        except PoseError as error:
            yield self.only(viewer={"edit": edit, "kind": "refused", "says": sentence(error)})
            return
        run = self.studio.runner.claim(visit, edit)
        if not run:
            yield self.only()
            return
        yield from self._render(Job(subject, pose, edit, seed, run, garments), visit)

    def _render(self, job: Job, visit: Visit) -> Iterator:
        from appearance_control.swap import SwapError  # here: it brings torchvision, which takes a second and memory

        before, parser = visit.fitting, self.opener()
        says = "" if job.garments else "Add a garment and choose who gives it."
        if not parser and any(each.mask is None for each in job.garments):
            says, job = NO_PARSER, replace(job, garments=[each for each in job.garments if each.mask is not None])
        dressed = self._dressed(before, job.garments, job.subject, job.seed)
        if dressed:
            yield from self._steps(dressed, job, visit)
        if not job.garments:
            visit.fitting = None
            yield from self._plain(job, visit, says)
            return
        try:
            fitting = self.studio.runner.run(self._fit, job, visit, parser)
        except Superseded:
            yield self.only()
            return
        except (SwapError, MaskError, PartError) as error:
            visit.fitting = None
            yield from self._plain(job, visit, sentence(error), "error", **self._seen(job, visit))
            return
        if visit.run != job.run:
            yield self.only()
            return
        visit.fitting = fitting
        if not dressed or not _same(before, fitting):
            yield from self._steps(self._dressed(fitting, job.garments, job.subject, job.seed), job, visit, at_once=not dressed)
        notes = " ".join([says, *(sentence(ValueError(note)) for plan in fitting.swap.plans for note in plan.notes)]).strip()
        bare = StepViewer(source=data_url(to_pil(fitting.swap.wearer_view.image)))
        yield self.only(viewer=bare, says=notice(notes) if notes else "", **self._seen(job, visit))

    def _plain(self, job: Job, visit: Visit, says: str, kind: str = "info", **more: Any) -> Iterator:
        """The wearer as is, and why."""
        yield self.only(says=says and notice(says, kind), **more)
        yield from self._steps(job.subject.person, job, visit)
        if visit.last and visit.run == job.run:
            yield self.only(viewer=StepViewer(source=data_url(visit.last.run.images[-1])))

    def _steps(self, person: Any, job: Job, visit: Visit, at_once: bool = True) -> Iterator:
        """The viewer's values of a run; the finished one alone where a result of the same edit is on screen."""
        studio, steps = self.studio, self.studio.pipeline.config.steps
        reel = RunFrames(job.edit, steps, job.pose, job.subject.crop, self._made(job))
        for output in studio.steps(person, job.pose, visit, job.run, job.seed):
            reel.add(output)
            if output.step == steps or (output.step and at_once):
                visit.last = Result(reel.run, job.subject, person, output, job.edit)
            if reel.is_due() and (at_once or output.step == steps):
                yield self.only(viewer=reel.value())

    def _made(self, job: Job) -> dict[str, Any]:
        garments = [
            {"person": each.person, "part": each.part, "strength": each.strength, "mask": "recognised" if each.mask is None else "by hand"}
            for each in job.garments
        ]
        return self.studio.run_settings(job.subject, formats.to_value(job.pose)["joints"], job.seed) | {"garments": garments}

    def _fit(self, job: Job, visit: Visit, parser: parse_cache.Sight | None) -> Fitting:
        """The swap of a job, in the model's thread. Raises Superseded, SwapError, MaskError and PartError."""
        from appearance_control.swap import Garment, GarmentSwap

        def told(output: StepOutput | None) -> None:
            if visit.run != job.run:
                raise Superseded

        told(None)
        garments = []
        for wanted in job.garments:
            giver = self.subject(wanted.person, visit)
            garments.append(Garment(giver.person, (wanted.part,), wanted.strength, wanted.mask, "photo", name=giver.title))
        before = visit.fitting
        if (
            before
            and before.swap.wearer is job.subject.person
            and before.swap.pose == job.pose
            and before.seed == job.seed
            and before.uses < REUSES
        ):
            swap, uses = before.swap.with_garments(garments, told), before.uses + 1
        else:
            swap, uses = (
                GarmentSwap(self.studio.pipeline, job.subject.person, garments, job.pose, parser=parser, seed=job.seed, told=told),
                0,
            )
        return Fitting(job.subject, job.garments, job.seed, swap, uses)

    @staticmethod
    def _dressed(fitting: Fitting | None, wanted: list[Wanted], subject: Subject, seed: int) -> Any:
        """The wearer in a fitting's textures at the strengths of the moment, if they are of these people and garments."""
        from appearance_control.swap import Dressed

        if not fitting or not fitting.is_of(subject, wanted, seed):
            return None
        worn = [replace(plan.worn, strength=each.strength) for plan, each in zip(fitting.swap.plans, wanted, strict=True)]
        return Dressed(subject.person, worn)

    # --- what is seen -----------------------------------------------------------------------------------------------

    def _seen(self, job: Job, visit: Visit) -> dict[str, Any]:
        """Outputs: the wearer's and the givers' photos as the parser sees them, and the masks it takes."""
        if not self.opener():
            return {}
        givers = [self.subject(each.person, visit) for each in job.garments]
        parses = {each: self.studio.runner.run(self._parse, each.person) for each in [job.subject, *givers]}
        people = [(each.title, each.person.source[0], parse) for each, parse in parses.items()]
        masks = [(wanted, parses[giver].mask([wanted.part])) for wanted, giver in zip(job.garments, givers, strict=True)]
        found = [{"person": wanted.person, "part": wanted.part, "mask": mask_url(mask)} for wanted, mask in masks if mask.any()]
        return {"seen": parse_cache.shown(people), "wardrobe": Wardrobe(found=found)}

    def _parse(self, person: Person) -> Any:
        return self.opener().parse_image(person.source[0])

    def stop(self, visit: Visit) -> None:
        self.studio.runner.stop(visit)

    def save(self, value: dict[str, Any], wearer: str | None, visit: Visit, settings: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The newest result as a file."""
        if visit.last is None or settings["save"]["kind"].startswith("film"):
            yield {"said": "There is no result yet." if visit.last is None else "Films are made in the Pose tab."}
            return
        yield from SaveEvents(self.studio).save(value, None, visit, settings)


@dataclass(frozen=True)
class Job:
    """One result to be made."""

    subject: Subject
    pose: Pose
    edit: int
    seed: int
    run: int
    garments: list[Wanted]


def _same(before: Fitting | None, now: Fitting) -> bool:
    """Whether two swaps of the same garments take the same textures."""
    ours, theirs = ([share for plan in fitting.swap.plans for share in plan.worn.coefficients] for fitting in (before, now))
    return all(bool((a == b).all()) for a, b in zip(ours, theirs, strict=True))

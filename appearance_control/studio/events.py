"""What the events of the garments tab do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from appearance_control.classes import PartError
from appearance_control.garment import SwapError
from appearance_control.masks import MaskError
from appearance_control.studio.mask_images import mask_url
from appearance_control.studio.parse_cache import ParseCache, ParserLoader
from appearance_control.studio.recognised import ParsedPhoto, recognised_html
from appearance_control.studio.request import PlannedSwap, SwapRequest
from appearance_control.studio.session import SwapSession
from appearance_control.studio.wardrobe import GarmentChoice, Wardrobe, WardrobeValue
from appearance_control.swap import SwapPlanner
from nted_step.image import ImageError, to_pil
from nted_step.person import Appearance
from nted_step.pose import Pose, PoseError
from pose_editor import formats
from pose_editor.editor import PoseEditor
from pose_editor.gradio_workarounds import event_payload
from pose_editor.picker import PhotoPicker
from pose_editor.studio.events import PoseEvents
from pose_editor.studio.photo_reader import PhotoReader
from pose_editor.studio.presentation import data_url, notice
from pose_editor.studio.run_frames import RunFrames
from pose_editor.studio.save_events import SaveEvents
from pose_editor.studio.session import PhotoFile, Result, Session, Subject
from pose_editor.studio.studio import Studio
from pose_editor.viewer import StepViewer
from pose_editor.widget import sentence

NO_PARSER = "There are no parser weights here, so garments are not recognised automatically: press Paint… and paint them."
NO_GARMENT = "Add a garment and choose who gives it."


class GarmentEvents:
    """The events of the garments tab, on top of the page's ``studio``. Each yields or returns what :meth:`outputs` makes.

    A render runs straight down: :meth:`render` turns what the page sent into a :class:`SwapRequest`, :meth:`_plan` plans it, the plan
    dresses the wearer, and the studio runs the pipeline on the dressed wearer. Whether a newer run has been claimed is checked here
    alone, between two steps.
    """

    def __init__(self, studio: Studio, parser_loader: ParserLoader, reader: PhotoReader | None = None) -> None:
        self.studio, self.parser_loader = studio, parser_loader
        self.people = PoseEvents(studio)
        self.reader = reader or PhotoReader(studio)

    @staticmethod
    def outputs(
        editor: Any = None,
        picker: Any = None,
        wardrobe: Any = None,
        viewer: Any = None,
        message: str | None = None,
        recognised: str | None = None,
    ) -> tuple[Any, ...]:
        """The outputs of this tab's events; whatever is not given stays as it is."""
        return tuple(gr.skip() if value is None else value for value in (editor, picker, wardrobe, viewer, message, recognised))

    def _everybody(
        self,
        session: SwapSession,
        picker: dict[str, Any] | None = None,
        wardrobe: dict[str, Any] | None = None,
        message: str | None = None,
    ) -> tuple[Any, ...]:
        """Outputs: everybody who can be chosen now, in both places; ``picker`` and ``wardrobe`` say what else changes there."""
        return self.outputs(
            picker=PhotoPicker(choices=self.studio.choices(session), **(picker or {})),
            wardrobe=Wardrobe(people=self.studio.people(session), **(wardrobe or {})),
            message=message,
        )

    # --- people -----------------------------------------------------------------------------------------------------

    def choose_wearer(
        self, name: str | None, value: dict[str, Any], wardrobe: WardrobeValue, settings: dict[str, Any], session: SwapSession
    ) -> Iterator:
        """Somebody else was chosen: the pose stays, on the new body."""
        pose = self.people.pose_made(value, name, session) if name else None
        yield from self.wear(name, wardrobe, settings, session, pose)

    def wear(
        self, name: str | None, wardrobe: WardrobeValue, settings: dict[str, Any], session: SwapSession, pose: Pose | None = None
    ) -> Iterator:
        """Somebody else becomes the wearer."""
        if not name:
            yield self.outputs()
            return
        subject, edit = self.studio.subject(name, session), session.edit + 1
        session.shown = name if name in session.photos else session.shown
        value = formats.to_value(pose or subject.pose, edit)
        editor = PoseEditor(value=value, photo=subject.picture, person=name, rest=formats.to_value(subject.pose))
        yield self.outputs(editor=editor)
        yield from self.render(value, name, wardrobe, settings, session)

    def photo_of_wearer(self, path: str | None, wardrobe: WardrobeValue, settings: dict[str, Any], session: SwapSession) -> Iterator:
        """A photo came for the wearer. Of several people in it, :meth:`chosen_person` is told whom."""
        yield self.outputs()
        try:
            subject = self._read(path, session, None)
        except ImageError as error:
            yield self.outputs(message=notice(sentence(error), "error"))
            return
        if subject:
            yield from self._wear_new(subject, wardrobe, settings, session)

    def _wear_new(
        self, subject: Subject, wardrobe: WardrobeValue, settings: dict[str, Any], session: SwapSession, pose: Pose | None = None
    ) -> Iterator:
        name = session.add_photo(subject)
        message = notice(subject.given.problem) if subject.given and subject.given.problem else ""
        yield self._everybody(session, {"value": name}, message=message)
        yield from self.wear(name, wardrobe, settings, session, pose)

    def forget(self, event: gr.EventData, session: SwapSession) -> tuple[Any, ...]:
        """The visitor removes one of their photos; a row with a garment of it is empty then."""
        session.remove_photo(str(event_payload(event)["name"]))
        session.planned = None
        return self._everybody(session)

    def photo_of_garment(self, path: str | None, wardrobe: WardrobeValue, session: SwapSession) -> tuple[Any, ...]:
        """A photo for the row that asked for one. The page answers by sending its pose again."""
        try:
            subject = self._read(path, session, wardrobe.row)
        except ImageError as error:
            return self.outputs(message=notice(sentence(error), "error"))
        return self._put(subject, wardrobe.row, session) if subject else self.outputs()

    def _put(self, subject: Subject, row: int, session: SwapSession) -> tuple[Any, ...]:
        name = session.add_photo(subject)
        return self._everybody(session, wardrobe={"put": {"into": row, "person": name, "n": session.photo_count}})

    def _read(self, path: str | None, session: SwapSession, row: int | None) -> Subject | None:
        """Who is in a photo; None when there are several, of whom the visitor is asked. Raises ImageError."""
        session.asked = None
        given = self.reader.read(PhotoFile(path or b"", Path(path or "the photo").name))
        if len(given.people) < 2:
            return self.reader.subject(given, session.cache)
        session.asked, session.asked_row = given, row
        return None

    def chosen_person(self, person: int, wardrobe: WardrobeValue, settings: dict[str, Any], session: SwapSession) -> Iterator:
        """The visitor said whom of several people in a photo is meant."""
        yield self.outputs()
        given, session.asked = session.asked, None
        if not given or person >= len(given.people):
            return
        try:
            subject = self.reader.subject(given, session.cache, person)
        except ImageError as error:
            yield self.outputs(message=notice(sentence(error), "error"))
            return
        if session.asked_row is None:
            yield from self._wear_new(subject, wardrobe, settings, session)
        else:
            yield self._put(subject, session.asked_row, session)

    # --- between the tabs -------------------------------------------------------------------------------------------

    def fetch(
        self,
        value: dict[str, Any],
        chosen: str | None,
        pose_session: Session,
        wardrobe: WardrobeValue,
        settings: dict[str, Any],
        session: SwapSession,
    ) -> Iterator:
        """The pose tab's person becomes the wearer, in the pose shown there."""
        yield self.outputs()
        self.studio.subject(chosen, pose_session)  # refuses one that has expired
        pose = formats.from_value(value)
        session.share_photos(pose_session)
        name = chosen or pose_session.shown
        yield self._everybody(session, {"value": name})
        yield from self.wear(name, wardrobe, settings, session, pose)

    def send(self, session: SwapSession, pose_session: Session, settings: dict[str, Any]) -> Iterator:
        """The result becomes the pose tab's person. Yields that tab's outputs, the tabs, and this tab's message."""
        if session.last is None:
            yield (*PoseEvents.changes(), gr.skip(), notice("There is no result yet.", "error"))
            return
        run, wearer, appearance = session.last.run, session.last.subject, session.last.appearance
        worn = None if appearance is wearer.person else appearance
        dressed = replace(wearer, title="Dressed", picture=data_url(run.images[-1]), given=None, whole_pose=None, dressed=worn)
        pose_session.shown = pose_session.add_photo(dressed)
        picker = self.people.picked(pose_session.shown, pose_session)
        message = notice("This is the person from the garments tab, with the garments on.")
        tabs = gr.Tabs(selected="pose")
        for outputs in self.people.open(dressed, pose_session.shown, picker, message, pose_session, run.pose, settings["seed"]):
            yield (*outputs, tabs, gr.skip())
            tabs = gr.skip()

    # --- the swap ---------------------------------------------------------------------------------------------------

    def enter(self, pose_session: Session, session: SwapSession) -> tuple[Any, ...]:
        """The tab is opened: the photos given in the other one are here, too."""
        session.share_photos(pose_session)
        return self._everybody(session)

    def begin(
        self,
        value: dict[str, Any],
        wearer: str | None,
        pose_session: Session,
        wardrobe: WardrobeValue,
        settings: dict[str, Any],
        session: SwapSession,
    ) -> Iterator:
        """The tab is seen for the first time, and only now is a result made: where the visitor left off, or the first one."""
        yield self.enter(pose_session, session)
        if session.edit or session.last:
            return
        here = {*self.studio.examples, *session.photos}
        wardrobe = wardrobe._replace(garments=[choice for choice in wardrobe.garments if choice.person in here])
        saved = settings.get("restore")
        if saved and saved["person"] in here:
            yield self.outputs(picker=PhotoPicker(value=saved["person"]))
            yield from self.wear(saved["person"], wardrobe, settings, session, formats.from_value({"joints": saved["joints"]}))
        else:
            yield from self.render(value, wearer, wardrobe, settings, session)

    def preview(
        self, value: dict[str, Any], wearer: str | None, wardrobe: WardrobeValue, settings: dict[str, Any], session: SwapSession
    ) -> Any:
        """While a joint is dragged: the newest plan in the new pose. Never raises, as that would end the drag."""
        try:
            subject, pose, seed = self.studio.subject(wearer, session), formats.from_value(value), settings["seed"]
            dressed = session.planned.dressed(subject, wardrobe.garments, seed) if session.planned else None
            return self.studio.preview_value(dressed or subject.appearance, pose, session, value["edit"], seed, in_photo=subject.in_photo)
        except (PoseError, gr.Error):
            return gr.skip()

    def released(self, value: dict[str, Any], session: SwapSession) -> None:
        self.studio.runner.announce(session, value["edit"])

    def choosing(self, session: SwapSession) -> None:
        self.studio.runner.announce(session, session.edit + 1)

    def render(
        self, value: dict[str, Any], wearer: str | None, wardrobe: WardrobeValue, settings: dict[str, Any], session: SwapSession
    ) -> Iterator:
        """A change is finished: all steps with the newest plan at once, then with a plan for this very pose if it differs."""
        edit = value["edit"]
        try:
            subject, pose = self.studio.subject(wearer, session), formats.from_value(value).require_drawable(self.studio.canvas)
        except PoseError as error:
            yield self.outputs(viewer={"edit": edit, "kind": "refused", "says": sentence(error)})
            return
        run = self.studio.runner.claim(session, edit)
        if not run:
            yield self.outputs()
            return
        parser = self.parser_loader.load()
        if parser is None and self.parser_loader.available:  # unusable weights
            yield self.outputs(wardrobe=Wardrobe(recognises=False))
        choices, message = _usable(wardrobe.garments, parser)
        givers = tuple(self.studio.subject(choice.person, session) for choice in choices)
        request = SwapRequest(subject, choices, givers, pose, settings["seed"], edit, run)
        yield from self._render_swap(request, session, parser, message) if choices else self._render_plain(request, session, message)

    def _render_plain(
        self, request: SwapRequest, session: SwapSession, message: str, kind: str = "info", recognised: dict[str, Any] | None = None
    ) -> Iterator:
        """The wearer as is, and why."""
        session.planned = None
        yield self.outputs(message=message and notice(message, kind), **(recognised or {}))
        yield from self._steps(request.wearer.appearance, request, session)
        if session.last and session.run == request.run:
            yield self.outputs(viewer=StepViewer(source=data_url(session.last.run.images[-1])))

    def _render_swap(self, request: SwapRequest, session: SwapSession, parser: ParseCache | None, message: str) -> Iterator:
        previous = session.planned
        early = previous.dressed(request.wearer, request.choices, request.seed) if previous else None
        if early:
            yield from self._steps(early, request, session)
        try:
            planned = self.studio.runner.run(self._plan, request, session, parser)
        except (SwapError, MaskError, PartError) as error:
            yield from self._render_plain(request, session, sentence(error), "error", self._recognised(request))
            return
        if planned is None or session.run != request.run:
            yield self.outputs()
            return
        session.planned = planned
        if not early or not previous.plan.same_coefficients(planned.plan):
            yield from self._steps(planned.put_on(), request, session, every_step=not early)
        notes = " ".join([message, *(sentence(ValueError(note)) for note in planned.plan.notes)]).strip()
        undressed = StepViewer(source=data_url(to_pil(planned.plan.rendering.image)))
        yield self.outputs(viewer=undressed, message=notice(notes) if notes else "", **self._recognised(request))

    def _plan(self, request: SwapRequest, session: SwapSession, parser: ParseCache | None) -> PlannedSwap | None:
        """Runs in the model's thread; None once a newer run has been claimed. Raises SwapError, MaskError and PartError."""
        if session.run != request.run:
            return None
        previous, garments, reuses = session.planned, request.garments(), 0
        if previous and previous.serves(request):
            planner, reuses = previous.planner, previous.reuses + 1
        else:
            planner = SwapPlanner(self.studio.pipeline, request.wearer.person, request.pose, parser=parser, seed=request.seed)
        for _ in planner.render(garments):
            if session.run != request.run:
                return None
        return PlannedSwap(request, planner.plan(garments), planner, reuses)

    def _steps(self, person: Appearance, request: SwapRequest, session: SwapSession, every_step: bool = True) -> Iterator:
        """The viewer's values of a run; the last one alone unless ``every_step``, when a result of the same edit is on screen."""
        studio, last = self.studio, self.studio.pipeline.config.steps
        frames = RunFrames(request.edit, last, request.pose, request.wearer.crop, self._settings(request))
        for output in studio.steps(person, request.pose, session, request.run, request.seed, in_photo=request.wearer.in_photo):
            frames.add(output)
            if output.step == last or (output.step and every_step):
                session.last = Result(frames.run, request.wearer, person, output, request.edit)
            if frames.is_due() and (every_step or output.step == last):
                yield self.outputs(viewer=frames.value())

    def _settings(self, request: SwapRequest) -> dict[str, Any]:
        """What a saved file says about how it was made."""
        made = self.studio.run_settings(request.wearer, formats.to_value(request.pose)["joints"], request.seed)
        return made | {"garments": request.garment_settings()}

    def _recognised(self, request: SwapRequest) -> dict[str, Any]:
        """Outputs: what the parser recognises in the wearer's and the givers' photos, and the masks of the garments chosen."""
        parser = self.parser_loader.load()
        if not parser:
            return {}
        subjects = dict.fromkeys([request.wearer, *request.givers])
        parses = {subject: self.studio.runner.run(parser.parse_image, subject.person.source[0]) for subject in subjects}
        photos = [ParsedPhoto(subject.title, subject.person.source[0], parse) for subject, parse in parses.items()]
        masks = [(choice, parses[giver].mask([choice.part])) for choice, giver in zip(request.choices, request.givers, strict=True)]
        found = [{"person": choice.person, "part": choice.part, "mask": mask_url(mask) if mask.any() else ""} for choice, mask in masks]
        return {"recognised": recognised_html(photos), "wardrobe": Wardrobe(found=found)}

    def stop(self, session: SwapSession) -> None:
        self.studio.runner.stop(session)

    def save(self, value: dict[str, Any], wearer: str | None, session: SwapSession, settings: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The newest result as a file."""
        if session.last is None or settings["save"]["kind"].startswith("film"):
            yield {"said": "There is no result yet." if session.last is None else "Films are made in the Pose tab."}
            return
        yield from SaveEvents(self.studio).save(value, None, session, settings)


def _usable(choices: Sequence[GarmentChoice], parser: ParseCache | None) -> tuple[tuple[GarmentChoice, ...], str]:
    """The garments that can be swapped, and a message if they are not all: without a parser, only those with a painted mask."""
    painted = tuple(choice for choice in choices if choice.mask is not None)
    if parser is None and len(painted) < len(choices):
        return painted, NO_PARSER
    return tuple(choices), "" if choices else NO_GARMENT

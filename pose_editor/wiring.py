"""Which event of the page calls what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from pose_editor import zero_gpu
from pose_editor.kept import line
from pose_editor.own_photo import OwnPhoto
from pose_editor.people import Session


@dataclass(frozen=True)
class Parts:
    """The components of the page that do something."""

    session: gr.State
    picker: Any
    photo: Any
    fit: Any
    crop: Any
    find: Any
    settle: Any
    cropper: Any
    editor: Any
    viewer: Any
    message: Any
    bar: Any
    download: Any


QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
RUN = QUIET | {"concurrency_id": "run", "concurrency_limit": 1, "trigger_mode": "multiple"}
PREVIEW = QUIET | {"trigger_mode": "always_last", "concurrency_id": "preview"}
SAVE = QUIET | {"trigger_mode": "multiple", "concurrency_id": "save", "concurrency_limit": 4}  # a film takes long, a picture does not
AT_ONCE = QUIET | {"queue": False, "trigger_mode": "multiple"}
SEARCH = QUIET | {"concurrency_id": "search", "concurrency_limit": 1}  # beside the runs, which must not wait for a download


def wire(studio: Any, own: OwnPhoto, on: Parts) -> list[Any]:
    """Only the newest pose of a visitor is worked on; see Studio.claim. Returns the events that bring an own photo."""
    wanted = [on.editor, on.picker, on.session, on.bar]
    opened = [on.editor, on.picker, on.message, on.viewer]
    if not zero_gpu.LENT:  # a GPU is lent for a run, and would be for every preview
        on.editor.drag(studio.preview, wanted, on.viewer, **PREVIEW)
    on.editor.release(studio.render, wanted, on.viewer, **RUN)  # sent first: the browser takes a moment for each
    on.editor.release(studio.released, [on.editor, on.session], None, **AT_ONCE)
    on.picker.select(studio.opening_other, [on.session], None, **AT_ONCE)
    on.viewer.stop(studio.stop, [on.session], None, **AT_ONCE)
    on.viewer.trace(studio.traced, [on.session], on.viewer, **PREVIEW)
    on.viewer.zoom(studio.zoomed, [on.session], on.viewer, **PREVIEW)
    on.bar.save(studio.save, wanted, on.download, **SAVE)
    chosen = on.picker.select(studio.open_example, [on.picker, on.session, on.bar], opened, **RUN)
    restored = on.bar.restore(studio.restore, [on.bar, on.session], opened, **RUN)
    given = on.photo.upload(own.given, [on.photo, on.session, on.bar], opened, **RUN)
    # As an output the state begins its time to live: an hour after a photo was given it is forgotten. Behind the event, not beside
    # it: with a second listener of its own the bar would be read when what it had to restore is gone.
    for giving in (given, restored):
        giving.then(_same, [on.session], [on.session], **AT_ONCE)
    return [restored, *_wire_own_photo(own, on, opened, given, (chosen, restored))]


def _same(session: Session) -> Session:
    return session


def _wire_own_photo(own: OwnPhoto, on: Parts, opened: list[Any], uploaded: Any, others: tuple[Any, ...]) -> list[Any]:
    given = [on.session, on.bar]
    tools = {"fn": own.tools, "inputs": [on.picker, on.session], "outputs": [on.fit, on.crop, on.find, on.settle]} | AT_ONCE
    openings = [
        uploaded,
        on.fit.input(own.refit, [on.fit, *given], opened, **RUN),
        on.cropper.crop(own.crop, [on.cropper, *given], opened, **RUN),
    ]
    for opening in openings:
        opening.then(**tools).then(own.find_at_once, given, opened, **SEARCH).then(**tools)
    on.picker.too_large(own.too_large, None, on.message, **AT_ONCE)
    on.picker.select(**tools)
    for opening in others:
        opening.then(**tools)  # once more for somebody just chosen, in case answers overtook each other
    on.crop.click(own.choose_window, [on.session], on.cropper, **AT_ONCE)
    on.settle.click(own.settle, [on.editor, on.picker, *given], opened, **RUN).then(**tools)
    on.find.click(own.find, [on.picker, *given], opened, **SEARCH).then(**tools)
    return openings


def tell_kept(page_line: gr.HTML, states: list[gr.State], events: list[Any]) -> None:
    """Keep the line about the visitor's photos up to date; ``states`` are those of the tabs, ``events`` what may bring a photo."""

    def kept(*visits: Session) -> str:
        return line(*(visit.kept for visit in visits))

    for event in events:
        event.then(kept, states, page_line, **AT_ONCE)

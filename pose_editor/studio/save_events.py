"""Saving: the newest result as a file, with more pixels than the canvas, or a film from one pose to another."""

from __future__ import annotations

import base64
import functools
import time
from collections.abc import Iterator
from typing import Any

import gradio as gr
from PIL import Image
from torch import Tensor

from nted_step.image import to_pil
from nted_step.person import Appearance
from nted_step.pose import Pose
from pose_editor import formats
from pose_editor.interpolation import tween
from pose_editor.run_bar import KINDS as ALL_KINDS
from pose_editor.serving.listening import Listener
from pose_editor.studio import export
from pose_editor.studio.presentation import data_url
from pose_editor.studio.session import Result, Session
from pose_editor.studio.studio import LARGE, Studio
from pose_editor.viewer import StepViewer
from pose_editor.widget import sentence

FILM_SCALES = {"gif": 2, "mp4": LARGE}  # times the canvas's pixels along each side; a GIF takes many bytes for each
KINDS = tuple(kind for kind in ALL_KINDS if not kind.startswith("film"))  # those that are saved without further work


class SaveEvents:
    """The events that make more of a result than the page shows."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def save(self, value: dict[str, Any], chosen: str | None, session: Session, settings: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The visitor's newest result as a file to download."""
        result, wanted = session.last or self.studio.opened, settings["save"]
        try:
            if wanted["kind"] not in KINDS:
                raise ValueError("films are asked for on their own")
            if wanted["kind"] in export.LARGE:
                name, mime, data = export.large(result.run, wanted["kind"], *self.studio.runner.run(self._enlarge, result))
            else:
                name, mime, data = export.save(result.run, wanted["kind"], wanted["step"])
        except ValueError as error:
            yield {"said": sentence(error)}
            return
        yield _download(name, mime, data)

    def save_film(self, value: dict[str, Any], chosen: str | None, session: Session, settings: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """A film from the photo's pose to the editor's, as a file to download."""
        try:
            if not settings["save"]["kind"].startswith("film-"):
                raise ValueError("only films are made here")
            yield _download(*(yield from self._save_film(value, chosen, session, settings)))
        except ValueError as error:
            yield {"said": sentence(error)}

    def _save_film(self, value: dict[str, Any], chosen: str | None, session: Session, settings: dict[str, Any]) -> Any:
        subject, frames = self.studio.subject(chosen, session), settings["save"]["frames"]
        images: list[Image.Image] = []
        poses = subject.pose, formats.from_value(value)
        kind = settings["save"]["kind"].removeprefix("film-")
        for image in self.film(subject.appearance, *poses, frames, settings["seed"], FILM_SCALES[kind], in_photo=subject.in_photo):
            images.append(image)
            yield {"said": f"Making the film: {len(images)} of {frames} poses…"}
        made = self.studio.run_settings(subject, value["joints"], settings["seed"]) | {"film_poses": frames}
        return export.film(images, kind, made)

    def film(
        self, appearance: Appearance, first: Pose, last: Pose, frames: int, seed: int, scale: int, *, in_photo: bool = False
    ) -> Iterator[Image.Image]:
        """The last step of every pose on the way from one to the other, all from the same noise, with ``scale`` times the canvas's pixels
        along each side.

        Raises ValueError, and LeftError between two poses once nobody waits for the film.
        """
        pipeline, runner, listener = self.studio.pipeline, self.studio.runner, Listener()
        size = scale * self.studio.canvas[0], scale * self.studio.canvas[1]
        for pose in tween(first, last, frames):
            listener.require()
            *_, output = runner.iterate(pipeline.generate(appearance, pose, seed=seed))
            yield to_pil(runner.run(functools.partial(pipeline.enlarge, in_photo=in_photo), appearance, pose, output, size)[0])

    def zoomed(self, session: Session) -> Any:
        """The lens is on the newest result: the same with more pixels."""
        result = session.last or self.studio.opened
        if result.output.step < self.studio.pipeline.config.steps or result.subject.pipeline is not self.studio.pipeline:
            return gr.skip()
        image, _ = self.studio.runner.run(self._enlarge, result)
        return StepViewer(zoomed={"edit": result.edit, "url": data_url(image)})

    def _enlarge(self, result: Result) -> tuple[Image.Image, Tensor | None]:
        """A finished result with LARGE times the canvas's pixels, and the person's mask H x W, or None where nothing is carried."""
        height, width = self.studio.canvas
        size = (LARGE * height, LARGE * width)
        pose, in_photo = result.run.pose, result.subject.in_photo
        image, mask = self.studio.pipeline.enlarge(result.appearance, pose, result.output, size, in_photo=in_photo)
        return to_pil(image), mask


def _download(name: str, mime: str, data: bytes) -> dict[str, Any]:
    """The value of a download: a new one each time, or else the second click would do nothing."""
    return {"name": name, "url": f"data:{mime};base64,{base64.b64encode(data).decode()}", "n": time.time()}

"""A run as files: pictures and animations with their settings inside, and everything together in a ZIP."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
from PIL import Image, PngImagePlugin
from torch import Tensor

from nted_step.image import encode_animation, encode_image
from nted_step.output import FRAME_MS, LAST_FRAME_MS, cut_out, strip
from nted_step.pose import Pose
from pose_editor import formats

KEY = "nted-step"  # of the settings in a picture's metadata
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
REST_FRAMES = round(LAST_FRAME_MS / FRAME_MS)


@dataclass(frozen=True)
class Run:
    """What one result was made of. Images are canvas-sized and start with step 0.

    Attributes:
        crop: (left, top, right, bottom) of the canvas that is not padding.
    """

    images: Sequence[Image.Image]
    labels: Sequence[str]
    pose: Pose
    crop: tuple[int, int, int, int]
    settings: Mapping[str, Any]


def save(run: Run, kind: str, step: int) -> tuple[str, str, bytes]:
    """(file name, media type, bytes) of one of ``FILES`` or of ``"zip"``."""
    if kind == "zip":
        return "nted-step.zip", "application/zip", _zip(run)
    name, mime, write = FILES[kind]
    step = min(step, len(run.images) - 1)
    return name.format(step), mime, write(run, step)


def large(run: Run, kind: str, image: Image.Image, mask: Tensor | None) -> tuple[str, str, bytes]:
    """(file name, media type, bytes) of one of ``LARGE``: the result with more pixels than the canvas, or the person cut out of it.

    mask: H x W in [0, 1] of the image's size; None where there is none. Raises ValueError for a cut-out without one.
    """
    scale = image.width // run.images[-1].width
    if kind == "cutout":
        if mask is None:
            raise ValueError("a cut-out needs to know the pose in the photo: drag the joints onto the body and press “Joints fit” first")
        image = cut_out(image, mask)
    return LARGE[kind], "image/png", png(image.crop(tuple(scale * edge for edge in run.crop)), run.settings)


def png(image: Image.Image, settings: Mapping[str, Any]) -> bytes:
    """A PNG with the settings as text."""
    info = PngImagePlugin.PngInfo()
    info.add_text(KEY, json.dumps(settings))
    return encode_image(image, pnginfo=info)


def gif(images: Sequence[Image.Image], settings: Mapping[str, Any]) -> bytes:
    return _animated(images, "GIF", comment=json.dumps(settings).encode())


def webp(images: Sequence[Image.Image], settings: Mapping[str, Any]) -> bytes:
    return _animated(images, "WEBP", quality=88, method=2, xmp=_xmp(settings))


def film(images: Sequence[Image.Image], kind: str, settings: Mapping[str, Any]) -> tuple[str, str, bytes]:
    """There and back again, as ``"gif"`` or ``"mp4"``."""
    there_and_back = [*images, *images[-2:0:-1]]
    if kind == "mp4":
        return "film.mp4", "video/mp4", mp4(there_and_back, settings)
    return "film.gif", "image/gif", gif(there_and_back, settings)


def mp4(images: Sequence[Image.Image], settings: Mapping[str, Any]) -> bytes:
    """An MP4 in H.264 that ends with a rest. The settings are its comment.

    Colours are stored for every second pixel, so an odd last row or column is left out.
    """
    width, height = (size - size % 2 for size in images[0].size)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        container.metadata["comment"] = json.dumps(settings)
        stream = container.add_stream("libx264", rate=Fraction(1000, FRAME_MS), options={"crf": "18", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for image in [*images, *[images[-1]] * REST_FRAMES]:
            container.mux(stream.encode(av.VideoFrame.from_image(image.crop((0, 0, width, height)))))
        container.mux(stream.encode())
    return buffer.getvalue()


@contextlib.contextmanager
def telling_of_room() -> Iterator[None]:
    """Turns a full disk into a ValueError with one line for whoever wanted the file."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise ValueError(f"the server has no room for this file ({os.strerror(error.errno)}); try again later") from None


def _animated(images: Sequence[Image.Image], kind: str, **options: Any) -> bytes:
    return encode_animation(images, kind, [FRAME_MS] * (len(images) - 1) + [LAST_FRAME_MS], **options)


def _xmp(settings: Mapping[str, Any]) -> bytes:
    text = json.dumps(settings).replace("&", "&amp;").replace("<", "&lt;")
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        f'rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:source>{text}</dc:source></rdf:Description></rdf:RDF></x:xmpmeta>'
    ).encode()


def _zip(run: Run) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for step in range(len(run.images)):
            archive.writestr(f"step_{step:02d}.png", FILES["step"][2](run, step))
        for kind in ("result", "strip", "gif", "webp", "mp4"):
            name, _, write = FILES[kind]
            archive.writestr(name, write(run, 0))
        archive.writestr("pose.json", json.dumps(formats.to_openpose(run.pose, run.images[0].size[::-1]), indent=1) + "\n")
        archive.writestr("run.json", json.dumps(dict(run.settings), indent=2) + "\n")
    return buffer.getvalue()


LARGE = {"large": "result_large.png", "cutout": "cutout.png"}
FILES: dict[str, tuple[str, str, Callable[[Run, int], bytes]]] = {
    "result": ("result.png", "image/png", lambda run, _: png(run.images[-1].crop(run.crop), run.settings)),
    "step": ("step_{:02d}.png", "image/png", lambda run, step: png(run.images[step], dict(run.settings) | {"step": step})),
    "strip": ("strip.png", "image/png", lambda run, _: png(strip(run.images, run.labels), run.settings)),
    "gif": ("steps.gif", "image/gif", lambda run, _: gif(run.images, run.settings)),
    "webp": ("steps.webp", "image/webp", lambda run, _: webp(run.images, run.settings)),
    "mp4": ("steps.mp4", "video/mp4", lambda run, _: mp4(run.images, run.settings)),
}

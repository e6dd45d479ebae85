"""A run as files: pictures and animations with their settings inside, and everything together in a ZIP."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, PngImagePlugin
from torch import Tensor

from nted_step.image import encode_animation, encode_image
from nted_step.output import FRAME_MS, LAST_FRAME_MS, cut_out, strip
from nted_step.pose import Pose
from pose_editor import formats

KEY = "nted-step"  # of the settings in a picture's metadata
XMP_BOX = b"uuid" + bytes.fromhex("BE7ACFCB97A942E89C71999491E3AFAC")  # the box in an MP4 that holds XMP
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
    """An MP4 that ends with a rest. OpenCV writes only to files, so there is a file for a moment.

    Raises ValueError where OpenCV cannot write MP4, or there is no room for the file.
    """
    with telling_of_room(), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "steps.mp4"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 1000 / FRAME_MS, images[0].size)
        if not writer.isOpened():
            require_room(path.with_name("room"))
            raise ValueError("this OpenCV cannot write MP4; choose GIF or WebP")
        for image in [*images, *[images[-1]] * REST_FRAMES]:
            writer.write(np.asarray(image)[:, :, ::-1])
        writer.release()
        data, xmp = path.read_bytes(), XMP_BOX + _xmp(settings)
        if not is_whole_mp4(data):  # OpenCV does not say
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return data + (4 + len(xmp)).to_bytes(4, "big") + xmp


@contextlib.contextmanager
def telling_of_room() -> Iterator[None]:
    """Turns a full disk into a ValueError with one line for whoever wanted the file."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise ValueError(f"the server has no room for this file ({os.strerror(error.errno)}); try again later, or save a GIF") from None


def require_room(path: Path) -> None:
    """Write some bytes where a file could not be written. Raises OSError."""
    path.write_bytes(bytes(2**16))


def is_whole_mp4(data: bytes) -> bool:
    """Whether an MP4 was written to its end: its boxes fill it, and the table of its pictures, which is written last, is there."""
    at, kinds = 0, set()
    while at + 8 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if size == 1:  # a long box, whose size follows
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size < 8:
            return False
        kinds.add(kind)
        at += size
    return at == len(data) and {b"moov", b"mdat"} <= kinds


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

"""The image boundary: bounded decoding of untrusted files into the model's range, and back to 8 bits."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

MAX_BYTES = 20 * 2**20
MAX_PIXELS = 40_000_000
MAX_ASPECT = 8  # longer side over shorter side
MIN_SIDE = 16
FORMATS = ("JPEG", "PNG", "WEBP")
FITS = ("auto", "crop", "pad")
MIN_SHARE = 0.08  # of the whole photo that a window of it may be

Fit = str | tuple[float, float, float]
"""A name out of ``FITS``, or a window (left, top, share) of the whole photo on white, each as a fraction of that canvas."""


class ImageError(ValueError):
    """A picture that cannot be used; the message is one line that names it and says why."""


@dataclass(frozen=True)
class FittedPhoto:
    """A photo on the model's canvas, never stretched.

    Attributes:
        image: 3 x H x W float32 RGB in [-1, 1].
        box: (x0, y0, x1, y1), the part of the upright photo that the canvas shows, in photo pixels; it reaches beyond
            the photo where the canvas was padded with white.
        photo_size: (height, width) of the upright photo.
    """

    image: Tensor
    box: tuple[float, float, float, float]
    photo_size: tuple[int, int]

    def content(self) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) of the canvas pixels that hold the photo and not padding."""
        height, width = self.image.shape[1:]
        x0, y0, x1, y1 = self.box
        scale_x, scale_y = width / (x1 - x0), height / (y1 - y0)
        photo_height, photo_width = self.photo_size
        left, top = max(0, round(-x0 * scale_x)), max(0, round(-y0 * scale_y))
        right = min(width, round((photo_width - x0) * scale_x))
        bottom = min(height, round((photo_height - y0) * scale_y))
        return left, top, right, bottom

    def window(self) -> tuple[float, float, float]:
        """What the canvas shows as a window of the whole photo on white; ``load_photo(fit=...)`` takes it back."""
        _, height, width = self.image.shape
        x0, y0, x1, y1 = fit_box(self.photo_size, (height, width), "pad")
        left, top, right, _ = self.box
        return (left - x0) / (x1 - x0), (top - y0) / (y1 - y0), (right - left) / (x1 - x0)


def load_photo(source: str | Path | bytes, size: tuple[int, int] = (256, 176), fit: Fit = "auto", name: str | None = None) -> FittedPhoto:
    """Decode a photo and fit it to the canvas.

    Args:
        source: path, or the file's bytes: JPEG, PNG or WebP, at most 20 MiB and 40 megapixels.
        size: canvas (H, W).
        fit: ``"crop"`` covers the canvas and cuts what stands over, ``"pad"`` shows the whole photo on white, ``"auto"``
            crops the sides of a photo that is too wide and pads one that is too tall, so that feet are never cut; or a
            window (left, top, share) of what ``"pad"`` shows, in fractions of it.
        name: what errors call it; the path by default.

    Raises:
        ImageError: one line that names the picture and what is wrong.
    """
    check_fit(fit)
    name = name or ("the picture" if isinstance(source, bytes) else str(source))
    photo = decode(_read(source, name), name)
    box = fit_box((photo.height, photo.width), size, fit)
    if min(box[2], photo.width) - max(box[0], 0) < 1 or min(box[3], photo.height) - max(box[1], 0) < 1:
        raise ImageError(f"{name}: that window shows nothing of the photo")
    return FittedPhoto(to_tensor(_cut(photo, box, size)), box, (photo.height, photo.width))


def check_fit(fit: Fit) -> Fit:
    """The fit itself, if it is one. Raises ValueError."""
    if isinstance(fit, str):
        if fit not in FITS:
            raise ValueError(f"fit must be one of {', '.join(FITS)}, not {fit!r}")
        return fit
    left, top, share = fit
    if not (share >= MIN_SHARE and left >= 0 and top >= 0 and left + share <= 1 + 1e-6 and top + share <= 1 + 1e-6):
        raise ValueError(f"a window must lie on the photo and show at least {MIN_SHARE:.0%} of it")
    return fit


def too_many_bytes(name: str, size: int) -> str:
    """The message about a file that is too large to be read."""
    return f"{name}: {size / 2**20:.0f} MiB is more than the {MAX_BYTES // 2**20} MiB allowed; save it smaller"


def decode(data: bytes, name: str = "the picture") -> Image.Image:
    """Bytes -> upright 8-bit RGB, transparency over white, no metadata. Raises ImageError before anything large is decoded."""
    if len(data) > MAX_BYTES:
        raise ImageError(too_many_bytes(name, len(data)))
    if not data:
        raise ImageError(f"{name}: the file is empty")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_size(image.size, name)
            image.draft("RGB", (2048, 2048))  # lets the JPEG decoder skip detail that fitting would discard
            image.load()
            return _to_rgb(ImageOps.exif_transpose(image))
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError(f"{name}: not a JPEG, PNG or WebP picture") from None
    except Image.DecompressionBombError:
        raise ImageError(f"{name}: more than {MAX_PIXELS // 10**6} megapixels; save it smaller") from None
    except Exception as error:  # Pillow's decoders raise many kinds on damaged data; all mean the same to a person
        raise ImageError(f"{name}: damaged or cut short ({str(error).splitlines()[0] if str(error) else type(error).__name__})") from None


def fit_box(photo_size: tuple[int, int], size: tuple[int, int], fit: Fit = "auto") -> tuple[float, float, float, float]:
    """The part (x0, y0, x1, y1) of a photo that a canvas of (H, W) shows, centred; see :func:`load_photo` for ``fit``."""
    if not isinstance(fit, str):
        return _window_box(fit_box(photo_size, size, "pad"), fit)
    height, width = photo_size
    wide = width * size[0] > height * size[1]
    by_height = wide if fit in ("auto", "crop") else not wide
    if fit == "auto" and not wide:
        by_height = True
    scale = height / size[0] if by_height else width / size[1]
    half_width, half_height = size[1] * scale / 2, size[0] * scale / 2
    return (width / 2 - half_width, height / 2 - half_height, width / 2 + half_width, height / 2 + half_height)


def _window_box(whole: tuple[float, float, float, float], window: tuple[float, float, float]) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = whole
    left, top, share = window
    width, height = x1 - x0, y1 - y0
    return x0 + left * width, y0 + top * height, x0 + (left + share) * width, y0 + (top + share) * height


def to_tensor(image: Image.Image) -> Tensor:
    """8-bit RGB picture -> 3 x H x W float32 in [-1, 1]."""
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).float() / 127.5 - 1


def to_uint8(image: Tensor) -> np.ndarray:
    """3 x H x W in [-1, 1] -> H x W x 3 uint8, clamped and rounded."""
    levels = (np.clip(image.detach().float().cpu().numpy(), -1, 1) + 1) * 127.5
    return levels.round().astype(np.uint8).transpose(1, 2, 0)


def to_pil(image: Tensor) -> Image.Image:
    """3 x H x W in [-1, 1] -> 8-bit RGB picture."""
    return Image.fromarray(to_uint8(image))


def _read(source: str | Path | bytes, name: str) -> bytes:
    if isinstance(source, bytes):
        return source
    try:
        with open(source, "rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ImageError(f"{name}: {error.strerror or 'cannot be read'}") from None


def _check_size(size: tuple[int, int], name: str) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise ImageError(f"{name}: {width}x{height} is more than {MAX_PIXELS // 10**6} megapixels; save it smaller")
    if min(size) < MIN_SIDE or max(size) > MAX_ASPECT * min(size):
        raise ImageError(f"{name}: {width}x{height} is too small or too narrow for a photo of a person")


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit grey: Pillow's own conversion clips instead of scaling
        image = Image.fromarray((np.asarray(image).astype(np.float64) / 257).round().clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return Image.frombytes("RGB", image.size, image.convert("RGB").tobytes())  # a fresh picture: EXIF stays behind


def _cut(photo: Image.Image, box: tuple[float, float, float, float], size: tuple[int, int]) -> Image.Image:
    """The box of the photo at canvas size, white where it reaches beyond the photo."""
    x0, y0, x1, y1 = box
    height, width = size
    inside = (max(x0, 0.0), max(y0, 0.0), min(x1, photo.width), min(y1, photo.height))
    scale_x, scale_y = width / (x1 - x0), height / (y1 - y0)
    target = (max(1, round((inside[2] - inside[0]) * scale_x)), max(1, round((inside[3] - inside[1]) * scale_y)))
    part = photo.resize(target, Image.Resampling.LANCZOS, box=inside)
    canvas = Image.new("RGB", (width, height), "white")
    canvas.paste(part, (round((inside[0] - x0) * scale_x), round((inside[1] - y0) * scale_y)))
    return canvas


def encode_image(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The bytes of a picture file; ``options`` are Pillow's for the format."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def encode_animation(images: Sequence[Image.Image], kind: str, durations: Sequence[int], **options: Any) -> bytes:
    """The bytes of an endless animation, ``"GIF"`` or ``"WEBP"``; ``durations`` of the frames in milliseconds."""
    return encode_image(images[0], kind, save_all=True, append_images=list(images[1:]), duration=list(durations), loop=0, **options)

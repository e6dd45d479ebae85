"""The image boundary: bounded decoding of untrusted files into the model's range, and back to 8 bits."""

from __future__ import annotations

import contextlib
import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageCms, UnidentifiedImageError
from torch import Tensor

from nted_step.jpeg_header import START, read_header
from nted_step.orientation import orientation

MAX_BYTES = 20 * 2**20
MAX_PIXELS = 40_000_000  # that are decoded
MAX_JPEG_PIXELS = 65_000_000  # of a JPEG that is decoded row by row, at a half or less in both directions where it is large
MAX_ASPECT = 8  # longer side over shorter side
MIN_SIDE = 16
KEPT_SIDE = 2048  # pixels of the shorter side that shrinking a large photo leaves
FORMATS = ("JPEG", "PNG", "WEBP")
READ = "JPEG, PNG or WebP picture"
MAX_TEXT = 2**16  # bytes of a text in a PNG; editors say there which way is up
MAX_PACKED_TEXT = 1000  # a thousand times as much, unpacked, is within Pillow's limit
MAX_PROFILE = 2**20  # bytes of a colour profile, Pillow's limit for those in PNGs
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
        photo_size: (height, width) of the upright photo, as it was read: large photos are read smaller.
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

    def lay(self, picture: Image.Image, fill: str = "black") -> Image.Image:
        """A picture of the same photo, such as a mask drawn on it, laid onto the canvas as the photo was.

        Args:
            picture: upright, of the photo's shape and any size.
            fill: colour of what lies beyond the photo.

        Returns:
            RGB, of the canvas's size.
        """
        _, height, width = self.image.shape
        scale_x, scale_y = picture.width / self.photo_size[1], picture.height / self.photo_size[0]
        x0, y0, x1, y1 = self.box
        return _cut(picture, (x0 * scale_x, y0 * scale_y, x1 * scale_x, y1 * scale_y), (height, width), fill)

    def window(self) -> tuple[float, float, float]:
        """What the canvas shows as a window of the whole photo on white; ``load_photo(fit=...)`` takes it back."""
        _, height, width = self.image.shape
        x0, y0, x1, y1 = fit_box(self.photo_size, (height, width), "pad")
        left, top, right, _ = self.box
        return (left - x0) / (x1 - x0), (top - y0) / (y1 - y0), (right - left) / (x1 - x0)


def load_photo(source: str | Path | bytes, size: tuple[int, int] = (256, 176), fit: Fit = "auto", name: str | None = None) -> FittedPhoto:
    """Decode a photo and fit it to the canvas.

    Args:
        source: path, or the file's bytes: JPEG, PNG or WebP by content, at most 20 MiB, 8:1 and 40 megapixels (JPEGs as
            cameras write them: 65).
        size: canvas (H, W).
        fit: ``"crop"`` covers the canvas and cuts what stands over, ``"pad"`` shows the whole photo on white, ``"auto"``
            crops the sides of a photo that is too wide and pads one that is too tall, so that feet are never cut; or a
            window (left, top, share) of what ``"pad"`` shows, in fractions of it.
        name: what errors call it; the path by default.

    Raises:
        ImageError: one line that names the picture and what is wrong.
    """
    return load_photos(source, [(size, fit)], name)[0]


def load_photos(source: str | Path | bytes, wanted: Sequence[tuple[tuple[int, int], Fit]], name: str | None = None) -> list[FittedPhoto]:
    """As :func:`load_photo`, onto several canvases, each with its own size (H, W) and fit; the photo is decoded once. Raises ImageError."""
    for _, fit in wanted:
        check_fit(fit)
    name = name or ("the picture" if isinstance(source, bytes) else str(source))
    photo = _flat(*_load(_read(source, name), name))
    return [_fitted(photo, size, fit, name) for size, fit in wanted]


def _fitted(photo: Image.Image, size: tuple[int, int], fit: Fit, name: str) -> FittedPhoto:
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
    """The bytes of a picture file -> upright 8-bit sRGB, transparency over white, the first frame, no metadata.

    Pictures of which both sides are at least twice ``KEPT_SIDE`` are shrunk by a whole number. Raises ImageError, for what
    is too large before anything of it is decoded.
    """
    return _to_srgb(_flat(*_load(data, name)))


def read_picture(source: str | Path | bytes, name: str | None = None) -> Image.Image:
    """A picture file, upright, in its own mode: with its alpha, palette or 16 bits, for what is not a photo. Raises ImageError.

    Only large JPEGs, which hold no exact values, are shrunk. Limits are those of :func:`load_photo`.
    """
    name = name or ("the picture" if isinstance(source, bytes) else str(source))
    image, turn = _load(_read(source, name), name)
    return image if turn is None else image.transpose(turn)


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


def _load(data: bytes, name: str) -> tuple[Image.Image, Image.Transpose | None]:
    """The first frame as it is stored, and how to turn it upright. Raises ImageError before anything large is decoded."""
    if len(data) > MAX_BYTES:
        raise ImageError(too_many_bytes(name, len(data)))
    if not data:
        raise ImageError(f"{name}: the file is empty; save or send it again")
    kind = _other_kind(data)
    try:
        header = read_header(data) if data.startswith(START) else None
        with Image.open(io.BytesIO(header.reduced if header else _without_long_text(data)), formats=FORMATS) as image:
            if header and (image.size, len(image.getbands())) != (header.size, header.components):
                raise ValueError("its header tells two sizes")
            _check_size(image.size, name, MAX_JPEG_PIXELS if header and header.streamed else MAX_PIXELS)
            image.draft("RGB", (KEPT_SIDE, KEPT_SIDE))  # lets the JPEG decoder skip detail that fitting would discard
            _check_size(image.size, name)
            image.load()
            exif, xmp = (header.exif, header.xmp) if header else _metadata(image)
            return image, _TURNS.get(orientation(exif, xmp))
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError(f"{name}: not a {READ}{f' but {kind}' if kind else ''}; {_REMEDIES.get(kind, 'save it as JPEG')}") from None
    except Image.DecompressionBombError:
        raise ImageError(f"{name}: more than {MAX_PIXELS // 10**6} megapixels; save it smaller") from None
    except Exception as error:  # Pillow's decoders raise many kinds on damaged data; all mean the same to a person
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ImageError(f"{name}: damaged or cut short ({reason}); save or send it again") from None


def _check_size(size: tuple[int, int], name: str, most: int = MAX_PIXELS) -> None:
    width, height = size
    if width * height > most:
        raise ImageError(f"{name}: {width}x{height} is more than {most // 10**6} megapixels; save it smaller")
    if min(size) < MIN_SIDE or max(size) > MAX_ASPECT * min(size):
        raise ImageError(
            f"{name}: {width}x{height} is too small or too narrow for a photo of a person; "
            f"its sides may be {MIN_SIDE} pixels or more, and {MAX_ASPECT}:1 at most"
        )


# HEIC and AVIF are not read. An AVIF file can declare 100x100 pixels and hold far more, which the decoder unpacks before it
# shrinks them, so that no limit is kept; of libheif, which reads HEIC, crafted files have run code (CVE-2026-84383).
_STARTS = (
    ("a GIF", 0, b"GIF8"), ("a TIFF or a camera's raw file", 0, b"II*\0"), ("a TIFF or a camera's raw file", 0, b"MM\0*"),
    ("a BMP", 0, b"BM"), ("a JPEG 2000", 4, b"jP  "), ("a JPEG 2000", 0, b"\xff\x4f\xff\x51"), ("a JPEG XL", 4, b"JXL "),
    ("a JPEG XL", 0, b"\xff\x0a"), ("a Photoshop file", 0, b"8BPS"), ("a PDF", 0, b"%PDF"), ("an EPS", 0, b"%!PS"),
)  # fmt: skip
_BRANDS = {
    "a HEIC photo": (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1"),
    "an AVIF picture": (b"avif", b"avis"),
}
_REMEDIES: dict[str | None, str] = {
    "a HEIC photo": "save it as JPEG (on an iPhone: Settings, Camera, Formats, Most Compatible)",
    "a video": "save one picture of it as JPEG",
}


def _other_kind(data: bytes) -> str | None:
    """What a file is that is not read, by its first bytes, with an article; None if that is not known."""
    if data[4:8] == b"ftyp":
        brands = {data[8:12], *(data[at : at + 4] for at in range(16, min(int.from_bytes(data[:4], "big"), 128), 4))}
        if brands & set(_BRANDS["an AVIF picture"]):
            return "an AVIF picture"
        return "a HEIC photo" if brands & set(_BRANDS["a HEIC photo"]) else "a video"
    if b"<svg" in data[:1000]:
        return "an SVG drawing"
    return next((kind for kind, at, start in _STARTS if data.startswith(start, at)), None)


def _without_long_text(data: bytes) -> bytes:
    """A PNG without what Pillow refuses a whole picture for: text, or a colour profile, that is too long unpacked."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    kept, at = [data[:8]], 8
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        kind, body = data[at + 4 : at + 8], memoryview(data)[at + 8 : max(end - 4, at + 8)]
        packed = kind == b"zTXt" or (kind == b"iTXt" and b"\0\1" in bytes(body[:81]))  # after the name, of at most 79 bytes
        long = kind in (b"tEXt", b"zTXt", b"iTXt") and len(body) > (MAX_PACKED_TEXT if packed else MAX_TEXT)
        if not (long or (kind == b"iCCP" and _unpacks_beyond(bytes(body), MAX_PROFILE))):
            kept.append(data[at:end])
        at = end
    return b"".join(kept)


def _unpacks_beyond(body: bytes, most: int) -> bool:
    packed = body[body.find(b"\0") + 2 :]  # after a name and the method
    try:
        return len(zlib.decompressobj().decompress(packed, most + 1)) > most
    except zlib.error:
        return True


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}  # fmt: skip


def _metadata(image: Image.Image) -> tuple[bytes, bytes]:
    """(EXIF, XMP) of a PNG or WebP, as they stand in the file."""
    exif, xmp = image.info.get("exif"), image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if exif is None:
        with contextlib.suppress(ValueError):  # as ImageMagick puts it into a text
            exif = bytes.fromhex("".join(str(image.info.get("Raw profile type exif", "")).split("\n")[3:]))
    return exif or b"", xmp.encode() if isinstance(xmp, str) else xmp or b""


def _flat(image: Image.Image, turn: Image.Transpose | None) -> Image.Image:
    """Upright L, RGB or CMYK of 8 bits, over white, not larger than is of use. ``info`` keeps the colour profile."""
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I"):
        image = _to_8_bits(image)
    if image.has_transparency_data:
        grey, image = image.mode == "LA", image.convert("RGBA")
        canvas = Image.new("L" if grey else "RGB", image.size, "white")
        canvas.paste(image.convert("L") if grey else image, mask=image.getchannel("A"))
        image = canvas
    elif image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    if min(image.size) >= 2 * KEPT_SIDE:
        image = image.reduce(min(image.size) // KEPT_SIDE)
    if turn is not None:
        image = image.transpose(turn)
    image.info = {"icc_profile": profile} if isinstance(profile, bytes) else {}
    return image


def _to_8_bits(image: Image.Image) -> Image.Image:
    """16-bit grey -> L. Pillow's own conversion clips instead of scaling. In strips, so that wide numbers stay few."""
    levels = np.empty((image.height, image.width), np.uint8)
    for top in range(0, image.height, 256):
        strip = np.asarray(image.crop((0, top, image.width, min(top + 256, image.height))))
        levels[top : top + 256] = ((np.clip(strip.astype(np.int64), 0, 65535) + 128) // 257).astype(np.uint8)
    return Image.fromarray(levels)


def _to_srgb(image: Image.Image) -> Image.Image:
    """L, RGB or CMYK -> sRGB by the colour profile in ``info``; a damaged or unfitting profile is ignored. Without metadata."""
    profile = image.info.get("icc_profile")
    if profile and len(profile) <= MAX_PROFILE * 4:  # the profiles of presses take a megabyte or two
        with contextlib.suppress(ImageCms.PyCMSError, OSError, ValueError, TypeError):
            own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            space = own.profile.xcolor_space.strip()
            if space == "RGB" and image.mode == "L":
                image = image.convert("RGB")
            if (space, image.mode) in (("RGB", "RGB"), ("GRAY", "L"), ("CMYK", "CMYK")):
                converted = ImageCms.profileToProfile(
                    image, own, ImageCms.createProfile("sRGB"), ImageCms.Intent.RELATIVE_COLORIMETRIC, "RGB",
                    flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
                )  # fmt: skip
                image = converted or image
    return Image.frombytes("RGB", image.size, image.convert("RGB").tobytes())  # a fresh picture: EXIF stays behind


def _cut(photo: Image.Image, box: tuple[float, float, float, float], size: tuple[int, int], fill: str = "white") -> Image.Image:
    """The box of the photo at canvas size, in sRGB, filled where it reaches beyond the photo."""
    x0, y0, x1, y1 = box
    height, width = size
    inside = (max(x0, 0.0), max(y0, 0.0), min(x1, photo.width), min(y1, photo.height))
    scale_x, scale_y = width / (x1 - x0), height / (y1 - y0)
    left, top = min(round((inside[0] - x0) * scale_x), width - 1), min(round((inside[1] - y0) * scale_y), height - 1)
    right, bottom = round((inside[2] - x0) * scale_x), round((inside[3] - y0) * scale_y)
    part = photo.resize((max(1, right - left), max(1, bottom - top)), Image.Resampling.LANCZOS, box=inside)
    canvas = Image.new("RGB", (width, height), fill)
    canvas.paste(_to_srgb(part), (left, top))  # colours last: of far fewer pixels
    return canvas


def encode_image(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The bytes of a picture file; ``options`` are Pillow's for the format."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def encode_animation(images: Sequence[Image.Image], kind: str, durations: Sequence[int], **options: Any) -> bytes:
    """The bytes of an endless animation, ``"GIF"`` or ``"WEBP"``; ``durations`` of the frames in milliseconds."""
    return encode_image(images[0], kind, save_all=True, append_images=list(images[1:]), duration=list(durations), loop=0, **options)

"""Photos as phones, cameras and other programs write them: each is read rightly, or refused with the reason and a remedy."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from nted_step.__main__ import main
from nted_step.image import KEPT_SIDE, ImageError, decode, load_photo

FILES = Path(__file__).parent.parent / "data" / "photos"
SIZE = (176, 256)
RED, GREEN, BLUE, OCHRE, BLACK, WHITE = (200, 30, 30), (30, 160, 40), (30, 60, 200), (210, 150, 60), (0, 0, 0), (255, 255, 255)
# Where which colour is, in 256ths of the picture's sides. No turn and no mirror leaves it as it is.
PLACES = {(128, 40): RED, (128, 100): GREEN, (128, 160): BLUE, (128, 220): OCHRE, (16, 16): BLACK, (240, 240): WHITE}
STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
}  # fmt: skip


def drawn(size: tuple[int, int] = SIZE) -> Image.Image:
    """Four bars, and a black corner at the upper left."""
    image = Image.new("RGB", (256, 256), "white")
    image.paste(BLACK, (0, 0, 32, 32))
    for (_, y), colour in list(PLACES.items())[:4]:
        image.paste(colour, (40, y - 25, 216, y + 25))
    return image.resize(size, Image.Resampling.NEAREST)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def turned(kind: str, orientation: int, **options: object) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(drawn().transpose(STORED[orientation]), kind, exif=exif, **options)


def chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")


def with_chunk(kind: bytes, body: bytes) -> bytes:
    """A PNG with one more chunk behind its header."""
    png = encoded(drawn())
    return png[:33] + chunk(kind, body) + png[33:]


def with_text(**texts: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    for key, text in texts.items():
        info.add_text(key, text, zip=True)
    return encoded(drawn(), pnginfo=info)


def animated(kind: str) -> bytes:
    return encoded(drawn(), kind, save_all=True, append_images=[Image.new("RGB", SIZE)], duration=100, **LOSSLESS.get(kind, {}))


LOSSLESS = {"WEBP": {"lossless": True}, "JPEG": {"quality": 97, "subsampling": 0}}


# -- colour profiles, written out ------------------------------------------------------------------------------------


def profile(space: bytes, tags: dict[bytes, bytes], connection: bytes = b"XYZ ", kind: bytes = b"mntr") -> bytes:
    """An ICC profile, version 2."""
    body, table, at = b"", b"", 132 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4sI4s4s4s12x4s", at + len(body), b"\0" * 4, 0x02100000, kind, space, connection, b"acsp")
    head = head.ljust(68, b"\0") + struct.pack(">III", 0xF6D6, 0x10000, 0xD32D)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


def gamma(value: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256))


DESCRIPTION = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(78)
COMMON = {b"desc": DESCRIPTION, b"wtpt": xyz(0.9642, 1, 0.8249)}
ADOBE = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])
SRGB = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
ADOBE_RGB = profile(
    b"RGB ", COMMON | dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), (xyz(*column) for column in ADOBE.T), strict=True))
    | {name: gamma(563 / 256) for name in (b"rTRC", b"gTRC", b"bTRC")},
)  # fmt: skip
GREY_GAMMA_1 = profile(b"GRAY", COMMON | {b"kTRC": gamma(1.0)})


def press() -> bytes:
    """CMYK -> Lab, in which cyan is a middle grey, whatever the other inks."""
    ramp = bytes(range(256))
    lattice = b"".join(bytes([119, 128, 128] if cyan else [255, 128, 128]) for cyan in (0, 1) for _ in range(8))
    unit = struct.pack(">9i", *(65536 if k % 4 == 0 else 0 for k in range(9)))
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + unit + 4 * ramp + lattice + 3 * ramp
    return profile(b"CMYK", COMMON | {b"A2B0": table}, b"Lab ", b"prtr")


def linear(values: np.ndarray) -> np.ndarray:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def in_adobe_rgb(image: Image.Image) -> Image.Image:
    light = linear(np.asarray(image) / 255) @ (np.linalg.inv(ADOBE) @ SRGB).T
    return Image.fromarray((np.clip(light, 0, 1) ** (256 / 563) * 255).round().astype(np.uint8))


def cmyk(image: Image.Image) -> bytes:
    return encoded(image.convert("CMYK"), "JPEG", quality=97)


# -- every kind ------------------------------------------------------------------------------------------------------

GREY = np.asarray(drawn().convert("L"))
DEEP = Image.fromarray(GREY.astype(np.uint16) * 257)
CLEAR = drawn().convert("RGBA")
CLEAR.putalpha(Image.fromarray(np.where(GREY == 255, 0, 255).astype(np.uint8)))

RIGHT = {
    "plain.png": encoded(drawn()),
    "prog.jpg": encoded(drawn(), "JPEG", progressive=True, **LOSSLESS["JPEG"]),
    "jpeg_trailing.jpg": encoded(drawn(), "JPEG", **LOSSLESS["JPEG"]) + b"garbage" * 1000,
    "png_named.jpg": encoded(drawn()),
    "p8.png": encoded(drawn().quantize(16)),
    "rgba.webp": encoded(CLEAR, "WEBP", lossless=True),
    "cmyk.jpg": cmyk(drawn()),
    "animated.webp": animated("WEBP"),
    "apng.png": animated("PNG"),
    "mpo.jpg": encoded(drawn(), "MPO", save_all=True, append_images=[drawn()], **LOSSLESS["JPEG"]),
    "adobe_rgb.jpg": encoded(in_adobe_rgb(drawn()), "JPEG", icc_profile=ADOBE_RGB, **LOSSLESS["JPEG"]),
    "adobe_rgb.png": encoded(in_adobe_rgb(drawn()), icc_profile=ADOBE_RGB),
    "adobe_rgb.webp": encoded(in_adobe_rgb(drawn()), "WEBP", icc_profile=ADOBE_RGB, lossless=True),
    "srgb.png": encoded(drawn(), icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()),
    "damaged_profile.jpg": encoded(drawn(), "JPEG", icc_profile=ADOBE_RGB[:300], **LOSSLESS["JPEG"]),
    "no_profile_at_all.png": encoded(drawn(), icc_profile=b"not a profile"),
    "profile_of_another_kind.png": encoded(drawn(), icc_profile=GREY_GAMMA_1),
    "torn_profile_chunk.png": with_chunk(b"iCCP", b"icc\0\0torn"),
    "endless_profile.png": with_chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(2**24))),
    "damaged_exif.jpg": encoded(drawn(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff", **LOSSLESS["JPEG"]),
    "sdwebui_big_text.png": with_text(parameters="a photo of a person, " * 100_000),
    "two_long_texts.png": with_text(prompt="x" * 3_000_000, workflow="y" * 3_000_000),
    "long_international_text.png": with_chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(b"z" * 2_000_000)),
    **{f"exif{k}.jpg": turned("JPEG", k, **LOSSLESS["JPEG"]) for k in STORED},
    **{f"exif{k}.png": turned("PNG", k) for k in STORED},
    **{f"exif{k}.webp": turned("WEBP", k, lossless=True) for k in STORED},
}  # fmt: skip


def grey(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    return (Image.new("RGB", (1, 1), colour).convert("L").getpixel((0, 0)),) * 3


def dark(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    return tuple(value // 16 for value in grey(colour))


def brighter(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    """Grey of gamma 1, in sRGB."""
    value = grey(colour)[0] / 255
    return (round(255 * (12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055)),) * 3


GREYS = {
    "bw1.png": (encoded(drawn().convert("1", dither=Image.Dither.NONE)), lambda colour: (255 * (grey(colour)[0] > 127),) * 3),
    "la.png": (encoded(CLEAR.convert("LA")), grey),
    "gray.jpg": (encoded(drawn().convert("L"), "JPEG", quality=97), grey),
    "gray16.png": (encoded(DEEP), grey),
    "gray12in16.png": (encoded(Image.fromarray(GREY.astype(np.uint16) * 16)), dark),  # as viewers show it
    "gray_profile.png": (encoded(drawn().convert("L"), icc_profile=GREY_GAMMA_1), brighter),
    "gray_profile_of_colours.jpg": (encoded(drawn().convert("L"), "JPEG", icc_profile=ADOBE_RGB, quality=97), None),
}

REFUSED = {
    "IMG_0001.HEIC": ((FILES / "IMG_0001.HEIC").read_bytes(), "but a HEIC photo; save it as JPEG (on an iPhone: "),
    "photo.avif": ((FILES / "photo.avif").read_bytes(), "but an AVIF picture; save it as JPEG"),
    "avif_named.jpg": ((FILES / "photo.avif").read_bytes(), "but an AVIF picture; save it as JPEG"),
    "IMG_0002.MOV": (b"\0\0\0\x14ftypqt  \0\0\0\0qt  " + bytes(500), "but a video; save one picture of it as JPEG"),
    "animated.gif": (encoded(drawn(), "GIF"), "but a GIF; save it as JPEG"),
    "jp2.jp2": (encoded(drawn(), "JPEG2000"), "but a JPEG 2000; save it as JPEG"),
    "scan.tif": (encoded(drawn(), "TIFF"), "but a TIFF or a camera's raw file; save it as JPEG"),
    "some.pdf": (encoded(drawn(), "PDF"), "but a PDF; save it as JPEG"),
    "truncated.jpg": (encoded(drawn((704, 1024)), "JPEG")[:-2000], "damaged or cut short (image file is truncated"),
    "pano_9to1.jpg": (encoded(Image.new("RGB", (900, 100)), "JPEG"), "900x100 is too small or too narrow"),
    "empty.jpg": (b"", "the file is empty; save or send it again"),
}


def assert_seen(image: Image.Image, shown, most: int) -> None:
    for (x, y), colour in PLACES.items():
        found = image.getpixel((x * image.width // 256, y * image.height // 256))
        assert np.abs(np.subtract(found, shown(colour))).max() <= most, ((x, y), found, shown(colour))


@pytest.mark.parametrize("name", RIGHT)
def test_read_rightly(name):
    image = decode(RIGHT[name], name)
    assert image.size == SIZE and image.mode == "RGB" and not image.info and not image.getexif()
    assert_seen(image, lambda colour: colour, 12 if name in ("cmyk.jpg", "adobe_rgb.jpg") else 4)  # deep colours are coarse there


@pytest.mark.parametrize("name", GREYS)
def test_greys_read_rightly(name):
    data, shown = GREYS[name]
    image = decode(data, name)
    assert image.size == SIZE and image.mode == "RGB"
    if shown:
        assert_seen(image, shown, 3)
    else:  # an RGB profile on a grey JPEG, as Photoshop's "Save for Web" leaves it: still grey
        assert np.ptp(np.asarray(image).astype(int), axis=-1).max() <= 1


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_the_reason_and_a_remedy(name):
    data, says = REFUSED[name]
    with pytest.raises(ImageError) as error:
        decode(data, name)
    assert says in str(error.value) and str(error.value).startswith(f"{name}: ") and "\n" not in str(error.value)
    assert " but " not in says or "not a JPEG, PNG or WebP picture" in str(error.value)


def test_a_photo_of_a_phone_in_display_p3():
    image = decode((FILES / "colours_display_p3.jpg").read_bytes())
    for y, colour in ((150, RED), (350, GREEN), (600, BLUE), (780, OCHRE)):
        assert np.abs(np.subtract(image.getpixel((352, y)), colour)).max() <= 6
    fitted = load_photo(FILES / "colours_display_p3.jpg", (512, 352)).image  # colours are converted after fitting
    assert np.abs((fitted[:, 75, 176].numpy() + 1) * 127.5 - RED).max() <= 6


def test_a_turned_photo_with_a_second_picture_in_its_file():
    image = decode((FILES / "mpo_exif6.jpg").read_bytes())
    assert image.size == (704, 1024)
    assert np.abs(np.asarray(image).mean((0, 1)) - (203.7, 202.8, 198.1)).max() < 1
    assert np.abs(np.subtract(image.getpixel((352, 204)), (224, 208, 157))).max() < 4  # the scarf is above


def test_inks_become_what_their_profile_says():
    cyan = Image.new("CMYK", SIZE, (255, 0, 0, 0))
    assert np.abs(np.subtract(decode(encoded(cyan, "JPEG", icc_profile=press())).getpixel((9, 9)), 111)).max() <= 3
    assert decode(encoded(cyan, "JPEG")).getpixel((9, 9))[0] < 10
    white = Image.new("CMYK", SIZE, (0, 0, 0, 0))
    assert min(decode(encoded(white, "JPEG", icc_profile=press())).getpixel((9, 9))) > 252


def test_a_panorama_of_8_to_1_is_read():
    photo = load_photo(encoded(Image.new("RGB", (6000, 750), (200, 179, 162)), "JPEG"), (256, 176))
    assert photo.photo_size == (750, 6000) and photo.content() == (0, 0, 176, 256)


def test_a_long_text_that_bursts_memory_is_not_unpacked():
    data = with_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2**26)))
    assert decode(data).size == SIZE


@pytest.mark.parametrize("size", [(4100, 4200), (2100, 4200)])
def test_large_pictures_are_shrunk_by_whole_numbers(size):
    image = decode(encoded(drawn().resize(size, Image.Resampling.NEAREST), compress_level=1))
    by = max(1, min(size) // KEPT_SIDE)
    assert image.size == (size[0] // by, size[1] // by)
    assert_seen(image, lambda colour: colour, 1)


def test_fit_saves_what_the_model_sees(tmp_path, capsys):
    (tmp_path / "photo.jpg").write_bytes(RIGHT["exif6.jpg"])
    out = tmp_path / "new" / "fitted.png"
    assert main(["fit", str(tmp_path / "photo.jpg"), "--output", str(out)]) == 0
    assert Image.open(out).size == (704, 1024)
    assert_seen(Image.open(out), lambda colour: colour, 4)
    assert main(["fit", str(tmp_path / "photo.jpg"), "--output", str(out), "--scale", "1"]) == 0
    assert Image.open(out).size == (176, 256)
    capsys.readouterr()
    for arguments, says in (
        ([str(out), "--output", "out.jpg"], "let its name end in .png"),
        ([str(out), "--output", str(out), "--scale", "9"], "--scale is 1 to 4, not 9"),
        ([str(tmp_path / "none.jpg"), "--output", str(out)], "none.jpg: No such file"),
    ):
        assert main(["fit", *arguments]) == 2
        printed = capsys.readouterr().err
        assert says in printed and printed.count("\n") == 1

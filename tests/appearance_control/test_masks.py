"""Masks as painting programs and other tools save them: each is read rightly, or refused with what was found in it."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from appearance_control.__main__ import main
from appearance_control.masks import MaskError, load_mask, mask_image
from nted_step.image import FittedPhoto, ImageError, load_photo

FILES = Path(__file__).parent.parent / "data" / "masks"
SIZE = (256, 176)
PAINTED = np.zeros(SIZE, bool)
PAINTED[60:131, 55:121] = True
OF_THE_CANVAS = (
    "plain_L.png", "mode1.png", "jpeg.jpg", "values_0_1.png", "palette_label5.png", "black_strokes_on_transparent.png",
    "white_strokes_on_transparent.png", "double_size.png",
)  # fmt: skip


def photo_of(width: int, height: int, size: tuple[int, int] = SIZE, fit="auto", **options) -> FittedPhoto:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, "PNG", **options)
    return load_photo(buffer.getvalue(), size, fit)


def drawn(values: np.ndarray, mode: str | None = None) -> Image.Image:
    return Image.fromarray(values).convert(mode) if mode else Image.fromarray(values)


def labels(*values: int) -> np.ndarray:
    """Stripes of these values."""
    return np.repeat(np.array(values, np.uint8), 256 // len(values) + 1)[:256, None].repeat(176, 1)


@pytest.mark.parametrize("name", OF_THE_CANVAS)
def test_masks_of_the_canvas(name):
    assert np.array_equal(load_mask(FILES / name, SIZE), PAINTED)


def test_a_mask_of_the_photo():
    mask = load_mask(FILES / "photo_size_750x1101.png", SIZE, photo_of(750, 1101))
    assert np.mean(mask == PAINTED) > 0.99
    with pytest.raises(MaskError, match=r"is 1101x750 \(height x width\), the canvas 256x176: .*--mask-on original"):
        load_mask(FILES / "photo_size_750x1101.png", SIZE)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("black strokes, white ground that is transparent", np.dstack([np.where(PAINTED, 0, 255)] * 3 + [PAINTED * 255]).astype(np.uint8)),
        ("opaque alpha", np.dstack([PAINTED * 255] * 3 + [np.full(SIZE, 255)]).astype(np.uint8)),
        ("grey and alpha", np.dstack([PAINTED * 0, PAINTED * 255]).astype(np.uint8)),
        ("16 bits", PAINTED.astype(np.uint16) * 65535),
        ("0 and 1 of 16 bits", PAINTED.astype(np.uint16)),
        ("red on black", np.dstack([PAINTED * 255, PAINTED * 0, PAINTED * 0]).astype(np.uint8)),
        ("not quite white", (PAINTED * 230 + 8).astype(np.uint8)),
    ],
)
def test_ways_to_say_inside(tmp_path, kind, values):
    image = drawn(values)
    for suffix in ("png", "webp") if image.mode in ("RGB", "RGBA") else ("png",):  # WebP holds only colours
        image.save(tmp_path / f"m.{suffix}", lossless=True)
        assert np.array_equal(load_mask(tmp_path / f"m.{suffix}", SIZE), PAINTED), suffix


def test_soft_edges_are_cut_in_the_middle(tmp_path):
    y, x = np.mgrid[:256, :176]
    soft = np.clip((60 - np.hypot(y - 128, x - 88)) * 12 + 128, 0, 255).astype(np.uint8)
    drawn(soft).save(tmp_path / "m.png")
    assert np.array_equal(load_mask(tmp_path / "m.png", SIZE), soft > 127)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (labels(0, 1, 2, 5), r"holds the values 0, 1, 2, 5: .* map of labels"),
        (labels(0, 100, 200, 250), r"holds the values 0, 100, 200, 250: "),
        (labels(*range(0, 20)), r"holds the values 0, 1, 2, 3, ..., 19: "),
        (labels(*range(0, 20)).astype(np.uint16), r"holds the values 0, 1, 2, 3, ..., 19: "),
        (np.random.default_rng(0).integers(0, 255, (*SIZE, 3), np.uint8), r"is a picture in colours, not a mask \(\d+% of it"),
        (np.random.default_rng(0).integers(0, 255, SIZE, np.uint8), r"holds the values 0, 1, 2, 3, ..., 254: "),
        (labels(0), "is empty: paint the garment"),
        (labels(255), "covers 100%"),
        (np.zeros((*SIZE, 4), np.uint8), "is empty"),
    ],
)
def test_what_is_no_mask_is_refused_by_what_it_holds(tmp_path, values, message):
    drawn(values).save(tmp_path / "m.png")
    with pytest.raises(MaskError, match=message) as error:
        load_mask(tmp_path / "m.png", SIZE)
    assert str(tmp_path / "m.png") in str(error.value) and "\n" not in str(error.value)


def test_a_coloured_map_of_labels_is_refused(tmp_path):
    image = drawn(labels(0, 1, 2))
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0] + [0] * 759)
    image.save(tmp_path / "m.png")
    with pytest.raises(MaskError, match="a picture in colours"):
        load_mask(tmp_path / "m.png", SIZE)


@pytest.mark.parametrize("shape", [(512, 352), (1101, 750), (900, 1600), (900, 300), (48, 33)])
@pytest.mark.parametrize("fit", ["auto", "crop", "pad", (0.2, 0.1, 0.6)])
@pytest.mark.parametrize("scale", [0.5, 1, 1.7])
def test_a_mask_goes_the_way_of_its_photo(tmp_path, shape, fit, scale):
    """A photo that is its own mask."""
    height, width = shape
    mask = np.zeros((max(16, round(height * scale)), max(16, round(width * scale))), np.uint8)
    mask[mask.shape[0] * 3 // 10 : mask.shape[0] * 6 // 10, mask.shape[1] * 4 // 10 : mask.shape[1] * 7 // 10] = 255
    drawn(mask).save(tmp_path / "m.png")
    drawn(mask).resize((width, height), Image.Resampling.BOX).convert("RGB").save(tmp_path / "photo.png")
    photo = load_photo(tmp_path / "photo.png", (64, 44), fit)
    found = load_mask(tmp_path / "m.png", (64, 44), photo)
    x0, y0, x1, y1 = photo.content()
    seen = (photo.image[0] > 0).numpy()[y0:y1, x0:x1]
    assert np.mean(found[y0:y1, x0:x1] == seen) > 0.97
    found[y0:y1, x0:x1] = False
    assert not found.any(), "beyond the photo there is no garment"


def test_a_mask_is_turned_as_its_photo_is(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = mask_image(PAINTED).resize((352, 512)).transpose(Image.Transpose.ROTATE_90)
    stored.save(tmp_path / "m.png", exif=exif)
    assert np.array_equal(load_mask(tmp_path / "m.png", SIZE, photo_of(512, 352, exif=exif)), PAINTED)
    stored.save(tmp_path / "m.png")  # the program that drew it did not keep what the camera said
    with pytest.raises(MaskError, match=r"is 352x512 \(height x width\), of another shape than the photo \(512x352\): draw it on all"):
        load_mask(tmp_path / "m.png", SIZE, photo_of(512, 352, exif=exif))


def test_a_mask_of_the_canvas_is_not_one_of_the_photo():
    with pytest.raises(MaskError, match=r"of another shape than the photo \(1000x400\).*--mask-on photo"):
        load_mask(FILES / "plain_L.png", SIZE, photo_of(400, 1000))


def test_a_mask_that_is_not_there_or_too_large(tmp_path):
    with pytest.raises(ImageError, match=r"none\.png: No such file"):
        load_mask(tmp_path / "none.png", SIZE)
    Image.new("1", (9000, 9000)).save(tmp_path / "m.png")
    with pytest.raises(ImageError, match="9000x9000 is more than 40 megapixels"):
        load_mask(tmp_path / "m.png", SIZE)


def test_the_command_takes_masks_of_the_original(tiny_weights, tmp_path, capsys):
    height, width = 300, 700  # wide: its sides are cut
    for name in ("a", "b"):
        Image.effect_noise((width, height), 60).convert("RGB").save(tmp_path / f"{name}.png")
    (tmp_path / "a.txt").write_text("".join(f"{100 + k} {40 + 10 * k}\n" for k in range(18)))
    mask = np.zeros((height, width), np.uint8)
    mask[100:200, 320:400] = 255
    drawn(mask).save(tmp_path / "m.png")
    command = ["swap", "--person", str(tmp_path / "a.png"), "--garment", str(tmp_path / "b.png"), "--mask", str(tmp_path / "m.png"),
               "--wearer-mask", str(tmp_path / "w.png"), "--weights", tiny_weights, "--parser", str(tmp_path), "--device", "cpu",
               "--output", str(tmp_path / "out")]  # fmt: skip
    mask_image(np.pad(np.ones((20, 20), bool), ((20, 24), (12, 12)))).save(tmp_path / "w.png")
    for on in ("photo", "pose"):
        assert main([*command, "--mask-on", on]) == 2
        assert "--mask-on original" in capsys.readouterr().err
    assert main([*command, "--mask-on", "original"]) == 0
    assert (tmp_path / "out" / "result.png").is_file()

"""What the page may send: masks and rows of garments."""

import base64
import io

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from appearance_control.studio.mask_images import MAX_CHARACTERS, PREFIX, mask_url, read_mask
from appearance_control.studio.wardrobe import GarmentChoice, Wardrobe

SIZE = (64, 44)


def box() -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[16:40, 12:32] = True
    return mask


def url(image: Image.Image, kind: str = "PNG") -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return PREFIX + base64.b64encode(buffer.getvalue()).decode()


def test_a_mask_there_and_back() -> None:
    assert np.array_equal(read_mask(mask_url(box()), SIZE), box())


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (None, "is a PNG"),
        (5, "is a PNG"),
        ("data:image/webp;base64,AAAA", "is a PNG"),
        ("https://example.org/mask.png", "is a PNG"),
        (PREFIX + "!!!", "damaged"),
        (PREFIX + base64.b64encode(b"torn").decode(), "damaged"),
        (url(Image.new("RGB", (44, 64)), "JPEG"), "damaged"),
        (url(Image.new("RGBA", (44, 64)), "TIFF"), "damaged"),
        (url(Image.new("RGBA", (64, 44))), "44x64 pixels, not 64x44"),
        (url(Image.new("1", (12000, 8000))), "44x64 pixels, not 12000x8000"),
        (mask_url(box())[:150], "damaged"),
        (PREFIX + "A" * MAX_CHARACTERS, "more than the"),
    ],
)
def test_what_is_no_mask_is_one_line(sent: object, says: str) -> None:
    with pytest.raises(ValueError, match=says) as told:
        read_mask(sent, SIZE)
    assert len(str(told.value)) < 120 and "\n" not in str(told.value)


def wardrobe() -> Wardrobe:
    return Wardrobe([{"name": "ann", "title": "Ann", "picture": "data:,"}], canvas=SIZE, later=("@1",))


ROW = {"person": "ann", "part": "upper", "strength": 0.5, "mask": ""}


def test_rows_come_in() -> None:
    garments, row = wardrobe().preprocess(
        {"garments": [ROW, {"person": "", "part": "upper"}, ROW | {"person": "@1", "mask": mask_url(box())}], "into": 2}
    )
    assert row == 2 and [each.person for each in garments] == ["ann", "@1"], "a row for which nobody was chosen yet is none"
    assert garments[0] == GarmentChoice("ann", "upper", 0.5) and garments[1].mask.sum() == box().sum()


@pytest.mark.parametrize(
    "payload",
    [
        None, [], {}, {"garments": [ROW] * 4}, {"garments": ["ann"]}, {"garments": [ROW], "into": 7}, {"garments": [ROW], "into": "0"},
        {"garments": [ROW | {"person": "../ann"}]}, {"garments": [ROW | {"person": ["ann"]}]}, {"garments": [ROW | {"part": "sword"}]},
        {"garments": [ROW | {"part": []}]}, {"garments": [ROW | {"strength": 2}]}, {"garments": [ROW | {"strength": None}]},
        {"garments": [ROW | {"strength": float("nan")}]}, {"garments": [ROW | {"mask": 7}]},
    ],
)  # fmt: skip
def test_anything_else_is_refused(payload: object) -> None:
    with pytest.raises(gr.Error):
        wardrobe().preprocess(payload)


def test_the_same_garment() -> None:
    one, painted = GarmentChoice("ann", "upper", 1.0), GarmentChoice("ann", "upper", 1.0, box())
    assert one.same_garment(GarmentChoice("ann", "upper", 0.2)) and painted.same_garment(GarmentChoice("ann", "upper", 0.0, box()))
    assert (
        not one.same_garment(painted)
        and not one.same_garment(GarmentChoice("ann", "dress", 1.0))
        and not painted.same_garment(GarmentChoice("ann", "upper", 1.0, ~box()))
    )

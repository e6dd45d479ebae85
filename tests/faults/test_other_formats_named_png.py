"""TIFF, SVG and EPS that are called .png: refused by what they are."""

import pytest

from nted_step.image import ImageError, decode
from tests.faults.conftest import encoded, picture
from tests.running import Refused

OTHERS = {
    "TIFF": encoded(picture(), "TIFF"),
    "SVG": b"<svg xmlns='http://www.w3.org/2000/svg' width='40' height='60'><rect width='40' height='60'/></svg>",
    "EPS": encoded(picture(), "EPS"),
    "GIF": encoded(picture(), "GIF"),
    "BMP": encoded(picture(), "BMP"),
    "text": b"hello",
}


@pytest.mark.parametrize("kind", OTHERS)
def test_through_the_package(kind):
    named = "" if kind == "text" else rf" but an? [^;]*{kind}[^;]*"
    with pytest.raises(ImageError, match=rf"^me.png: not a JPEG, PNG or WebP picture{named}; save it as JPEG$"):
        decode(OTHERS[kind], "me.png")


@pytest.mark.parametrize("kind", ["TIFF", "SVG", "EPS"])
def test_through_the_page(visitor, joints, works, kind):
    assert "not a JPEG, PNG or WebP" in visitor.give(OTHERS[kind], "me.png")[2]
    with pytest.raises(Refused, match="not a JPEG, PNG or WebP"):
        visitor.generate(visitor.upload(OTHERS[kind], "me.png"), joints)
    works()

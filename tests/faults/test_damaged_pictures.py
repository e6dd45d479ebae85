"""A JPEG cut short, 0 bytes, 1x1 and 1x10000 pixels: each is an error that names it."""

import pytest

from nted_step.image import ImageError, decode
from tests.faults.conftest import encoded, picture
from tests.running import Refused

DAMAGED = {
    "nothing": (b"", "empty"),
    "a JPEG cut short": (encoded(picture(0, 400, 600), "JPEG")[:3000], "damaged or cut short"),
    "a PNG cut short": (encoded(picture(), "PNG")[:-500], "damaged or cut short"),
    "1x1": (encoded(picture(0, 1, 1)), "too small"),
    "1x10000": (encoded(picture(0, 1, 10_000)), "too small or too narrow"),
    "20x1000": (encoded(picture(0, 20, 1000)), "too small or too narrow"),
    "too many bytes": (b"\0" * (21 * 2**20), "20 MiB"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_through_the_package(kind):
    data, message = DAMAGED[kind]
    with pytest.raises(ImageError, match=message) as error:
        decode(data, "me.png")
    assert str(error.value).startswith("me.png: ") and "\n" not in str(error.value)


def test_through_the_page(visitor, joints, works):
    for kind in ("nothing", "a JPEG cut short", "1x1", "1x10000"):
        data, message = DAMAGED[kind]
        said = visitor.give(data, "me.png")[2]
        assert said.startswith('<p class="notice error"') and ">me.png: " in said and message in said, kind
        with pytest.raises(Refused, match=f"^me.png: .*{message}"):
            visitor.generate(visitor.upload(data, "me.png"), joints)
    works()

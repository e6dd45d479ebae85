"""What holds for every mask, tried on made-up ones."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from appearance_control.masks import LEAST_PIXELS, MOST_SHARE, MaskError, check_mask, load_mask, mask_image
from nted_step.image import ImageError

SIZE = (64, 44)
bools = arrays.arrays(bool, SIZE, elements=st.booleans(), fill=st.booleans())
bytes_ = arrays.arrays(np.uint8, SIZE, fill=st.sampled_from([0, 255, 127, 128]))
floats = arrays.arrays(np.float32, SIZE, elements=st.floats(width=32), fill=st.sampled_from([0.0, 1.0, 0.5]))
steady = settings(deadline=None, derandomize=True, max_examples=60)


def usable(mask: np.ndarray) -> bool:
    return max(1, LEAST_PIXELS * mask.size // (256 * 176)) <= mask.sum() <= MOST_SHARE * mask.size


@steady
@given(st.one_of(bools, bytes_, floats))
def test_a_mask_is_taken_as_true_and_false_or_refused_in_one_line(mask):
    try:
        found = check_mask(mask, SIZE, "m")
    except MaskError as error:
        assert str(error).startswith("m ") and "\n" not in str(error)
        return
    assert found.dtype == bool and found.shape == SIZE and usable(found)
    assert np.array_equal(check_mask(found, SIZE), found), "checked twice is checked once"


@steady
@given(bools)
def test_exactly_what_is_usable_is_taken(mask):
    if usable(mask):
        assert np.array_equal(check_mask(mask, SIZE), mask)
        for same in (mask.astype(np.uint8) * 255, mask.astype(np.float32)):
            assert np.array_equal(check_mask(same, SIZE), mask), "whatever its numbers"
    else:
        with pytest.raises(MaskError):
            check_mask(mask, SIZE)


@steady
@given(bools.filter(usable))
def test_a_mask_survives_the_disk(tmp_path_factory, mask):
    path = tmp_path_factory.mktemp("mask") / "mask.png"
    mask_image(mask).save(path)
    assert np.array_equal(load_mask(path, SIZE), mask)


@steady
@given(st.tuples(st.integers(1, 90), st.integers(1, 90)).filter(lambda size: size != SIZE))
def test_a_mask_of_another_size_is_never_stretched(size):
    with pytest.raises(MaskError, match="the canvas 64x44"):
        check_mask(np.ones(size, bool), SIZE)


@steady
@given(st.binary(max_size=300))
def test_a_file_that_is_no_picture_is_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("mask") / "mask.png"
    path.write_bytes(data)
    with pytest.raises((ImageError, MaskError), match=r"mask\.png"):
        load_mask(path, SIZE)

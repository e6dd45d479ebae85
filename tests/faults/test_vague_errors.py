"""What programs get wrong is answered with one line that says what it was, not with "something went wrong"."""

import pytest

from pose_editor.studio.validation import require_integer, require_number
from tests.faults.conftest import photo
from tests.running import Refused


def refusal(visitor, event: str, *data) -> str:
    with pytest.raises(Refused) as refused:
        visitor.call(event, *data)
    text = str(refused.value)
    assert "\n" not in text and "went wrong" not in text and "could not read" not in text and len(text) < 250
    return text


def test_swaps_of_nothing(visitor, server, joints, works):
    file = visitor.upload(photo())
    before = len(server.said())
    for garments, parts in ((None, None), ([], None), ([file], None), (None, ["upper"])):
        assert "give 1 to" in refusal(visitor, "swap", file, garments, parts, joints, 0).lower()
    refusal(visitor, "swap", None, [file], ["upper"], joints, 0)
    assert "Traceback" not in server.said()[before:] and "failed" not in server.said()[before:]
    works()


@pytest.mark.parametrize("wrong", ["here", None, [1], True])
def test_traces_of_no_place(visitor, joints, wrong, works):
    file = visitor.upload(photo())
    assert "X must be a number" in refusal(visitor, "trace", file, joints, wrong, 10, 4, 0, 0)
    assert "Y must be a number" in refusal(visitor, "trace", file, joints, 10, wrong, 4, 0, 0)
    assert "Step must be a whole number" in refusal(visitor, "trace", file, joints, 10, 10, wrong, 0, 0)
    works()


@pytest.mark.parametrize("steps", [2.5, 0.1, "4", [4], True])
def test_fractions_of_iterations(visitor, joints, steps, works):
    file = visitor.upload(photo())
    assert "Steps must be a whole number" in refusal(visitor, "generate", file, joints, 0, steps)
    assert "Seed must be a whole number" in refusal(visitor, "generate", file, joints, steps, 4)
    assert "must be a whole number" in refusal(visitor, "tween", file, joints, joints, steps, 0, "gif")
    works()


@pytest.mark.parametrize("number", [float("inf"), float("nan"), 2.5, -1, 2**70, None, "x" * 1000, {}, "a\nb"])
def test_one_short_line(number):
    with pytest.raises(ValueError, match=r"^n must be a whole number, not [^\n]{0,60}$"):
        require_integer(number, "n")
    assert require_integer(4.0, "n") == 4 and require_number(-1.5, "n") == -1.5

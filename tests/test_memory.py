"""The measurement of memory at a small size, and that it notices growth."""

import pytest

from tests import memory


@pytest.mark.slow
def test_a_few_sessions(tiny_weights, tmp_path, capsys):
    code = memory.main(["--sessions", "4", "--weights", tiny_weights, "--plot", str(tmp_path / "memory.svg")])
    said = capsys.readouterr().out
    assert "after the first of 4 sessions" in said and code == int("more than 5%" in said)
    assert (tmp_path / "memory.svg").read_text().count("polyline") == 1


def test_growth_and_a_plateau():
    assert memory.spread([100, 400, 900, *[1000] * 97]) == 0
    assert memory.spread([1000 + 4 * number for number in range(100)]) > memory.FLAT
    assert memory.spread([1000, 1000, 3000, 1000] * 25) <= memory.FLAT, "a photo in the middle of its decoding is no growth"


def test_photos_differ_and_are_the_same_every_time():
    assert memory.photo(1) == memory.photo(1) != memory.photo(2)

"""What once broke the code that reads strangers' files does so no more; and a little of the search itself."""

import pytest

from tests import fuzz

KEPT = [(path.parent.name, path) for path in sorted(fuzz.CORPUS.glob("*/*"))]


@pytest.mark.parametrize(("target", "path"), KEPT, ids=[f"{target}-{path.name}" for target, path in KEPT])
def test_what_was_found_once(target, path):
    fuzz.TARGETS[target](path.read_bytes())


@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_a_little_of_everything(target):
    for data in fuzz.seeds(target):
        fuzz.TARGETS[target](data)
    tried, found = fuzz.attack(target, 15)
    assert tried >= 15 and found is None, found and (found.data[:300], found.__cause__)


def test_a_fault_is_found(monkeypatch):
    def picky(data: bytes) -> None:
        assert b"\x00" not in data

    monkeypatch.setitem(fuzz.TARGETS, "image", picky)
    _, found = fuzz.attack("image", 300)
    assert found is not None and b"\x00" in found.data


def test_the_corpus_is_small():
    assert sum(path.stat().st_size for path in fuzz.CORPUS.rglob("*") if path.is_file()) < 200_000

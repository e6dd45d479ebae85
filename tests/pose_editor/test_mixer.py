"""The timeline's value, and who is asked at which step."""

import gradio as gr
import pytest

from pose_editor.mixer import OWN, Mixer, Mixture


class Somebody:
    source = "photo"

    def __init__(self, name: str) -> None:
        self.name = name

    def textures(self, t: int) -> str:
        return f"{self.name} at {t}"


def test_every_step_asks_its_owner() -> None:
    ann, bob = Somebody("ann"), Somebody("bob")
    mixture = Mixture(ann, [ann, bob, ann])
    assert [mixture.textures(t) for t in range(3)] == ["ann at 0", "bob at 1", "ann at 2"]


def test_only_people_on_the_page_and_one_for_each_step() -> None:
    mixer = Mixer([{"name": "ann", "title": "Ann", "picture": "data:,"}], 3)
    assert mixer.preprocess({"owners": ["", "ann", ""]}) == ["", "ann", ""]
    assert mixer.preprocess({"owners": ["", OWN, ""]}) == ["", OWN, ""]
    for wrong in (None, {}, {"owners": ["", "ann"]}, {"owners": ["", "bob", ""]}, {"owners": ["", 5, ""]}):
        with pytest.raises(gr.Error):
            mixer.preprocess(wrong)

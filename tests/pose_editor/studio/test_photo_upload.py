"""Windows of a photo, and the refusals of the dialog that chooses them."""

from dataclasses import replace
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from nted_step.image import ImageError, load_photo, to_uint8
from nted_step.pose import Pose
from pose_editor import formats, presets
from pose_editor.cropper import Cropper
from pose_editor.studio.photo_upload import OwnPhoto
from pose_editor.studio.pose_detector import EstimatorError
from pose_editor.studio.session import EDIT, STEPS, Session, Subject

SIZE = (256, 176)


@pytest.fixture
def wide(tmp_path) -> str:
    """600x300, red on the left half and blue on the right."""
    pixels = np.zeros((300, 600, 3), np.uint8)
    pixels[:, :300, 0] = pixels[:, 300:, 2] = 255
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    return str(tmp_path / "wide.png")


@pytest.mark.parametrize("fit", ["auto", "crop", "pad"])
def test_every_fit_is_a_window_of_the_whole_photo(wide: str, fit: str) -> None:
    photo = load_photo(wide, SIZE, fit)
    again = load_photo(wide, SIZE, photo.window())
    assert again.box == pytest.approx(photo.box) and abs(to_uint8(again.image).astype(int) - to_uint8(photo.image)).max() <= 1


def test_a_window_shows_what_it_says(wide: str) -> None:
    share = 300 * 176 / 256 / 600  # as high as the photo
    top = (1 - share) / 2
    for left, colour in ((0.0, (255, 0, 0)), (1 - share, (0, 0, 255))):
        image = to_uint8(load_photo(wide, SIZE, (left, top, share)).image)
        assert (image[4:-4] == colour).all()


def test_windows_of_nothing_are_refused(wide: str) -> None:
    with pytest.raises(ImageError, match="shows nothing of the photo"):
        load_photo(wide, SIZE, (0.0, 0.0, 0.1))  # the white above a wide photo
    for window in ((0, 0, 0.01), (-0.1, 0, 0.5), (0.6, 0, 0.5), (0, 0, float("nan"))):
        with pytest.raises(ValueError, match="a window must lie"):
            load_photo(wide, SIZE, window)


@pytest.mark.parametrize("value", [None, {}, {"window": [0, 0]}, {"window": [0, 0, "1"]}, {"window": [0, 0, 0]}, {"window": [0.5, 0, 1]}])
def test_the_dialog_sends_windows_and_nothing_else(value: object) -> None:
    assert Cropper().preprocess({"window": [0.25, 0, 0.5], "n": 1.5}) == (0.25, 0.0, 0.5)
    with pytest.raises(gr.Error):
        Cropper().preprocess(value)


class Desk:
    """As much of a studio as an own photo needs."""

    canvas = SIZE
    pipeline = SimpleNamespace(carrier=object())

    def __init__(self) -> None:
        self.opened = []

    def upload(self, path: str, name: str, kept: object, fit: object) -> Subject:
        photo = load_photo(path, SIZE, fit, name)
        person = SimpleNamespace(source=photo.image[None], pose=None)
        return Subject(name, "data:,", presets.standing(SIZE, photo.content()), person, None, photo.content(), photo.window())

    @staticmethod
    def posed(subject: Subject, pose: Pose) -> Subject:
        return replace(subject, pose=pose, person=SimpleNamespace(source=subject.person.source, pose=pose))

    def subject(self, chosen: None, session: Session) -> Subject:
        return session.upload

    def lay_first(self) -> str:
        return "Joints fit. Limits."

    def knows_only(self) -> str:
        return " Limits."

    def only(self, message: str | None = None) -> tuple[str | None]:
        return (message,)

    def open(self, subject: Subject, chosen: None, message: str, session: Session, seed: int):
        session.edit += 1
        session.run = EDIT * session.edit + STEPS
        self.opened.append(subject)
        yield (message,)


def someone(estimator_answer) -> tuple[OwnPhoto, Session]:
    return OwnPhoto(Desk(), SimpleNamespace(find=estimator_answer)), Session()


ASK = ({"seed": 0},)


def test_the_pose_is_found_after_a_photo_was_given(wide: str) -> None:
    looked_at = []
    found = presets.posed("wave", presets.standing(SIZE), SIZE)
    own, session = someone(lambda photo, size: looked_at.append(tuple(photo.shape)) or found)
    assert "Limits" in list(own.given(wide, session, *ASK))[-1][0]
    assert "was found" in list(own.find_at_once(session, *ASK))[-1][0]
    assert session.upload.pose == session.upload.person.pose == found and looked_at == [(3, 512, 352)]
    assert list(own.find_at_once(session, *ASK)) == [(None,)], "once"
    list(own.crop((0.1, 0.3, 0.3), session, *ASK))
    assert session.upload.window == pytest.approx((0.1, 0.3, 0.3)) and session.fit == (0.1, 0.3, 0.3)


def test_joints_that_were_dragged_meanwhile_are_left_alone(wide: str) -> None:
    own, session = someone(lambda photo, size: setattr(session, "run", 99) or presets.standing(size))
    list(own.given(wide, session, *ASK))
    before = session.upload
    assert list(own.find_at_once(session, *ASK)) == [(None,)] and session.upload is before


def test_no_network_keeps_the_standing_pose_and_says_so(wide: str) -> None:
    def offline(photo, size):
        raise EstimatorError("No network.")

    own, session = someone(offline)
    list(own.given(wide, session, *ASK))
    before = session.upload
    assert "No network. Limits." in list(own.find_at_once(session, *ASK))[-1][0] and session.upload is before
    assert "No network" in list(own.find(None, session, *ASK))[-1][0]
    assert list(own.find("ann", session, *ASK)) == [(None,)]


def test_a_photo_that_cannot_be_used_changes_nothing(wide: str, tmp_path) -> None:
    own, session = someone(None)
    list(own.given(wide, session, *ASK))
    before = session.upload, session.file
    (tmp_path / "torn.png").write_bytes(b"torn")
    assert "error" in list(own.given(str(tmp_path / "torn.png"), session, *ASK))[-1][0]
    assert (session.upload, session.file) == before


def test_settling_stands_out_until_it_was_done(wide: str) -> None:
    own, session = someone(None)
    list(own.given(wide, session, *ASK))
    assert own.tools(None, session)[3].items() >= {"visible": True, "variant": "primary"}.items()
    list(own.settle(formats.to_value(presets.standing(SIZE)), None, session, *ASK))
    assert own.tools(None, session)[3].items() >= {"visible": True, "variant": "secondary"}.items()
    assert [each["visible"] for each in own.tools("ann", session)] == [False] * 4, "an example needs none of them"
    list(own.crop((0.1, 0.3, 0.3), session, *ASK))
    assert own.tools(None, session)[3]["variant"] == "primary", "another part of the photo is another pose"
    own.studio.pipeline = SimpleNamespace(carrier=None)
    assert own.tools(None, session)[3]["visible"] is False, "weights that carry nothing"

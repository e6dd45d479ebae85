"""Windows of a photo, and the refusals of the dialog that chooses them."""

from dataclasses import replace
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from nted_step.image import ImageError, load_photo, to_uint8
from nted_step.pose import JOINTS, Pose
from pose_editor import formats, presets
from pose_editor.chooser import PersonChooser
from pose_editor.cropper import Cropper
from pose_editor.studio.photo_reader import PhotoReader
from pose_editor.studio.photo_upload import PhotoUpload
from pose_editor.studio.pose_detector import EstimatorError
from pose_editor.studio.session import Session, Subject

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

    canvas, large = SIZE, (1024, 704)
    pipeline = SimpleNamespace(carrier=object())
    examples = ("ann",)
    runner = SimpleNamespace(run=lambda work, *arguments: work(*arguments))

    def upload(self, path: str, name: str, kept: object, fit: object) -> Subject:
        photo = load_photo(path, SIZE, fit, name)
        person = SimpleNamespace(source=photo.image[None], pose=None)
        return Subject(name, "data:,", presets.standing(SIZE, photo.content()), person, None, photo.content(), photo.window(), fit=fit)

    @staticmethod
    def posed(subject: Subject, pose: Pose) -> Subject:
        return replace(subject, pose=pose, person=SimpleNamespace(source=subject.person.source, pose=pose))

    def subject(self, chosen: None, session: Session) -> Subject:
        return session.upload


class Events:
    """As much of the pose tab's events as an own photo needs."""

    studio = Desk()

    def unknown_pose_notice(self) -> str:
        return "Joints fit. Limits."

    def limits_text(self) -> str:
        return " Limits."

    def picked(self, name: str, session: Session) -> str:
        return name

    def changes(self, message: str | None = None) -> tuple[str | None]:
        return (message,)

    def open(self, subject: Subject, name: str, picked: str, message: str, session: Session, seed: int):
        yield (message,)


def someone(find_all) -> tuple[PhotoUpload, Session]:
    events = Events()
    return PhotoUpload(events, PhotoReader(events.studio, SimpleNamespace(find_all=find_all))), Session()


def standing_in(left: float, top: float, right: float, bottom: float) -> Pose:
    return presets.standing((10_000, 10_000), (left, top, right, bottom))


ASK = ({"seed": 0},)


def test_the_pose_is_found_when_a_photo_is_given(wide: str) -> None:
    looked_at = []
    found = standing_in(302, 0, 402, 352)  # in the middle of the photo, as it lies on the whole canvas: 704x352
    own, session = someone(lambda photo: looked_at.append(tuple(photo.shape)) or [found])
    assert "was found" in list(own.given(wide, session, *ASK))[-1][0]
    assert looked_at == [(3, 352, 704)], "without the white around"
    assert session.upload.fit == "auto" and session.upload.person.pose == session.upload.pose
    for name, x in (("neck", 88), ("right ankle", None)):
        at = JOINTS.index(name)
        scale = 256 / 352
        want = (found.xy[at] - (352 - 88 / scale, 0)) * scale
        assert session.upload.pose.xy[at] == pytest.approx(want, abs=0.5) and (x is None or want[0] == pytest.approx(x, abs=1))

    list(own.crop((0.25, 0.25, 0.5), session, *ASK))
    assert session.upload.window == pytest.approx((0.25, 0.25, 0.5)) and session.upload.fit == (0.25, 0.25, 0.5)
    assert session.upload.pose.xy[1] == pytest.approx((88, (found.xy[1, 1] + 336 - 256) / 2), abs=1), (
        "the pose goes along, without another look"
    )
    assert len(looked_at) == 1 and list(session.photos) == ["@1"], "it is the same photo"


def test_a_person_beyond_the_middle_or_far_away_is_followed(wide: str) -> None:
    for box in ((20, 0, 120, 352), (340, 200, 380, 320)):
        own, session = someone(lambda photo, box=box: [standing_in(*box)])
        list(own.given(wide, session, *ASK))
        pose = session.upload.pose
        assert session.upload.fit != "auto" and pose.visible.all() and np.ptp(pose.xy[:, 1]) > 150


def test_of_several_people_it_is_asked_whom(wide: str) -> None:
    people = [standing_in(20 + 200 * k, 20, 160 + 200 * k, 340) for k in range(3)]
    own, session = someone(lambda photo: people)
    assert [answer[0] for answer in own.given(wide, session, *ASK)][-1] == "" and session.upload is None
    chooser = own.ask(session)
    lefts = [box[0] for box in chooser.props["boxes"]]
    assert lefts == sorted(lefts) and len(lefts) == 3 and all(0 <= edge <= 1 for box in chooser.props["boxes"] for edge in box)
    assert "was found" in list(own.choose(1, session, *ASK))[-1][0]
    neck = session.upload.pose.xy[1]
    assert neck[0] == pytest.approx(88, abs=2), "the window follows the one who was chosen"
    assert list(own.choose(1, session, *ASK)) == [(None,)] and own.ask(session) == gr.skip(), "once"


def test_a_question_that_was_left_open_is_not_asked_again(wide: str) -> None:
    people = [standing_in(20 + 200 * k, 20, 160 + 200 * k, 340) for k in range(3)]
    found = [people, people[:1]]
    own, session = someone(lambda photo: found.pop(0))
    list(own.given(wide, session, *ASK))
    list(own.given(wide, session, *ASK))  # the visitor closed the question, and gave another photo
    assert own.ask(session) == gr.skip() and session.upload is not None


@pytest.mark.parametrize("value", [None, {}, {"person": "1"}, {"person": -1}, {"person": True}])
def test_whom_is_a_number(value: object) -> None:
    assert PersonChooser().preprocess({"person": 2, "n": 1.5}) == 2
    with pytest.raises(gr.Error):
        PersonChooser().preprocess(value)


def test_nobody_is_a_standing_pose_and_says_so(wide: str) -> None:
    own, session = someone(lambda photo: [])
    assert list(own.given(wide, session, *ASK))[-1][0].count("No person was found") == 1
    subject = session.upload
    assert subject.person.pose is None and subject.pose == presets.standing(SIZE, subject.crop)
    assert "No person was found" in list(own.find(None, session, *ASK))[-1][0] and session.upload is subject
    assert list(own.find("ann", session, *ASK)) == [(None,)]


def test_a_detector_that_cannot_be_read_is_said(wide: str) -> None:
    def broken(photo):
        raise EstimatorError("No weights.")

    own, session = someone(broken)
    assert "No weights. Limits." in list(own.given(wide, session, *ASK))[-1][0] and session.upload.person.pose is None


def test_a_corrected_pose_stays_with_the_photo(wide: str) -> None:
    """Joints that a crop cuts off are back where they were when it shows them again."""
    found = standing_in(302, 0, 402, 352)
    own, session = someone(lambda photo: [found])
    list(own.given(wide, session, *ASK))
    list(own.crop((0.4, 0.25, 0.2), session, *ASK))
    cropped = session.upload.pose
    assert not cropped.visible[JOINTS.index("right ankle")]
    xy = cropped.xy.copy()
    xy[0] += (3, 4)
    list(own.settle(formats.to_value(Pose(xy, cropped.visible)), None, session, *ASK))
    list(own.refit("Whole", session, *ASK))
    pose = session.upload.pose
    assert pose.visible.all() and pose.xy[10] == pytest.approx((found.xy[10] + (0, 336)) / 4, abs=0.1)
    assert pose.xy[0] == pytest.approx((found.xy[0] + (0, 336)) / 4 + np.array((3, 4)) * 0.2, abs=0.1)


def test_a_photo_that_cannot_be_used_changes_nothing(wide: str, tmp_path) -> None:
    own, session = someone(lambda photo: [])
    list(own.given(wide, session, *ASK))
    before = session.upload
    (tmp_path / "torn.png").write_bytes(b"torn")
    assert "error" in list(own.given(str(tmp_path / "torn.png"), session, *ASK))[-1][0]
    assert session.upload is before and list(session.photos) == ["@1"]


def test_the_pose_of_another_photo(wide: str, tmp_path) -> None:
    people = [standing_in(0, 0, 704, 352)]
    own, _ = someone(lambda photo: people)
    taken = own.take_pose(wide).props["taken"]
    assert len(taken["people"]) == 1 and taken["people"][0][1][1] == pytest.approx((people[0].xy[1, 1] + 336) / 4, abs=0.1)
    people.clear()
    assert "No person was found in that photo" in own.take_pose(wide).props["taken"]["error"]
    (tmp_path / "torn.png").write_bytes(b"torn")
    assert "torn.png" in own.take_pose(str(tmp_path / "torn.png")).props["taken"]["error"] and own.take_pose(None) == gr.skip()

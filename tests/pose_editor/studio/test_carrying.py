"""The page's events where the photo's pose is known: its pixels are carried, enlarged, saved, traced and restored."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from nted_step.bundled import WEIGHTS
from nted_step.config import preset
from nted_step.image import load_photo
from nted_step.pipeline import NTEDStepPipeline
from pose_editor import formats, presets, run_bar
from pose_editor.studio import export
from pose_editor.studio.api import Endpoints
from pose_editor.studio.events import PoseEvents
from pose_editor.studio.photo_reader import PhotoReader
from pose_editor.studio.photo_upload import PhotoUpload
from pose_editor.studio.pose_detector import EstimatorError
from pose_editor.studio.save_events import SaveEvents
from pose_editor.studio.session import Session
from pose_editor.studio.studio import LARGE, Studio
from pose_editor.studio.trace_events import TraceEvents
from tests.conftest import save_noise

EXAMPLES = Path(__file__).parents[3] / "assets" / "examples"
SMALL = dataclasses.replace(
    preset("lite"), steps=4, channels={16: 8, 32: 8, 64: 8, 128: 8, 256: 8}, labels={16: 2, 32: 2, 64: 2, 128: 0, 256: 0}
)
SIZE = SMALL.size
POSE = presets.standing(SIZE)
SETTINGS = {"seed": 0}


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    folder = save_noise(tmp_path_factory.mktemp("weights"), SMALL)
    return Studio(NTEDStepPipeline.from_pretrained(folder, device="cpu", dtype="float32"), EXAMPLES)


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Four times the canvas, in stripes that no random weights would make by themselves."""
    pixels = np.zeros((4 * SIZE[0], 4 * SIZE[1], 3), np.uint8)
    pixels[..., 0] = np.arange(len(pixels))[:, None] // 64 % 2 * 255
    pixels[..., 2] = 128
    path = tmp_path_factory.mktemp("photo") / "stripes.png"
    Image.fromarray(pixels).save(path)
    return str(path)


@pytest.fixture
def own(studio: Studio) -> PhotoUpload:
    """Nobody is found in any photo."""
    return PhotoUpload(PoseEvents(studio), PhotoReader(studio, SimpleNamespace(find_all=lambda photo: [])))


@pytest.fixture
def session(own: PhotoUpload, photo: str) -> Session:
    """A visitor who has given the photo."""
    session = Session()
    list(own.given(photo, session, SETTINGS))
    return session


def off(image: Image.Image, photo: str) -> float:
    """How far the inner part of a picture is from the photo, mean over its pixels in 0..255."""
    shown = Image.open(photo).resize(image.size, Image.Resampling.BOX)
    border = image.width // 8
    one, two = (np.asarray(each.convert("RGB"), float)[border:-border, border:-border] for each in (image, shown))
    return float(np.abs(one - two).mean())


def said(answer: tuple) -> str:
    """The notice of an event's answer."""
    return answer[2] if isinstance(answer[2], str) else ""


def test_settled_joints_carry_the_photo(studio: Studio, own: PhotoUpload, session: Session, photo: str) -> None:
    assert session.upload.person.pose is None and off(session.last.run.images[-1], photo) > 40, "nobody said what the photo shows"
    first, *_ = answers = list(own.settle(formats.to_value(POSE, session.edit), None, session, SETTINGS))
    opened = answers[1][0]
    assert "drag a joint" in said(answers[1]) and opened.props["rest"] == formats.to_value(POSE)
    assert session.upload.pose == session.upload.person.pose == POSE and off(session.last.run.images[-1], photo) < 12
    assert first[0] == gr.skip(), "Gradio empties what an event does not say"


def test_joints_of_nothing_are_not_settled(own: PhotoUpload, session: Session) -> None:
    before, hidden = session.upload, formats.to_value(POSE)
    for row in hidden["joints"]:
        row[2] = False
    assert 'class="notice error"' in said(list(own.settle(hidden, None, session, SETTINGS))[-1]) and session.upload is before
    assert len(list(own.settle(formats.to_value(POSE), "brown-coat", session, SETTINGS))) == 1 and session.upload is before


def test_another_window_of_the_photo_keeps_its_pose(own: PhotoUpload, session: Session) -> None:
    list(own.settle(formats.to_value(POSE), None, session, SETTINGS))
    answers = list(own.crop((0.03, 0.03, 0.94), session, SETTINGS))
    expected = (POSE.xy / (SIZE[1], SIZE[0]) - 0.03) / 0.94 * (SIZE[1], SIZE[0])
    assert session.upload.person.pose == session.upload.pose and session.upload.pose.xy == pytest.approx(expected, abs=0.1)
    assert answers[1][1].props["choices"][-1]["own"]["pose"] == formats.to_value(session.upload.pose)["joints"]


def test_what_was_kept_brings_the_photos_pose_back(studio: Studio, session: Session, photo: str) -> None:
    fitted = load_photo(photo, SIZE)
    url = session.upload.picture
    joints = formats.to_value(POSE)["joints"]
    joints[7][0] += 5.0  # the pose that stands there is another one
    for known in (None, formats.to_value(POSE)["joints"]):
        own = {"name": "@2", "photo": url, "fit": "auto", "pose": known}
        bar = run_bar.check({"seed": 0, "restore": {"person": "@2", "photos": [own], "joints": joints}})
        again = Session()
        answers = list(PoseEvents(studio).restore(bar, again))
        assert (again.upload.person.pose is None) == (known is None) and ("Joints fit" in said(answers[0])) == (known is None)
        assert (
            again.last.run.pose == formats.from_value({"joints": joints})
            and tuple(again.upload.person.source.shape[-2:]) == fitted.image.shape[-2:]
        )
    assert again.upload.pose == POSE and off(again.last.run.images[-1], photo) < 12


def test_the_crop_is_remembered(studio: Studio, own: PhotoUpload, session: Session) -> None:
    list(own.settle(formats.to_value(POSE), None, session, SETTINGS))
    window = (0.03, 0.05, 0.9)
    editor, picker, *_ = list(own.crop(window, session, SETTINGS))[1]
    photos = [{"name": each["name"], **each["own"]} for each in picker.props["choices"] if "own" in each]
    kept = {"person": "@1", "photos": photos, "joints": editor.value["joints"]}
    again = Session()
    list(PoseEvents(studio).restore(run_bar.check({"seed": 0, "restore": json.loads(json.dumps(kept))}), again))
    subject = again.upload
    assert subject.fit == window and subject.window == pytest.approx(window, abs=1e-6)
    assert subject.person.large is not None and subject.person.large.shape[-2:] == studio.large, "in its own detail"
    list(own.refit("Whole", again, SETTINGS))
    whole = again.upload
    assert whole.window == pytest.approx((0, 0, 1)) and whole.pose.xy == pytest.approx(POSE.xy, abs=0.1), "and can be changed"


@pytest.mark.parametrize("fit", ["none", [0, 0], [0, 0, 9], {"a": 1}, ["0", 0, 1]])
def test_a_crop_that_is_none_is_refused(fit: object) -> None:
    photo = {"name": "@1", "photo": "data:,", "pose": None, "fit": fit}
    kept = {"person": "@1", "photos": [photo], "joints": formats.to_value(POSE)["joints"]}
    with pytest.raises(ValueError, match=r"fit|window"):
        run_bar.check({"seed": 0, "restore": kept})


def saved(studio: Studio, session: Session, kind: str) -> dict:
    bar = run_bar.check({"seed": 0, "save": {"kind": kind, "step": 4}})
    *_, answer = SaveEvents(studio).save(formats.to_value(POSE), None, session, bar)
    return answer


def opened(answer: dict) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(answer["url"].partition(",")[2])))


def test_the_large_result_and_the_cut_out(studio: Studio, own: PhotoUpload, session: Session, photo: str) -> None:
    answer = saved(studio, session, "cutout")
    assert answer.keys() == {"said"} and "Joints fit" in answer["said"] and "\n" not in answer["said"]
    list(own.settle(formats.to_value(POSE, session.edit), None, session, SETTINGS))
    large, cutout = (opened(saved(studio, session, kind)) for kind in ("large", "cutout"))
    assert large.size == cutout.size == (LARGE * SIZE[1], LARGE * SIZE[0]) and (large.mode, cutout.mode) == ("RGB", "RGBA")
    settings = json.loads(large.text[export.KEY])
    assert settings == json.loads(cutout.text[export.KEY]) and settings["source_pose"]["joints"] == formats.to_value(POSE)["joints"]
    detail = np.abs(np.diff(np.asarray(large.convert("L"), float)[128:-128], axis=0)).max(axis=0)
    assert np.median(detail) > 40, "an edge of the photo is as sharp as the photo, not as the canvas"


def test_the_lens_gets_more_pixels_of_the_same_result(studio: Studio, own: PhotoUpload, session: Session) -> None:
    list(own.settle(formats.to_value(POSE, session.edit), None, session, SETTINGS))
    zoomed = SaveEvents(studio).zoomed(session).props["zoomed"]
    large = opened(zoomed)
    assert zoomed["edit"] == session.edit and large.size == (LARGE * SIZE[1], LARGE * SIZE[0])
    small = np.asarray(large.convert("RGB").resize((SIZE[1], SIZE[0]), Image.Resampling.BOX), float)
    assert np.abs(small - np.asarray(session.last.run.images[-1], float)).mean() < 8
    session.last = dataclasses.replace(session.last, output=dataclasses.replace(session.last.output, step=2))
    assert SaveEvents(studio).zoomed(session) == gr.skip(), "a run that is not finished is not looked at closely"


def click(x: float, y: float) -> SimpleNamespace:
    return SimpleNamespace(_data={"x": x, "y": y, "step": 4, "level": 0})


def test_a_carried_pixel_is_traced_to_its_place(studio: Studio, own: PhotoUpload, session: Session) -> None:
    assert TraceEvents(studio).traced(session, click(90, 130)).props["traced"]["place"] is None, "rendered, not carried"
    list(own.settle(formats.to_value(POSE, session.edit), None, session, SETTINGS))
    traced = TraceEvents(studio).traced(session, click(90, 130)).props["traced"]
    assert traced["place"] == pytest.approx((90, 130), abs=8) and traced["edit"] == session.edit and not traced["everywhere"]
    layer = np.asarray(opened({"url": traced["glow"]}).convert("RGBA")).astype(int)
    x, y = (round(value) for value in traced["place"])
    assert layer[y, x, 3] < 40 < layer[20, 20, 3], "clear at the place, dark elsewhere"


def test_the_background_of_a_photograph_is_traced_to_itself() -> None:
    studio, session = Studio(NTEDStepPipeline.from_pretrained(WEIGHTS, device="cpu"), EXAMPLES), Session()
    subject = studio.examples["grey-t-shirt"]
    list(studio.frames(subject, presets.posed("wave", subject.pose, SIZE), session, 1))

    def place(x: float, y: float) -> tuple[float, float] | None:
        event = SimpleNamespace(_data={"step": 20, "level": 0, "x": x, "y": y})
        return TraceEvents(studio).traced(session, event).props["traced"]["place"]

    assert place(170, 230) == (170.5, 230.5), "grass"
    assert place(84, 100) == pytest.approx((84, 100), abs=12), "the shirt"
    elbow = subject.pose.xy[3]
    assert place(elbow[0] - 2, elbow[1] + 14) is None, "filled in, where the arm hung"


@pytest.fixture
def programs(studio: Studio, tmp_path: Path) -> Endpoints:
    return Endpoints(studio, PhotoReader(studio), str(tmp_path))


def test_programs_need_not_say_the_photos_pose(studio: Studio, tmp_path: Path, photo: str) -> None:
    """It is found as on the page; and stays unknown, as it is there, where nobody is."""
    looked_at: list[tuple] = []

    def find(picture, size):
        looked_at.append((tuple(picture.shape), size))
        if len(looked_at) > 1:
            raise EstimatorError("nobody")
        return POSE

    programs = Endpoints(studio, PhotoReader(studio, SimpleNamespace(find=find)), str(tmp_path))
    pose = formats.to_value(POSE)
    assert off(programs.generate(photo, pose, 0, 4), photo) < 12 and looked_at == [((3, *studio.large), SIZE)]
    assert off(programs.generate(photo, pose, 0, 4), photo) > 40 and len(looked_at) == 2
    assert off(programs.generate(photo, pose, 0, 4, {"joints": pose["joints"]}), photo) < 12 and len(looked_at) == 2, "it was told"


def test_programs_say_the_photos_pose(programs: Endpoints, photo: str) -> None:
    pose = formats.to_value(POSE)
    source_pose = {"joints": pose["joints"]}
    assert off(programs.generate(photo, pose, 0, 4), photo) > 40 and off(programs.generate(photo, pose, 0, 4, source_pose), photo) < 12
    assert off(programs.steps(photo, pose, 0, 4, source_pose)[-1][0], photo) < 12
    with Image.open(programs.tween(photo, pose, pose, 2, 0, "gif", source_pose)) as film:
        assert off(film.convert("RGB"), photo) < 16
    glow, labels = programs.trace(photo, pose, 90, 130, 4, 0, 0, source_pose)
    assert glow.size == labels.size == (SIZE[1], SIZE[0])


@pytest.mark.parametrize("wrong", [{"joints": []}, {"joints": [[1, 2, 3]] * 18}, [1], "standing", {"joints": [[1e4, 1e4, True]] * 18}])
def test_a_wrong_pose_of_the_photo_is_refused_in_one_line(programs: Endpoints, photo: str, wrong: object) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        programs.generate(photo, formats.to_value(POSE), 0, 1, wrong)


def test_the_same_photo_with_and_without_its_pose_is_kept_once(studio: Studio, photo: str) -> None:
    session = Session()
    subject = studio.upload(photo, "photo", session.cache)
    posed = studio.posed(subject, POSE)
    session.cache.use(studio.pipeline, posed.person)
    assert session.cache.people() == [posed.person]

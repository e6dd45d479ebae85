"""What a visitor of the garment tab gets to see, without a browser."""

from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
import torch

from appearance_control.parser import Parse
from appearance_control.posed_people import PosedPeople
from appearance_control.studio.api import SwapEndpoint
from appearance_control.studio.events import NO_PARSER
from appearance_control.studio.parse_cache import MAX_PICTURES, ParseCache
from appearance_control.studio.recognised import ParsedPhoto, recognised_html
from appearance_control.studio.wardrobe import GarmentChoice, WardrobeValue
from nted_step.pose import Pose
from pose_editor import formats
from pose_editor.studio.events import PoseEvents
from pose_editor.studio.photo_upload import PhotoUpload
from pose_editor.studio.session import PHOTO_NAMES, Session
from tests.appearance_control.studio.conftest import SIZE

OUTPUTS = ("editor", "picker", "wardrobe", "viewer", "message", "recognised")


def painted(strength: float = 1.0, person: str = "bob", rows: slice = slice(16, 40)) -> GarmentChoice:
    mask = np.zeros(SIZE, bool)
    mask[rows, 12:32] = True
    return GarmentChoice(person, "upper", strength, mask)


def moved(pose: Pose, dx: float) -> Pose:
    return Pose(pose.xy + np.array([dx, 0]), pose.visible)


def wardrobe(*choices: GarmentChoice, row: int = 0) -> WardrobeValue:
    return WardrobeValue(list(choices), row)


def run(events, session, pose, *choices, edit=None, wearer="ann"):
    """Everything a finished change yields, by output."""
    value = formats.to_value(pose, session.edit + 1 if edit is None else edit)
    return by_output(events.render(value, wearer, wardrobe(*choices), {"seed": 0}, session))


def by_output(stream) -> dict[str, list]:
    found = {name: [] for name in OUTPUTS}
    for outputs in stream:
        for name, each in zip(OUTPUTS, outputs, strict=True):
            if not (isinstance(each, dict) and each.get("__type__") == "update" and len(each) == 1):
                found[name].append(each)
    return found


def results(found: dict[str, list]) -> list[dict]:
    return [each for each in found["viewer"] if isinstance(each, dict) and each.get("kind") == "steps"]


def test_a_painted_garment_is_swapped_without_a_parser(events, session, standing):
    plain = results(run(events, session, standing))[-1]["frames"]
    found = run(events, session, standing, painted())
    assert len(results(found)[-1]["frames"]) == 5 and results(found)[-1]["frames"] != plain
    assert session.last.run.settings["garments"] == [{"person": "bob", "part": "upper", "strength": 1.0, "mask": "by hand"}]
    assert found["message"][-1] == "" and not found["recognised"]
    assert results(run(events, session, standing, painted(0.0)))[-1]["frames"] == plain, "at no strength the wearer is as before"


def test_without_a_parser_or_a_mask_the_wearer_stays_and_one_line_says_why(events, session, standing):
    plain = results(run(events, session, standing))[-1]["frames"]
    found = run(events, session, standing, GarmentChoice("bob", "upper", 1.0))
    assert NO_PARSER in found["message"][-1] and results(found)[-1]["frames"] == plain
    assert "no such folder" in events.parser_loader.error


@pytest.mark.parametrize(("rows", "says"), [(slice(0, 0), "is empty"), (slice(16, 17), None)])
def test_a_mask_that_cannot_be_used_leaves_the_wearer(events, session, standing, rows, says):
    plain = results(run(events, session, standing))[-1]["frames"]
    found = run(events, session, standing, painted(rows=rows))
    if says:
        assert says in found["message"][-1] and "error" in found["message"][-1]
        assert results(found)[-1]["frames"] == plain and session.planned is None
    else:
        assert session.planned is not None


def test_another_pose_is_shown_at_once_and_then_planned(events, session, standing):
    run(events, session, standing, painted())
    first = session.planned
    value = formats.to_value(moved(standing, 2), session.edit + 1)
    stream = events.render(value, "ann", wardrobe(painted()), {"seed": 0}, session)
    early = [outputs[3] for outputs, _ in zip(stream, range(1), strict=False)]
    assert early[0]["kind"] == "steps" and session.planned is first, "before anything is rendered for a new plan"
    list(stream)
    assert session.planned.planner.pose == moved(standing, 2)


def test_a_strength_renders_nobody_again(events, session, standing, monkeypatch):
    run(events, session, standing, painted())
    rendered = []
    generate = events.studio.pipeline.generate
    monkeypatch.setattr(events.studio.pipeline, "generate", lambda person, *a, **k: rendered.append(person) or generate(person, *a, **k))
    run(events, session, standing, painted(0.5))
    assert len(rendered) == 1, "the result alone, and once"


def test_a_preview_wears_the_garment(events, session, standing):
    run(events, session, standing, painted())
    value = formats.to_value(standing, session.edit + 1)
    dressed = events.preview(value, "ann", wardrobe(painted()), {"seed": 0}, session)
    plain = events.preview(formats.to_value(standing, session.edit + 1), "ann", wardrobe(), {"seed": 0}, session)
    assert dressed["kind"] == plain["kind"] == "preview" and (dressed["step"] != plain["step"] or dressed["frames"] != plain["frames"])


def test_a_newer_change_ends_a_plan(events, session, standing, monkeypatch):
    render_person, rendered = PosedPeople.render_person, []

    def interrupted(people, person):
        rendered.append(person)
        events.released(formats.to_value(standing, session.edit + 1), session)
        return render_person(people, person)

    monkeypatch.setattr(PosedPeople, "render_person", interrupted)
    found = run(events, session, standing, painted())
    assert len(rendered) == 1 and session.planned is None and not results(found)
    assert run(events, session, standing, edit=session.edit)["viewer"] == [], "and an older one comes too late"


def test_another_persons_garment_in_the_same_pose_reuses_the_planner(events, session, studio, standing):
    run(events, session, standing, painted())
    events.photo_of_garment(str(studio.folder / "bob.png"), wardrobe(), session)
    found = run(events, session, standing, painted(person="@1"))
    assert session.planned.reuses == 1 and len(results(found)[-1]["frames"]) == 5


def test_a_run_that_is_stopped_leaves_its_newest_step_and_the_next_change_runs(events_with_parser, session, standing):
    stream = events_with_parser.render(formats.to_value(standing, 1), "ann", wardrobe(painted()), {"seed": 0}, session)
    early = next(outputs[3] for outputs in stream if results({"viewer": [outputs[3]]}))
    events_with_parser.stop(session)
    assert not results(by_output(stream)) and len(early["frames"]) == len(session.last.run.images) < 5
    found = run(events_with_parser, session, standing, painted())
    assert len(results(found)[-1]["frames"]) == 5 and found["recognised"], "with what the parser sees of both"


def test_the_result_goes_to_the_other_tab_and_back(events, session, standing):
    pose_session = Session()
    assert "no result" in next(events.send(session, pose_session, {"seed": 0}))[-1] and pose_session.upload is None
    run(events, session, moved(standing, 2), painted())
    first, *_ = events.send(session, pose_session, {"seed": 0})
    sent = pose_session.upload
    assert len(first) == 6 and sent.given is None and sent.appearance is session.last.appearance, "the person, not a picture of it"
    assert first[0].value["joints"] == formats.to_value(moved(standing, 2))["joints"]
    opened = by_output(events.fetch(formats.to_value(standing, 5), None, pose_session, wardrobe(), {"seed": 0}, session))
    assert session.photos["@1"] is sent and results(opened)
    fetched = by_output(events.fetch(formats.to_value(standing, 5), "bob", pose_session, wardrobe(), {"seed": 0}, session))["picker"]
    assert [picker.value for picker in fetched] == ["bob"]


def test_a_dressed_person_looks_the_same_in_the_other_tab_and_is_dressed_on(events, session, standing):
    pose_session = Session()
    run(events, session, standing, painted())
    dressed = session.last.run.images[-1]
    list(events.send(session, pose_session, {"seed": 0}))
    assert pose_session.last.run.images[-1].tobytes() == dressed.tobytes()
    list(events.fetch(formats.to_value(standing, 5), None, pose_session, wardrobe(), {"seed": 0}, session))
    assert session.last.run.images[-1].tobytes() == dressed.tobytes(), "and back"
    run(events, session, standing, painted(person="ann"), wearer="@1", edit=session.edit + 1)
    assert [len(layers) for layers in (session.last.appearance._layers, pose_session.upload.dressed._layers)] == [2, 1]


def test_photos_are_bounded_and_wrong_ones_refused(events, session, studio, tmp_path):
    (tmp_path / "torn.png").write_bytes(b"torn")
    assert "torn.png" in events.photo_of_garment(str(tmp_path / "torn.png"), wardrobe(row=1), session)[4] and not session.photos
    for _ in range(6):
        answer = events.photo_of_garment(str(studio.folder / "bob.png"), wardrobe(row=1), session)
    assert sorted(session.photos) == list(PHOTO_NAMES)
    assert answer[2].props["put"] == {"into": 1, "person": "@2", "n": 6}


def test_nobody_is_looked_at_twice_and_memory_is_bounded():
    class Parser:
        looked = 0

        def parse(self, pixels):
            self.looked += 1
            return Parse(pixels.shape[:2], ())

    cache = ParseCache(Parser())
    images = [torch.full((3, 4, 4), value) for value in np.linspace(-1, 1, MAX_PICTURES + 5)]
    assert cache.parse_image(images[0]) is cache.parse_image(images[0].clone()) and cache.parser.looked == 1
    for image in images:
        cache.parse_image(image)
    assert cache.parser.looked == len(images) and len(cache._parses) == MAX_PICTURES


def test_names_are_text():
    page = recognised_html([ParsedPhoto("<b>Ann", torch.zeros(3, 8, 8), Parse((8, 8), ()))])
    assert "&lt;b&gt;Ann" in page and "<b>" not in page and "Nothing was recognised" in page


def test_the_endpoint_refuses_in_one_line(events, events_with_parser, studio, standing):
    photo, pose = str(studio.folder / "ann.png"), formats.to_value(standing)
    for which, garments, parts, says in (
        (events_with_parser, [], [], "1 to 3 garment photos"),
        (events_with_parser, [photo], ["upper", "lower"], "not 1 and 2"),
        (events, [photo], ["upper"], "cannot be recognised here"),
    ):
        with pytest.raises(ValueError, match=says):
            SwapEndpoint(which).swap(photo, garments, parts, pose, 0)


def several(events, standing) -> None:
    """Two people in every photo, on the whole photo's canvas: one as they stand, one further to the right."""
    large = standing.scaled((64, 44), (256, 176))
    events.reader.estimator = SimpleNamespace(find_all=lambda photo: [large, moved(large, 20)])


def test_of_several_people_the_visitor_is_asked_whom(events, session, studio, standing):
    several(events, standing)
    path = str(studio.folder / "bob.png")
    asked = by_output(events.photo_of_wearer(path, wardrobe(), {"seed": 0}, session))
    assert not session.photos and not results(asked) and len(session.asked.people) == 2 and session.asked_row is None
    worn = by_output(events.chosen_person(1, wardrobe(), {"seed": 0}, session))
    assert session.asked is None and results(worn) and session.photos["@1"].person.pose is not None
    assert worn["editor"][-1].props["photo"] == session.photos["@1"].picture

    assert all(each == gr.skip() for each in events.photo_of_garment(path, wardrobe(row=2), session)) and session.asked_row == 2
    put = by_output(events.chosen_person(0, wardrobe(), {"seed": 0}, session))["wardrobe"][-1].props["put"]
    assert put == {"into": 2, "person": "@2", "n": 2}
    assert session.photos["@2"].window != session.photos["@1"].window, "each is in the middle of their own window"
    assert not results(by_output(events.chosen_person(0, wardrobe(), {"seed": 0}, session))), "nobody is asked about any more"


def test_photos_are_in_both_tabs(events, session, studio, standing):
    pose_session = Session()
    list(PhotoUpload(PoseEvents(studio), events.reader).given(str(studio.folder / "bob.png"), pose_session, {"seed": 0}))
    entered = by_output([events.enter(pose_session, session)])
    for choices in (entered["picker"][0].props["choices"], entered["wardrobe"][0].props["people"]):
        assert [each["name"] for each in choices] == ["ann", "bob", "@1"]
    list(events.photo_of_wearer(str(studio.folder / "ann.png"), wardrobe(), {"seed": 0}, session))
    shown = PoseEvents(studio).show_photos(pose_session).props["choices"]
    assert [each["name"] for each in shown] == ["ann", "bob", "@1", "@2"]
    assert results(by_output(events.render(formats.to_value(standing, 9), "@1", wardrobe(), {"seed": 0}, session)))

"""What a visitor of the garment tab gets to see, without a browser."""

import numpy as np
import pytest
import torch

from appearance_control.parser import Parse
from appearance_control.studio import events
from appearance_control.studio.api import SwapEndpoint
from appearance_control.studio.parse_cache import REMEMBERED, Sight, shown
from appearance_control.studio.wardrobe import Wanted
from nted_step.pose import Pose
from pose_editor import formats
from pose_editor.studio.session import Session
from tests.appearance_control.studio.conftest import SIZE

PARTS = ("editor", "picker", "wardrobe", "viewer", "says", "seen")


def painted(strength: float = 1.0, person: str = "bob", rows: slice = slice(16, 40)) -> Wanted:
    mask = np.zeros(SIZE, bool)
    mask[rows, 12:32] = True
    return Wanted(person, "upper", strength, mask)


def moved(pose: Pose, dx: float) -> Pose:
    return Pose(pose.xy + [dx, 0], pose.visible)


def run(desk, visit, pose, *wanted, edit=None, wearer="ann"):
    """Everything a finished change yields, by output."""
    value = formats.to_value(pose, visit.edit + 1 if edit is None else edit)
    return told(desk.render(value, wearer, (list(wanted), 0), {"seed": 0}, visit))


def told(stream) -> dict[str, list]:
    found = {name: [] for name in PARTS}
    for outputs in stream:
        for name, each in zip(PARTS, outputs, strict=True):
            if not (isinstance(each, dict) and each.get("__type__") == "update" and len(each) == 1):
                found[name].append(each)
    return found


def results(found: dict[str, list]) -> list[dict]:
    return [each for each in found["viewer"] if isinstance(each, dict) and each.get("kind") == "steps"]


def test_a_painted_garment_is_swapped_without_a_parser(desk, visit, standing):
    plain = results(run(desk, visit, standing))[-1]["frames"]
    found = run(desk, visit, standing, painted())
    assert len(results(found)[-1]["frames"]) == 5 and results(found)[-1]["frames"] != plain
    assert visit.last.run.settings["garments"] == [{"person": "bob", "part": "upper", "strength": 1.0, "mask": "by hand"}]
    assert found["says"][-1] == "" and not found["seen"]
    assert results(run(desk, visit, standing, painted(0.0)))[-1]["frames"] == plain, "at no strength the wearer is as before"


def test_without_a_parser_or_a_mask_the_wearer_stays_and_one_line_says_why(desk, visit, standing):
    plain = results(run(desk, visit, standing))[-1]["frames"]
    found = run(desk, visit, standing, Wanted("bob", "upper", 1.0))
    assert events.NO_PARSER in found["says"][-1] and results(found)[-1]["frames"] == plain
    assert "no such folder" in desk.opener.why_not


@pytest.mark.parametrize(("rows", "says"), [(slice(0, 0), "is empty"), (slice(16, 17), None)])
def test_a_mask_that_cannot_be_used_leaves_the_wearer(desk, visit, standing, rows, says):
    plain = results(run(desk, visit, standing))[-1]["frames"]
    found = run(desk, visit, standing, painted(rows=rows))
    if says:
        assert says in found["says"][-1] and "error" in found["says"][-1]
        assert results(found)[-1]["frames"] == plain and visit.fitting is None
    else:
        assert visit.fitting is not None


def test_another_pose_is_shown_at_once_and_then_fitted(desk, visit, standing):
    run(desk, visit, standing, painted())
    first = visit.fitting
    value = formats.to_value(moved(standing, 2), visit.edit + 1)
    stream = desk.render(value, "ann", ([painted()], 0), {"seed": 0}, visit)
    early = [outputs[3] for outputs, _ in zip(stream, range(1), strict=False)]
    assert early[0]["kind"] == "steps" and visit.fitting is first, "before anything is rendered for a new fitting"
    list(stream)
    assert visit.fitting.swap.pose == moved(standing, 2)


def test_a_strength_renders_nobody_again(desk, visit, standing, monkeypatch):
    run(desk, visit, standing, painted())
    rendered = []
    generate = desk.studio.pipeline.generate
    monkeypatch.setattr(desk.studio.pipeline, "generate", lambda person, *a, **k: rendered.append(person) or generate(person, *a, **k))
    run(desk, visit, standing, painted(0.5))
    assert len(rendered) == 1, "the result alone, and once"


def test_a_preview_wears_the_garment(desk, visit, standing):
    run(desk, visit, standing, painted())
    value = formats.to_value(standing, visit.edit + 1)
    dressed = desk.preview(value, "ann", ([painted()], 0), {"seed": 0}, visit)
    plain = desk.preview(formats.to_value(standing, visit.edit + 1), "ann", ([], 0), {"seed": 0}, visit)
    assert dressed["kind"] == plain["kind"] == "preview" and (dressed["step"] != plain["step"] or dressed["frames"] != plain["frames"])


def test_a_newer_change_ends_a_fitting(desk, visit, standing, monkeypatch):
    from appearance_control.swap import GarmentSwap

    view, seen = GarmentSwap.view, []

    def interrupted(swap, person):
        seen.append(person)
        desk.released(formats.to_value(standing, visit.edit + 1), visit)
        return view(swap, person)

    monkeypatch.setattr(GarmentSwap, "view", interrupted)
    found = run(desk, visit, standing, painted())
    assert len(seen) == 1 and visit.fitting is None and not results(found)
    assert run(desk, visit, standing, edit=visit.edit)["viewer"] == [], "and an older one comes too late"


def test_another_persons_garment_in_the_same_pose_goes_on_from_the_fitting_there_is(desk, visit, studio, standing):
    run(desk, visit, standing, painted())
    desk.photo_of_garment(str(studio.folder / "bob.png"), ([], 0), visit)
    found = run(desk, visit, standing, painted(person="@1"))
    assert visit.fitting.uses == 1 and len(results(found)[-1]["frames"]) == 5


def test_a_run_that_is_stopped_leaves_its_newest_step_and_the_next_change_runs(seeing, visit, standing):
    stream = seeing.render(formats.to_value(standing, 1), "ann", ([painted()], 0), {"seed": 0}, visit)
    early = next(outputs[3] for outputs in stream if results({"viewer": [outputs[3]]}))
    seeing.stop(visit)
    assert not results(told(stream)) and len(early["frames"]) == len(visit.last.run.images) < 5
    found = run(seeing, visit, standing, painted())
    assert len(results(found)[-1]["frames"]) == 5 and found["seen"], "with what the parser sees of both"


def test_the_result_goes_to_the_other_tab_and_back(desk, visit, standing):
    session = Session()
    assert "no result" in list(desk.send(visit, session, {"seed": 0}))[0][-1] and session.upload is None
    run(desk, visit, moved(standing, 2), painted())
    first, *_ = desk.send(visit, session, {"seed": 0})
    assert len(first) == 6 and session.upload.pose == moved(standing, 2) and session.file is None
    opened = told(desk.fetch(formats.to_value(standing, 5), None, session, ([], 0), {"seed": 0}, visit))
    assert visit.photos["@1"].picture == session.upload.picture and results(opened)
    assert told(desk.fetch(formats.to_value(standing, 5), "bob", session, ([], 0), {"seed": 0}, visit))["picker"] == ["bob"]


def test_photos_are_bounded_and_wrong_ones_refused(desk, visit, studio, tmp_path):
    (tmp_path / "torn.png").write_bytes(b"torn")
    assert "torn.png" in desk.photo_of_garment(str(tmp_path / "torn.png"), ([], 1), visit)[4] and not visit.photos
    for _ in range(6):
        answer = desk.photo_of_garment(str(studio.folder / "bob.png"), ([], 1), visit)
    assert sorted(visit.photos) == list(events.PHOTOS)
    assert answer[2].props["put"] == {"into": 1, "person": "@2", "n": 6}


def test_nobody_is_looked_at_twice_and_memory_is_bounded():
    class Parser:
        origin = sha256 = ""
        looked = 0

        def parse(self, pixels):
            self.looked += 1
            return Parse(pixels.shape[:2], ())

    sight = Sight(Parser())
    images = [torch.full((3, 4, 4), value) for value in np.linspace(-1, 1, REMEMBERED + 5)]
    assert sight.parse_image(images[0]) is sight.parse_image(images[0].clone()) and sight.parser.looked == 1
    for image in images:
        sight.parse_image(image)
    assert sight.parser.looked == len(images) and len(sight._known) == REMEMBERED


def test_names_are_text():
    page = shown([("<b>Ann", torch.zeros(3, 8, 8), Parse((8, 8), ()))])
    assert "&lt;b&gt;Ann" in page and "<b>" not in page and "Nothing was recognised" in page


def test_the_endpoint_refuses_in_one_line(desk, seeing, studio, standing):
    photo, pose = str(studio.folder / "ann.png"), formats.to_value(standing)
    for which, garments, parts, says in (
        (seeing, [], [], "1 to 3 garment photos"),
        (seeing, [photo], ["upper", "lower"], "not 1 and 2"),
        (desk, [photo], ["upper"], "cannot be recognised here"),
    ):
        with pytest.raises(ValueError, match=says):
            SwapEndpoint(which).swap(photo, garments, parts, pose, 0)

"""Pose files of other tools: each is read rightly, or refused with the reason."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from nted_step import pose_formats
from nted_step.command_line import load_pose, split_choice
from nted_step.pose import JOINTS, Pose, PoseError, load_pose_text
from nted_step.pose_formats import READABLE, load, read
from pose_editor import server_functions

CASES = Path(__file__).parents[1] / "data" / "poses"
SIZE = (256, 176)

# The figure that all the files show, as it stands on the 176x256 canvas, in the order of JOINTS.
FIGURE = np.array(
    [(88, 35), (88, 58), (70, 59), (52, 80), (40, 50), (106, 59), (118, 90), (122, 118), (78, 126), (76, 175), (75, 222), (98, 126),
     (100, 175), (101, 222), (84, 31), (92, 31), (79, 33), (97, 33)], float,
)  # fmt: skip
NECK, WRIST, ANKLES = 1, 4, (10, 13)
MISSING = (-1, -1)
NECK_BETWEEN_SHOULDERS = {NECK: (88, 59)}  # formats without a neck: the shoulders are at (70, 59) and (106, 59)

# (x scale, y scale, x offset, y offset) from the figure to where it must lie.
OURS = (1, 1, 0, 0)
# 512x768 holds the figure as (x 512/176, 3 y). It fits by height: scale 1/3, and (176 - 512/3) / 2 = 2.667 to the left.
OF_512X768 = (512 / 176 / 3, 1, 8 / 3, 0)
# 640x480 holds (x 640/176, y 480/256). It fits by width: scale 176/640 = .275, (256 - 480 x .275) / 2 = 62 above.
OF_640X480 = (1, 0.515625, 0, 62)
# Dress Code's 384x512 holds (x 384/176, 2 y): scale 176/384, (256 - 512 x 176/384) / 2 = 10.667 above.
OF_384X512 = (1, 11 / 12, 0, 32 / 3)
# 512x512 holds (x 512/176, 2 y): scale 176/512, (256 - 176) / 2 = 40 above.
OF_512X512 = (1, 0.6875, 0, 40)
# Of pictures whose size no file tells, the figure comes into the middle of the canvas with .09 of its length around it.
# x 504..717.2 and y 100.6..597.2 are 496.6 long, with room 302.6 x 585.99: scale 256/585.99 = .43687 about (610.6, 348.9) -> (88, 128).
# The file has (2.6 x + 400, 2.6 y + 20).
FITTED_720P = (1.135859, 1.135859, -4.0046, -15.686)
# x 170.455..519.886 and y 133.324..954.773 are 821.449 long: scale 256 / (1.18 x 821.449) = .264105 about (345.170, 544.049).
# The file has (x 750/176, y 1101/256).
FITTED_750X1101 = (1.125448, 1.135858, -3.1611, -15.686)
# x 145.455..443.636 and y 58.125..416.25 are 358.125 long: by width, scale 176 / (298.18 + .18 x 358.125) = .485325
# about (294.545, 237.19).
FITTED_640X480 = (1.764818, 0.909984, -54.9503, 12.887)

# file: (where the figure lies, joints that lie elsewhere, a part of its one note or "")
READ = {
    "plain.json": (OURS, {}, ""),
    "plain.txt": (OURS, {}, ""),
    "JSON_upper.JSON": (OURS, {}, ""),
    "json_named.txt": (OURS, {}, ""),
    "no_suffix_json": (OURS, {}, ""),
    "utf8_bom.json": (OURS, {}, ""),
    "bom.txt": (OURS, {}, ""),
    "utf16_powershell.json": (OURS, {}, ""),
    "utf16.txt": (OURS, {}, ""),
    "crlf.txt": (OURS, {}, ""),
    "comma.txt": (OURS, {}, ""),
    "comment_header.txt": (OURS, {}, ""),
    "three_columns.txt": (OURS, {}, ""),
    "loadtxt_sci.txt": (OURS, {}, ""),
    "pose.npy.txt": (OURS, {}, ""),
    "cmu_body25_720p.json": (FITTED_720P, {}, "does not say how large its picture is"),
    "cmu_body25_750x1101.json": (FITTED_750X1101, {}, "does not say how large its picture is"),
    "alphapose_coco17.json": (FITTED_640X480, NECK_BETWEEN_SHOULDERS, "does not say how large its picture is"),
    "alphapose_coco17_canvas_sized.json": (OURS, NECK_BETWEEN_SHOULDERS, ""),
    "coco_annotations_640x480.json": (OF_640X480, NECK_BETWEEN_SHOULDERS, ""),
    "drawthings_width_height.json": (OF_512X768, {}, ""),
    "wrist_slightly_off.json": (OURS, {WRIST: (0, 50)}, "right wrist: just off the picture, moved onto its edge"),  # was at -0.4
    "ankles_below.txt": (OURS, {10: (75, 256), 13: (101, 256)}, "right ankle, left ankle: just off"),  # were at 262
    # (220, 775) and (290, 780) of 512x768
    "ankles_below_frame_512x768.json": (OF_512X768, {10: (76, 256), 13: (99.333, 256)}, "right ankle, left ankle: just off"),
    "controlnet_null_person_first.json": (OF_512X768, {}, "person 1: left out: it has no body points"),
    "controlnet_null_person_second.json": (OF_512X768, {}, "person 2: left out: it has no body points"),
    "controlnet_empty_list_person.json": (OF_512X768, {}, "person 1: left out: it has no body points"),
    "cmu_all_zero_person.json": (OURS, {}, "person 1: left out: every joint is missing"),
    "comfy_dwpose_one_frame.json": (OF_512X768, {}, ""),
    "comfy_dwpose_two_frames.json": (OF_512X768, {}, ""),
    "fkunn1326_legacy.json": (OF_512X512, {}, ""),
    "viton_pose_keypoints.json": (OURS, {}, ""),
    "dresscode_keypoints.json": (OF_384X512, {}, ""),
    "mmpose_inferencer.json": (OURS, NECK_BETWEEN_SHOULDERS, ""),
    "mmpose_instance_info.json": (OURS, NECK_BETWEEN_SHOULDERS, ""),
    "ultralytics_to_json.json": (OURS, NECK_BETWEEN_SHOULDERS, ""),
    "mediapipe33.json": (OURS, NECK_BETWEEN_SHOULDERS, "what shape its picture has"),
    "openpifpaf_predictions.json": (OURS, NECK_BETWEEN_SHOULDERS, ""),
    "alphapose_halpe26.json": (OURS, {}, "feet points were left out"),
    "alphapose_cmu_bodies.json": (OURS, {}, ""),
    "coco_wholebody133.json": (OURS, NECK_BETWEEN_SHOULDERS, ""),
    "body25_foot72.json": (OURS, {}, "feet points were left out"),
    "nested_points.json": (OURS, {}, ""),
    "coco_nested_points.json": (OURS, NECK_BETWEEN_SHOULDERS, ""),
    "coco_bbox_only.json": (OURS, NECK_BETWEEN_SHOULDERS, "person 1: left out: it has no body points"),
    "people_dict.json": (OURS, {}, ""),
    "two_numbers_each.json": (OURS, {}, ""),
    "numeric_strings.json": (OURS, {}, ""),
    "int_confidence_bool.json": (OURS, {}, ""),
    "nan.json": (OURS, {0: MISSING}, ""),
    "canvas_strings.json": (OURS, {}, ""),
    "canvas_zero.json": (OURS, {}, "do not give the size of a picture"),
    "only_canvas_width.json": (OURS, {}, "do not give the size of a picture"),
    "normalised.json": (OF_512X768, {}, ""),
    "normalised_no_canvas.json": (OURS, {}, "what shape its picture has"),
}
REFUSED = {
    "people_empty.json": "no person found",
    "coco_empty_annotations.json": "no person found",
    "comfy_animals.json": "animals, not of people",
    "trailing_comma.json": "not valid JSON (a comma too many before line 1, column 315)",
    "pose.npy": "an array of NumPy, not text",
}


def expected(name: str) -> np.ndarray:
    (x_scale, y_scale, dx, dy), elsewhere, _ = READ[name]
    xy = FIGURE.copy()
    if elsewhere is NECK_BETWEEN_SHOULDERS:
        xy[NECK] = elsewhere[NECK]
    xy = xy * (x_scale, y_scale) + (dx, dy)
    for joint, place in elsewhere.items():
        if elsewhere is not NECK_BETWEEN_SHOULDERS:
            xy[joint] = place
    return xy


def test_every_case_is_expected_to_be_read_or_refused():
    assert {path.name for path in CASES.iterdir()} == set(READ) | set(REFUSED)


@pytest.mark.parametrize("name", READ)
def test_a_file_of_another_tool_is_read_alike_everywhere(name, capsys):
    note = READ[name][2]
    imported = load(CASES / name, SIZE)
    pose = imported.people[0]
    # Some of the files hold rounded numbers: of three decimals of a whole picture, or whole pixels.
    np.testing.assert_allclose(pose.xy, expected(name), atol=0.2)
    assert np.array_equal(pose.visible, (expected(name) != MISSING).any(axis=1))
    pose.require_drawable(SIZE)
    assert [note in line for line in imported.notes] == ([True] if note else [])

    assert load_pose(CASES / name, SIZE) == pose  # the command line
    said = capsys.readouterr().err
    assert note in said and ("2 people, the first is used" in said) == (len(imported.people) > 1)
    text = (CASES / name).read_bytes()
    text = text.decode("utf-16" if text.startswith(b"\xff\xfe") else "utf-8")
    page = server_functions.read_pose({"text": text, "canvas": list(SIZE)})
    np.testing.assert_allclose(np.array(page["people"][0], float)[:, :2], pose.xy, atol=1e-4)
    assert page["notes"] == list(imported.notes)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_with_the_reason(name):
    for how in (load_pose, load):
        with pytest.raises(PoseError) as error:
            how(CASES / name, SIZE)
        said = str(error.value)
        assert said.startswith(f"{CASES / name}: ") and REFUSED[name] in said and said.endswith(READABLE) and "\n" not in said


# -- what is written below is made from the figure ----------------------------------------------------------------------


def triples(xy=FIGURE, sure=1.0):
    return [float(number) for x, y in xy for number in (x, y, sure)]


COCO = pose_formats.to_coco(Pose(FIGURE, np.ones(18, bool)))


def openpose(*people, **more):
    return json.dumps({"people": [{"pose_keypoints_2d": numbers} for numbers in people], **more})


def test_a_person_or_a_frame_is_chosen(tmp_path, capsys):
    file = tmp_path / "two.json"
    shutil.copy(CASES / "comfy_dwpose_two_frames.json", file)
    assert load(file).places == ((1, 1), (2, 1)) and load(file).numbers == (1, 2)
    second = load(file, frame=2).people
    assert len(second) == 1 and second == load(file, person=2).people == load(file, frame=2, person=1).people
    assert second[0].xy[0, 0] == pytest.approx(88 + 10 / 3, abs=1e-3)  # the second frame lies 10 pixels of 512 to the right
    assert load_pose(f"{file}#2", SIZE) == load_pose(f"{file}#2:1", SIZE) == second[0]
    assert "first is used" not in capsys.readouterr().err
    assert load_pose(file, SIZE) == load(file, person=1).people[0]
    assert f"{file}#2 is the next" in capsys.readouterr().err
    for choice, says in (
        ("#3", "no person 3; the file has 2 people"),
        ("#9:1", "no frame 9"),
        ("#2:2", "no person 2; the frame has 1 person"),
    ):
        with pytest.raises(PoseError, match=says):
            load_pose(f"{file}{choice}", SIZE)
    with pytest.raises(PoseError, match="person 1: it has no body points"):
        load(CASES / "controlnet_null_person_first.json", person=1)


def test_a_file_may_have_a_number_sign_in_its_name(tmp_path):
    shutil.copy(CASES / "plain.txt", tmp_path / "a#2")
    assert split_choice(str(tmp_path / "a#2")) == (str(tmp_path / "a#2"), None, None)
    assert split_choice(str(tmp_path / "a#2#1")) == (str(tmp_path / "a#2"), None, 1)
    assert split_choice("a.json#3:2") == ("a.json", 3, 2)


def test_the_library_reads_the_same_and_warns(tmp_path):
    with pytest.warns(UserWarning, match="right wrist: just off the picture"):
        assert load_pose_text(CASES / "wrist_slightly_off.json") == load(CASES / "wrist_slightly_off.json").people[0]


def test_one_unusable_person_is_left_out_with_a_note():
    nothing, dot = [0.0] * 54, triples(FIGURE * 0.001 + 50)
    read_ = read(openpose(nothing, triples(), dot, [1, 2, 3], triples()))
    assert read_.numbers == (2, 5) and read_.people[0] == read_.people[1]
    assert len(read_.notes) == 3 and "person 3: left out: the pose is" in read_.notes[1] and "no more than a dot" in read_.notes[1]
    assert "person 4: left out: 3 numbers are not those of a body" in read_.notes[2]


def test_fractions_or_pixels_is_decided_over_the_whole_file():
    small = triples(FIGURE / (176, 256))
    assert np.allclose(read(openpose(small)).people[0].xy, FIGURE, atol=1e-4)
    beside = read(openpose(small, triples()))
    assert beside.numbers == (2,) and "person 1: left out: the pose is" in beside.notes[0]
    with pytest.raises(PoseError, match="no more than a dot"):
        read(openpose([1.0, 1.0, 1.0] * 18, canvas_width=176, canvas_height=256))
    off = triples(FIGURE / (176, 256) + (0, 0.15))  # the ankles at 1.017
    assert read(openpose(off)).people[0].xy[10].tolist() == [75, 256]
    centred = triples(FIGURE / (88, 128) - 1)
    assert np.allclose(read(openpose(centred)).people[0].xy, FIGURE, atol=1e-4)


def test_a_joint_far_off_its_picture_is_hidden():
    far = FIGURE.copy()
    far[13] = 101, 300
    pose = read(openpose(triples(far), canvas_width=176, canvas_height=256))
    assert not pose.people[0].visible[13] and pose.people[0].visible.sum() == 17 and pose.notes == ("left ankle: off the picture, hidden",)


def test_a_picture_size_that_the_joints_belie_is_not_used():
    pose = read(openpose(triples(FIGURE * 10), canvas_width=512, canvas_height=512))
    assert "most joints lie off the picture" in pose.notes[0]
    assert np.allclose(np.ptp(pose.people[0].xy, axis=0).max(), 256 / 1.18, atol=0.01)  # room of .09 above and below


def left_out(document):
    notes = read(json.dumps(document)).notes
    assert all(note.endswith(" points were left out: the pose has 18 body joints") for note in notes)
    return [note.split()[0] for note in notes]


def test_hands_face_and_feet_are_left_out_visibly():
    body = [*triples(), *[5.0, 5.0, 1.0] * 7]
    hand, face = {"hand_left_keypoints_2d": [1] * 63}, {"face_keypoints_2d": [0] * 210}
    assert left_out({"people": [{"pose_keypoints_2d": body} | hand | face]}) == ["hands", "feet"]
    assert left_out([{"keypoints": [*COCO, *[9.0, 9.0, 1.0] * 116]}]) == ["hands", "face", "feet"]
    assert left_out({"keypoints": COCO, "foot_kpts": [5, 5, 1] * 6, "face_kpts": [0] * 204}) == ["feet"]


def mediapipe(visibility=1.0):
    points = [{"x": 0.0, "y": 0.0, "z": 0.0, "visibility": 1.0} for _ in range(33)]
    order = (0, None, 12, 14, 16, 11, 13, 15, 24, 26, 28, 23, 25, 27, 5, 2, 8, 7)
    for (x, y), theirs in zip(FIGURE, order, strict=True):
        if theirs is not None:
            points[theirs] = {"x": x / 176, "y": y / 256, "z": -0.3, "visibility": visibility}
    return points


HALPE = [*COCO, *[1.0, 1.0, 0.0], *[88.0, 58.0, 0.9], *[0.0, 0.0, 0.0] * 7]
PAIRS = [[float(x), float(y)] for x, y in FIGURE]
YOLO = {"x": COCO[0::3], "y": COCO[1::3], "visible": [0.9] * 17}


@pytest.mark.parametrize(
    ("document", "people"),
    [
        ({"a.jpg": {"version": 0.1, "people": [{"pose_keypoints_2d": triples()}]}, "b.jpg": {"version": 0.1, "people": []}}, 1),
        ({"a.jpg": {"version": 0.1, "bodies": [{"joints": triples()}]}, "b.jpg": {"version": 0.1, "bodies": [{"joints": triples()}]}}, 2),
        ({"version": 0.1, "people": [{"pose_keypoints": triples()}]}, 1),
        ([{"image_id": name, "category_id": 1, "keypoints": HALPE, "score": 2.1} for name in ("a.jpg", "b.jpg")], 2),
        ({"landmarks": [mediapipe(), mediapipe()], "worldLandmarks": [mediapipe(), mediapipe()]}, 2),
        ({"pose_landmarks": {"landmark": mediapipe()}}, 1),
        ({"landmarks": [[point["x"], point["y"], point["z"], 1.0] for point in mediapipe()]}, 1),
        ({"predictions": [[{"keypoints": [PAIRS[:1] * 17], "keypoint_scores": [[0.9] * 17]}], []]}, 0),
        ({"instance_info": [{"frame_id": 1, "instances": [{"keypoints": COCO, "keypoint_scores": [0.9] * 17}]}]}, 1),
        ({"instance_info": [{"frame_id": n, "instances": [{"keypoints": COCO}]} for n in range(3)]}, 3),
        ({"width": 176, "height": 256, "keypoints": [*PAIRS, *PAIRS]}, 2),  # an older web editor: everybody's points in one list
        ([{"name": "person", "class": 0, "keypoints": YOLO}, {"name": "dog", "class": 16, "keypoints": YOLO}], 1),
        ([[88.0, 35.0], *[[float(x), float(y)] for x, y in FIGURE[1:]]], 1),
        (COCO, 1),
        ({"annotations": {}, "keypoints": COCO}, 1),
        ([{"keypoints": [{"x": x, "y": y, "score": 0.9} for x, y in zip(COCO[0::3], COCO[1::3], strict=True)], "score": 0.8}], 1),
    ],
)  # fmt: skip
def test_other_documents(document, people):
    if not people:
        with pytest.raises(PoseError, match="no more than a dot"):
            read(json.dumps(document))
        return
    imported = read(json.dumps(document))
    assert len(imported.people) == people
    for pose in imported.people:
        others = np.arange(18) != NECK
        np.testing.assert_allclose(pose.xy[others], FIGURE[others], atol=1e-3)


def test_what_a_tool_is_not_sure_of_is_hidden():
    points = mediapipe()
    points[27]["visibility"] = 0.1  # the left ankle
    imported = read(json.dumps(points))
    assert not imported.people[0].visible[13] and imported.people[0].visible.sum() == 17
    assert "less than 0.5 certain were hidden (1)" in imported.notes[0]
    with pytest.raises(PoseError, match=r"every joint is less than 0\.3 certain"):
        read(json.dumps([{"keypoints": COCO, "keypoint_scores": [0.1] * 17}]))


def test_openpose_of_15_points_has_no_face():
    pose = read(openpose([*triples(FIGURE[:14]), 5.0, 5.0, 1.0])).people[0]
    assert [JOINTS[joint] for joint in np.flatnonzero(~pose.visible)] == ["nose", "right eye", "left eye", "right ear", "left ear"]


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"foo": 1, "bar": []}, "not poses of a kind that is known here (it has 'foo', 'bar')"),
        (5, "expected 18 rows"),
        ([], "no person found"),
        ({"people": None}, "no person found"),
        ({"keypoints": [[1.0, 2.0, 1.0]] * 21}, "21 points are in no order that is known here"),
        ([{"keypoints": [1.0] * 60}], "60 numbers are not those of a body"),
        ([{"name": "dog", "keypoints": YOLO}], "an animal (dog), not a person"),
        ([{"category_id": 18, "keypoints": COCO}], "an animal (by its category_id)"),
        ({"categories": [{"id": 3, "name": "antelope", "supercategory": "animal"}], "annotations": [{"category_id": 3, "keypoints": COCO}]},
         "an animal (animal)"),
        ({"meta_info": {"dataset_name": "ap10k"}, "instance_info": [{"keypoints": COCO}]}, "an animal (ap10k)"),
        ({"meta_info": {"dataset_name": "h36m"}, "instance_info": [{"keypoints": COCO}]}, "Human3.6M"),
        ({"people": [{"pose_keypoints_2d": ["a"] * 54}]}, "three finite numbers"),
        ({"people": [{"pose_keypoints_2d": [1e12] * 54}]}, "three finite numbers"),
        ([[[[[[[[[[1]]]]]]]]]], "nested too deeply"),
    ],
)  # fmt: skip
def test_what_is_unknown_is_not_called_coco(document, says):
    with pytest.raises(PoseError) as error:
        read(json.dumps(document))
    said = str(error.value)
    assert says in said and said.endswith(READABLE) and "\n" not in said and not said.startswith("COCO")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_encodings(encoding):
    for name in ("plain.txt", "plain.json"):
        assert read((CASES / name).read_text().encode(encoding)) == load(CASES / name)


def test_names_in_an_old_encoding_do_no_harm():
    assert len(read(json.dumps([{"image_id": "é.jpg", "keypoints": COCO}], ensure_ascii=False).encode("latin-1")).people) == 1


@pytest.mark.parametrize("text", ["x,y\n{}", "# a comment\n{}", "{}\n\n"])
def test_text_of_a_table(text):
    rows = "\n".join(f"{x + 40:g};{y:g}" for x, y in FIGURE)
    assert np.array_equal(read(text.format(rows)).people[0].xy, FIGURE)


def test_a_pose_text_with_a_joint_that_is_not_certain():
    rows = "\n".join(f"{x + 40:g} {y:g} {int(joint != 4)}" for joint, (x, y) in enumerate(FIGURE))
    assert np.flatnonzero(~read(rows).people[0].visible).tolist() == [4]


def test_many_notes_are_few():
    bodies = [triples(FIGURE - (0, 35 + joint / 10)) for joint in range(10)]
    assert len(read(openpose(*bodies, *[[1] * n for n in range(1, 12)], canvas_width=176, canvas_height=256)).notes) == 7

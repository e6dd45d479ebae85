"""Pair lists and annotations of other projects, through the command that prepares them."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from training.deepfashion import records
from training.deepfashion.annotations import read_annotations
from training.deepfashion.folder import read_layout
from training.deepfashion.pair_lists import LayoutError, read_pair_list
from training.deepfashion.prepare import main
from training.deepfashion.store import PreparedStore

CASES = Path(__file__).parents[1] / "data" / "prepare"
SIZE = (64, 44)
DRESS, DRESS_SIDE = "WOMEN/Dresses/id_00000002/02_1_front", "WOMEN/Dresses/id_00000002/02_2_side"
TEE, TEE_FLAT = "MEN/Tees_Tanks/id_00001774/23_1_front", "MEN/Tees_Tanks/id_00001774/23_6_flat"
FLAT, FLAT_SIDE = "fashionWOMENDressesid0000000202_1front.jpg", "fashionWOMENDressesid0000000202_2side.jpg"
PLAIN = "nothing tells which name of a row is the source; add --order"


@pytest.fixture
def prepared(tmp_path):
    """Prepares a case and returns (exit status, report.json); the environments are closed afterwards."""

    def run(case, *options):
        status = main(["--root", str(CASES / case), "--sizes", "64x44", "--output", str(tmp_path), "--workers", "1", *options])
        report = tmp_path / "report.json"
        return status, json.loads(report.read_text()) if report.exists() else None

    yield run
    for _, folder in list(records._OPEN):
        records.close_reader(Path(folder))


def jpg(*names):
    return tuple(f"{name}.jpg" for name in names)


# Case, the order to ask for, part -> (source, target) rows, and which order is reported.
READ = [
    (
        "nted_official_lists",
        None,
        {"train": [jpg(DRESS, DRESS_SIDE), jpg(DRESS_SIDE, DRESS)], "test": [jpg(TEE_FLAT, TEE)]},
        "target-first",
    ),
    ("nted_several_sources", None, {"train": [jpg(DRESS, DRESS_SIDE), jpg(TEE, DRESS_SIDE)]}, "target-first"),
    ("gfla_csv_header", None, {"train": [(FLAT, FLAT_SIDE), (FLAT_SIDE, FLAT)]}, "source-first"),
    ("gfla_annotation_csv", None, {"train": [(FLAT, FLAT_SIDE)]}, "source-first"),
    ("backslashes", "source-first", {"train": [jpg(DRESS, DRESS_SIDE)]}, "source-first"),
    ("backslashes", "target-first", {"train": [jpg(DRESS_SIDE, DRESS)]}, "target-first"),
    ("png_names_jpg_files", "source-first", {"train": [(f"{DRESS}.png", f"{DRESS_SIDE}.png")]}, "source-first"),
    ("upper_JPG", "source-first", {"train": [jpg(DRESS, DRESS_SIDE)]}, "source-first"),
    ("root_too_high/In-shop Clothes Retrieval Benchmark", "target-first", {"train": [jpg(DRESS_SIDE, DRESS)]}, "target-first"),
]


@pytest.mark.parametrize("case, order, expected, reported", READ)
def test_lists_are_read_in_their_order(prepared, tmp_path, case, order, expected, reported):
    status, report = prepared(case, *(["--order", order] if order else []))
    assert status == 0 and report["broken"] == []
    for part, rows in expected.items():
        assert report["pair_lists"][part]["order"] == reported and report["pair_lists"][part]["evidence"]
        store = PreparedStore(tmp_path, SIZE, part)
        assert store.rows == rows and report["pairs"][part] == {"listed": len(rows), "usable": len(rows)}
        pairs = store[0]
        assert torch.equal(pairs.source, store.images([rows[0][0]])) and torch.equal(pairs.target, store.images([rows[0][1]]))
        assert not torch.equal(pairs.source, pairs.target)


def test_every_case_is_tested():
    covered = {case.split("/")[0] for case, *_ in READ} | {"missing_pose", "space_separated"}
    assert covered == {path.name for path in CASES.iterdir()}


REFUSED = [
    ("backslashes", [], 2, PLAIN),
    ("png_names_jpg_files", [], 2, PLAIN),
    ("upper_JPG", [], 2, PLAIN),
    ("missing_pose", [], 2, PLAIN),
    ("space_separated", [], 2, "train_pairs.txt, line 1: expected 'source,target' with a comma"),
    ("root_too_high", [], 2, "In-shop Clothes Retrieval Benchmark'"),
    ("gfla_csv_header", ["--order", "target-first"], 2, "but the header from,to makes it source-first; leave out --order"),
    ("nted_several_sources", ["--order", "source-first"], 2, "but several sources in a row makes it target-first"),
]


@pytest.mark.parametrize("case, options, expected, message", REFUSED)
def test_what_cannot_be_read_is_one_line(prepared, capsys, case, options, expected, message):
    status, report = prepared(case, *options)
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert (status, report, len(errors)) == (expected, None, 1) and message in errors[0]


def test_a_missing_pose_costs_its_own_pair_alone(prepared, tmp_path):
    status, report = prepared("missing_pose", "--order", "source-first")
    (broken,) = report["broken"]
    assert status == 0 and "there is no pose file" in broken["reason"]
    assert report["pairs"]["train"] == {"listed": 2, "usable": 1}
    assert broken["name"] not in {name for row in PreparedStore(tmp_path, SIZE).rows for name in row}


def test_no_complete_pair_is_an_error_and_the_report_is_there(tmp_path, capsys):
    root = shutil.copytree(CASES / "nted_official_lists", tmp_path / "root", copy_function=shutil.copyfile)
    for name in (DRESS, TEE):
        (root / "pose" / f"{name}.txt").unlink()
    output = tmp_path / "prepared"
    assert main(["--root", str(root), "--sizes", "64x44", "--output", str(output), "--workers", "1"]) == 1
    assert "none of the listed pairs can be used" in capsys.readouterr().err
    report = json.loads((output / "report.json").read_text())
    assert report["pairs"] == {"train": {"listed": 2, "usable": 0}, "test": {"listed": 1, "usable": 0}} and report["broken_count"] == 2
    shutil.rmtree(root / "pose")
    (root / "pose").mkdir()
    assert main(["--root", str(root), "--sizes", "64x44", "--output", str(output), "--workers", "1"]) == 1
    assert "none of the 4 listed images" in capsys.readouterr().err


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path):
    path = tmp_path / "train_pairs.txt"
    path.write_bytes(b"\xef\xbb\xbffrom,to\r\na.jpg,b.jpg\r\n")
    assert read_pair_list(path).pairs == (("a.jpg", "b.jpg"),)
    path.write_bytes("﻿img/a.jpg,img/b.jpg".encode())
    assert read_pair_list(path).pairs == (("b.jpg", "a.jpg"),)


def test_a_prefix_is_a_habit_that_the_given_order_outweighs(tmp_path):
    path = tmp_path / "train_pairs.txt"
    path.write_text("img/a.jpg,img/b.jpg\n")
    listed = read_pair_list(path, "source-first")
    assert listed.pairs == (("a.jpg", "b.jpg"),) and listed.evidence == "--order"


def test_annotated_joints_are_those_of_the_csv():
    layout = read_layout(CASES / "gfla_annotation_csv")
    rows = layout.annotation(f"{DRESS}.jpg").splitlines()
    assert layout.annotation(FLAT) and (rows[0], rows[1], rows[3], len(rows)) == ("128 35", "128 58", "92 80", 18)


def test_annotations_of_pictures_176_wide_are_moved_onto_the_frame(tmp_path):
    path = tmp_path / "fasion-resize-annotation-test.csv"
    path.write_text(f"name:keypoints_y:keypoints_x\na.jpg: [35, 58{', 90' * 15}, -1]: [88, 88{', 70' * 15}, -1]\n")
    assert read_annotations(path)["a.jpg"].splitlines()[1::16] == ["128 58", "-1 -1"]


@pytest.mark.parametrize(
    "text, message", [("a.jpg,b.jpg\n", "first line is not"), ("name:keypoints_y:keypoints_x\na: [1]: [2]\n", "line 2")]
)
def test_annotations_that_are_none_are_named(tmp_path, text, message):
    path = tmp_path / "fasion-annotation-test.csv"
    path.write_text(text)
    with pytest.raises(LayoutError, match=message):
        read_annotations(path)

"""Measuring swaps: people whose right answer is known, and the table that is made of them."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from PIL import Image

from appearance_control.__main__ import main
from appearance_control.parser import Parse
from nted_step.bundled import WEIGHTS
from nted_step.pipeline import NTEDStepPipeline
from training.evaluation import swaps
from training.evaluation.swap_cases import SAME, CaseError, find_case
from training.evaluation.swaps import NO_SWAP, PASTE, SWAP, CaseResult, evaluate, save_sheet, try_case
from training.figures import TEST_SEED
from training.figures.person import sample_person

SIZE = (64, 44)


@pytest.fixture(scope="module")
def cases():
    return [find_case(TEST_SEED + number, SIZE) for number in range(5)]


def test_the_answer_differs_from_no_swap_only_inside(cases):
    for case in cases:
        changed = (case.plain.int() - case.truth.int()).abs().amax(dim=0)
        assert changed[~case.inside].max() <= SAME
        assert changed[case.inside].float().mean() > 4 * SAME, "the garment is another one"
        assert (case.garment_mask & ~case.inside).sum() == 0 and 0 < case.inside.float().mean() < 0.6


def test_the_answer_is_the_wearer_in_the_donors_garments(cases):
    parts = {case.part for case in cases}
    assert {"upper", "lower"} <= parts
    for case in cases:
        wearer, donor = (set(sample_person(seed).outfit) for seed in (case.wearer_seed, case.donor_seed))
        if case.part in ("upper", "lower"):
            assert ("dress" in wearer) == ("dress" in donor), "a dress takes the place of separates"
        again = find_case(case.wearer_seed, SIZE)
        assert torch.equal(again.truth, case.truth) and again.donor_seed == case.donor_seed


def test_a_person_without_a_match_is_named(monkeypatch):
    monkeypatch.setattr("training.evaluation.swap_cases._exchanges", lambda *_: False)
    with pytest.raises(CaseError, match="person 9000000 shows nothing that one of the next"):
        find_case(TEST_SEED, SIZE)


def test_the_answer_itself_scores_best_and_no_swap_worst(cases):
    results = [CaseResult(case, {"answer": case.truth, "plain": case.plain}, {}, 0.0) for case in cases]
    rows = swaps._rows(results)
    assert rows["answer"]["inside"] == rows["answer"]["outside"] == pytest.approx(100)
    assert rows["answer"]["colour"] == 0 and rows["plain"]["colour"] > 3
    assert rows["plain"]["inside"] < 25 and rows["plain"]["outside"] > 45


def test_numbers_inside_and_outside_by_hand(cases):
    case = dataclasses.replace(cases[0], truth=torch.zeros_like(cases[0].truth))
    image = torch.where(case.inside, 51, 0).to(torch.uint8).expand(3, -1, -1)  # off by 0.2 inside: 20 log10(5) dB
    row = swaps._rows([CaseResult(case, {"x": image}, {"x": 2.0}, 0.0)])["x"]
    assert row["inside"] == pytest.approx(13.979, abs=1e-3) and row["outside"] == pytest.approx(100) and row["seconds"] == 2


def test_a_swap_is_made_by_every_method(cases, pipeline):
    result = try_case(cases[1], pipeline, None)
    assert list(result.images) == [NO_SWAP, PASTE, SWAP] == list(result.seconds)
    plain, pasted = result.images[NO_SWAP], result.images[PASTE]
    assert torch.equal(plain[:, ~cases[1].garment_mask], pasted[:, ~cases[1].garment_mask]) and not torch.equal(plain, pasted)
    assert result.seconds[SWAP] > 0 and result.preparation > 0


def test_a_swap_is_nearer_to_the_answer_than_none():
    """With the weights in the box and true masks: better inside, and hardly worse around it."""
    lite = NTEDStepPipeline.from_pretrained(WEIGHTS, device="cpu")
    rows = evaluate(lite, None, people=2, seed=TEST_SEED)["rows"]
    assert rows[SWAP]["inside"] > rows[NO_SWAP]["inside"] + 1
    assert rows[SWAP]["outside"] > rows[NO_SWAP]["outside"] - 1


def test_a_swap_that_cannot_be_made_counts_as_no_swap(pipeline, tiny_parser, monkeypatch):
    monkeypatch.setattr(tiny_parser, "parse", lambda photo: Parse(photo.shape[:2], ()))
    report = evaluate(pipeline, tiny_parser, people=1, seed=TEST_SEED)
    assert (
        len(report["failed"]) == 1
        and "person 9000000: person 90000" in report["failed"][0]
        and "is recognised in it, nothing at all" in report["failed"][0]
    )
    assert report["rows"][SWAP]["inside"] == report["rows"][NO_SWAP]["inside"] and report["rows"][SWAP]["seconds"] is None


def test_evaluate_command(tiny_weights, tmp_path, capsys):
    command = ["evaluate", "--people", "2", "--seed", str(TEST_SEED), "--masks", "truth", "--weights", tiny_weights,
               "--device", "cpu", "--output", str(tmp_path / "out")]  # fmt: skip
    assert main([*command, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["swaps"] == sum(part["people"] for part in report["parts"].values()) == 2 and report["masks"] == "truth"
    assert list(report["rows"]) == [NO_SWAP, PASTE, SWAP]
    for rows in (report["rows"], *(part["rows"] for part in report["parts"].values())):
        assert all(np.isfinite(row[key]) for row in rows.values() for key in ("inside", "outside", "seconds"))
    with Image.open(tmp_path / "out" / "sheet.png") as sheet:
        assert sheet.size == (44 * 7, 64 * 2)
    assert main(command) == 0
    assert "inside, dB" in (printed := capsys.readouterr().out) and f"\n  {SWAP} " in printed


@pytest.mark.parametrize(
    ("change", "message"),
    [(["--people", "0"], "--people must be at least 1"), (["--parser", "nowhere"], "nowhere")],
)
def test_evaluate_command_answers_in_one_line(tiny_weights, capsys, change, message):
    assert main(["evaluate", "--people", "1", "--weights", tiny_weights, "--device", "cpu", *change]) == 2
    printed = capsys.readouterr().err
    assert message in printed and printed.count("\n") == 1


def test_the_sheet_shows_wearer_donor_pose_and_answer(cases, tmp_path):
    case = cases[0]
    save_sheet(tmp_path / "sheet.png", [CaseResult(case, {NO_SWAP: case.plain}, {}, 0.0)])
    with Image.open(tmp_path / "sheet.png") as sheet:
        cells = np.split(np.array(sheet), 5, axis=1)
    for place, picture in ((0, case.wearer), (1, case.donor), (3, case.plain), (4, case.truth)):
        assert np.array_equal(cells[place], picture.permute(1, 2, 0).numpy())
    assert 0 < (cells[2] > 0).mean() < 0.6

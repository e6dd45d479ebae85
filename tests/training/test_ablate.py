"""The ablation runner, with the real loop at a tiny size."""

import json
from pathlib import Path

import pytest
import yaml

from training.evaluation import ablate
from training.settings import SettingsError


@pytest.fixture
def plan(tmp_path, tiny_config, monkeypatch):
    monkeypatch.setattr("training.trainer.preset", lambda name: tiny_config)
    figures = {"people": 2, "poses": 2, "seed": 50, "supersize": 64}
    stages = [{"height": 32, "samples": 8, "batch": 4}]  # below the full canvas, as plans are that take an afternoon
    (tmp_path / "base.yaml").write_text(
        yaml.safe_dump({"data_dir": str(tmp_path / "data"), "figures": figures, "stages": stages, "validation_people": 2})
    )
    path = tmp_path / "plan.yaml"
    rows = {"steps": None, "once": ["steps=1"], "window": ["stages.*.rollout=window"]}
    path.write_text(yaml.safe_dump({"config": "base.yaml", "set": ["seed=3"], "people": 2, "rows": rows}, sort_keys=False))
    return path


def test_rows_are_trained_once_and_stand_in_one_table(plan, tmp_path, capsys, monkeypatch):
    arguments = ["--plan", str(plan), "--output", str(tmp_path / "out"), "--device", "cpu"]
    assert ablate.main(arguments) == 0
    text = (tmp_path / "out" / "table.md").read_text()
    assert [line.split("|")[1].strip() for line in text.splitlines()[2:6]] == ["copying the source", "steps", "once", "window"]
    results = json.loads((tmp_path / "out" / "table.json").read_text())
    assert results["once"]["settings"]["steps"] == 1 and {row["settings"]["seed"] for row in results.values()} == {3}
    assert "--set steps=1" in results["once"]["command"] and (tmp_path / "out" / "once" / "sheet.png").is_file()
    assert all(8 <= row["samples"] < 8 + 12 for row in results.values())
    monkeypatch.setattr(ablate, "Trainer", None)  # nothing is trained again
    assert ablate.main(arguments) == 0 and (tmp_path / "out" / "table.md").read_text() == text


@pytest.mark.parametrize(
    "change,message",
    [
        ({"rows": {"a": [], "b": ["stages.0.samples=9"]}}, "differ in budget"),
        ({"rows": {"a": [], "b": ["seed=9"]}}, "differ in seed"),
        ({"rows": {"a": ["no=1"]}}, "unknown setting 'no'"),
        ({"row": {}}, "expected the keys"),
    ],
)
def test_unfair_and_unreadable_plans_are_refused(plan, change, message):
    plan.write_text(yaml.safe_dump(yaml.safe_load(plan.read_text()) | change))
    with pytest.raises(SettingsError, match=message):
        ablate.load_plan(plan)


def test_the_bundled_plan_reads():
    plan = ablate.load_plan(Path("training/configs/ablation.yaml"))
    assert plan.settings("without_attention_reconstruction").stages[1].weights.attention == 0
    assert plan.settings("20_steps").stages[1].weights.attention == 15 and plan.settings("5_steps").steps == 5

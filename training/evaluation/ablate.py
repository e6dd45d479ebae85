"""Ablations: runs that differ in one respect, with the same seed and budget, compared in one table.

    python -m training ablate --plan training/configs/ablation.yaml --output runs/ablation

The plan names a configuration, overrides for all runs, and further overrides for each row of the table. Finished rows are not run
again and an interrupted row continues, so the command can be repeated whenever cores are idle. ``--rows A B`` runs only these rows.
Writes OUTPUT/table.md and OUTPUT/table.json, both with the command of every row.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from nted_step.command_line import INTERRUPTED, report_error
from nted_step.execution import Eager
from nted_step.files import write_file, write_json
from nted_step.pipeline import choose_device
from training.data.pairs import Pairs
from training.data.stores import validation_store
from training.evaluation.garment_colour import GarmentColours
from training.evaluation.metrics import NotAvailable, psnr, ssim, to_bytes
from training.memory import keep_freed_memory
from training.run import DivergedError
from training.settings import Settings, SettingsError, load_settings
from training.train import stop_requested
from training.trainer import Trainer
from training.validation import chain, save_sheet

COPY = "copying the source"
COLUMNS = {"masked_psnr": ".2f", "psnr": ".2f", "ssim": ".4f", "colour": ".1f"}  # and how they are printed


@dataclass(frozen=True)
class Plan:
    """An ablation's plan, as read from its file.

    Attributes:
        config: the YAML file of all runs.
        common: overrides of every run. rows: name -> further overrides.
        people: number of validation people that are measured.
    """

    config: Path
    common: tuple[str, ...]
    rows: Mapping[str, tuple[str, ...]]
    people: int

    def settings(self, row: str) -> Settings:
        return load_settings(self.config, [*self.common, *self.rows[row]])

    def command(self, row: str, output: Path) -> str:
        """The command that trains this row alone."""
        overrides = " ".join(f"--set {shlex.quote(item)}" for item in (*self.common, *self.rows[row]))
        return f"python -m training train --config {self.config} --run {output / row} {overrides}"


def load_plan(path: Path) -> Plan:
    """Read a plan. Raises SettingsError naming the mistake, also in the settings of a row."""
    try:
        document = yaml.safe_load(path.read_text())
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: not valid YAML ({str(error).splitlines()[0]})") from None
    known = {"config", "set", "rows", "people"}
    if not isinstance(document, dict) or not {"config", "rows"} <= set(document) <= known or not isinstance(document["rows"], dict):
        raise SettingsError(f"{path}: expected the keys config, rows (a table) and, optionally, set and people")
    rows = {name: tuple(overrides or ()) for name, overrides in document["rows"].items()}
    plan = Plan(path.parent / document["config"], tuple(document.get("set") or ()), rows, int(document.get("people", 24)))
    budgets = {name: sum(stage.samples for stage in plan.settings(name).stages) for name in rows}
    if len(set(budgets.values())) > 1:
        raise SettingsError(f"{path}: the rows differ in budget, samples: {budgets}")
    if len({plan.settings(name).seed for name in rows}) > 1:
        raise SettingsError(f"{path}: the rows differ in seed")
    return plan


def run_row(plan: Plan, row: str, output: Path, device: torch.device, stop: Any) -> dict[str, Any] | None:
    """Train a row to the end and measure it, or read its earlier result. None if it was stopped before the end."""
    folder = output / row
    settings = plan.settings(row)
    identity = json.loads(json.dumps(dataclasses.asdict(settings)))
    try:
        earlier = json.loads((folder / "result.json").read_bytes())
        if earlier["settings"] == identity and earlier["people"] == plan.people:
            return earlier
    except FileNotFoundError:
        pass
    began = time.monotonic()
    trainer = Trainer(settings, folder, device)
    if not trainer.run(stop):
        return None
    store = validation_store(settings, trainer.ema.config, plan.people)
    pairs = store.first_pairs()
    images = chain(Eager(trainer.ema), pairs, device)
    save_sheet(folder / "sheet.png", pairs, images)
    result = {
        "command": plan.command(row, output), "settings": identity, "people": plan.people, "samples": trainer.progress.total_samples,
        "seconds": round(trainer.progress.seconds, 1), "session_seconds": round(time.monotonic() - began, 1),
        "torch": torch.__version__, "measured": measure(images[-1], pairs), COPY: measure(pairs.source, pairs),
    }  # fmt: skip
    write_json(folder / "result.json", result)
    return result


def measure(image: torch.Tensor, pairs: Pairs) -> dict[str, float | None]:
    """The columns of a row; None for what is not available at this size."""
    output, truth = to_bytes(image), to_bytes(pairs.target)
    values = {"masked_psnr": psnr(output, truth, pairs.mask).mean().item(), "psnr": psnr(output, truth).mean().item()}
    errors = [] if pairs.target_classes is None else GarmentColours(truth, pairs.target_classes).errors(output)
    values["colour"] = float(np.median(errors)) if len(errors) else None
    try:
        return values | {"ssim": ssim(output, truth).mean().item()}
    except NotAvailable:
        return values | {"ssim": None}


def table(results: Mapping[str, dict[str, Any]]) -> str:
    """A Markdown table with copying the source first, and the commands below it."""
    lines = ["| | masked PSNR | PSNR | SSIM | colour error | samples | minutes |", "|---|---|---|---|---|---|---|"]

    def line(name: str, values: Mapping[str, float | None], *rest: str) -> str:
        cells = ["not available" if values[key] is None else format(values[key], form) for key, form in COLUMNS.items()]
        return f"| {name} | " + " | ".join([*cells, *rest]) + " |"

    first = next(iter(results.values()))
    lines.append(line(COPY, first[COPY], "", ""))
    lines += [line(name, result["measured"], str(result["samples"]), f"{result['seconds'] / 60:.1f}") for name, result in results.items()]
    return "\n".join([*lines, "", *(f"- {name}: `{result['command']}`" for name, result in results.items())]) + "\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training ablate", description="Train and compare variants with one seed and budget.")
    parser.add_argument("--plan", required=True, type=Path, help="YAML file, see training/configs/ablation.yaml")
    parser.add_argument("--output", required=True, type=Path, help="folder for the runs and the table")
    parser.add_argument("--rows", nargs="+", metavar="NAME", help="only these rows")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    options = parser.parse_args(arguments)
    keep_freed_memory()
    try:
        plan, device = load_plan(options.plan), choose_device(options.device)
        if unknown := set(options.rows or ()) - set(plan.rows):
            raise SettingsError(f"{options.plan}: has no row {sorted(unknown)[0]!r}")
        stop, results = stop_requested(), {}
        for row in options.rows or plan.rows:
            print(f"== {row}", flush=True)
            result = run_row(plan, row, options.output, device, stop)
            if result is None:
                print("stopped; saved; run the same command again to continue", flush=True)
                return INTERRUPTED
            results[row] = result
            write_json(options.output / "table.json", results)
            write_file(options.output / "table.md", table(results).encode())
    except (ValueError, DivergedError) as error:
        return report_error(error)
    print(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Where the bundled files are, beside the packages in a checkout, inside this package in an installation; and the weights on the Hub."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent
ASSETS = next((folder for folder in (_HERE / "assets", _HERE.parent / "assets") if folder.is_dir()), _HERE.parent / "assets")
WEIGHTS = ASSETS / "weights" / "lite"
PARSER_WEIGHTS = ASSETS / "weights" / "parser"
POSE_WEIGHTS = ASSETS / "weights" / "pose"
EXAMPLES = ASSETS / "examples"

HUB = "hub"  # the name that stands for the repository below wherever weights are named
HUB_REPOSITORY = "nted-step/lite"  # of published weights on the Hub; a fork that publishes its own changes it here alone

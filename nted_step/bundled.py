"""Paths of the bundled files: beside the packages in a checkout, inside this package in an installation."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent
ASSETS = next((folder for folder in (_HERE / "assets", _HERE.parent / "assets") if folder.is_dir()), _HERE.parent / "assets")
WEIGHTS = ASSETS / "weights" / "lite"
PARSER_WEIGHTS = ASSETS / "weights" / "parser"
POSE_WEIGHTS = ASSETS / "weights" / "pose"
EXAMPLES = ASSETS / "examples"

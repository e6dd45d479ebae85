"""Who may import whom."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = {"nted_step", "pose_editor", "garment_tab", "appearance_control", "training", "app", "tests"}
ALLOWED = {
    "nted_step": set(),
    "pose_editor": {"nted_step"},
    "garment_tab": {"nted_step", "pose_editor", "appearance_control"},
    "appearance_control": {"nted_step"},
    "training": {"nted_step", "appearance_control"},
    "app": {"nted_step", "pose_editor", "garment_tab"},
}


def imports(path: Path) -> set[str]:
    """Top-level names that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.split(".")[0])
    return names


def files(package: str) -> list[Path]:
    return [ROOT / "app.py"] if package == "app" else sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", ALLOWED)
def test_packages_import_only_what_they_may(package):
    assert files(package)
    for path in files(package):
        assert imports(path) & OURS <= ALLOWED[package] | {package}, path


def test_gradio_is_imported_by_the_page_alone():
    users = {path.relative_to(ROOT).parts[0] for package in ALLOWED for path in files(package) if "gradio" in imports(path)}
    assert users <= {"app.py", "pose_editor", "garment_tab"}
    assert not [path for path in files("nted_step") if "gradio" in imports(path)]

"""Who may import whom."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = {"nted_step", "pose_editor", "appearance_control", "training", "app", "tests"}
ALLOWED = {
    "nted_step": set(),
    "pose_editor": {"nted_step"},
    "appearance_control": {"nted_step"},
    "appearance_control/studio": {"nted_step", "pose_editor", "appearance_control"},  # of the page, and of nothing else
    "training": {"nted_step", "appearance_control"},
    "app": {"nted_step", "pose_editor", "appearance_control"},
}
# The command that measures swaps draws the people it measures them on, with training's figures. It imports them when it runs.
ALLOWED_WHEN_RUN = {"appearance_control/__main__.py": {"training"}}


def imports(path: Path, at_start: bool = False) -> set[str]:
    """Top-level names that a file imports, anywhere in it, or only outside its functions."""
    names = set()
    tree = ast.parse(path.read_text())
    for node in tree.body if at_start else ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.split(".")[0])
    return names


def files(package: str) -> list[Path]:
    """Without those of a package inside it that has rules of its own."""
    if package == "app":
        return [ROOT / "app.py"]
    apart = [ROOT / other for other in ALLOWED if other.startswith(f"{package}/")]
    return [path for path in sorted((ROOT / package).rglob("*.py")) if not any(path.is_relative_to(folder) for folder in apart)]


@pytest.mark.parametrize("package", ALLOWED)
def test_packages_import_only_what_they_may(package):
    assert files(package)
    for path in files(package):
        allowed = ALLOWED[package] | {package}
        assert imports(path) & OURS <= allowed | ALLOWED_WHEN_RUN.get(path.relative_to(ROOT).as_posix(), set()), path
        assert imports(path, at_start=True) & OURS <= allowed, path


def test_gradio_is_imported_by_the_page_alone():
    users = {package for package in ALLOWED for path in files(package) if "gradio" in imports(path)}
    assert users <= {"app", "pose_editor", "appearance_control/studio"}


def test_appearance_control_works_without_its_tab():
    assert not [path for path in files("appearance_control") if "appearance_control.studio" in path.read_text()]

"""Who may import whom: packages import downwards only, and every room of theirs no more than it is listed with."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = {"nted_step", "nted_step/optimisation", "nted_step/pose_formats"}
PAIRS = {"training/data", "training/deepfashion", "training/figures"}
ALLOWED = {
    "nted_step": {"nted_step/optimisation", "nted_step/pose_formats"},
    "nted_step/pose_formats": {"nted_step"},
    "nted_step/optimisation": {"nted_step"},
    "nted_step/benchmark": CORE,
    "pose_editor": CORE,
    "pose_editor/serving": CORE | {"pose_editor"},
    "pose_editor/studio": CORE | {"pose_editor", "pose_editor/serving"},
    "appearance_control": CORE,
    "appearance_control/studio": CORE | {"pose_editor", "pose_editor/studio", "appearance_control"},
    "training": CORE | PAIRS | {"training/evaluation"},
    "training/figures": CORE,
    "training/data": CORE | PAIRS | {"training"},
    "training/deepfashion": CORE | {"training/data"},
    "training/evaluation": CORE | PAIRS | {"training", "appearance_control"},
    "training/parser": CORE | {"training", "training/figures", "appearance_control"},
    "training/publish": CORE | {"training", "training/evaluation"},
    "app": CORE | {"pose_editor", "pose_editor/serving", "pose_editor/studio", "appearance_control", "appearance_control/studio"},
}
# Commands import these when they run: the benchmark, and the rendered people on whom swaps are measured.
ALLOWED_IN_FUNCTIONS = {
    "nted_step/__main__.py": {"nted_step/benchmark"},
    "appearance_control/__main__.py": {"training/evaluation", "training/figures"},
}


def room_of(path: str) -> str | None:
    """The innermost room that a module or package of ours lies in."""
    return max((room for room in ALLOWED if path == room or path.startswith(f"{room}/")), key=len, default=None)


def modules(node: ast.AST) -> list[str]:
    """The modules that a statement imports, as paths without a suffix."""
    if isinstance(node, ast.Import):
        return [alias.name.replace(".", "/") for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    assert node.level == 0, "imports are absolute"
    package = node.module.replace(".", "/")
    inside = [f"{package}/{alias.name}" for alias in node.names]
    return [each if (ROOT / each).is_dir() or (ROOT / f"{each}.py").is_file() else package for each in inside]


def imports(path: Path, at_start: bool = False) -> set[str]:
    """Paths of modules that a file imports, anywhere in it, or only outside its functions."""
    tree = ast.parse(path.read_text())
    return {module for node in (tree.body if at_start else ast.walk(tree)) for module in modules(node)}


def files(room: str) -> list[Path]:
    """Without those of rooms inside it."""
    found = [ROOT / "app.py"] if room == "app" else sorted((ROOT / room).rglob("*.py"))
    return [path for path in found if room_of(path.relative_to(ROOT).with_suffix("").as_posix()) == room]


@pytest.mark.parametrize("room", ALLOWED)
def test_rooms_import_only_what_they_may(room):
    assert files(room)
    for path in files(room):
        later = ALLOWED_IN_FUNCTIONS.get(path.relative_to(ROOT).as_posix(), set())
        for at_start, allowed in ((True, ALLOWED[room]), (False, ALLOWED[room] | later)):
            rooms = {room_of(module) for module in imports(path, at_start)} - {room, None}
            assert rooms <= allowed, f"{path}: {rooms - allowed}"


def test_every_folder_of_a_package_is_a_room():
    for package in ("nted_step", "pose_editor", "appearance_control", "training"):
        folders = {path.parent.relative_to(ROOT).as_posix() for path in (ROOT / package).glob("*/*.py")}
        assert folders <= set(ALLOWED), folders - set(ALLOWED)


def test_gradio_is_imported_by_the_page_alone():
    users = {room for room in ALLOWED for path in files(room) if any(module.split("/")[0] == "gradio" for module in imports(path))}
    assert users <= {"app", "pose_editor", "pose_editor/studio", "pose_editor/serving", "appearance_control/studio"}


def test_formats_and_presets_work_without_gradio():
    for name in ("formats", "presets", "interpolation"):
        assert not any(module.split("/")[0] == "gradio" for module in imports(ROOT / "pose_editor" / f"{name}.py"))

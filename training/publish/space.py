"""Lay out the folder of a Hugging Face Space from a checkout, and check it against the Hub's documented rules.

    python -m training space --output out/space
    hf upload user/nted-step out/space . --repo-type space

The Hub takes files over 10 MB, and binary files of any size, only through Git LFS or Xet. ``hf upload`` sees to that by itself; for a push
with git, the folder's ``.gitattributes`` names them. The checkout itself has no such file, because git would then want LFS for everyone.
"""

from __future__ import annotations

import argparse
import fnmatch
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from nted_step.command_line import report_error
from nted_step.files import folder_beside, write_file

ROOT = Path(__file__).parents[2]
# What the page needs. Training and tests stay away: a Space is rebuilt at every push.
PARTS = ("app.py", "README.md", "LICENSE", "requirements.txt", "packages.txt", "nted_step", "pose_editor", "appearance_control", "assets")
LARGE = 10 * 10**6  # bytes; above, the Hub refuses a file that is not in LFS or Xet
MOST = 10**9  # bytes of a Space's repository without further storage
SNIFFED = 8000  # bytes in which git looks for a zero, to tell binary files from text
LFS = "filter=lfs diff=lfs merge=lfs -text"
ATTRIBUTES = ".gitattributes"
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
REQUIRED = ("title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "app_file", "license")
DESCRIPTION = 60  # characters


def tracked(root: Path) -> list[str]:
    """Paths of the parts of a checkout that git tracks. Raises ValueError outside a checkout."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z", "--", *PARTS], cwd=root, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        raise ValueError(f"{root}: not a checkout with git; a Space is laid out from one") from None
    return [name for name in listed.split("\0") if name and (root / name).is_file()]


def is_large_storage(path: Path) -> bool:
    """Whether the Hub takes a file only through LFS or Xet: it is over 10 MB, or binary."""
    with open(path, "rb") as file:
        return path.stat().st_size > LARGE or b"\0" in file.read(SNIFFED)


def attributes(folder: Path, names: Iterable[str]) -> str:
    """Contents of ``.gitattributes``: a pattern for every suffix of the files for LFS or Xet, and the path of one without a suffix."""
    patterns = {f"*{suffix}" if (suffix := PurePosixPath(name).suffix) else name for name in names if is_large_storage(folder / name)}
    return "".join(f"{pattern} {LFS}\n" for pattern in sorted(patterns))


def lay_out(root: Path, output: Path) -> list[str]:
    """Copy the parts and write ``.gitattributes``; ``output`` must not exist. Returns the copied names. Raises ValueError and OSError."""
    if output.exists():
        raise ValueError(f"{output}: is there already; remove it or choose another --output")
    names = tracked(root)
    with folder_beside(output) as folder:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, folder / name)
        write_file(folder / ATTRIBUTES, attributes(folder, names).encode())
    return names


def problems(folder: Path) -> list[str]:
    """What the Hub would refuse or not understand, a line each; empty if the folder is a Space."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and ".git" not in path.relative_to(folder).parts)
    return [*_of_files(folder, files), *_of_head(folder)]


def _of_files(folder: Path, files: Sequence[Path]) -> list[str]:
    path = folder / ATTRIBUTES
    lines = path.read_text().splitlines() if path.is_file() else []
    patterns = [line.split()[0] for line in lines if line.endswith(LFS)]
    found = []
    for file in files:
        name = file.relative_to(folder).as_posix()
        if file.is_symlink():
            found.append(f"{name}: a link; a Space needs the file itself")
        elif is_large_storage(file) and not any(fnmatch.fnmatch(name if "/" in each else file.name, each) for each in patterns):
            found.append(f"{name}: {file.stat().st_size:,} bytes, binary or over 10 MB, but no pattern of {ATTRIBUTES} has it")
    if (total := sum(file.stat().st_size for file in files)) > MOST:
        found.append(f"{total:,} bytes in all; a Space has {MOST:,}")
    return found


def _of_head(folder: Path) -> list[str]:
    head = _head(folder / "README.md")
    if head is None:
        return ["README.md: begins without a front matter of YAML between two lines '---'"]
    found = [f"README.md: {key} is missing" for key in REQUIRED if not head.get(key)]
    found += [
        f"README.md: {key} is none of {', '.join(sorted(COLOURS))}" for key in ("colorFrom", "colorTo") if head.get(key) not in COLOURS
    ]
    if head.get("sdk") != "gradio":
        found.append("README.md: sdk is not gradio")
    if len(str(head.get("short_description", ""))) > DESCRIPTION:
        found.append(f"README.md: short_description has more than {DESCRIPTION} characters")
    if not isinstance(head.get("python_version", "3.10"), str) or not isinstance(head.get("sdk_version"), str):
        found.append("README.md: python_version and sdk_version need quotes or three parts, or YAML reads 3.10 as 3.1")
    named = [name for key in ("app_file", "thumbnail") if (name := head.get(key))] + ["requirements.txt"]
    return found + [f"{name}: there is no such file" for name in named if not (folder / name).is_file()]


def _head(readme: Path) -> dict[str, Any] | None:
    parts = readme.read_text(encoding="utf-8").split("---\n", 2) if readme.is_file() else []
    if len(parts) != 3 or parts[0]:
        return None
    try:
        head = yaml.safe_load(parts[1])
    except yaml.YAMLError:
        return None
    return head if isinstance(head, dict) else None


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m training space", description="Lay out the folder of a Hugging Face Space and check it."
    )
    parser.add_argument("--output", required=True, type=Path, help="folder to write")
    options = parser.parse_args(arguments)
    try:
        names = lay_out(ROOT, options.output)
        found = problems(options.output)
    except (ValueError, OSError) as error:
        return report_error(error)
    if found:
        return report_error(f"{options.output}: {'; '.join(found)}", 1)
    size = sum((options.output / name).stat().st_size for name in names)
    print(f"{options.output}: {len(names)} files, {size / 1e6:.1f} MB, within the Hub's rules")
    print(f"create a Gradio Space, then: hf upload USER/NAME {options.output} . --repo-type space")
    return 0


if __name__ == "__main__":
    sys.exit(main())

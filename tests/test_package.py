"""The package as pip installs it: complete without the checkout."""

import os
import subprocess
import sys

import pytest

from nted_step import __version__
from tests.running import ROOT


@pytest.mark.slow
def test_an_installed_package_finds_its_weights(tmp_path):
    site = tmp_path / "site"
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--disable-pip-version-check",
        "--target",
        str(site),
        str(ROOT),
    ]
    subprocess.run(install, check=True, cwd=tmp_path, timeout=300)
    environment = {**os.environ, "PYTHONPATH": str(site)}
    for command in ("nted-step", "nted-garments"):
        found = subprocess.run(
            [str(site / "bin" / command), "--help"], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120
        )
        assert found.returncode == 0 and found.stdout.startswith("usage: "), found.stderr
    told = subprocess.run(
        [str(site / "bin" / "nted-step"), "info"], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert told.returncode == 0 and str(site) in told.stdout and "carrier" in told.stdout, told.stderr
    assert (site / f"nted_step-{__version__}.dist-info").is_dir() and (site / "nted_step" / "py.typed").is_file()

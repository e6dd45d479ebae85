"""The real page for what can go wrong: started once, on a tiny model, and asked over HTTP."""

from __future__ import annotations

import contextlib
import io
import os
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nted_step.pose import Pose
from pose_editor import formats
from tests.running import START_SECONDS, Server, Visitor, free_port


@pytest.fixture(scope="session")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server keeps its temporary files."""
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="session")
def server(tiny_weights: str, temporary: Path) -> Iterator[Server]:
    """``python app.py``. Whatever a test sends, it ends as a person ends it, and has had nothing to complain about."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "GRADIO_TEMP_DIR": str(temporary), "OMP_NUM_THREADS": "1"}
    server = Server(tiny_weights, "--dtype", "float32", environment=environment)
    yield server
    code, output = server.interrupt()
    assert code == 0 and output.strip() == "Stopped.", output
    assert not list(temporary.glob("nted-step-*")), "its temporary files are gone"


@pytest.fixture
def visitor(server: Server) -> Iterator[Visitor]:
    assert server.first_line
    with contextlib.closing(Visitor(server.url)) as visitor:
        yield visitor


def start_here(weights: str) -> str:
    """The same program in this process, so that a test can reach into it. Its address."""
    import app

    port = free_port()
    options = ["--device", "cpu", "--dtype", "float32", "--weights", weights, "--port", str(port)]
    threading.Thread(target=app.main, args=(options,), daemon=True).start()
    began = time.monotonic()
    while time.monotonic() - began < START_SECONDS:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10):
            return f"http://127.0.0.1:{port}/"
        time.sleep(0.1)
    raise AssertionError("the page did not start in this process")


@pytest.fixture(scope="session")
def here(tiny_weights: str) -> str:
    return start_here(tiny_weights)


def picture(seed: int = 0, width: int = 44, height: int = 64) -> Image.Image:
    """A photo with structure; another one for every seed."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8))


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def photo(seed: int = 0) -> bytes:
    return encoded(picture(seed))


@pytest.fixture
def joints(standing: Pose) -> dict:
    """The standing pose as programs send it."""
    return {"joints": formats.to_value(standing)["joints"]}


@pytest.fixture
def works(visitor: Visitor, joints: dict) -> Callable[[], None]:
    """Whether the server still does its work, for the visitor of this test and for programs."""

    def check() -> None:
        assert Image.open(io.BytesIO(visitor.generate(visitor.upload(photo()), joints))).size == (44, 64)

    return check

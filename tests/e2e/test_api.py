"""The examples that the API page writes its snippets from work as they stand, run in the repository."""

from __future__ import annotations

import json
import urllib.request

import pytest
from gradio_client import Client
from PIL import Image

from tests.running import ROOT


@pytest.mark.parametrize("endpoint", ["/generate", "/steps", "/tween", "/trace", "/swap"])
def test_an_endpoint_s_own_example(server, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with urllib.request.urlopen(f"{server.url}gradio_api/info") as answer:
        known = json.load(answer)["named_endpoints"][endpoint]["parameters"]
    arguments = {each["parameter_name"]: each["example_input"] for each in known}
    result = Client(server.url, verbose=False).predict(api_name=endpoint, **arguments)
    first = result[0] if isinstance(result, (list, tuple)) else result
    path = first["image"] if isinstance(first, dict) else first
    with Image.open(path) as image:
        assert image.size == ((352, 512) if endpoint == "/tween" else (176, 256))

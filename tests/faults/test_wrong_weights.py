"""Weights with a flipped byte, cut short, of a wrong shape, without a tensor; an unknown preset: refused by name."""

import json
import math

import pytest
import torch
from safetensors.torch import load_file, save_file

from nted_step.__main__ import main
from nted_step.config import preset
from nted_step.weights import WeightsError, load_weights, save_weights
from tests.running import free_port


def damage(folder, how):
    path = folder / "model.safetensors"
    config = json.loads((folder / "config.json").read_text())
    if how == "flipped byte":
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    elif how == "truncated":
        path.write_bytes(path.read_bytes()[:-100])
    elif how == "no file":
        path.unlink()
    elif how == "not json":
        (folder / "config.json").write_text("{")
    elif how == "not an object":
        (folder / "config.json").write_text("[]")
    elif how == "model not a table":
        (folder / "config.json").write_text(json.dumps({"model": 3}))
    else:
        state = load_file(path)
        if how == "missing key":
            del state["skeleton_encoder.first.conv.weight"]
        elif how == "wrong shape":
            state["skeleton_encoder.first.conv.weight"] = torch.zeros(2, 2)
        elif how == "unknown key":
            state["extra"] = torch.zeros(1)
        elif how == "not finite":
            state["skeleton_encoder.first.activate.bias"][0] = math.nan
        save_file(state, path)
        del config["sha256"]
        (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    "how,message",
    [
        ("flipped byte", "SHA-256"), ("truncated", "SHA-256"), ("no file", "model.safetensors"),
        ("not json", "config.json: not valid JSON"),
        ("not an object", "config.json"), ("model not a table", "config.json"),
        ("missing key", "skeleton_encoder.first.conv.weight.* missing"),
        ("wrong shape", "skeleton_encoder.first.conv.weight.*shape"), ("unknown key", "'extra'"), ("not finite", "not finite"),
    ],
)  # fmt: skip
def test_damaged_weights_are_named(tmp_path, tiny_generator, how, message):
    save_weights(tmp_path, tiny_generator, {}, torch.float32)
    damage(tmp_path, how)
    with pytest.raises(WeightsError, match=message) as error:
        load_weights(tmp_path)
    assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)


def test_an_unknown_preset_is_refused(capsys):
    with pytest.raises(ValueError, match="unknown preset 'huge'"):
        preset("huge")
    assert main(["benchmark", "--preset", "huge"]) == 2
    assert "unknown preset 'huge'" in capsys.readouterr().err


def test_the_page_names_them_and_does_not_start(tmp_path, tiny_generator, capsys):
    import app

    save_weights(tmp_path, tiny_generator, {}, torch.float32)
    damage(tmp_path, "flipped byte")
    assert app.main(["--weights", str(tmp_path), "--port", str(free_port())]) == 1
    said = capsys.readouterr().err
    assert said.startswith("app.py: ") and "SHA-256" in said and said.count("\n") == 1

"""A pickle offered as weights: never unpickled. A canary would be a file written by loading it."""

import json
import os
import pickle

import pytest
import torch

from appearance_control.convert import convert as convert_parser
from nted_step.convert import convert
from nted_step.weights import WeightsError, load_weights, save_weights
from training.checkpoint import load_latest


class Canary:
    def __reduce__(self):
        return (open, ("canary.txt", "w"))


@pytest.fixture(autouse=True)
def canary(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    assert not (tmp_path / "canary.txt").exists()


def test_the_canary_sings():
    pickle.loads(pickle.dumps(Canary())).close()
    os.remove("canary.txt")


def offered(name: str) -> None:
    """The same pickle in the three ways in which weights of others come."""
    if name == "bare.pt":
        with open(name, "wb") as file:
            file.write(pickle.dumps({"net_G": Canary()}))
    else:
        torch.save({"net_G": Canary(), "state_dict": Canary()}, name, _use_new_zipfile_serialization=name == "zip.pt")


@pytest.mark.parametrize("name", ["bare.pt", "zip.pt", "legacy.pt"])
def test_converters_refuse_code(name):
    offered(name)
    for kind in ("nted", "nted_step"):
        with pytest.raises(WeightsError, match=name):
            convert(kind, name, "out")
    with pytest.raises(ValueError, match=name):
        convert_parser(name, "out")
    assert not os.path.exists("out")


@pytest.mark.parametrize("name", ["bare.pt", "zip.pt", "legacy.pt"])
def test_under_the_name_of_weights(name, tmp_path, tiny_generator):
    save_weights(tmp_path, tiny_generator, {})
    config = json.loads((tmp_path / "config.json").read_text())
    config.pop("sha256")
    (tmp_path / "config.json").write_text(json.dumps(config))
    offered(name)
    os.replace(name, "model.safetensors")
    with pytest.raises(WeightsError, match="not a safetensors file"):
        load_weights(tmp_path)


def test_a_folder_of_pickles_alone(tmp_path, tiny_generator):
    """pytorch_model.bin beside the configuration is not even opened."""
    save_weights(tmp_path, tiny_generator, {})
    os.remove("model.safetensors")
    offered("zip.pt")
    os.replace("zip.pt", "pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"model\.safetensors"):
        load_weights(tmp_path)


def test_under_the_name_of_a_checkpoint(tmp_path):
    offered("zip.pt")
    os.replace("zip.pt", "checkpoint_0000000001.pt")
    (tmp_path / "latest").write_text("checkpoint_0000000001.pt")
    with pytest.raises(ValueError, match="none of its 1 checkpoints can be read"):
        load_latest(tmp_path)

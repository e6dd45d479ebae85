"""No room on the disk while saving: an error, and the old checkpoint and weights stay as they were."""

import errno
import os

import pytest
import torch

from nted_step.weights import load_weights, save_weights
from training.checkpoint import load_latest, save_checkpoint


def fill_the_disk_for(path):
    """What is written beside ``path`` goes to a device that is always full, so that the system itself says so."""
    beside = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    beside.symlink_to("/dev/full")
    return beside


def test_old_checkpoint_stays(tmp_path):
    save_checkpoint(tmp_path, {"samples": 1}, 1)
    beside = fill_the_disk_for(tmp_path / "checkpoint_0000000002.pt")
    with pytest.raises(OSError) as error:
        save_checkpoint(tmp_path, {"weights": torch.zeros(100_000)}, 2)
    assert error.value.errno == errno.ENOSPC and not beside.is_symlink()
    assert load_latest(tmp_path) == {"samples": 1}
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint_0000000001.pt", "latest"}, "nothing half-written is left"


def test_old_weights_stay(tmp_path, tiny_generator):
    save_weights(tmp_path, tiny_generator, {"summary": "old"})
    before = load_weights(tmp_path)
    torch.nn.init.ones_(tiny_generator.reference_encoder.first.conv.weight)
    fill_the_disk_for(tmp_path / "model.safetensors")
    with pytest.raises(OSError) as error:
        save_weights(tmp_path, tiny_generator, {"summary": "new"}, torch.float32)
    assert error.value.errno == errno.ENOSPC
    after = load_weights(tmp_path)
    assert after.training == before.training and after.sha256 == before.sha256
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "model.safetensors"}


def test_who_reads_old_weights_goes_on_reading_them(tmp_path, tiny_generator):
    save_weights(tmp_path, tiny_generator, {"summary": "old"})
    path = tmp_path / "model.safetensors"
    before = path.read_bytes()
    with open(path, "rb", buffering=0) as old:
        torch.nn.init.ones_(tiny_generator.reference_encoder.first.conv.weight)
        save_weights(tmp_path, tiny_generator, {"summary": "new"})
        assert old.read() == before != path.read_bytes()

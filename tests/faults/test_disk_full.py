"""No room on the disk while saving: an error, and the old checkpoint and weights stay as they were."""

import multiprocessing
import resource
import signal

import pytest
import torch

from nted_step.weights import load_weights, save_weights
from training.checkpoint import load_latest, save_checkpoint


def in_a_full_place(work) -> str:
    """What ``work`` raises in a process that may write no more than 64 kB into a file, as the kernel says it."""

    def attempt(answer) -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, 65_536))
        torch.set_num_threads(1)
        try:
            work()
            answer.send("saved")
        except OSError as error:
            answer.send(error.strerror)

    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    process = context.Process(target=attempt, args=(there,))
    process.start()
    assert here.poll(60)
    process.join()
    return here.recv()


def test_old_checkpoint_stays(tmp_path):
    save_checkpoint(tmp_path, {"samples": 1}, 1)
    assert in_a_full_place(lambda: save_checkpoint(tmp_path, {"weights": torch.zeros(100_000)}, 2)) == "File too large"
    assert load_latest(tmp_path) == {"samples": 1}
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint_0000000001.pt", "latest"}, "nothing half-written is left"


def test_old_weights_stay(tmp_path, tiny_generator):
    save_weights(tmp_path, tiny_generator, {"summary": "old"})
    before = load_weights(tmp_path)
    torch.nn.init.ones_(tiny_generator.reference_encoder.first.conv.weight)
    assert in_a_full_place(lambda: save_weights(tmp_path, tiny_generator, {"summary": "new"}, torch.float32)) == "File too large"
    after = load_weights(tmp_path)
    assert after.training == before.training and after.sha256 == before.sha256
    with pytest.raises(StopIteration):
        next(tmp_path.glob(".*part"))

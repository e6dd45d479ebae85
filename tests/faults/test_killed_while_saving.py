"""A process killed while it saves, at 20 random moments: the newest checkpoint always loads, whole."""

import multiprocessing
import random
import time

import torch

from training.checkpoint import load_latest, save_checkpoint

KILLS = 20
SIZE = 300_000  # numbers in a checkpoint, so that writing one takes a while


def save_forever(run, first, ready) -> None:
    torch.set_num_threads(1)
    for samples in range(first, 10**9):
        save_checkpoint(run, {"samples": samples, "weights": torch.full((SIZE,), float(samples))}, samples)
        ready.set()


def test_newest_checkpoint_survives(tmp_path):
    rng = random.Random(0)
    context = multiprocessing.get_context("fork")  # a fresh interpreter per kill would take half a minute
    newest, whole_saves = -1, 0
    for _ in range(KILLS):
        ready = context.Event()
        process = context.Process(target=save_forever, args=(tmp_path, newest + 1, ready))
        process.start()
        assert ready.wait(30)
        time.sleep(rng.uniform(0, 0.03))
        process.kill()
        process.join()
        state = load_latest(tmp_path)
        assert state["samples"] > newest and torch.equal(state["weights"], torch.full((SIZE,), float(state["samples"])))
        whole_saves += state["samples"] - newest
        newest = state["samples"]
    assert whole_saves > KILLS, "some were killed after more than their first save"
    save_checkpoint(tmp_path, {"samples": newest + 1}, newest + 1)
    assert not list(tmp_path.glob(".*")), "what the killed ones left half-written is gone after the next save"

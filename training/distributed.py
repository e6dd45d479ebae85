"""A run on several processes: torchrun's environment, messages between the ranks, and networks wrapped for averaging gradients.

Without torchrun there is one rank, and nothing here communicates. Small messages use gloo (CPU tensors), whatever the gradients use,
so that no message needs a GPU or waits for one.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from inspect import signature
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

TIMEOUT = datetime.timedelta(minutes=30)  # rank 0 may validate, or render figures, while the others wait


class Ranks:
    """This process's place among the processes of a run.

    Attributes:
        rank, count: this process's number, and the number of processes.
        local: its number on this machine, which is also its GPU's.
    """

    def __init__(self) -> None:
        joined = dist.is_available() and dist.is_initialized()
        self.rank, self.count = (dist.get_rank(), dist.get_world_size()) if joined else (0, 1)
        self.local = int(os.environ.get("LOCAL_RANK", "0")) if joined else 0
        self._group = dist.new_group(backend="gloo", timeout=TIMEOUT) if self.count > 1 else None

    @property
    def first(self) -> bool:
        """Whether this is the rank that reports, validates and saves."""
        return self.rank == 0

    def any(self, *flags: bool) -> list[bool]:
        """Each flag, true if it is true on any rank. All ranks must call it, with the same number of flags."""
        if self._group is None:
            return list(flags)
        values = torch.tensor(flags, dtype=torch.int32)
        dist.all_reduce(values, dist.ReduceOp.MAX, group=self._group)
        return values.bool().tolist()

    def mean(self, values: Sequence[float]) -> list[float]:
        """Means over the ranks. All ranks must call it, with the same number of values."""
        if self._group is None:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(total, group=self._group)
        return (total / self.count).tolist()

    def gather(self, value: Any) -> list[Any] | None:
        """Every rank's value, on the first rank; None on the others."""
        if self._group is None:
            return [value]
        values = [None] * self.count if self.first else None
        dist.gather_object(value, values, group=self._group)
        return values

    def from_first(self, value: Any) -> Any:
        """The first rank's value, on every rank."""
        if self._group is None:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, group=self._group)
        return box[0]

    def wait(self) -> None:
        """Wait until every rank has called this."""
        if self._group is not None:
            dist.barrier(group=self._group)

    @contextmanager
    def one_after_the_first(self) -> Iterator[None]:
        """The first rank runs the block, then all others do: for files that one rank writes and all ranks read."""
        if not self.first:
            self.wait()
        try:
            yield
        finally:
            if self.first:
                self.wait()

    def same(self, module: nn.Module) -> None:
        """Overwrite the parameters and buffers of a module, in place, with the first rank's."""
        if self._group is None:
            return
        with torch.no_grad():
            for value in (*module.parameters(), *module.buffers()):
                sent = value.detach().cpu().contiguous()
                dist.broadcast(sent, src=0, group=self._group)
                value.copy_(sent)

    def wrap(self, module: nn.Module, device: torch.device) -> nn.Module:
        """The module, with its gradients averaged over the ranks during the backward pass.

        Every parameter must get a gradient in every backward pass, so R1 is added to the rest of the discriminator's loss. Buffers are
        constants here; broadcasting them between two forward passes of one graph would break its backward pass.
        """
        if self._group is None:
            return module
        ids = [device.index] if device.type == "cuda" else None
        known = signature(DistributedDataParallel).parameters
        constant = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"  # torch 2.14 renamed it
        return DistributedDataParallel(module, device_ids=ids, find_unused_parameters=False, **{constant: False})


def without_averaging(module: nn.Module, enabled: bool) -> AbstractContextManager[None]:
    """A context in which backward passes accumulate gradients on this rank only, for all but the last part of a batch."""
    return module.no_sync() if enabled and isinstance(module, DistributedDataParallel) else nullcontext()


@contextmanager
def joined(device: torch.device) -> Iterator[tuple[Ranks, torch.device]]:
    """Join the run if torchrun started one: yields the ranks and this rank's own device."""
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        yield Ranks(), device
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    store, rank, count = next(rendezvous("env://", timeout=TIMEOUT))
    # After a restart the store still holds the addresses of the former processes.
    store = dist.PrefixStore(f"attempt_{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=TIMEOUT)
    try:
        yield Ranks(), device
    finally:
        dist.destroy_process_group()

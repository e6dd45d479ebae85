"""The two halves of a step recorded as CUDA graphs, so that a GPU is not kept waiting for hundreds of small launches.

A graph repeats the same kernels on the same addresses. What a step depends on (image, pose, textures, step index) is therefore
copied to where the recorded kernels read it, and the result is copied out before the next repetition overwrites it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nted_step.execution import render_step
from nted_step.generator import Generator, Textures
from nted_step.optimisation.blur import algorithms, choose_filters, turn_transposed

MOST_RECORDED = 8  # of both halves and all batch sizes together; every one holds its inputs, all of them share their working memory
WARM_UP = 2  # runs before a recording: the first one chooses algorithms and allocates their workspaces, which no recording may do

Call = Callable[[], Sequence[Tensor]]
Record = Callable[[Call], tuple[Callable[[], None], Sequence[Tensor]]]

_RECORDING = threading.Lock()  # CUDA allows one recording at a time in a process


def accelerate(generator: Generator) -> Graphs:
    """Prepare a folded generator, which lies on a CUDA device and will not be changed any more: a second or so of timing."""
    turn_transposed(generator)
    choose_filters(generator)
    return Graphs(generator)


class Graphs:
    """A generator's two halves, recorded when first used with some batch size. Safe to share between threads.

    Threads take turns; all of them use one CUDA stream, which they do unless they were told otherwise. Where gradients are wanted the
    generator is called as it is. What fails while it is recorded (memory, a kernel that cannot be) is raised, not worked around.

    Args:
        generator: in evaluation mode; its weights are not to be moved afterwards.
        record: runs a call, and gives what repeats it and where its results then lie; CUDA graphs by default.
    """

    def __init__(self, generator: Generator, record: Record | None = None):
        if generator.training:
            raise ValueError("only a generator in evaluation mode is recorded; a training step changes what it computes with")
        self.generator = generator
        self._record = record
        self._recorded: OrderedDict[tuple, _Recorded] = OrderedDict()
        self._lock = threading.Lock()

    def textures(self, source: Tensor, t: int) -> Textures:
        """Source B x 3 x H x W in [-1, 1] -> texture values of step t, without extraction maps."""
        if torch.is_grad_enabled():
            times = torch.full((len(source),), t, device=source.device)
            return Textures(self.generator.encode_reference(source, times).values)
        return Textures(tuple(self._replay(self._encode, source, t, ())))

    def step(self, textures: Textures, x_t: Tensor, condition: Tensor, t: int) -> Tensor:
        """x_t B x 3 x H x W, condition B x conditioning_channels x H x W -> the rendered image, float32, in memory of its own."""
        if torch.is_grad_enabled():
            return render_step(self.generator, textures, x_t, condition, t).image
        return self._replay(self._step, x_t, t, (condition, *textures.values))[0]

    def _encode(self, source: Tensor, times: Tensor) -> tuple[Tensor, ...]:
        return self.generator.encode_reference(source, times).values

    def _step(self, x_t: Tensor, times: Tensor, condition: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
        return (render_step(self.generator, Textures(values), x_t, condition, times).image,)

    def _replay(self, half: Callable[..., Sequence[Tensor]], image: Tensor, t: int, others: Sequence[Tensor]) -> list[Tensor]:
        key = (half.__name__, *((tuple(each.shape), each.dtype) for each in (image, *others)))
        with self._lock:  # until the results are copied out: the next replay overwrites them
            if key not in self._recorded:
                self._make_room(image.device)
                self._recorded[key] = _Recorded(half, image, t, others, self._recorder(image.device))
            self._recorded.move_to_end(key)
            return self._recorded[key](image, t, others)

    def _recorder(self, device: torch.device) -> Record:
        if self._record is None:  # made here and not at the start, as a process may be forked in between
            self._record = CudaRecorder(device)
        return self._record

    def _make_room(self, device: torch.device) -> None:
        while len(self._recorded) >= MOST_RECORDED:
            if device.type == "cuda":
                torch.cuda.current_stream(device).synchronize()  # it may still be running
            self._recorded.popitem(last=False)


class _Recorded:
    """One recorded half: the tensors that it reads, what repeats it, and the tensors that it then has written."""

    def __init__(self, half: Callable[..., Sequence[Tensor]], image: Tensor, t: int, others: Sequence[Tensor], record: Record):
        self.image = torch.empty_like(image, memory_format=torch.channels_last)
        self.times = torch.empty(len(image), dtype=torch.int64, device=image.device)
        self.others = [torch.empty_like(other, memory_format=_layout(other)) for other in others]
        self._copy_in(image, t, others)  # the warm-up then computes with real numbers
        self.repeat, self.results = record(lambda: half(self.image, self.times, *self.others))

    def __call__(self, image: Tensor, t: int, others: Sequence[Tensor]) -> list[Tensor]:
        self._copy_in(image, t, others)
        self.repeat()
        return [result.clone() for result in self.results]

    def _copy_in(self, image: Tensor, t: int, others: Sequence[Tensor]) -> None:
        self.image.copy_(image)
        self.times.fill_(t)
        if others:  # apart from the image, which is of another dtype: a list of one dtype is copied by one kernel
            torch._foreach_copy_(self.others, list(others))


def _layout(tensor: Tensor) -> torch.memory_format:
    return torch.channels_last if tensor.dim() == 4 else torch.contiguous_format


class CudaRecorder:
    """Records calls as CUDA graphs, all of them with one side stream and one memory pool.

    The pool can be shared because inputs lie outside it and results are copied out of it before another graph runs.
    """

    def __init__(self, device: torch.device, *, search: bool = False):
        """``search``: see :func:`nted_step.optimisation.blur.algorithms`."""
        self.device, self.search = device, search
        self.stream, self.pool = torch.cuda.Stream(device), torch.cuda.graph_pool_handle()

    def __call__(self, call: Call) -> tuple[Callable[[], None], Sequence[Tensor]]:
        with _RECORDING, torch.cuda.device(self.device):
            self._warm_up(call)
            graph = torch.cuda.CUDAGraph()
            # "thread_local": other threads go on allocating memory and reading results, of which none concerns this stream.
            recording = torch.cuda.graph(graph, pool=self.pool, stream=self.stream, capture_error_mode="thread_local")
            with algorithms(), recording:  # a search is over by then, and cannot be recorded
                results = call()
        return graph.replay, results

    def _warm_up(self, call: Call) -> None:
        current = torch.cuda.current_stream()
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream), algorithms(search=self.search):
            for _ in range(WARM_UP):
                call()
        current.wait_stream(self.stream)

"""One chunk of images as a CUDA graph: all its kernels are launched by one call, captured once and replayed.

Small networks spend their time launching kernels; a graph does away with it. The steps of a chunk suit it as they are:
no shape depends on data, nothing waits for the device, and weights change in place. Off unless SETTLE_CUDA_GRAPHS=1:
it saves time, takes memory, and changes no result.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

from sim.backends.batched.network import Batch

MOST = 8  # graphs kept: one for each size of a chunk
Result = TypeVar("Result")


class Replay(Protocol):
    """A captured sequence of kernels."""

    def replay(self) -> None:
        """Run it again, from the same inputs to the same outputs in memory."""
        ...


class Capture(Protocol):
    """Captures what `function` launches, and returns it with the tensors that the function returned."""

    def __call__(self, function: Callable[[], Result]) -> tuple[Replay, Result]:
        """Run and capture."""
        ...


def capture_on_cuda(function: Callable[[], Result]) -> tuple[Replay, Result]:
    """Capture `function` on the present CUDA device, after a call of it on another stream, as libraries require."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        function()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = function()
    return graph, result


class Graphs(Generic[Result]):
    """`function`, replayed from the second batch of a size on. Its result is overwritten by the next call."""

    def __init__(self, function: Callable[[Batch], Result], capture: Capture = capture_on_cuda) -> None:
        self._function, self._capture = function, capture
        self._seen: set[tuple[int, bool]] = set()
        self._captured: dict[tuple[int, bool], tuple[Batch, Replay, Result]] = {}

    def __call__(self, batch: Batch) -> Result:
        """The result of function(batch); with currents it is called as it is."""
        if batch.currents:
            return self._function(batch)
        size = (len(batch.payloads), batch.targets is not None)
        if size not in self._captured:
            if size not in self._seen or len(self._captured) >= MOST:
                self._seen.add(size)
                return self._function(batch)
            targets = None if batch.targets is None else batch.targets.clone()
            inputs = Batch(batch.payloads.clone(), targets, batch.signs.clone(), batch.streams.clone())
            self._captured[size] = (inputs, *self._capture(lambda: self._function(inputs)))
        inputs, graph, result = self._captured[size]
        for into, values in zip(inputs, batch, strict=True):
            if isinstance(into, Tensor) and isinstance(values, Tensor):
                into.copy_(values)
        graph.replay()
        return result


def wanted(device: torch.device) -> bool:
    """Whether the user asked for graphs, on a device that has them."""
    return device.type == "cuda" and os.environ.get("SETTLE_CUDA_GRAPHS") == "1"

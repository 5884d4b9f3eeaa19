"""Work on images that lie on a CUDA device already, as graphs: no copy, no word to the host between two batches.

Two contestants, each with `learn(batch)` and `infer(batch)`: work for one batch that moves on to the next images by
itself. A network on the Triton kernels; and a perceptron of floats, by backpropagation.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from benchmarks.bench.counters import Counter
from benchmarks.bench.meters import Reading, Tally
from benchmarks.tools.backprop import perceptron
from neuro.base.quantities import NotMeasurable
from sim.backends.batched.backend import TorchSession

Work = Callable[[], object]
STEP = 0.1  # learning rate of the perceptron
LOOK_S = 0.02  # of work between two looks at a counter
CALLS = 20  # timed at least
LONGEST = 500  # batches in a pass


class Contestant(Protocol):
    """Who works on resident images."""

    n: int  # images that lie on the device

    def learn(self, batch: int) -> Work:
        """Work that learns the next batch."""
        ...

    def infer(self, batch: int) -> Work:
        """Work that classifies the next batch."""
        ...

    def rewind(self) -> None:
        """Go back to the first image."""
        ...


def graphed(work: Work, rewind: Callable[[], None], device: torch.device) -> Work:
    """`work` as a CUDA graph, after two calls of it, each on the first images; on a CPU `work` itself."""
    if device.type != "cuda":
        return work
    side = torch.cuda.Stream(device)
    side.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(side):
        for _ in range(2):
            rewind()
            work()
    torch.cuda.current_stream(device).wait_stream(side)
    torch.cuda.synchronize(device)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


class Kernels:
    """A session on the Triton kernels, which has learned or run the images that now lie on its device."""

    def __init__(self, session: TorchSession, n: int) -> None:
        self.session, self.n = session, n
        self._network: Any = session._fused
        self._cursor: Tensor = self._network.cursor

    def _work(self, batch: int, learns: bool) -> Work:
        network, phases = self._network, len(self.session.spec.schedule.phases) if learns else 1

        def work() -> None:
            network._launch_settling(network._lesson, network._outcome, batch, phases, learns, learns)
            if learns:
                network._launch_learning(network._lesson, batch)
            self._cursor.add_(batch)

        return graphed(work, self.rewind, self.session.device)

    def learn(self, batch: int) -> Work:
        """See `Contestant`."""
        return self._work(batch, learns=True)

    def infer(self, batch: int) -> Work:
        """See `Contestant`."""
        return self._work(batch, learns=False)

    def rewind(self) -> None:
        """See `Contestant`."""
        self._cursor.zero_()


class Perceptron:
    """Floats in 0..1 on the device; ReLU, cross-entropy, plain gradient descent.

    images of shape [n, N], labels int64 [n], both on the device.
    """

    def __init__(self, sizes: tuple[int, ...], images: Tensor, labels: Tensor, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.model, self.n, self.device = perceptron(sizes).to(images.device), len(images), images.device
        self._images, self._labels = images, labels
        self._optimizer = torch.optim.SGD(self.model.parameters(), lr=STEP)
        self._cursor = torch.zeros(1, dtype=torch.int64, device=images.device)
        self._classes = torch.zeros(self.n, dtype=torch.int64, device=images.device)

    def _next(self, batch: int) -> Tensor:
        rows = torch.arange(batch, device=self.device) + self._cursor
        self._cursor.add_(batch)
        return rows

    def learn(self, batch: int) -> Work:
        """See `Contestant`."""

        def work() -> None:
            rows = self._next(batch)
            self._optimizer.zero_grad(set_to_none=False)
            nn.functional.cross_entropy(self.model(self._images[rows]), self._labels[rows]).backward()
            self._optimizer.step()

        return graphed(work, self.rewind, self.device)

    def infer(self, batch: int) -> Work:
        """See `Contestant`."""

        def work() -> None:
            with torch.no_grad():
                rows = self._next(batch)
                self._classes[rows] = self.model(self._images[rows]).argmax(1)

        return graphed(work, self.rewind, self.device)

    def rewind(self) -> None:
        """See `Contestant`."""
        self._cursor.zero_()


def batches(contestant: Contestant, batch: int) -> int:
    """Whole batches that are worked on before the first image comes again."""
    return min(contestant.n // batch, LONGEST)


def epochs(contestant: Contestant, work: Work, batch: int, n_epochs: int, device: torch.device) -> float:
    """The seconds in which all whole batches, 500 at most, are done `n_epochs` times."""
    _wait(device)
    start = time.perf_counter()
    for _ in range(n_epochs):
        contestant.rewind()
        for _ in range(batches(contestant, batch)):
            work()
    _wait(device)
    return time.perf_counter() - start


def seconds_a_batch(contestant: Contestant, work: Work, batch: int, device: torch.device, seconds: float) -> float:
    """The mean time of a batch over windows of at least so many seconds, one batch right after the other."""
    a_pass = epochs(contestant, work, batch, 1, device)
    n = max(-(-CALLS // batches(contestant, batch)), round(seconds / a_pass))
    return epochs(contestant, work, batch, n, device) / (n * batches(contestant, batch))


def energy_window(
    contestant: Contestant, work: Work, batch: int, device: torch.device, seconds: float, counter: Counter
) -> tuple[Reading | NotMeasurable, int]:
    """What a counter read over so many seconds of one pass after the other, and how many images were worked on."""
    a_pass = epochs(contestant, work, batch, 1, device)
    at_once, n_images = max(1, round(LOOK_S / a_pass)), 0
    tally, end = Tally(counter), time.perf_counter() + seconds
    while time.perf_counter() < end:
        epochs(contestant, work, batch, at_once, device)
        n_images += at_once * batches(contestant, batch) * batch
        tally.look()
    return tally.finish(), n_images


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)

"""What lies on a device between batches: graphs from the second launch on, no more than a few, none of moved memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from neuro.base.errors import UserError
from neuro.base.fixed_point import image_keys
from sim.backends.batched.cuda_graphs import MOST
from sim.backends.batched.fused.resident import Resident, ResidentNetwork
from sim.backends.batched.record import Outcome
from sim.contract.sigma_delta import random_images, random_spec

SPEC = random_spec(3)
LARGEST = 100  # images that fit


class Counted(ResidentNetwork):
    """Counts launches and replays; a graph replays what was captured."""

    def __init__(self) -> None:
        super().__init__(SPEC, [], torch.device("cpu"))
        self.device = torch.device("cuda")  # for `_replayed` only: tensors of tests are made by `zeros`
        self.launched: list[int] = []
        self.captured = self.replayed = 0

    def zeros(self, *shape: int, kind: torch.dtype = torch.int32) -> Tensor:
        return torch.zeros(shape, dtype=kind)

    def load(self, weights: Mapping[str, Tensor]) -> None:
        raise NotImplementedError

    def _make_buffers(self, size: int) -> None:
        if size > LARGEST:
            raise UserError(f"batch of {size} images")

    def _launch_settling(
        self, lesson: Resident, outcome: Outcome, size: int, n_phases: int, nudged: bool, learns: bool
    ) -> None:
        self.launched.append(size)

    def _launch_commit(self, lesson: Resident, size: int, number: int) -> None:
        raise NotImplementedError

    def _captured(self, launch: Callable[[], None]) -> Callable[[], None]:
        self.captured += 1

        def replay() -> None:
            self.replayed += 1

        return replay

    def present(self, n: int, at_once: int) -> None:
        """Run n images; they are presented on the CPU."""
        payloads, _ = random_images(SPEC, 0, n)
        self.device = torch.device("cpu")
        self._reserve(min(n, at_once))
        self._present(payloads, None, np.ones(n), image_keys(0, 0, n))
        self.device = torch.device("cuda")


def test_what_comes_again_is_captured_the_second_time_and_then_replayed() -> None:
    network, calls = Counted(), list[int]()
    for _ in range(4):
        network._replayed("a", lambda: calls.append(1))
    assert (len(calls), network.captured, network.replayed) == (1, 1, 3)


def test_no_more_than_a_few_graphs_are_kept() -> None:
    network, calls = Counted(), list[int]()
    for key in range(MOST + 3):
        for _ in range(3):
            network._replayed(key, lambda: calls.append(1))
    assert network.captured == MOST
    assert len(calls) == MOST + 3 * 3


@pytest.mark.parametrize("n", [9, 40])
def test_what_moved_is_launched_anew(n: int) -> None:
    network, calls = Counted(), list[int]()
    network.present(8, 4)
    for _ in range(2):
        network._replayed("a", lambda: calls.append(1))
    network.present(n, 4)  # a longer lesson lies elsewhere
    network._replayed("a", lambda: calls.append(1))
    assert len(calls) == 2


def test_a_batch_that_is_refused_is_refused_again() -> None:
    network = Counted()
    for _ in range(2):
        with pytest.raises(UserError, match="batch of 101 images"):
            network.present(101, 101)
    network.present(5, 5)
    assert network.size == 5

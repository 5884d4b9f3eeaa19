"""Votes of a network on noisy copies of an image: integers, equal whatever the batch, the threads or the machine.

Copy j of image i is clip(pixel + sigma z, 0, 1) with row j of stream i of the noise, encoded as any image and shown to
the deployed network: noise, clipping, the encoder's grid and the integers are the classifier that is smoothed.

Uniform numbers of 32 bits stand for the continuous ones of the theorem: the chance of a payload of one pixel is off by
2^-33 at each of its steps, all 784 pixels of 32 steps by 3e-6 together (total variation), which alpha does not count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from neuro.base.arrays import Array, Int64
from neuro.front_ends.noise import noisy_payloads
from sim.backends.session import AnySession

AT_ONCE = 512
COPY_BITS = 24  # of the number of a copy of an image


@dataclass(frozen=True)
class Noise:
    """Which noise: its standard deviation, of pixels in 0..1, and the seed of its streams."""

    sigma: float
    seed: int


def count_votes(
    session: AnySession, image: Array, noise: Noise, stream: int, first: int, count: int, at_once: int = AT_ONCE
) -> Int64:
    """How many of the noisy copies first .. first + count - 1 of an image fall into each class, of shape [K]."""
    votes = np.zeros(session.spec.n_classes, dtype=np.int64)
    for start, size in _batches(first, count, at_once):
        payloads = noisy_payloads(
            session.spec.encoder, image[None], noise.sigma, seed=noise.seed, stream=stream, first=start, count=size
        )
        copy = (stream << COPY_BITS) + start if session.spec.stochastic else 0  # a draw of its own for every copy
        record = session.run(payloads, seed=noise.seed, first_image=copy)
        votes += np.bincount(record.predictions, minlength=len(votes))
    return votes


def _batches(first: int, count: int, at_once: int) -> Iterator[tuple[int, int]]:
    for start in range(first, first + count, at_once):
        yield start, min(at_once, first + count - start)


def leading(votes: Int64) -> int:
    """The class of most votes, the lowest of equals."""
    return int(votes.argmax())

"""What is shown to a session: numbered images, with targets or without, and what to keep of what happens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from neuro.base.arrays import Int64, Integers, UInt32
from neuro.base.fixed_point import image_keys, nudge_sign
from neuro.spec.sigma_delta import NetworkSpec

Shown = TypeVar("Shown", bound="Presentation")


@dataclass(frozen=True, eq=False)
class Presentation:
    """B images, checked against the network that sees them.

    payloads:     of shape [B, N], as the encoder of the network gives them.
    targets:      of shape [B, K], in state units (stock: 0 or 1); None: the free phase only.
    seed, first_image: number the images for all randomness: the sign of the nudge, the rounding of a change.
    keep_states, keep_spikes: what the record is to hold besides its counts.
    currents:     by population, of shape [B, N], in state units: what is added to the input of units in nudged phases,
                  with the sign of the nudge; None or empty: nothing. It descends a cost on these units.
    """

    payloads: Integers
    targets: Integers | None
    seed: int
    first_image: int
    keep_states: bool
    keep_spikes: bool
    currents: Mapping[str, Integers] | None = None

    def __len__(self) -> int:
        return len(self.payloads)

    def images(self: Shown, first: int, end: int) -> Shown:
        """Images first..end-1, numbered as they are here."""
        targets = None if self.targets is None else self.targets[first:end]
        currents = {name: values[first:end] for name, values in (self.currents or {}).items()}
        return replace(
            self, payloads=self.payloads[first:end], targets=targets, first_image=self.first_image + first,
            currents=currents,
        )  # fmt: skip

    def batches(self: Shown, size: int) -> Iterator[Shown]:
        """The images in order, `size` at a time, fewer at the end; one empty batch if there are none."""
        for first in range(0, max(len(self), 1), size):
            yield self.images(first, first + size)


@dataclass(frozen=True, eq=False)
class Lesson(Presentation):
    """Images to be learned in the order given. first_image: presentations so far."""

    targets: Integers


def keys_of(shown: Presentation) -> UInt32:
    """The random key of each image, of shape [B]."""
    return image_keys(shown.seed, shown.first_image, len(shown))


def nudge_signs(spec: NetworkSpec, seed: int, first_image: int, count: int) -> Int64:
    """The sign of the first nudge of each image, +1 or -1, of shape [count]."""
    if not spec.schedule.random_sign:
        return np.ones(count, dtype=np.int64)
    signs: Int64 = nudge_sign(image_keys(seed, first_image, count)).astype(np.int64)
    return signs

"""What an attack did on its way: the margins of all its iterates, some of the iterates themselves.

An attack hands back the iterate of the largest margin on the attacked model. Another one may fool the deployed labels
at a smaller margin (ties, rounding, scores that do not decide the label): so some of the way is scored, too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from neuro.base.arrays import Bools, Float32
from sim.robustness.attacks.losses import margin
from sim.robustness.attacks.search import Model
from sim.robustness.attacks.threats import Threat

FEWEST = 8  # calls, to say whether a loss rises


class Path(NamedTuple):
    """The way of an attack on B images, every array of shape [B]; NaN: not measured.

    correct:  the deployed model withstood all iterates that were kept.
    conflict: share of them on which margin and label disagree (margin < 0 and already wrong, > 0 and still right), of
              images that came to the boundary: some on either side of it.
    jump:     the margin of the last iterate before the attacked model is first fooled, relative to that of the clean
              image: near 0 where a score falls to the boundary, near 1 where it leaps over it.
    rose:     1 if the margin is larger in the last quarter of the calls than in the first, else 0.
    """

    correct: Bools
    conflict: Float32
    jump: Float32
    rose: Float32


class Watched:
    """A model that remembers what it was asked, if that was the whole batch. keep: iterates to keep, up to twice that.

    The first call is that of the clean images (`attack.Search` makes it). copies: the batch holds its images so many
    times (`threats.Threats`). once: what is asked of the images themselves is meant for all their copies.
    """

    def __init__(
        self, model: Model, images: Tensor, labels: Tensor, keep: int, copies: int = 1, once: bool = False
    ) -> None:
        self.model, self.clean, self.labels, self.keep = model, images, labels.to(images.device, torch.int64), keep
        self.copies = copies
        self.margins: list[Tensor] = []
        self._shapes = {images.shape, images[: len(images) // copies].shape} if once else {images.shape}
        self._kept: dict[int, Tensor] = {}
        self._stride = 1

    def __call__(self, images: Tensor) -> Tensor:
        """The scores."""
        scores = self.model(images)
        if images.shape in self._shapes:
            self._see(images, self._of_all(margin(scores.detach(), self.labels[: len(images)])))
        return scores

    def _of_all(self, values: Tensor) -> Tensor:
        times = len(self.clean) // max(len(values), 1)
        return values.repeat(times, *[1] * (values.dim() - 1)) if times > 1 else values

    def _see(self, images: Tensor, margins: Tensor) -> None:
        call = len(self.margins)
        self.margins.append(margins)
        if call and self.keep and call % self._stride == 0:
            self._kept[call] = images.detach().clone()
        if len(self._kept) > 2 * self.keep:
            self._stride *= 2
            self._kept = {call: kept for call, kept in self._kept.items() if call % self._stride == 0}

    def paths(self, threat: Threat, right: Callable[[Tensor], Bools]) -> list[Path]:
        """What `path` knows, for each copy of the images."""
        parts = zip(*(np.split(values, self.copies) for values in self.path(threat, right)), strict=True)
        return [Path(*part) for part in parts]

    def path(self, threat: Threat, right: Callable[[Tensor], Bools]) -> Path:
        """What is known of the way. right: whether the deployed model is right on images, repeats of the batch."""
        n = len(self.clean)
        margins = (
            torch.stack(self.margins).float().cpu().numpy() if self.margins else np.full((1, n), np.nan, np.float32)
        )
        correct, conflict = np.ones(n, np.bool_), np.full(n, np.nan, np.float32)
        if self._kept:
            images = torch.cat([threat.project(self._of_all(kept), self.clean) for kept in self._kept.values()])
            flags = right(images).reshape(-1, n)
            correct, conflict = flags.all(axis=0), conflicts(margins[list(self._kept)] <= 0, flags)
        return Path(correct, conflict, jumps(margins), rises(margins))


def conflicts(by_score: Bools, by_label: Bools) -> Float32:
    """See `Path.conflict`; by_score, by_label: whether still right, of shape [calls, B]."""
    either = np.concatenate([by_score, by_label])
    at_boundary = either.any(axis=0) & ~either.all(axis=0)
    return np.where(at_boundary, (by_score != by_label).mean(axis=0), np.nan).astype(np.float32)


def jumps(margins: Float32) -> Float32:
    """See `Path.jump`; margins of shape [calls, B], the first ones of the clean images."""
    found = np.full(margins.shape[1], np.nan, np.float32)
    fooled = margins > 0
    if len(margins) < FEWEST:
        return found
    first = fooled.argmax(axis=0)
    measured = fooled.any(axis=0) & (first > 1)  # not by the clean image, nor by the start
    columns = np.flatnonzero(measured)
    before = margins[first[columns] - 1, columns]
    found[columns] = before / np.minimum(margins[0, columns], -1e-12)
    return found


def rises(margins: Float32) -> Float32:
    """See `Path.rose`; margins of shape [calls, B]."""
    if len(margins) < FEWEST:
        return np.full(margins.shape[1], np.nan, np.float32)
    quarter = len(margins) // 4
    rose: Float32 = (margins[-quarter:].mean(axis=0) > margins[:quarter].mean(axis=0)).astype(np.float32)
    return rose

"""Costs on a hidden layer that pull it towards recordings; equilibrium propagation serves them by a current.

A cost A(s) on a hidden layer needs no new rule. The nudged phases relax E + nudge (C + w A) and E - nudge (C + w A), so
that the layer feels one force more, and to first order in the nudge it may be that of the free state:

    current = sign of the nudge * nudge * w * f        f = -dA/ds at the end of the free phase, held through both nudges
    (pre post^T after one nudge - pre post^T after the other) / (2 nudge)  ->  -d(C + w A)/dW

In integers: round(nudge w f 2^state_bits), a constant payload of every unit and image, which the backends add
(`sim.backends.presentation`). A is a sum over the images of a batch, s of shape [B, N], r of shape [B, M]; images
without recordings feel nothing. Source: Scellier and Bengio 2017 for the theorem; the costs stand at their classes.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np

from neuro.base.arrays import Bools, Int64, Reals

FEWEST = 4  # images with recordings that a batch is compared by
READOUT_BITS = 24  # of the fraction of a readout weight: integers, as all that a checkpoint holds
HEAD_SHARE = 0.5  # deviation of what a head is nudged to, mean over units, of a real value of 1
READOUT_RATE = 0.5  # of the readout, in units of 1 / |s|^2


class Cost(ABC):
    """A cost of the states of a layer, given recordings.

    compares: whether it compares the images of a batch with each other.
    """

    compares: ClassVar[bool] = False

    def force(self, states: Reals, responses: Reals) -> Reals:
        """F of shape [B, N], for states of shape [B, N] and responses of shape [B, M], NaN where missing."""
        force = np.zeros_like(states)
        known = recorded(responses)
        if np.count_nonzero(known) >= (FEWEST if self.compares else 1):
            force[known] = self._force(states[known], responses[known])
        return force

    @abstractmethod
    def value(self, states: Reals, responses: Reals) -> float:
        """A, of images that all have recordings."""

    @abstractmethod
    def _force(self, states: Reals, responses: Reals) -> Reals:
        """-dA/ds, of images that all have recordings."""

    def learn(self, states: Reals, responses: Reals) -> None:  # noqa: B027 (most learn nothing)
        """Learn what the cost itself learns, once the force of the batch is taken."""

    def arrays(self) -> dict[str, Int64]:
        """What it has learned, for a checkpoint."""
        return {}

    def restore(self, arrays: Mapping[str, Int64]) -> None:  # noqa: B027
        """Set what `arrays` returned."""


class Alignment(Cost):
    """Centred kernel alignment of the layer with the recordings, over the images of a batch.

    A = B (1 - CKA),  CKA = <K, L> / (|K| |L|),  K, L = centred Gram matrices of s and r
    f_i = B sum_j M_ij (s_j - mean),  M = 2 [L / (|K| |L|) - K <K, L> / (|K|^3 |L|)]

    M needs all images of a batch at once: on a chip it is the host's. Measured alignment is the debiased one
    (`sim.brain.similarity`); as a cost the plain one will do. Source: Kornblith et al. 2019; Dapello et al. 2023.
    """

    compares = True

    def value(self, states: Reals, responses: Reals) -> float:
        """See `Cost`."""
        gram, wanted = (_gram(values) for values in (states, responses))
        lengths = float(np.linalg.norm(gram) * np.linalg.norm(wanted))
        return len(states) * (1.0 - (float(np.sum(gram * wanted)) / lengths if lengths else 0.0))

    def _force(self, states: Reals, responses: Reals) -> Reals:
        gram, wanted = (_gram(values) for values in (states, responses))
        length, other = float(np.linalg.norm(gram)), float(np.linalg.norm(wanted))
        if not length * other:
            return np.zeros_like(states)
        shared = float(np.sum(gram * wanted))
        matrix = 2.0 * (wanted / (length * other) - gram * (shared / (length**3 * other)))
        force: Reals = len(states) * (matrix @ centred(states))
        return force


class Pairs(Cost):
    """The similarity regulariser: every image is to be as like the one before it as the recordings say.

    A = 1/2 sum_i (y_i - t_i)^2,  y_i, t_i = cosines of s_i and s_(i-1), r_i and r_(i-1), less their means

    On a chip a second compartment keeps the activity for the last image, and y - t, one number a pair, comes from a
    host. Source: Li et al. 2019.
    """

    compares = True

    def value(self, states: Reals, responses: Reals) -> float:
        """See `Cost`."""
        return 0.5 * float(np.sum(np.square(_cosines(states) - _cosines(responses))))

    def _force(self, states: Reals, responses: Reals) -> Reals:
        units, lengths = _units(states)
        error = (_cosines(states) - _cosines(responses))[:, None]
        near = np.sum(units[1:] * units[:-1], axis=1)[:, None]
        force = np.zeros_like(states)
        force[1:] -= error * (units[:-1] - near * units[1:]) / lengths[1:]
        force[:-1] -= error * (units[1:] - near * units[:-1]) / lengths[:-1]
        return centred(force)


class Readout(Cost):
    """The neurons are read out of the layer by weights P, which learn by the delta rule, and feed their error back.

    A = sum_i |d_i|,  d_i = r_i - P^T s_i (0 where missing),  f_i = P d_i / |d_i|        P <- P + rate s d^T / |s|^2

    The length of d is taken out, so that the force stays bounded. All of it is local: one more population, with
    feedback. Source: Shao et al. (neural guidance), their loss with alpha = 1 / (1 + w).
    """

    def __init__(self, n_units: int, n_recorded: int) -> None:
        self._weights: Int64 = np.zeros((n_units + 1, n_recorded), dtype=np.int64)

    @property
    def weights(self) -> Reals:
        """P of shape [N + 1, M]; the last row is the bias."""
        return np.ldexp(self._weights.astype(np.float64), -READOUT_BITS)

    def value(self, states: Reals, responses: Reals) -> float:
        """See `Cost`."""
        return float(np.linalg.norm(self._error(states, responses), axis=1).sum())

    def _error(self, states: Reals, responses: Reals) -> Reals:
        return np.nan_to_num(responses - _biased(states) @ self.weights, nan=0.0)

    def _force(self, states: Reals, responses: Reals) -> Reals:
        error = self._error(states, responses)
        lengths = np.linalg.norm(error, axis=1, keepdims=True)
        force: Reals = np.divide(error, lengths, out=np.zeros_like(error), where=lengths > 0) @ self.weights[:-1].T
        return force

    def learn(self, states: Reals, responses: Reals) -> None:
        """See `Cost`."""
        known = recorded(responses)
        if not known.any():
            return
        active = _biased(states[known])
        error = self._error(states[known], responses[known])
        step = active.T @ error * (READOUT_RATE / float(np.sum(np.square(active))))
        self._weights = self._weights + np.rint(np.ldexp(step, READOUT_BITS)).astype(np.int64)

    def arrays(self) -> dict[str, Int64]:
        """See `Cost`."""
        return {"readout": self._weights}

    def restore(self, arrays: Mapping[str, Int64]) -> None:
        """See `Cost`."""
        self._weights = arrays["readout"].astype(np.int64)


class Head(Cost):
    """One more output population, which the layer feeds and which feeds back, is nudged to the recordings.

    A = 1/2 sum_i |r_i - s_i|^2, of its own states s;  f_i = r_i - s_i, 0 where missing

    Nothing in it is new to the network (`neuro.equilibrium.head`), and all is local. r is scaled to a
    deviation of one half. Source: Safarani et al. 2021 (learning labels and recordings together).
    """

    def __init__(self, n_recorded: int) -> None:
        self.scale = HEAD_SHARE * math.sqrt(n_recorded)

    def value(self, states: Reals, responses: Reals) -> float:
        """See `Cost`."""
        return 0.5 * float(np.sum(np.square(self._force(states, responses))))

    def _force(self, states: Reals, responses: Reals) -> Reals:
        return np.nan_to_num(self.scale * responses - states, nan=0.0)


def recorded(responses: Reals) -> Bools:
    """Which rows of [B, M] hold a recording, of shape [B]."""
    there: Bools = np.isfinite(responses).any(axis=1)
    return there


def normalised(responses: Reals) -> Reals:
    """Responses [n, M] less the mean of each unit, in units of their length; NaN where missing. Never scaled by unit.

    A unit that never changes would be noise if it were.
    """
    less = responses - _means(responses)
    squares = float(np.square(np.where(np.isfinite(less), less, 0.0)).sum())
    length = math.sqrt(squares / max(int(recorded(responses).sum()), 1))
    scaled: Reals = less / (length or 1.0)
    return scaled


def centred(values: Reals) -> Reals:
    """Less the mean of every column, of shape [B, N]."""
    less: Reals = values - values.mean(axis=0)
    return less


def _filled(values: Reals) -> Reals:
    """Less the mean of every column, and 0 where values are missing."""
    return np.where(np.isfinite(values), values - _means(values), 0.0)


def _means(values: Reals) -> Reals:
    """The mean of every column over what is there, 0 where nothing is, of shape [N]."""
    there = np.isfinite(values)
    means: Reals = np.where(there, values, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    return means


def _gram(values: Reals) -> Reals:
    """The Gram matrix [B, B] of centred rows."""
    rows = centred(_filled(values))
    gram: Reals = rows @ rows.T
    return gram


def _units(values: Reals) -> tuple[Reals, Reals]:
    """Rows less their mean, of length 1, and those lengths [B, 1]; rows at the mean stay 0."""
    rows = _filled(values)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    lengths = np.where(lengths > 0, lengths, 1.0)
    return rows / lengths, lengths


def _cosines(values: Reals) -> Reals:
    """The cosine of every row and the one before it, of shape [B - 1]."""
    units, _ = _units(values)
    cosines: Reals = np.sum(units[1:] * units[:-1], axis=1)
    return cosines


def _biased(states: Reals) -> Reals:
    return np.concatenate([states, np.ones((len(states), 1))], axis=1)


def cost_of(name: str, n_units: int, n_recorded: int) -> Cost:
    """The cost called `name`, on a layer of so many units with recordings of so many neurons."""
    makers: dict[str, Callable[[], Cost]] = {
        "cka": Alignment, "pairs": Pairs, "readout": lambda: Readout(n_units, n_recorded),
        "head": lambda: Head(n_recorded),
    }  # fmt: skip
    return makers[name]()


def controlled(responses: Reals, control: str, seed: int) -> Reals:
    """Responses [n, M] as a control has them: "shuffled" among the images that have some, or "random": white noise.

    Noise has the deviation of each unit. Source: the controls of Shao et al.
    """
    known = np.flatnonzero(recorded(responses))
    generator = np.random.default_rng([seed, 0x6D1D])
    changed = responses.copy()
    if control == "shuffled":
        changed[known] = responses[generator.permutation(known)]
    elif control == "random":
        deviations = np.sqrt(_means(np.square(responses - _means(responses))))
        changed[known] = generator.standard_normal((len(known), responses.shape[1])) * deviations
    return changed

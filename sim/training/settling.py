"""How the images of an epoch settled while they were learned: it tells, for nothing, whether to trust gradients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from neuro.base.arrays import Int64, Integers
from neuro.spec.neurons import Source
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.record import Settling

# Beyond the first two, or below the others, a training is warned of. Trainings that end well reach 4 and 0.03.
AMPLIFIED, AT_BOX, SILENT, SWINGING = 5.0, 0.05, 0.95, 0.3
MET, SOFTEST = 0.1, 3  # share of a chunk's images whose output meets its box that halves the nudge, as often at most
AT_LIMIT = 0.1  # weights at their limit: small sets are meant to saturate, others reach 0.04


@dataclass(frozen=True)
class Settled:
    """Of the images that one epoch learned.

    silent:        share in which no neuron sent in the last step of the free phase.
    half_steps:    mean of the last step of the free phase at which a neuron sent.
    amplification: how far the nudges moved the output apart, per force and twice its strength, along the force;
                   1: as far as they would move a neuron alone; None if there was no error.
    at_box:        share whose output met an end of its box in a nudge.
    at_limit:      share of weights at their limit at the end, of the synapses with most of them; None: not looked at.
    softened:      how often the nudge was halved since the training began (`softened`).
    """

    silent: float
    half_steps: float
    amplification: float | None
    at_box: float
    at_limit: float | None = None
    softened: int = 0

    def describe(self) -> str:
        """In words."""
        moves = "" if self.amplification is None else f", the output moves {self.amplification:.1f} times its force"
        halved = f", nudge halved {self.softened} times" if self.softened else ""
        return f"{self.silent:.1%} of the images silent, after {self.half_steps:.1f} steps on average{moves}{halved}"

    def warnings(self, in_turn: bool) -> list[str]:
        """What is wrong, each with its remedy. in_turn: whether layers update in turn."""
        found = []
        if in_turn and self.silent < SILENT:
            found.append(f"only {self.silent:.0%} of the images fell silent in time: give a lower --learning-rate")
        if not in_turn and self.silent < SWINGING:
            found.append(f"only {self.silent:.0%} of the images came to rest: give --schedule even-odd")
        if self.amplification is not None and self.amplification > AMPLIFIED:
            found.append(
                f"the output moves {self.amplification:.1f} times its force: give a lower --learning-rate or fewer "
                "--epochs; in Python, more gain to the first layer and less to the output"
            )
        if in_turn and (self.at_limit or 0.0) > AT_LIMIT:
            found.append(
                f"{self.at_limit:.0%} of the weights of a layer are at their limit: give a lower --learning-rate; in "
                "Python, exponent_offset=-1, a grid twice as wide"
            )
        if self.at_box > AT_BOX:
            found.append(f"the output of {self.at_box:.0%} of the images meets its box: give a lower --learning-rate")
        return found


def softened(spec: NetworkSpec, times: int) -> NetworkSpec:
    """The network with nudges of half the strength, `times` times; rates follow from it, so that steps stay as large.

    An output that meets an end of its box moves less than its force says. Where errors stay large, as on CIFAR-10, and
    the output moves several times its force, that ends a training: at a nudge of 1/2 it ran away in its third epoch.
    """
    return replace(spec, schedule=replace(spec.schedule, nudge_shift=spec.schedule.nudge_shift + times))


def share_at_limit(spec: NetworkSpec, weights: Mapping[str, Integers]) -> float:
    """The share of weights at their limit, of the synapses with most of them; biases are none."""
    shares = [0.0]
    for name, values in weights.items():
        projection = spec.projection(name)
        source = spec.population(projection.source).neuron
        if not (isinstance(source, Source) and source.constant is not None):
            shares.append(float(np.mean(np.abs(values.astype(np.int64)) >= projection.limit)))
    return max(shares)


@dataclass
class Tally:
    """Sums over the images of an epoch so far, from which `Settled` is made."""

    n: int = 0
    silent: int = 0
    last_spikes: int = 0
    moved: float = 0.0
    forced: float = 0.0
    at_box: int = 0

    def add(self, spec: NetworkSpec, settling: Settling, targets: Integers, signs: Int64) -> int:
        """Count B images; targets of shape [B, K] in state units, signs of shape [B] of their first nudge.

        Returns how many met their box.
        """
        unit, first = spec.unit(spec.output), spec.schedule.phases[-2].nudge
        error = targets.astype(np.int64) - settling.free
        apart = (settling.nudged[:, 0].astype(np.int64) - settling.nudged[:, 1]) * (signs * first)[:, None]
        met = (settling.nudged >= unit.upper) | ((settling.nudged <= unit.lower) & (unit.lower < 0))
        self.n += len(error)
        self.silent += int(np.count_nonzero(settling.settled))
        self.last_spikes += int(settling.last_spike.sum())
        self.moved += float((apart * error).sum()) / unit.one**2
        self.forced += float(np.square(error).sum()) * 2 * spec.schedule.nudge / unit.one**2
        count = int(np.count_nonzero(met.any(axis=(1, 2))))
        self.at_box += count
        return count

    def summary(self, at_limit: float | None = None, softened: int = 0) -> Settled | None:
        """What they amount to; None if nothing was counted."""
        if not self.n:
            return None
        amplification = self.moved / self.forced if self.forced else None
        return Settled(
            self.silent / self.n, self.last_spikes / self.n, amplification, self.at_box / self.n, at_limit, softened
        )

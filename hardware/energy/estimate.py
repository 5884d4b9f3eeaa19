"""Energy and latency of an image on the chip, modelled: a band from counted operations and public constants.

    energy  = sum over cores and steps of (operations x energy each)  +  static power x latency
    latency = sum over steps of max(barrier, time of the busiest core)

Time of a core in a step, by the max-affine model (Timcheck et al. 2026): the largest of its synaptic additions, reads
of synaptic memory, neuron updates, messages and learning updates, each times its time, and of the messages over the
link that most of them pass; all of it one after another, barrier included, at the other end of the band. Only reads
overlap with the additions they feed there, too: what bounds one was measured with the other inside. Low takes every
constant at its low end, high at its high end: everything rises with every constant, so the truth lies between if each
constant does. Host traffic is counted, not modelled: no public figure prices it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hardware.energy.constants import DEFAULT_SET, Band, constants_of
from hardware.energy.counts import Counts
from neuro.base.arrays import Reals
from neuro.base.quantities import Modelled

PARTS = ("synapses", "neurons", "spikes and messages", "learning", "static")
Values = Mapping[str, float]


@dataclass(frozen=True)
class Sensitivity:
    """One constant moved from its low to its high end, all others in the middle of their bands.

    energy_low, energy_high: J per image; swing: high / low; share: of the whole band (difference of the logarithms).
    """

    constant: str
    energy_low: float
    energy_high: float
    swing: float
    share: float


@dataclass(frozen=True)
class Estimate:
    """What an image costs on the chip, modelled.

    energy: J per image; latency: s per image; parts: energy by what it is spent on; host_messages: sent to
    and read from the chip per image, in neither; exact: whether counted per core from every spike.
    """

    energy: Modelled
    latency: Modelled
    parts: dict[str, Modelled]
    host_messages: float
    counts: dict[str, float]
    n_images: int
    exact: bool

    @property
    def energy_delay(self) -> Modelled:
        """Energy-delay product, J s."""
        return Modelled(
            self.energy.low * self.latency.low, self.energy.high * self.latency.high, "J s", self.energy.sources
        )

    def to_json(self) -> dict[str, object]:
        """All fields, as an object that `json` can write."""
        return {
            "energy": self.energy.to_json(),
            "latency": self.latency.to_json(),
            "parts": {name: part.to_json() for name, part in self.parts.items()},
            "host_messages": self.host_messages,
            "counts": self.counts,
            "n_images": self.n_images,
            "exact": self.exact,
        }


def estimate(counts: Counts, constants: str = DEFAULT_SET) -> Estimate:
    """Energy and latency of an image as bands, from counted operations."""
    bands = constants_of(constants)
    ends = [evaluate(counts, {name: band.at(share) for name, band in bands.items()}) for share in (0.0, 1.0)]
    (low_parts, low_s), (high_parts, high_s) = ends
    sources = _sources(bands)
    parts = {name: Modelled(low_parts[name], high_parts[name], "J", sources) for name in PARTS}
    per_image = counts.per_image()
    return Estimate(
        energy=Modelled(sum(low_parts.values()), sum(high_parts.values()), "J", sources),
        latency=Modelled(low_s, high_s, "s", sources),
        parts=parts,
        host_messages=per_image["host_in"] + per_image["host_out"],
        counts=per_image,
        n_images=counts.n_images,
        exact=counts.exact,
    )


def _sources(bands: Mapping[str, Band]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(source for band in bands.values() for source in band.sources))


def evaluate(counts: Counts, values: Values) -> tuple[dict[str, float], float]:
    """The energy of an image by part, in J, and its latency in s, with these values of all constants."""
    mean = counts.per_image()
    updates = 1 + values["per_product"] * (counts.products - 1)
    latency_s = float(step_times(counts, values).sum(axis=1).mean())
    n_used = len(counts.neurons)
    static_w = max(values["static_power_core"] * n_used, values["static_power_chip"] * counts.n_chips)
    messages = (
        values["spike_energy"] * mean["spikes"]
        + values["message_energy"] * mean["messages_out"]
        + values["hop_row_energy"] * mean["hops_row"]
        + values["hop_column_energy"] * mean["hops_column"]
    )
    parts = {
        "synapses": values["synaptic_energy"] * mean["synaptic"],
        "neurons": values["neuron_energy"] * mean["neuron_updates"],
        "spikes and messages": messages,
        "learning": values["learning_energy"] * mean["learning"] * updates,
        "static": static_w * latency_s,
    }
    return parts, latency_s


def step_times(counts: Counts, values: Values) -> Reals:
    """The duration of each step, of shape [B, T], in s."""
    updates = 1 + values["per_product"] * (counts.products - 1)
    terms = [
        np.maximum(values["synaptic_time"] * counts.synaptic, values["memory_read_time"] * counts.memory_reads),
        values["neuron_time"] * counts.neurons + values["spike_time"] * counts.spikes,
        values["message_out_time"] * counts.messages_out,
        values["message_in_time"] * counts.messages_in,
        values["learning_time"] * updates * counts.learning,
    ]
    at_once = np.max([np.broadcast_to(term, counts.synaptic.shape).max(axis=2) for term in terms], axis=0)
    in_turn = np.sum(np.broadcast_arrays(*terms), axis=0).max(axis=2)
    barrier, links = values["barrier_time"], values["link_time"] * counts.links
    share = values["in_sequence"]
    times: Reals = (1 - share) * np.maximum(np.maximum(barrier, at_once), links) + share * (barrier + in_turn + links)
    return times


def sensitivity(counts: Counts, constants: str = DEFAULT_SET) -> list[Sensitivity]:
    """The effect of each constant on the energy of an image, the one that dominates first."""
    bands = constants_of(constants)
    middle = {name: band.at(0.5) for name, band in bands.items()}
    whole = estimate(counts, constants).energy
    width = np.log(whole.high / whole.low) if whole.low > 0 else np.inf
    rows = []
    for name, band in bands.items():
        low, high = (sum(evaluate(counts, {**middle, name: end})[0].values()) for end in (band.low, band.high))
        swing = high / low if low > 0 else 1.0
        rows.append(Sensitivity(name, low, high, swing, float(np.log(swing) / width) if width > 0 else 0.0))
    return sorted(rows, key=lambda row: -row.swing)

"""What an operation costs, as bands: no public figure says what one costs on Loihi 2.

So energies are those of Loihi 1, of two sources that disagree; times reach from Loihi 1 to what Intel says that Loihi 2
gained. Marks as in `hardware.chip.limits`.
"""

from __future__ import annotations

from dataclasses import dataclass

from neuro.base.checks import require_choice

DAVIES = "Davies et al. 2018, Table 2 (Loihi 1, pre-silicon simulation), quoted second-hand"
SANA = "SANA-FE, sanafe/examples/loihi.yaml (fit to Loihi 1 silicon, Boyle et al. 2025)"
BRIEF = "Intel, Loihi 2 technology brief, 2021: synapses 5, neurons 2, spikes 10 times as fast; steps from 200 ns"
FASTER = f"{DAVIES}: 3.5 ns a synapse, 5.3 / 8.4 ns a neuron at rest / that spikes, 3.44 spikes/ns a tile; {BRIEF}"
PILOTNET = "lava-dl, pilotnet_snn/benchmark.ipynb: measured on Loihi 2, 0.23 W static a chip"
FRADY = "derived from Frady et al. 2020: 3.34 W static / 32 chips of Loihi 1"
QP = "8.1 µs a step measured on Loihi 2 with two cores, public QP solver (lava-optimization)"


@dataclass(frozen=True)
class Band:
    """A constant that lies between low and high, in `unit`. marks and sources: of low and of high."""

    low: float
    high: float
    unit: str
    marks: str
    sources: tuple[str, ...]

    def at(self, share: float) -> float:
        """The constant at a share 0..1 of its band: geometric between positive ends, else linear."""
        if share in (0, 1):
            return self.high if share else self.low
        if self.low > 0:
            return float(self.low ** (1 - share) * self.high**share)
        return self.low + share * (self.high - self.low)


CONSTANTS = {
    "synaptic_energy": Band(23.6e-12, 35.5e-12, "J", "Q/P", (DAVIES, SANA)),
    "neuron_energy": Band(52e-12, 72.8e-12, "J", "Q/P", (DAVIES, SANA)),
    "spike_energy": Band(29e-12, 69.3e-12, "J", "Q/P", (DAVIES, SANA)),
    "message_energy": Band(1.7e-12, 112.7e-12, "J", "Q/P", (DAVIES, SANA)),
    "hop_row_energy": Band(3.0e-12, 3.0e-12, "J", "Q/P", (DAVIES, SANA)),
    "hop_column_energy": Band(4.0e-12, 4.2e-12, "J", "Q/P", (DAVIES, SANA)),
    "learning_energy": Band(120e-12, 120e-12, "J", "Q", (DAVIES,)),
    "static_power_core": Band(0.82e-3, 0.82e-3, "W", "Q", (FRADY, "0.82 mW a core: unused ones switched off")),
    "static_power_chip": Band(0.0, 0.23, "W", "I/P", ("low: cores only", PILOTNET)),
    "synaptic_time": Band(0.7e-9, 3.8e-9, "s", "Q/P", (FASTER, SANA)),
    "neuron_time": Band(2.65e-9, 9.7e-9, "s", "Q/P", (FASTER, SANA)),
    "spike_time": Band(1.55e-9, 30e-9, "s", "Q/P", (FASTER, SANA)),
    "message_out_time": Band(0.03e-9, 5.1e-9, "s", "Q/P", (FASTER, SANA)),
    "message_in_time": Band(0.0, 16e-9, "s", "I/P", ("low: hidden behind synaptic work", SANA)),
    "learning_time": Band(6.1e-9, 6.1e-9, "s", "Q", (DAVIES,)),
    "barrier_time": Band(200e-9, 8.1e-6, "s", "Q/P", (BRIEF, QP)),
    "in_sequence": Band(
        0.0, 1.0, "", "I", ("max-affine model, Timcheck et al. 2026: all at once", "one after another")
    ),
    "per_product": Band(0.0, 1.0, "", "I", ("a learning update costs the same whatever its rule", "once a product")),
}
"""static_power_core counts cores in use, static_power_chip whole chips, whatever is on them; the larger one holds."""

SETS = {"loihi2": CONSTANTS}
DEFAULT_SET = "loihi2"


def constants_of(name: str) -> dict[str, Band]:
    """A set of energy constants by name. Raises: UserError naming the choices."""
    require_choice("energy constants set", name, SETS)
    return SETS[name]

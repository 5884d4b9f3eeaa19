"""What an operation costs, as bands: energies of Loihi 1 by two sources that disagree, held against what was measured.

Five bands are narrowed by totals that were measured on Loihi 2 and published with their operations
(`hardware/energy/published`, read by `hardware.energy.workloads`, derived in `hardware.energy.derive`): static power,
barrier, synaptic time and energy, and the time of a read of synaptic memory. Marks as in `hardware.chip.limits`.
"""

from __future__ import annotations

from dataclasses import dataclass

from hardware.chip import constants_file
from hardware.chip.constants_file import is_constants_file
from neuro.base.checks import require_choice
from neuro.base.errors import UserError

DAVIES = "Davies et al. 2018, Table 2 (Loihi 1, pre-silicon simulation), quoted second-hand"
SANA = "SANA-FE, sanafe/examples/loihi.yaml (fit to Loihi 1 silicon, Boyle et al. 2025)"
BRIEF = "Intel, Loihi 2 technology brief, 2021: synapses 5, neurons 2, spikes 10 times as fast; steps from 200 ns"
FASTER = f"{DAVIES}: 3.5 ns a synapse, 5.3 / 8.4 ns a neuron at rest / that spikes, 3.44 spikes/ns a tile; {BRIEF}"
PILOTNET = "lava-dl, pilotnet_snn/benchmark.ipynb, three runs measured on Loihi 2 (published/pilotnet-snn.toml)"
LEAST = f"low: least dynamic energy, less neurons and spikes at their low ends; {PILOTNET}"
SIX = "six readings on Loihi 2, 0.168 to 0.342 W a chip: lava-dl, pilotnet_snn and pilotnet_sdnn/benchmark.ipynb"
FRADY = "derived from Frady et al. 2020: 3.34 W static / 32 chips of Loihi 1"
WINNERS = "whole step of LIF networks of 200 neurons on Loihi 2, OzU-CAST (published/winner-take-all.toml)"
LINK = f"{SANA}: 6.5 ns a hop, one message after another"


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
    "synaptic_energy": Band(11e-12, 29.9e-12, "J", "I/I", (LEAST, "high: all dynamic energy over all additions")),
    "neuron_energy": Band(52e-12, 72.8e-12, "J", "Q/P", (DAVIES, SANA)),
    "spike_energy": Band(29e-12, 69.3e-12, "J", "Q/P", (DAVIES, SANA)),
    "message_energy": Band(1.7e-12, 112.7e-12, "J", "Q/P", (DAVIES, SANA)),
    "hop_row_energy": Band(3.0e-12, 3.0e-12, "J", "Q/P", (DAVIES, SANA)),
    "hop_column_energy": Band(4.0e-12, 4.2e-12, "J", "Q/P", (DAVIES, SANA)),
    "learning_energy": Band(120e-12, 120e-12, "J", "Q", (DAVIES,)),
    "static_power_core": Band(0.82e-3, 0.82e-3, "W", "Q", (FRADY, "0.82 mW a core: unused ones switched off")),
    "static_power_chip": Band(0.1678, 0.3423, "W", "P/P", (SIX,)),
    "synaptic_time": Band(0.7e-9, 1.0e-9, "s", "Q/I", (FASTER, f"high: a step over its fullest core; {PILOTNET}")),
    "memory_read_time": Band(
        0.0, 8.1e-9, "s", "I/I", ("low: hidden behind additions", f"high: a step over words read, 8 a word; {PILOTNET}")
    ),
    "neuron_time": Band(2.65e-9, 9.7e-9, "s", "Q/P", (FASTER, SANA)),
    "spike_time": Band(1.55e-9, 30e-9, "s", "Q/P", (FASTER, SANA)),
    "message_out_time": Band(0.03e-9, 5.1e-9, "s", "Q/P", (FASTER, SANA)),
    "message_in_time": Band(0.0, 16e-9, "s", "I/P", ("low: hidden behind synaptic work", SANA)),
    "link_time": Band(0.029e-9, 6.5e-9, "s", "Q/P", (FASTER, LINK)),
    "learning_time": Band(6.1e-9, 6.1e-9, "s", "Q", (DAVIES,)),
    "barrier_time": Band(200e-9, 1.8e-6, "s", "Q/P", (BRIEF, WINNERS)),
    "in_sequence": Band(
        0.0, 1.0, "", "I", ("max-affine model, Timcheck et al. 2026: all at once", "one after another")
    ),
    "per_product": Band(0.0, 1.0, "", "I", ("a learning update costs the same whatever its rule", "once a product")),
}
"""static_power_core counts cores in use, static_power_chip whole chips, whatever is on them; the larger one holds."""

SETS = {"loihi2": CONSTANTS}
DEFAULT_SET = "loihi2"


def constants_of(name: str) -> dict[str, Band]:
    """A set of energy constants by name, or of a file FILE.toml.

    Raises: UserError naming the choices, or what is wrong in the file.
    """
    if is_constants_file(name):
        return _of_file(name)
    require_choice("energy constants set", name, SETS, ", or a file FILE.toml")
    return SETS[name]


def _of_file(name: str) -> dict[str, Band]:
    units = {key: band.unit for key, band in CONSTANTS.items()}
    base, entries = constants_file.entries_of(name, constants_file.ENERGIES, units, DEFAULT_SET)
    require_choice(f"{name}: energies_of", base, SETS)
    bands = dict(SETS[base])
    for key, entry in entries.items():
        owner = f"{name}: energies.{key}"
        low, high = (constants_file.number_of(owner, entry, end) for end in ("low", "high"))
        if low > high:
            raise UserError(f"{owner}: low {low:g} is above high {high:g}; exchange them")
        marks, sources = constants_file.mark_of(entry), constants_file.sources_of(entry)
        bands[key] = Band(low, high, units[key], marks, sources)
    return bands

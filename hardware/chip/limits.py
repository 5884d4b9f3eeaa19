"""Loihi 2 as far as public documents go: what fits on a core, and whether a board is at hand.

Marks:  P  public document or repository, read there;    S  read in the source of Lava 0.10;
        Q  quoted second-hand;                            I  inferred, the argument stands in `source`;
        M  measured by a user, in a file of theirs (`hardware.chip.constants_file`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from hardware.chip import constants_file
from hardware.chip.constants_file import is_constants_file
from neuro.base.checks import Range, require_choice, require_integers

TARGETS = ("loihi2",)
RESOURCES = ("neurons", "synaptic_memory", "axons_in", "axons_out", "learning_state")


@dataclass(frozen=True)
class Constant:
    """A number with its unit, its mark (see the module docstring) and where it comes from."""

    value: int
    unit: str
    mark: str
    source: str


@dataclass(frozen=True)
class Limits:
    """What a chip holds.

    cores, max_chips:      neurocores of a chip that a compiler uses; chips of the largest system.
    neurons, axons_in, axons_out, synaptic_memory, learning_state: of one core.
    entry_bits:            of one entry of synaptic memory.
    index_bits:            stored with every synapse that is not part of a shared kernel.
    tag_bits:              stored with every synapse that learns: a tag, or the bits of an accumulator.
    weight_bits, payload_bits: of a synapse and of a graded spike.
    tile_cores, tile_columns: cores that share a router, routers in a row.
    """

    name: str
    cores: Constant
    max_chips: Constant
    neurons: Constant
    synaptic_memory: Constant
    entry_bits: Constant
    index_bits: Constant
    tag_bits: Constant
    axons_in: Constant
    axons_out: Constant
    learning_state: Constant
    weight_bits: Constant
    payload_bits: Constant
    tile_cores: Constant
    tile_columns: Constant

    def maximum(self, resource: str) -> int:
        """The amount of a resource (one of RESOURCES) on a core."""
        constant: Constant = getattr(self, resource)
        return constant.value

    def table(self) -> list[tuple[str, Constant]]:
        """All constants by name."""
        return [(field.name, getattr(self, field.name)) for field in fields(self) if field.name != "name"]


_MAPPER = "lava 0.10, lava/magma/compiler/subcompilers/constants.py and mapper.py"
_TABLES = "resource tables and SynMem violations printed in lava-dl's PilotNet notebooks (pilotnet_snn/benchmark.ipynb)"
_BRIEF = "Intel, Taking Neuromorphic Computing to the Next Level with Loihi 2 (technology brief, 2021)"
_LOIHI1 = "limits of Loihi 1: nengo-loihi, block.py; Davies et al. 2018, p. 89, quoted second-hand"
_HALA = "Intel press release on Hala Point, 2024"

_COMMON = {
    "max_chips": Constant(1152, "chips", "P", _HALA),
    "tag_bits": Constant(8, "bits", "I", "lava 0.10, learning/constants.py: tags have 9 bits, one of them the sign"),
    "axons_in": Constant(4096, "axons", "I", f"{_LOIHI1}; up to 2560 a core seen in {_TABLES}"),
    "axons_out": Constant(4096, "axons", "I", _LOIHI1),
    "learning_state": Constant(
        16384, "words of 32 bits", "I", "192 KB a core less 128 KB of synapses; a trace pair and its time fit 32 bits"
    ),
    "weight_bits": Constant(8, "bits", "S", "lava 0.10, lava/utils/weightutils.py"),
    "payload_bits": Constant(24, "bits", "Q", _BRIEF),
    "tile_cores": Constant(4, "cores", "I", "Loihi 1: 32 tiles of 4 cores (SANA-FE, loihi.yaml)"),
    "tile_columns": Constant(8, "tiles", "I", "Loihi 1: 8 x 4 tiles (SANA-FE, loihi.yaml)"),
}

LIMITS = {
    limits.name: limits
    for limits in (
        Limits(
            "loihi2-lava",
            cores=Constant(120, "cores", "S", f"{_MAPPER}: NUM_VIRTUAL_CORES_L3"),
            neurons=Constant(8192, "neurons", "P", "1 M a chip / 128 cores; up to 3168 a core seen in the tables"),
            synaptic_memory=Constant(12000, "entries", "P", _TABLES),
            entry_bits=Constant(64, "bits", "I", f"words of Loihi 1 (Davies et al. 2018, p. 89); reproduces {_TABLES}"),
            index_bits=Constant(8, "bits", "I", f"reproduces {_TABLES}: 50 synapses an axon take 13 entries"),
            **_COMMON,
        ),
        Limits(
            "loihi2-brief",
            cores=Constant(128, "cores", "Q", _BRIEF),
            neurons=Constant(8192, "neurons", "Q", _BRIEF),
            synaptic_memory=Constant(16384, "entries", "Q", f"128 KB a core, {_BRIEF}"),
            entry_bits=Constant(64, "bits", "I", "as loihi2-lava"),
            index_bits=Constant(0, "bits", "I", "dense synapses stored without an index: the most that can fit"),
            **_COMMON,
        ),
    )
}
DEFAULT_LIMITS = "loihi2-lava"
MAY_BE_NONE = ("index_bits", "tag_bits")  # of what a synapse stores; there is at least one of everything else


def limits_of(name: str) -> Limits:
    """The constants set called `name`, or of a file FILE.toml, which is then its name.

    Raises: UserError naming the choices, or what is wrong in the file.
    """
    if is_constants_file(name):
        return _of_file(name)
    require_choice("constants set", name, LIMITS, ", or a file FILE.toml")
    return LIMITS[name]


def _of_file(name: str) -> Limits:
    units = {key: constant.unit for key, constant in LIMITS[DEFAULT_LIMITS].table()}
    base, entries = constants_file.entries_of(name, constants_file.LIMITS, units, DEFAULT_LIMITS)
    require_choice(f"{name}: limits_of", base, LIMITS)
    changed = {}
    for key, entry in entries.items():
        owner, value = f"{name}: limits.{key}", entry.get("value")
        require_integers(owner, value=value)
        Range(0 if key in MAY_BE_NONE else 1).require(owner, value=value)
        sources = "; ".join(constants_file.sources_of(entry))
        changed[key] = Constant(int(value or 0), units[key], constants_file.mark_of(entry), sources)
    return replace(LIMITS[base], name=name, **changed)


def check_target(name: str) -> None:
    """Raise UserError unless `name` is a chip that networks can be compiled for."""
    require_choice("target", name, TARGETS)

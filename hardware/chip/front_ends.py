"""What fixed front ends take on the chip: which parts are processes that Lava ships, and microcode for the others.

`hardware.chip.microcode.execute` runs the programs; tests hold them against `neuro.front_ends` and
`neuro.spec.neurons.Generator`, bit for bit. On the chip so far: the host computes the chances, as it does all payloads.
"""

from __future__ import annotations

from hardware.chip.microcode import MicroOperation
from neuro.base.fixed_point import CHANCE_BITS
from neuro.front_ends.fixed import FixedFront
from neuro.front_ends.normalisation import FRACTION_BITS, LIMIT
from neuro.front_ends.sequence import FrontSequence
from neuro.front_ends.v1 import ROOT_HALF, ROOT_HALF_BITS

NO_GENERATOR = (
    "placed on the host, which draws the spikes and sends them; as neurons of the chip it needs microcode: the "
    "noise of the chip itself is added to the membrane, and is not this law"
)


def generator_program() -> tuple[MicroOperation, ...]:
    """The operations of one step of a generator: from `bits`, 32 random ones, and `chance` to the spike `q`.

    The bits are those of the counter (`neuro.base.fixed_point.synapse_bits`): two products, three shifts and exclusive
    ors, which take 32-bit registers that wrap; here they are given.
    """
    return (
        MicroOperation("shr", "drawn", "bits", 32 - CHANCE_BITS),
        MicroOperation("sub", "q", "chance", "drawn"),
        MicroOperation("min", "q", "q", 1),
        MicroOperation("max", "q", "q", 0),
        MicroOperation("send_if_not_zero", "q", "q"),
    )


def complex_cell_program() -> tuple[MicroOperation, ...]:
    """The magnitude `m` of a complex cell from `a0` and `a90`, the sums of its pair of kernels."""
    step = []
    for name in ("a0", "a90"):
        step += [MicroOperation("sub", "minus", 0, name), MicroOperation("max", f"size {name}", name, "minus")]
    return (
        *step,
        MicroOperation("max", "larger", "size a0", "size a90"),
        MicroOperation("min", "smaller", "size a0", "size a90"),
        MicroOperation("shr", "eighth", "larger", 3),
        MicroOperation("shr", "half", "smaller", 1),
        MicroOperation("sub", "bent", "larger", "eighth"),
        MicroOperation("add", "bent", "bent", "half"),
        MicroOperation("max", "m", "larger", "bent"),
        MicroOperation("mul", "m", "m", ROOT_HALF),
        MicroOperation("shr", "m", "m", ROOT_HALF_BITS),
    )


def division_program() -> tuple[MicroOperation, ...]:
    """One step of a unit that divides: state `u`, `drive` and `leak`; `bits` of the leak. Leaves the payload in `q`."""
    return (
        MicroOperation("mul", "lost", "u", "leak"),
        MicroOperation("sub", "moved", "drive", "lost"),
        MicroOperation("shr", "moved", "moved", "bits"),
        MicroOperation("add", "u", "u", "moved"),
        MicroOperation("min", "u", "u", LIMIT << FRACTION_BITS),
        MicroOperation("add", "q", "u", 1 << FRACTION_BITS - 1),
        MicroOperation("shr", "q", "q", FRACTION_BITS),
    )


def front_notes(front: FixedFront) -> list[str]:
    """What to know of a front end on a board."""
    if isinstance(front, FrontSequence):
        return [note for part in (front.first, front.second) for note in front_notes(part)]
    notes = [f"front end {front.text}: the host computes it, in the integers of the specification"]
    if front.kind == "v1":
        notes.append(
            "of it, simple cells are stock (Conv or Dense, then GradedReluVec); complex cells need microcode, "
            f"{len(complex_cell_program())} operations (max, shifts: no stock process takes a root or a maximum)"
        )
    if front.kind == "dn":
        notes.append(
            f"of it, pools are stock (Dense); a unit that divides takes {len(division_program())} operations of "
            "microcode a step (a state times a state: no stock process does that)"
        )
    return notes

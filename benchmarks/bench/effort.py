"""What an image takes, counted: spikes, and operations of whatever kind a contestant does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.tools.learning_cost import dense_backprop
from hardware.energy.profile import Profile
from neuro.base.quantities import Cell, Counted, NotMeasurable

ADDITIONS, FLOATS, BYTES = "additions, int8", "multiply-adds, float32", "multiply-adds, int8"


@dataclass(frozen=True)
class Effort:
    """Counts per image. spikes: of hidden and output neurons in an inference; operations of an inference, and of an
    image that is learned.
    """

    spikes: Cell
    inference: Cell
    learning: Cell


def of_spikes(found: Profile | NotMeasurable, moving: Sequence[str]) -> Effort:
    """The effort of a spiking network in integers; moving: names of its populations that compute."""
    if isinstance(found, NotMeasurable):
        return Effort(found, found, found)
    n = found.inference.n_images
    sent = sum(float(found.spikes_per_step[name].sum()) for name in moving if name in found.spikes_per_step)
    additions = "additions of synapses that spikes reach"
    learning: Cell = NotMeasurable("this network does not learn on the chip")
    if found.learning is not None:
        counts = found.learning.counts
        description = f"{additions}, in all phases, and updates of single weights"
        learning = Counted(counts["synaptic"] + counts["learning"], ADDITIONS, description, n)
    return Effort(
        Counted(sent, "spikes", "spikes of hidden and output neurons in an inference", n),
        Counted(found.inference.counts["synaptic"], ADDITIONS, additions, n),
        learning,
    )


def unrolled(effort: Effort, synapses: Sequence[int], steps: int) -> Effort:
    """The effort of a spiking network that backpropagation teaches, unrolled over its steps."""
    said = f"dense products, forward and backward, through {steps} steps"
    return Effort(effort.spikes, effort.inference, Counted(sum(dense_backprop(synapses, steps)), FLOATS, said))


def of_products(synapses: Sequence[int], learns: bool = True) -> Effort:
    """The effort of a perceptron in floats; or in int8, which does not learn."""
    forward, backward = dense_backprop(synapses)
    learning: Cell = NotMeasurable("quantised after training")
    if learns:
        learning = Counted(forward + backward, FLOATS, "dense products, forward and backward")
    unit = FLOATS if learns else BYTES
    return Effort(NotMeasurable("does not spike"), Counted(forward, unit, "dense products"), learning)


def in_products(effort: Effort) -> Effort:
    """The effort of the same integers in dense products of torch: the same spikes, other operations."""
    said = NotMeasurable("dense products of all steps in torch, not counted")
    return Effort(effort.spikes, said, said)

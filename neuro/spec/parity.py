"""Which populations update at even, and which at odd steps: block minimisation, one spike at a time.

In even-odd order the populations that settle together with the output are coloured so that none is coupled to one of
its own colour. One that the input reaches updates at odd steps, its neighbours at even ones, theirs at odd ones. What
was sent at step t arrives at t + 1, and is used at t + 1 or t + 2: nothing is lost, nothing else is kept.

Why this falls silent. Let the step size be 1 and the couplings symmetric, and call s the rounded activations. Given
its neighbours, a population's part of E is 1/2 |s - a|^2 + const, one term per neuron, and round(clip(a)) is its exact
minimiser on the grid of payloads. So each update minimises E over a block of a finite lattice: E never rises, and where
it stays equal a state can only move upwards, for ties round up. No state comes back, so after finitely many steps none
changes. A constant force on the output adds a term linear in s, and the argument holds for the nudged phases too.
(It does not for the relaxing force, which is no gradient at a step of 1.) Finite is not few: caps are part of the
schedule, and the share of images that were silent in time is measured.

Source: block-alternating minimisation in Scellier et al. 2023 (arXiv 2312.15103); even-odd splitting in Goemaere et al.
2023 (arXiv 2311.15673); neither in integers or with spikes.
"""

from __future__ import annotations

from neuro.base.errors import UserError
from neuro.spec.graph import Graph, reached
from neuro.spec.neurons import SigmaDelta, Source
from neuro.spec.projection import Projection

EVERY_STEP = -1  # the parity of populations that do not take turns
OWNER = "order even-odd: "


def settling_with(graph: Graph, name: str) -> set[str]:
    """Populations that `name` reaches and that reach `name`, itself included: they settle together."""
    forward = [(p.source, p.target) for p in graph.projections]
    return reached(name, forward) & reached(name, [(target, source) for source, target in forward])


def parities(graph: Graph, output: str) -> dict[str, int]:
    """The parity, 0 or 1, of the steps at which each population updates; EVERY_STEP for those that take no turns.

    Raises: UserError if populations of one parity are coupled, a coupling is not symmetric or a step size is not 1.
    """
    together = settling_with(graph, output)
    inner = [p for p in graph.projections if p.source in together and p.target in together]
    _check_units(graph, together)
    for projection in inner:
        _check_symmetric(projection, inner)
    colours = _coloured(graph, together, inner)
    for projection in inner:
        if colours[projection.source] == colours[projection.target]:
            raise UserError(
                f"{OWNER}projection {projection.name} joins {projection.source} and {projection.target}, which would "
                "update at the same steps; give --schedule parallel, or drop it"
            )
    return {p.name: colours.get(p.name, EVERY_STEP) for p in graph.populations}


def _coloured(graph: Graph, together: set[str], inner: list[Projection]) -> dict[str, int]:
    """Colours of the populations `together`, neighbours different where possible; 1 for one that a source reaches."""
    fed = {p.target for p in graph.projections if p.target in together and p.source not in together}
    names = [p.name for p in graph.populations if p.name in together]
    first = next((name for name in names if name in fed), names[0])
    colours, waiting = {first: 1}, [first]
    while waiting:
        here = waiting.pop()
        for projection in inner:
            if projection.source == here and projection.target not in colours:
                colours[projection.target] = 1 - colours[here]
                waiting.append(projection.target)
    return colours


def _check_units(graph: Graph, together: set[str]) -> None:
    for name in together:
        neuron = graph.population(name).neuron
        if isinstance(neuron, SigmaDelta) and neuron.step_multiplier != 1 << neuron.step_shift:
            raise UserError(
                f"{OWNER}{name} moves by {neuron.step_multiplier}/{1 << neuron.step_shift} of the way; give it a step "
                "size of 1, or --schedule parallel"
            )


def _check_symmetric(projection: Projection, inner: list[Projection]) -> None:
    partners = [
        other for other in inner if projection.name == other.transpose_of or other.name == projection.transpose_of
    ]
    if not any(projection.sign == other.sign == 1 for other in partners):
        raise UserError(
            f"{OWNER}projection {projection.name} has no transpose of the same sign back to {projection.source}; only "
            "symmetric couplings fall silent; add it, or give --schedule parallel"
        )


def skips_silence(graph: Graph, parity: dict[str, int]) -> bool:
    """Whether nothing changes any more once two steps in a row were silent: all units step by 1, in turn or not."""
    units = [p.neuron for p in graph.populations if not isinstance(p.neuron, Source)]
    return any(colour != EVERY_STEP for colour in parity.values()) and all(
        unit.step_multiplier == 1 << unit.step_shift for unit in units
    )

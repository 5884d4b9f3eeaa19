"""Stacks: one network whose output spikes are the input of another, as one specification and one graph.

The front network settles first; its output population takes the place of the input population of the back network.
Weights and states of both stay as they are: where the two populations state their payloads in different units, the
exponents of the synapses between them change by as much. Source: Teti et al. 2022 (LCANet: a sparse coder in front).
"""

from __future__ import annotations

from dataclasses import replace

from neuro.base.errors import UserError
from neuro.front_ends.pixels import PixelEncoder
from neuro.spec.neurons import SigmaDelta, Source
from neuro.spec.parity import settling_with
from neuro.spec.projection import Projection
from neuro.spec.schedule import Phase, Schedule
from neuro.spec.sigma_delta import NetworkSpec


def stack(front: NetworkSpec, back: NetworkSpec) -> NetworkSpec:
    """The network `front` followed by `back`, with the encoder of `front` and the output and nudges of `back`.

    The free phase lasts as long as both free phases together. Populations of `back` whose names `front` uses, too, get
    the suffix "2" (then "3"...).
    Raises: UserError if `back` does not take as many inputs as `front` has outputs, or encodes them.
    """
    code = front.population(front.output)
    if back.n_inputs != code.size:
        raise UserError(f"stack: {code.name} has {code.size} neurons, the network behind it takes {back.n_inputs}")
    if back.encoder.offset is not None or not back.encoder.by_pixel:
        raise UserError(
            "stack: the network behind subtracts an offset from its input, normalises or whitens it, spikes cannot; "
            "train uncentred, on the codes as they are"
        )
    taken = {p.name for p in front.populations}
    names = {p.name: _free_name(p.name, taken) for p in back.populations if p.name != back.input}
    names[back.input] = code.name
    links = {p.name: _free_name(_renamed(p, names), {q.name for q in front.projections}) for p in back.projections}
    populations = [replace(p, name=names[p.name]) for p in back.populations if p.name != back.input]
    wider = back.population(back.input).neuron.activation_bits - code.neuron.activation_bits
    return NetworkSpec(
        populations=(*front.populations, *populations),
        projections=(*front.projections, *(_linked(p, back, names, links, wider) for p in back.projections)),
        schedule=_schedule(front, back),
        input=front.input,
        output=names[back.output],
        encoder=front.encoder,
    )


def unstack(spec: NetworkSpec, input_bits: int | None = None) -> tuple[NetworkSpec | None, NetworkSpec]:
    """The networks that `stack` joined: all in front (None if there was nothing), and the one behind, alone.

    Names stay those of the stack; both keep its free phase whole. The network behind takes the codes, in the units of
    the one in front, as `Record.states` and `SigmaDelta.activation` give them.
    input_bits: payload bits that the network behind had for them before it was stacked; None: those of the codes.
    """
    behind = settling_with(spec, spec.output)
    feeders = [p for p in spec.projections if p.target in behind and p.source not in behind]
    code = next((p.source for p in feeders if isinstance(spec.population(p.source).neuron, SigmaDelta)), None)
    if code is None:
        return None, spec
    alone = behind | {p.source for p in feeders if p.source != code}  # always-on sources
    front = replace(
        spec,
        populations=tuple(p for p in spec.populations if p.name not in alone),
        projections=tuple(p for p in spec.projections if p.target not in alone),
        schedule=Schedule(spec.schedule.phases[:1]),
        output=code,
    )
    neuron = spec.population(code).neuron
    bits = neuron.activation_bits if input_bits is None else input_bits
    source = Source(bits, max(neuron.payload_limit, 1 << bits))
    inner = (p for p in spec.projections if p.target in alone)
    back = NetworkSpec(
        populations=(
            replace(spec.population(code), neuron=source), *(p for p in spec.populations if p.name in alone)
        ),
        projections=tuple(
            replace(p, exponent=p.exponent - (bits - neuron.activation_bits)) if p.source == code else p for p in inner
        ),
        schedule=spec.schedule,
        input=code,
        output=spec.output,
        encoder=PixelEncoder(bits),
    )  # fmt: skip
    return front, back


def _free_name(name: str, taken: set[str]) -> str:
    suffix, free = 2, name
    while free in taken:
        free, suffix = f"{name}{suffix}", suffix + 1
    return free


def _renamed(projection: Projection, names: dict[str, str]) -> str:
    """A projection called source->target keeps being called so."""
    if projection.name == f"{projection.source}->{projection.target}":
        return f"{names[projection.source]}->{names[projection.target]}"
    return projection.name


def _linked(
    projection: Projection, back: NetworkSpec, names: dict[str, str], links: dict[str, str], wider: int
) -> Projection:
    """A projection of `back` in the stack. wider: payload bits of its input above those of the code."""
    exponent = projection.exponent + (wider if projection.source == back.input else 0)
    if exponent < 0:
        raise UserError(f"stack: {projection.name} has too coarse weights; train the network behind with finer codes")
    return replace(
        projection,
        name=links[projection.name],
        source=names[projection.source],
        target=names[projection.target],
        exponent=exponent,
        transpose_of=None if projection.transpose_of is None else links[projection.transpose_of],
    )


def _schedule(front: NetworkSpec, back: NetworkSpec) -> Schedule:
    first, *nudged = back.schedule.phases
    steps = front.schedule.phases[0].steps + first.steps
    return replace(back.schedule, phases=(Phase(first.name, steps), *nudged))

"""What makes a NetworkSpec whole. Each check names the object, the limit and the remedy."""

from __future__ import annotations

import math
from itertools import takewhile

import numpy as np

from neuro.base.arrays import Int64
from neuro.base.checks import require_choice
from neuro.base.convolution import OUTSIDE
from neuro.base.errors import UserError
from neuro.base.fixed_point import INT32_MAX
from neuro.front_ends.pixels import PixelEncoder
from neuro.spec.graph import Graph, Population, check_connected, check_unique
from neuro.spec.neurons import SigmaDelta, Source
from neuro.spec.projection import Projection
from neuro.spec.schedule import Schedule

FAMILIES = ("sigma-delta", "stock")


def check_spec(graph: Graph, schedule: Schedule, input: str, output: str, encoder: PixelEncoder, family: str) -> None:
    """Raise UserError unless the parts of a `NetworkSpec` fit together."""
    require_choice("spec: family", family, FAMILIES)
    names = [population.name for population in graph.populations]
    check_unique("spec", "population", names)
    check_unique("spec", "projection", [projection.name for projection in graph.projections])
    check_unique("spec", "phase", [phase.name for phase in schedule.phases])
    _check_ends(graph, schedule, input, output, encoder)
    for projection in graph.projections:
        _check_projection(graph, projection)
    check_connected(names, graph.projections, input)
    _check_range(graph, schedule, output)


def _check_ends(graph: Graph, schedule: Schedule, input: str, output: str, encoder: PixelEncoder) -> None:
    for role, name in (("input", input), ("output", output)):
        require_choice(f"spec: {role}", name, graph.population_index)
    source = graph.population(input).neuron
    if not isinstance(source, Source) or source.constant is not None:
        raise UserError(f"spec: input {input!r} must be a Source without a constant")
    if not isinstance(graph.population(output).neuron, SigmaDelta):
        raise UserError(f"spec: output {output!r} must be a SigmaDelta population")
    free = sum(phase.steps for phase in takewhile(lambda phase: not phase.nudge, schedule.phases))
    if source.window >= free:
        raise UserError(
            f"spec: input {input!r} sends for {source.window} steps, the free phase lasts {free}; give it more, so "
            "that the network can settle"
        )
    others = [
        p.name
        for p in graph.populations
        if isinstance(p.neuron, Source) and p.neuron.constant is None and p.name != input
    ]
    if others:
        raise UserError(f"spec: source {others[0]!r} is neither the input nor constant; give it a constant")
    if encoder.activation_bits != source.activation_bits:
        raise UserError(
            f"spec: encoder has {encoder.activation_bits} activation bits, "
            f"input {input!r} has {source.activation_bits}; make them equal"
        )
    _check_front(graph.population(input), encoder)
    offset, n_inputs = encoder.offset, graph.population(input).size
    if offset is not None and offset.size != n_inputs:
        raise UserError(
            f"spec: the encoder's offset holds {offset.size} values, input {input!r} has {n_inputs} neurons; "
            "make them equal"
        )
    if encoder.transform is not None:
        encoder.transform.check_size(n_inputs)
    if encoder.payload_limit > source.input_limit:
        raise UserError(
            f"spec: encoder sends payloads up to {encoder.payload_limit}, "
            f"input {input!r} allows {source.input_limit}; raise payload_limit"
        )


def _check_front(population: Population, encoder: PixelEncoder) -> None:
    """Raise UserError unless the input population is what the front end of the encoder, if any, feeds."""
    fixed = encoder.fixed
    if fixed is None:
        return
    if fixed.shape != population.shape:
        raise UserError(
            f"spec: front end {fixed.text} gives {fixed.shape}, input {population.name!r} has shape "
            f"{population.shape}; make them equal"
        )
    window = population.neuron.window if isinstance(population.neuron, Source) else 0
    if window != fixed.window:
        raise UserError(
            f"spec: input {population.name!r} generates spikes for {window} steps, front end {fixed.text} gives "
            f"chances for {fixed.window}; build both from one front end"
        )


def _check_projection(graph: Graph, projection: Projection) -> None:
    name = f"projection {projection.name}"
    for end in (projection.source, projection.target):
        if end not in graph.population_index:
            raise UserError(f"{name}: {end!r} is not a population of the spec")
    if isinstance(graph.population(projection.target).neuron, Source):
        raise UserError(f"{name}: target {projection.target!r} is a source; sources receive nothing")
    if projection.transpose_of is not None:
        _check_transpose(graph, projection)
    elif projection.weights is not None and projection.weights.shape != _shape(graph, projection):
        raise UserError(
            f"{name}: weights have shape {projection.weights.shape}, "
            f"{projection.source} -> {projection.target} needs {_shape(graph, projection)}"
        )
    if graph.shift_of(projection) < 0:
        raise UserError(
            f"{name}: exponent {projection.exponent} needs more than the target's state_bits; lower it by "
            f"{-graph.shift_of(projection)}"
        )
    rule = projection.rule
    if rule is not None and rule.uses_state_difference:
        if not isinstance(graph.population(projection.source).neuron, Source):
            raise UserError(f"{name}: rule {rule.name} needs a source as pre population; use 'event' or 'end-point'")


def _shape(graph: Graph, projection: Projection) -> tuple[int, ...]:
    source, target = graph.population(projection.source), graph.population(projection.target)
    if projection.convolution is None:
        return source.size, target.size
    features = target.shape[-1]
    maps = projection.convolution.output_shape(source.shape, features)
    if target.shape != maps and not (target.shape == (features,) and math.prod(maps) == features):
        raise UserError(f"projection {projection.name}: makes maps of shape {maps}, {target.name} has {target.shape}")
    return projection.convolution.kernel_shape(source.shape, features)


def _check_transpose(graph: Graph, projection: Projection) -> None:
    original = next((p for p in graph.projections if p.name == projection.transpose_of), None)
    if original is None or original.weights is None:
        raise UserError(f"projection {projection.name}: transpose_of {projection.transpose_of!r} has no weights")
    if (projection.source, projection.target) != (original.target, original.source):
        raise UserError(
            f"projection {projection.name}: a transpose of {original.name} goes from {original.target} to "
            f"{original.source}, not from {projection.source} to {projection.target}"
        )
    for field in ("exponent", "weight_bits"):
        if getattr(projection, field) != getattr(original, field):
            raise UserError(
                f"projection {projection.name}: {field} {getattr(projection, field)} differs from "
                f"{getattr(original, field)} of {original.name}, whose weights it uses; make them equal"
            )


def _check_range(graph: Graph, schedule: Schedule, output: str) -> None:
    """No sum may leave 32 bits, whatever the weights become: backends never wrap."""
    for population in graph.populations:
        neuron = population.neuron
        if not isinstance(neuron, SigmaDelta):
            continue
        span = neuron.one + max(neuron.upper, -neuron.lower)
        nudge = span * schedule.nudge_multiplier if population.name == output else 0
        reach = (worst_case_input(graph, population) + nudge + span) * neuron.step_multiplier
        if reach > INT32_MAX:
            raise UserError(
                f"population {population.name}: its input can reach {reach}, beyond 32 bits ({INT32_MAX}); "
                "lower state_bits, raise the exponents, or use fewer inputs"
            )


def worst_case_input(graph: Graph, population: Population) -> int:
    """The largest |a| any weights within their limits can give `population`, in its state units."""
    total = 0
    for projection in graph.projections:
        if projection.target == population.name:
            payload_limit = graph.population(projection.source).neuron.payload_limit
            total += (payload_limit * largest_sum(graph, projection)) << graph.shift_of(projection)
    return total


def largest_sum(graph: Graph, projection: Projection) -> int:
    """A bound of the sum of |weights| onto one neuron: fixed ones as they are, others at their limit."""
    original = graph.original_of(projection)
    assert original.weights is not None  # check_spec
    if original.rule is not None:
        return shared_fan_in(graph, projection) * projection.limit
    size = np.abs(original.weights.astype(np.int64))
    if original.convolution is not None and original.convolution.pooled:
        return shared_fan_in(graph, projection) * int(size.max(initial=0))
    if original is projection:
        return int(size.reshape(-1, size.shape[-1]).sum(axis=0).max(initial=0))
    if original.convolution is None:
        return int(size.sum(axis=1).max(initial=0))
    return fan_in(graph, projection) * int(size.max(initial=0))


def fan_out(graph: Graph, projection: Projection) -> Int64:
    """The number of synapses of `projection` that a spike of each neuron reaches, of shape [N_source].

    Taps of a kernel that fall on the padding are no synapses; weights that are zero are.
    """
    original, target = graph.original_of(projection), graph.population(projection.target)
    size = graph.population(projection.source).size
    if original.convolution is None:
        return np.full(size, target.size, dtype=np.int64)
    taps = original.convolution.taps(graph.population(original.source).shape)
    features = graph.population(original.target).shape[-1]
    if original is projection:
        return np.bincount(taps[taps != OUTSIDE], minlength=size) * features
    return np.repeat(np.count_nonzero(taps != OUTSIDE, axis=1), features)


def shared_fan_in(graph: Graph, projection: Projection) -> int:
    """The largest number of weights that add up at one neuron; a pooled synapse is the sum of several."""
    original = graph.original_of(projection)
    convolution = original.convolution
    if convolution is None or not convolution.pooled:
        return fan_in(graph, projection)
    shape, features = graph.population(original.source).shape, graph.population(original.target).shape[-1]
    if original is projection:
        return math.prod(convolution.kernel) * convolution.channels(shape) * math.prod(convolution.pool)
    taps = convolution.taps(shape)
    ones = np.ones(convolution.kernel_shape(shape, 1), dtype=np.int64)
    counts = np.broadcast_to(convolution.widened(ones).ravel(), taps.shape)[taps != OUTSIDE]
    return int(np.bincount(taps[taps != OUTSIDE], counts).max()) * features


def fan_in(graph: Graph, projection: Projection) -> int:
    """The largest number of synapses of `projection` onto one neuron."""
    original = graph.original_of(projection)
    if original.convolution is None:
        return graph.population(projection.source).size
    taps = original.convolution.taps(graph.population(original.source).shape)
    if original is projection:
        return int(taps.shape[1])
    overlaps = np.bincount(taps[taps != OUTSIDE])
    return int(overlaps.max()) * graph.population(original.target).shape[-1]

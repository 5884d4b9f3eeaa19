"""What makes a NetworkSpec whole. Each check names the object, the limit and the remedy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from neuro.base.convolution import OUTSIDE
from neuro.base.errors import UserError
from neuro.base.fixed_point import INT32_MAX
from neuro.spec.graph import check_connected, check_unique
from neuro.spec.neurons import SigmaDelta, Source

if TYPE_CHECKING:
    from neuro.spec.sigma_delta import NetworkSpec, Population, Projection

FAMILIES = ("sigma-delta", "stock")


def check_spec(spec: NetworkSpec) -> None:
    """Raise UserError unless the parts of `spec` fit together."""
    if spec.family not in FAMILIES:
        raise UserError(f"spec: family {spec.family!r} is unknown; choose one of {', '.join(FAMILIES)}")
    names = [population.name for population in spec.populations]
    check_unique("spec", "population", names)
    check_unique("spec", "projection", [projection.name for projection in spec.projections])
    check_unique("spec", "phase", [phase.name for phase in spec.schedule.phases])
    _check_ends(spec)
    for projection in spec.projections:
        _check_projection(spec, projection)
    check_connected(names, spec.projections, spec.input)
    _check_range(spec)


def _check_ends(spec: NetworkSpec) -> None:
    for role, name in (("input", spec.input), ("output", spec.output)):
        if name not in spec.population_index:
            raise UserError(f"spec: {role} {name!r} is not a population; choose one of {list(spec.population_index)}")
    source = spec.population(spec.input).neuron
    if not isinstance(source, Source) or source.constant is not None:
        raise UserError(f"spec: input {spec.input!r} must be a Source without a constant")
    if not isinstance(spec.population(spec.output).neuron, SigmaDelta):
        raise UserError(f"spec: output {spec.output!r} must be a SigmaDelta population")
    others = [
        p.name
        for p in spec.populations
        if isinstance(p.neuron, Source) and p.neuron.constant is None and p.name != spec.input
    ]
    if others:
        raise UserError(f"spec: source {others[0]!r} is neither the input nor constant; give it a constant")
    if spec.encoder.activation_bits != source.activation_bits:
        raise UserError(
            f"spec: encoder has {spec.encoder.activation_bits} activation bits, "
            f"input {spec.input!r} has {source.activation_bits}; make them equal"
        )
    offset, n_inputs = spec.encoder.offset, spec.population(spec.input).size
    if offset is not None and offset.size != n_inputs:
        raise UserError(
            f"spec: the encoder's offset holds {offset.size} values, input {spec.input!r} has {n_inputs} neurons; "
            "make them equal"
        )
    if spec.encoder.transform is not None:
        spec.encoder.transform.check_size(n_inputs)
    if spec.encoder.payload_limit > source.payload_limit:
        raise UserError(
            f"spec: encoder sends payloads up to {spec.encoder.payload_limit}, "
            f"input {spec.input!r} allows {source.payload_limit}; raise payload_limit"
        )


def _check_projection(spec: NetworkSpec, projection: Projection) -> None:
    name = f"projection {projection.name}"
    for end in (projection.source, projection.target):
        if end not in spec.population_index:
            raise UserError(f"{name}: {end!r} is not a population of the spec")
    if isinstance(spec.population(projection.target).neuron, Source):
        raise UserError(f"{name}: target {projection.target!r} is a source; sources receive nothing")
    if projection.transpose_of is not None:
        _check_transpose(spec, projection)
    elif projection.weights is not None and projection.weights.shape != _shape(spec, projection):
        raise UserError(
            f"{name}: weights have shape {projection.weights.shape}, "
            f"{projection.source} -> {projection.target} needs {_shape(spec, projection)}"
        )
    if spec.shift_of(projection) < 0:
        raise UserError(
            f"{name}: exponent {projection.exponent} needs more than the target's state_bits; lower it by "
            f"{-spec.shift_of(projection)}"
        )
    rule = projection.rule
    if rule is not None and rule.uses_state_difference:
        if not isinstance(spec.population(projection.source).neuron, Source):
            raise UserError(f"{name}: rule {rule.name} needs a source as pre population; use 'event' or 'end-point'")


def _shape(spec: NetworkSpec, projection: Projection) -> tuple[int, ...]:
    source, target = spec.population(projection.source), spec.population(projection.target)
    if projection.convolution is None:
        return source.size, target.size
    features = target.shape[-1]
    maps = projection.convolution.output_shape(source.shape, features)
    if target.shape != maps:
        raise UserError(f"projection {projection.name}: makes maps of shape {maps}, {target.name} has {target.shape}")
    return projection.convolution.kernel_shape(source.shape, features)


def _check_transpose(spec: NetworkSpec, projection: Projection) -> None:
    original = next((p for p in spec.projections if p.name == projection.transpose_of), None)
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


def _check_range(spec: NetworkSpec) -> None:
    """No sum may leave 32 bits, whatever the weights become: backends never wrap."""
    schedule = spec.schedule
    for population in spec.populations:
        neuron = population.neuron
        if not isinstance(neuron, SigmaDelta):
            continue
        span = neuron.one + max(neuron.upper, -neuron.lower)
        nudge = span * schedule.nudge_multiplier if population.name == spec.output else 0
        reach = (worst_case_input(spec, population) + nudge + span) * neuron.step_multiplier
        if reach > INT32_MAX:
            raise UserError(
                f"population {population.name}: its input can reach {reach}, beyond 32 bits ({INT32_MAX}); "
                "lower state_bits, raise the exponents, or use fewer inputs"
            )


def worst_case_input(spec: NetworkSpec, population: Population) -> int:
    """Return the largest |a| any weights within their limits can give `population`, in its state units."""
    total = 0
    for projection in spec.projections:
        if projection.target == population.name:
            payload_limit = spec.population(projection.source).neuron.payload_limit
            total += (payload_limit * largest_sum(spec, projection)) << spec.shift_of(projection)
    return total


def largest_sum(spec: NetworkSpec, projection: Projection) -> int:
    """Return a bound of the sum of |weights| onto one neuron: fixed ones as they are, others at their limit."""
    original = spec.original_of(projection)
    assert original.weights is not None  # check_spec
    if original.rule is not None:
        return shared_fan_in(spec, projection) * projection.limit
    size = np.abs(original.weights.astype(np.int64))
    if original.convolution is not None and original.convolution.pooled:
        return shared_fan_in(spec, projection) * int(size.max(initial=0))
    if original is projection:
        return int(size.reshape(-1, size.shape[-1]).sum(axis=0).max(initial=0))
    if original.convolution is None:
        return int(size.sum(axis=1).max(initial=0))
    return fan_in(spec, projection) * int(size.max(initial=0))


def fan_out(spec: NetworkSpec, projection: Projection) -> npt.NDArray[np.int64]:
    """Return, of shape [N_source], the synapses of `projection` that a spike of each neuron reaches.

    Taps of a kernel that fall on the padding are no synapses; weights that are zero are.
    """
    original, target = spec.original_of(projection), spec.population(projection.target)
    size = spec.population(projection.source).size
    if original.convolution is None:
        return np.full(size, target.size, dtype=np.int64)
    taps = original.convolution.taps(spec.population(original.source).shape)
    features = spec.population(original.target).shape[-1]
    if original is projection:
        return np.bincount(taps[taps != OUTSIDE], minlength=size) * features
    return np.repeat(np.count_nonzero(taps != OUTSIDE, axis=1), features)


def shared_fan_in(spec: NetworkSpec, projection: Projection) -> int:
    """Return the largest number of weights that add up at one neuron; a pooled synapse is the sum of several."""
    original = spec.original_of(projection)
    convolution = original.convolution
    if convolution is None or not convolution.pooled:
        return fan_in(spec, projection)
    shape, features = spec.population(original.source).shape, spec.population(original.target).shape[-1]
    if original is projection:
        return math.prod(convolution.kernel) * convolution.channels(shape) * math.prod(convolution.pool)
    taps = convolution.taps(shape)
    ones = np.ones(convolution.kernel_shape(shape, 1), dtype=np.int64)
    counts = np.broadcast_to(convolution.widened(ones).ravel(), taps.shape)[taps != OUTSIDE]
    return int(np.bincount(taps[taps != OUTSIDE], counts).max()) * features


def fan_in(spec: NetworkSpec, projection: Projection) -> int:
    """Return the largest number of synapses of `projection` onto one neuron."""
    original = spec.original_of(projection)
    if original.convolution is None:
        return spec.population(projection.source).size
    taps = original.convolution.taps(spec.population(original.source).shape)
    if original is projection:
        return int(taps.shape[1])
    overlaps = np.bincount(taps[taps != OUTSIDE])
    return int(overlaps.max()) * spec.population(original.target).shape[-1]

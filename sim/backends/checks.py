"""What every backend of sigma-delta networks refuses, in the same words."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping

from neuro.base.arrays import Integers
from neuro.base.checks import require_choice
from neuro.base.errors import UserError
from neuro.base.fixed_point import INT32_MAX
from neuro.spec.plasticity import Rate
from neuro.spec.projection import Projection
from neuro.spec.sigma_delta import NetworkSpec
from neuro.spec.validate import worst_case_input
from neuro.stock.learning_engine import EngineRule


def check_payloads(spec: NetworkSpec, payloads: Integers, targets: Integers | None) -> None:
    """Raise UserError unless payloads and targets have the shapes and ranges the spec declares."""
    source = spec.population(spec.input)
    if payloads.ndim != 2 or payloads.shape[1] != source.size:
        raise UserError(f"payloads of shape {payloads.shape}: the input population needs [B, {source.size}]")
    if payloads.size and max(-int(payloads.min()), int(payloads.max())) > spec.entry.input_limit:
        raise UserError(f"payloads exceed the limit {spec.entry.input_limit} of population {source.name}")
    if targets is not None and targets.shape != (len(payloads), spec.n_classes):
        raise UserError(f"targets of shape {targets.shape}: {len(payloads)} images need [B, {spec.n_classes}]")
    one = spec.unit(spec.output).one
    if targets is not None and targets.size and max(-int(targets.min()), int(targets.max())) > one:
        raise UserError(f"targets exceed the real value 1 ({one}); scale them into [-1, 1]")


def check_currents(
    spec: NetworkSpec, n_images: int, targets: Integers | None, currents: Mapping[str, Integers]
) -> None:
    """Raise UserError unless currents are of moving populations but the output, of the images, and fit their boxes."""
    if currents and targets is None:
        raise UserError("currents: act in nudged phases, and without targets there are none; give targets")
    hidden = [p.name for p in spec.moving if p.name != spec.output]
    for name, values in currents.items():
        require_choice("currents: population", name, hidden)
        size = spec.population(name).size
        if values.shape != (n_images, size):
            raise UserError(f"currents of {name}: shape {values.shape}; {n_images} images need [B, {size}]")
        largest = max(-int(values.min()), int(values.max())) if values.size else 0
        if largest > largest_current(spec, name):
            raise UserError(
                f"currents of {name}: {largest} state units leave the box of its units, which takes "
                f"{largest_current(spec, name)}; give them a lower weight"
            )


@functools.lru_cache(maxsize=8)
def largest_current(spec: NetworkSpec, name: str) -> int:
    """The width of the box, or what 32 bits leave beside all synapses."""
    unit = spec.unit(name)
    span = unit.one + max(unit.upper, -unit.lower)
    room = INT32_MAX // unit.step_multiplier - worst_case_input(spec, spec.population(name)) - span
    return min(unit.upper - unit.lower, room)


def check_learning(spec: NetworkSpec, rates: Mapping[str, Rate | EngineRule]) -> dict[str, Rate]:
    """The rates by projection, if `spec` can learn with them.

    Raises: UserError if there are too few phases, if a rate is a rule of stock networks, or if it could leave 32 bits.
    """
    if len(spec.schedule.phases) < 3:
        raise UserError("learning needs a schedule of a free phase and two nudged phases")
    chosen = {name: rate for name, rate in rates.items() if isinstance(rate, Rate)}
    for name in rates.keys() - chosen.keys():
        raise UserError(f"learning rate of {name}: sigma-delta networks learn with a Rate; give one")
    check_rates(spec, chosen)
    return chosen


def check_rates(spec: NetworkSpec, rates: Mapping[str, Rate]) -> None:
    """Raise UserError if a learning rate could overflow the 32 bits in which the kernels round a change."""
    for projection in spec.plastic:
        rule, rate = projection.rule, rates[projection.name]
        pre, post = spec.population(projection.source).neuron, spec.unit(projection.target)
        assert rule is not None  # plastic
        reach = post.upper - post.lower if rule.uses_state_difference else 2 * post.payload_limit
        gain = rate.mantissa << max(rule.shadow_bits - rate.exponent, 0)
        synapses = n_sharing(spec, projection)
        if synapses * pre.payload_limit * reach * gain + (1 << rate.exponent) > INT32_MAX:
            raise UserError(f"learning rate of {projection.name}: {rate} overflows 32 bits; lower the learning rate")


def n_sharing(spec: NetworkSpec, projection: Projection) -> int:
    """The number of synapses that share a weight, at most: one for each position, before pooling, of a kernel."""
    if projection.convolution is None:
        return 1
    positions = projection.convolution.positions(spec.population(projection.source).shape)
    return math.prod(positions) * math.prod(projection.convolution.pool)

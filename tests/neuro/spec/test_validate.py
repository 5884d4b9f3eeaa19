from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro.base.errors import UserError
from neuro.front_ends.pixels import PixelEncoder
from neuro.front_ends.whitening import Transform
from neuro.spec.graph import Population
from neuro.spec.neurons import SigmaDelta, Source
from neuro.spec.plasticity import learning_rule
from neuro.spec.projection import Projection
from neuro.spec.schedule import Phase, Schedule
from neuro.spec.sigma_delta import NetworkSpec
from neuro.spec.validate import worst_case_input

INT32_MAX = 2**31 - 1
law = settings(max_examples=150, deadline=None)
W23, W22 = np.ones((2, 3), np.int8), np.ones((2, 2), np.int8)


@pytest.fixture(scope="module")
def base() -> dict[str, object]:
    """Arguments of a valid spec: input (2), bias (1), hidden (3), output (2), with a transpose back."""
    unit = SigmaDelta()
    return {
        "populations": (
            Population("input", (2,), Source()),
            Population("bias", (1,), Source(constant=32)),
            Population("hidden", (3,), unit),
            Population("output", (2,), unit),
        ),
        "projections": (
            Projection("up", "input", "hidden", 7, W23),
            Projection("out", "hidden", "output", 7, W23.T),
            Projection("back", "output", "hidden", 7, transpose_of="out"),
            Projection("b", "bias", "hidden", 8, W23[:1]),
        ),
        "schedule": Schedule((Phase("free", 3), Phase("first", 2, 1), Phase("second", 2, -1))),
        "input": "input",
        "output": "output",
    }


def with_projection(base, index, **changes):
    projections = list(base["projections"])
    projections[index] = replace(projections[index], **changes)
    return {"projections": tuple(projections)}


def with_population(base, index, **changes):
    populations = list(base["populations"])
    populations[index] = replace(populations[index], **changes)
    return {"populations": tuple(populations)}


BAD = {
    "family": (lambda b: {"family": "lif"}, ("family 'lif'", "sigma-delta")),
    "population twice": (lambda b: with_population(b, 3, name="hidden"), ("population 'hidden'", "unique")),
    "projection twice": (lambda b: with_projection(b, 1, name="up"), ("projection 'up'", "unique")),
    "no such input": (lambda b: {"input": "eye"}, ("input 'eye'", "choose")),
    "no such output": (lambda b: {"output": "hand"}, ("output 'hand'", "choose")),
    "input is a unit": (lambda b: {"input": "hidden"}, ("input 'hidden'", "Source")),
    "input is constant": (lambda b: {"input": "bias"}, ("input 'bias'", "constant")),
    "output is a source": (lambda b: {"output": "bias"}, ("output 'bias'", "SigmaDelta")),
    "second input": (lambda b: with_population(b, 1, neuron=Source()), ("source 'bias'", "give it a constant")),
    "encoder bits": (lambda b: {"encoder": PixelEncoder(4)}, ("encoder", "4 activation bits", "make them equal")),
    "encoder range": (
        lambda b: {"encoder": PixelEncoder(5, np.array([-9, 0], np.int16))},
        ("encoder", "41", "raise payload_limit"),
    ),
    "encoder whitening": (
        lambda b: {"encoder": PixelEncoder(5, None, 0, Transform(32, 0, np.eye(3, dtype=np.int16)))},
        ("2 values", "whitening takes 3"),
    ),
    "source missing": (lambda b: with_projection(b, 0, source="eye"), ("projection up", "'eye'")),
    "target missing": (lambda b: with_projection(b, 0, target="eye"), ("projection up", "'eye'")),
    "target is a source": (
        lambda b: with_projection(b, 0, target="bias", weights=W23[:, :1]),
        ("projection up", "sources receive nothing"),
    ),
    "weight shape": (lambda b: with_projection(b, 0, weights=W22), ("projection up", "(2, 2)", "(2, 3)")),
    "exponent too fine": (lambda b: with_projection(b, 0, exponent=13), ("projection up", "exponent 13", "by 2")),
    "transpose of nothing": (lambda b: with_projection(b, 2, transpose_of="x"), ("projection back", "'x'")),
    "transpose bits": (lambda b: with_projection(b, 2, weight_bits=4), ("projection back", "weight_bits", "out")),
    "transpose of itself": (lambda b: with_projection(b, 2, transpose_of="back"), ("projection back", "no weights")),
    "transpose elsewhere": (
        lambda b: with_projection(b, 2, transpose_of="up"),
        ("projection back", "from hidden to input"),
    ),
    "transpose exponent": (lambda b: with_projection(b, 2, exponent=6), ("projection back", "exponent", "out")),
    "joined to nothing": (lambda b: {"projections": b["projections"][:3]}, ("population bias", "add a projection")),
    "y3 inside": (
        lambda b: with_projection(b, 1, rule=learning_rule("y3")),
        ("projection out", "y3", "use 'event' or 'end-point'"),
    ),
    "too many bits": (
        lambda b: (
            with_population(b, 2, neuron=SigmaDelta(22, 5, 0, 1 << 22))
            | with_projection(b, 0, exponent=0, rule=learning_rule("event"))
        ),
        ("population hidden", "32 bits", "lower state_bits"),
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_spec_that_does_not_fit_together_is_refused(case, base, refused):
    change, words = BAD[case]
    NetworkSpec(**base)
    with refused(*words):
        NetworkSpec(**{**base, **change(base)})


RULES = (None, learning_rule("event"))


@st.composite
def networks(draw):
    """Arguments of a small network with numbers of any size: many of them are too large for 32 bits."""
    state_bits = draw(st.integers(4, 22) | st.integers(18, 22))
    source_bits, unit_bits = (draw(st.integers(0, min(state_bits, 12))) for _ in range(2))
    n_inputs, n_outputs = draw(st.integers(1, 5000)), draw(st.integers(1, 50))
    reach = draw(st.integers(1, 2**23))
    shift = draw(st.integers(0, 8))
    unit = SigmaDelta(
        state_bits, unit_bits, -draw(st.integers(0, reach)), reach, draw(st.integers(1, 1 << shift)), shift
    )
    weight_bits = draw(st.integers(2, 8))
    weights = {
        "up": np.zeros((n_inputs, n_outputs), np.int8),
        "side": np.zeros((n_outputs, n_outputs), np.int8),
    }
    exponents = [draw(st.integers(0, state_bits - bits)) for bits in (source_bits, unit_bits)]
    return {
        "populations": (
            Population("in", (n_inputs,), Source(source_bits, 1 << source_bits)),
            Population("out", (n_outputs,), unit),
        ),
        "projections": (
            Projection("up", "in", "out", exponents[0], weights["up"], weight_bits, rule=draw(st.sampled_from(RULES))),
            Projection("side", "out", "out", exponents[1], weights["side"], 8),
        ),
        "schedule": Schedule((Phase("free", 1),), draw(st.integers(1, 255)), draw(st.integers(0, 8) | st.just(0))),
        "input": "in",
        "output": "out",
        "encoder": PixelEncoder(source_bits),
    }


def worst_inputs(populations, projections) -> list[int]:
    """Accumulated input of one output neuron with all payloads at their limits, both signs.

    Fixed weights are as they are, those that learn at their limit; the worst columns of all projections meet.
    """
    unit = populations[1].neuron
    total = 0
    for source, projection in zip(populations, projections, strict=True):
        payload = source.neuron.payload_limit
        scale = unit.state_bits - source.neuron.activation_bits - projection.exponent
        largest = source.size * (2 ** (projection.weight_bits - 1) - 1)
        if projection.rule is None:
            largest = max(sum(abs(int(w)) for w in column) for column in projection.weights.T)
        total += (payload << scale) * largest
    return [-total, total]


def extremes(arguments) -> list[int]:
    """Every intermediate number of one update of the output unit, in Python integers, at the corners of its range."""
    unit, schedule = arguments["populations"][1].neuron, arguments["schedule"]
    numbers = []
    corners = product(
        worst_inputs(arguments["populations"], arguments["projections"]),
        (unit.lower, unit.upper),
        (0, unit.one),
        (-1, 0, 1),
    )
    for a, u, target, sign in corners:
        pull = (target - u) * schedule.nudge_multiplier
        total = a + sign * (pull >> schedule.nudge_shift)
        step = (total - u) * unit.step_multiplier
        moved = u + (step >> unit.step_shift)
        numbers += [a, pull, total, total - u, step, moved, moved + (1 << unit.send_shift) // 2]
    return numbers


def accepted(arguments) -> NetworkSpec | None:
    try:
        return NetworkSpec(**arguments)
    except UserError:
        return None


@law
@given(networks())
def test_a_spec_that_is_accepted_never_leaves_32_bits(arguments):
    spec = accepted(arguments)
    if spec is not None:
        assert max(map(abs, extremes(arguments))) <= INT32_MAX
        reach = max(worst_inputs(spec.populations, spec.projections))
        assert worst_case_input(spec, spec.population("out")) == reach


@law
@given(networks())
def test_a_spec_far_from_32_bits_is_accepted(arguments):
    schedule = Schedule((Phase("free", 1),), arguments["schedule"].nudge_multiplier, 0)
    arguments = {**arguments, "schedule": schedule}
    if 4 * max(map(abs, extremes(arguments))) <= INT32_MAX:
        assert accepted(arguments) is not None


@pytest.mark.parametrize("n_inputs", [2, 2**13])
def test_the_worst_case_is_reached_by_weights_and_payloads_at_their_limits(n_inputs):
    weights = np.full((n_inputs, 1), -127, np.int8)
    spec = NetworkSpec(
        (Population("in", (n_inputs,), Source()), Population("out", (1,), SigmaDelta())),
        (Projection("up", "in", "out", 7, weights),),
        Schedule((Phase("free", 1),)),
        "in",
        "out",
    )
    payloads = spec.encoder.encode(np.ones((1, n_inputs)))[0].astype(np.int64)
    a = int(((payloads << spec.shift_of(spec.projections[0])) @ weights.astype(np.int64)).item())
    assert -a == worst_case_input(spec, spec.population("out"))


def wide(multiplier, unit, hidden):
    """Arguments of a spec with tiny weights, in which the box, the nudge and the step decide what is reached."""
    return {
        "populations": (Population("in", (1,), Source(0, 1)), Population("hidden", (1,), hidden),
                        Population("out", (1,), unit)),
        "projections": tuple(Projection(end, "in", end, 4, np.zeros((1, 1), np.int8)) for end in ("hidden", "out")),
        "schedule": Schedule((Phase("free", 1),), multiplier, 0),
        "input": "in",
        "output": "out",
        "encoder": PixelEncoder(0),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("multiplier", "output_step", "hidden_step", "broken"),
    [
        (64, (1, 0), (1, 0), None),
        (255, (1, 0), (1, 0), "out"),  # the nudge alone: (2**22 + 2**23) * 255
        (1, (32, 5), (32, 5), None),
        (1, (256, 8), (1, 0), "out"),  # the step alone
        (1, (1, 0), (256, 8), "hidden"),  # the step of a population that is not nudged: 2**23 * 256
    ],
)
def test_nudge_and_step_count_in_the_worst_case(multiplier, output_step, hidden_step, broken, refused):
    units = [SigmaDelta(22, 5, 0, 2**23, *step) for step in (output_step, hidden_step)]
    if broken is None:
        NetworkSpec(**wide(multiplier, *units))
    else:
        with refused(f"population {broken}", "32 bits"):
            NetworkSpec(**wide(multiplier, *units))

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuro.stock.learning_engine import EngineRule, product
from neuro.stock.processes import LIF, GradedRelu, SpikeInput, StockPopulation, StockProjection, StockSpec

INPUT = StockPopulation("in", (3,), SpikeInput())
HIDDEN = StockPopulation("h", (2,), LIF())
FORWARD = StockProjection("f", "in", "h", np.ones((3, 2), dtype=int))
SPEC = StockSpec((INPUT, HIDDEN), (FORWARD,))
BIASED, MANTISSAS = replace(SPEC, biased=("h",)), np.zeros((2, 2), dtype=int)
RULE = EngineRule((product(1, 0, "x0"),))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SpikeInput(0), ("payload_limit 0", "1..")),
        (lambda: LIF(current_decay=4096), ("current_decay 4096", "0..4095")),
        (lambda: LIF(voltage_decay=4097), ("voltage_decay 4097", "0..4096")),
        (lambda: LIF(threshold=-1), ("threshold -1",)),
        (lambda: LIF(bias_mantissa=4096), ("bias_mantissa 4096",)),
        (lambda: LIF(bias_exponent=8), ("bias_exponent 8",)),
        (lambda: LIF(threshold=1.5), ("threshold 1.5", "integer")),
        (lambda: GradedRelu(-1), ("threshold -1",)),
        (lambda: StockPopulation("", (3,), LIF()), ("needs a name",)),
        (lambda: StockPopulation("h", (0,), LIF()), ("population h", "at least one")),
        (lambda: replace(FORWARD, weight_bits=0), ("projection f", "weight_bits 0", "1..8")),
        (lambda: replace(FORWARD, exponent=17), ("exponent 17",)),
        (lambda: replace(FORWARD, sign_mode="both"), ("'both'", "mixed")),
        (lambda: replace(FORWARD, weights=np.full((3, 2), 256)), ("outside -256..255", "clip")),
        (lambda: replace(FORWARD, weights=-np.ones((3, 2), dtype=int), sign_mode="excitatory"), ("outside 0..255",)),
        (lambda: replace(FORWARD, weights=np.ones((3, 2))), ("2-D integer",)),
        (lambda: StockSpec((INPUT, INPUT), ()), ("'in'", "twice")),
        (lambda: StockSpec((HIDDEN,), ()), ("no SpikeInput", "biased")),
        (lambda: replace(SPEC, biased=("o",)), ("'o' is to be biased", "LIF")),
        (lambda: replace(SPEC, biased=("in",)), ("'in' is to be biased", "LIF")),
        (lambda: replace(SPEC, biased=("h", "h")), ("'h'", "twice")),
        (lambda: BIASED.check_biases({}, 2), ("biases for []", "['h']")),
        (lambda: SPEC.check_biases({"h": MANTISSAS}, 2), ("biases for ['h']", "[]")),
        (lambda: BIASED.check_biases({"h": MANTISSAS}, 3), ("biases of h", "(3, 2)")),
        (lambda: BIASED.check_biases({"h": MANTISSAS * 1.0}, 2), ("biases of h", "integers")),
        (lambda: BIASED.check_biases({"h": MANTISSAS + 4096}, 2), ("biases of h", "-4096..4095", "13 bits")),
        (lambda: StockSpec((INPUT, HIDDEN), ()), ("population h", "no projection")),
        (lambda: StockSpec((INPUT, HIDDEN), (replace(FORWARD, target="o"),)), ("'o'", "not a population")),
        (
            lambda: StockSpec((INPUT, HIDDEN), (FORWARD, replace(FORWARD, name="g", source="h", target="in"))),
            ("input",),
        ),
        (lambda: replace(SPEC, projections=(replace(FORWARD, weights=np.ones((2, 2), dtype=int)),)), ("(3, 2)",)),
        (
            lambda: StockSpec((replace(INPUT, neuron=SpikeInput(9)), HIDDEN), (FORWARD,)),
            ("graded spikes", "message_bits"),
        ),
        (
            lambda: StockSpec((INPUT, replace(HIDDEN, neuron=GradedRelu())), (replace(FORWARD, rule=RULE),)),
            ("binary spikes", "LIF"),
        ),
    ],
)
def test_what_does_not_fit_is_refused(make, words, refused):
    with refused(*words):
        make()


@given(st.integers(-256, 255), st.integers(1, 8), st.sampled_from(["mixed", "excitatory", "inhibitory"]))
def test_effective_weights_drop_low_bits_towards_minus_infinity_or_zero(weight, bits, sign_mode):
    weight = (
        abs(weight) % 256
        if sign_mode == "excitatory"
        else -(abs(weight) % 256)
        if sign_mode == "inhibitory"
        else weight
    )
    projection = replace(FORWARD, weights=np.full((3, 2), weight), weight_bits=bits, sign_mode=sign_mode)
    grid = 2 ** (8 - bits + (sign_mode == "mixed"))
    wanted = -(abs(weight) // grid * grid) if sign_mode == "inhibitory" else weight // grid * grid
    assert (projection.effective == wanted).all()


@pytest.mark.parametrize(("mantissa", "exponent", "bias"), [(5, 3, 40), (-5, 0, -5), (-5, -1, -3), (5, -1, 2)])
def test_bias_shifts_towards_minus_infinity(mantissa, exponent, bias):
    assert LIF(bias_mantissa=mantissa, bias_exponent=exponent).bias == bias


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((2, 3), int),
        np.zeros((1, 4, 2), int),
        np.zeros((1, 4, 3)),
        np.full((1, 4, 3), 2),
        np.full((1, 4, 3), -1),
    ],
)
def test_inputs_that_do_not_fit_are_refused(wrong, refused):
    with refused("inputs"):
        SPEC.check_inputs(wrong)
    SPEC.check_inputs(np.ones((1, 4, 3), int))

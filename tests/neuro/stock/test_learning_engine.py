import importlib.util

import pytest

from neuro.stock.learning_engine import EngineFactor, EngineProduct, EngineRule, EngineTrace, product

PLAIN = (product(1, 0, "x0"),)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: EngineTrace(tau=0), ("tau 0", "1..")),
        (lambda: EngineTrace(impulse=128), ("impulse 128", "0..127")),
        (lambda: EngineTrace(impulse=0.5), ("impulse 0.5", "integer")),
        (lambda: EngineFactor("y3"), ("'y3'", "x1")),
        (lambda: EngineFactor("w", 200), ("constant 200", "-128..127")),
        (lambda: product(8, 0, "x0"), ("mantissa 8", "1..7")),
        (lambda: product(0, 0, "x0"), ("mantissa 0",)),
        (lambda: product(1, -8, "x0"), ("exponent -8", "-7..8")),
        (lambda: product(1, 9, "x0"), ("exponent 9",)),
        (lambda: product(1, 0, "x1"), ("dependency 'x1'", "x0, y0, u")),
        (lambda: product(1, 0, "x0", "w", "w", "t", "t"), ("40 bits", "31", "drop a factor")),
        (lambda: EngineRule(()), ("no product",)),
        (lambda: EngineRule(PLAIN, t_epoch=64), ("t_epoch 64", "1..63")),
        (lambda: EngineRule(PLAIN, k=3), ("k if, and only if",)),
        (lambda: EngineRule((product(1, 0, "u"),)), ("k if, and only if",)),
        (lambda: EngineRule((product(1, 0, "u"),), k=10), ("k 10", "0..9")),
    ],
)
def test_what_the_engine_cannot_hold_is_refused(make, words, refused):
    with refused(*words):
        make()


def test_a_rule_is_written_as_the_engine_reads_it():
    rule = EngineRule(
        (product(7, -6, "u", "t", "x1", "y1"), product(-2, 0, "x0", EngineFactor("y2", -64))),
        (product(-2, 0, "u", "t"),),
        k=7,
    )
    assert rule.render() == {"dw": "+7*2^-6*u7*t*x1*y1-2*2^0*x0*(y2-64)", "dt": "-2*2^0*u7*t"}


@pytest.mark.parametrize(
    ("factors", "shift"), [((), 0), (("x1",), 0), (("x1", "y1"), 3), (("x1", "y1", "t"), 12), (("w", "t"), 7)]
)
def test_products_lose_the_bits_that_the_accumulator_lacks(factors, shift):
    assert product(1, 0, "u", *factors).shift == shift


@pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="Lava needs Python 3.10")
def test_lava_reads_every_term_as_it_was_meant():
    from lava.magma.core.learning.learning_rule import Loihi2FLearningRule

    for mantissa in (-7, -2, 1, 7):
        for exponent in (-7, 0, 8):
            term = product(mantissa, exponent, "u", EngineFactor("w", -3), "y1")
            assert isinstance(term, EngineProduct)
            rule = EngineRule((term,), k=4)
            series = Loihi2FLearningRule(**rule.render(), t_epoch=1).active_product_series["dw"]
            (read,) = series.products
            value = read.s_mantissa * 2.0 ** (read.s_exp - 7)
            assert value == mantissa * 2.0**exponent
            assert [(f.state_var, f.const or 0) for f in read.factors] == [("w", -3), ("y1", 0)]
            assert read.decimate_exponent == 4

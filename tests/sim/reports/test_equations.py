from __future__ import annotations

import re

import pytest

from neuro.spec.plasticity import learning_rule
from neuro.stock.learning_engine import EngineFactor, EngineRule, product
from sim.reports.equations import arrows, engine_rule, local_rule, moments_of, power


def plain(markup: str) -> str:
    """The text of an equation, subscripts in place, with common signs and spaces."""
    text = re.sub(r"<sub>(\d+)</sub>", r"\1", markup)
    text = re.sub(r"<sup>([^<]+)</sup>", r"^\1", text)
    return re.sub(r"<[^>]+>", "", text).replace("\u202f", "").replace("−", "-")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("event", "ΔW = σ (-x1 y0 -x0 y1) at every spike in the second nudge"),
        ("end-point", "ΔW = σ ((x1 y1) at the end of the first nudge -(x1 y1) at the end of the second nudge)"),
        ("y3", "ΔW = σ (x1 y3) at the end of the second nudge"),
    ],
)
def test_a_local_rule_is_an_equation(name: str, told: str) -> None:
    found = local_rule(learning_rule(name))
    assert plain(found) == told
    assert "@" not in found
    assert "_" not in found
    assert "<i>x</i><sub>1</sub>" in found


def test_an_engine_rule_is_an_equation() -> None:
    rule = EngineRule(
        dw=(product(6, -6, "u", "t", "x1", "y1"), product(-1, 0, "x0", EngineFactor("t", -128))),
        dt=(product(-1, 0, "u", "t"), product(4, 4, "u", EngineFactor("t", 30, sign=True)), product(3, 0, "u")),
        k=7,
    )
    found = engine_rule(rule)
    assert plain(found["dw"]) == "6·2^-6 t x1 y1 -x0 (t - 128)"
    assert plain(found["dt"]) == "-t +4·2^4 sgn(t + 30) +3"
    assert moments_of(rule) == "every 128 steps, when the neuron before the synapse spikes"


def test_powers_and_arrows() -> None:
    assert power(-5) == "2<sup>−5</sup>"
    assert arrows("input->hidden1") == "input → hidden1"

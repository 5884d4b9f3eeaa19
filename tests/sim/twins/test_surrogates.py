"""Surrogates against their closed forms."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neuro.base.errors import UserError
from sim.twins.surrogates import SHAPES, WITHOUT_WIDTH, Firing, Surrogate, band_sweep, surrogate_sweep
from sim.twins.units import clip, shrink

UNIT = {
    "atan": lambda x: 1 / (1 + (math.pi * x) ** 2),
    "sigmoid": lambda x: 4 * torch.sigmoid(4 * x) * torch.sigmoid(-4 * x),
    "fast-sigmoid": lambda x: 1 / (1 + 2 * x.abs()) ** 2,
    "triangular": lambda x: (1 - x.abs()).clamp(min=0),
}
WIDTHS = st.floats(0.01, 50)


def slope(firing, x, of="spike", **more):
    x = x.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(getattr(firing, of)(x, **more).sum(), x)
    return gradient


@pytest.mark.parametrize("name", SHAPES)
@given(width=WIDTHS, scale=st.floats(0.1, 1e5))
def test_a_threshold_has_the_slope_of_its_shape(name, width, scale):
    x = torch.linspace(-3, 3, 101, dtype=torch.float64) * width * scale
    firing, whole = Firing(Surrogate(name, width)), width * scale
    torch.testing.assert_close(slope(firing, x, scale=scale), UNIT[name](x / whole) / whole, rtol=1e-5, atol=1e-9)
    assert torch.equal(firing.spike(x, scale=scale), (x > 0).to(x.dtype))


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_has_area_one_and_is_finite_far_away(name):
    x = torch.linspace(-2000, 2000, 4_000_001, dtype=torch.float64)
    gradient = slope(Firing(Surrogate(name, 2.0)), x)
    assert bool(torch.isfinite(gradient).all())
    assert float(torch.trapezoid(gradient, x)) == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("name", SHAPES)
def test_a_staircase_sums_the_three_nearest_thresholds_and_repeats_every_unit(name):
    x = torch.linspace(-0.45, 0.45, 19, dtype=torch.float64)
    firing = Firing(Surrogate(name, 0.3))
    # thresholds lie at the half-integers; from 0 <= x < 1 on the nearest is that at 1/2
    wanted = sum(UNIT[name]((x - k) / 0.3) / 0.3 for k in (-1, 0, 1))
    for stair in (-4.0, 0.0, 7.0):
        torch.testing.assert_close(slope(firing, x + 0.5 + stair, "staircase"), wanted, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("name", ["straight-through", "rate"])
def test_rounding_is_a_straight_line_without_a_shape(name):
    assert torch.equal(slope(Firing(Surrogate(name)), torch.linspace(-3, 3, 7), "staircase"), torch.ones(7))


def test_assg_follows_its_formula_through_the_iterations_of_an_attack():
    generator = torch.Generator().manual_seed(0)
    firing = Firing(Surrogate("assg"))
    mean, deviation = torch.ones(5, 3, dtype=torch.float64), torch.zeros(5, 3, dtype=torch.float64)
    for _ in range(4):
        x = torch.randn(5, 3, generator=generator, dtype=torch.float64)
        mean = 0.9 * mean + 0.1 * x.abs()
        deviation = 0.9 * deviation + 0.1 * (x.abs() - mean).abs()
        a = (2 * math.tan(0.4 * math.pi) / math.pi) / (mean + 1.5 * deviation + 1e-4)
        wanted = a / (2 * (1 + (math.pi * a * x / 2) ** 2))
        firing.start_pass()
        for _ in range(2):  # computed anew, as checkpointing does: the same
            torch.testing.assert_close(slope(firing, x, key=("hidden", 3)), wanted, rtol=1e-5, atol=0)


def test_pdsg_is_a_bell_as_wide_as_the_potentials_of_an_image():
    x = torch.randn(4, 30, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * torch.tensor(
        [[0.1], [1.0], [5.0], [1.0]], dtype=torch.float64
    )
    firing, spread = Firing(Surrogate("pdsg")), x.std(1, correction=0, keepdim=True)
    normal = torch.distributions.Normal(spread / 2, spread)
    torch.testing.assert_close(slope(firing, x), normal.log_prob(x).exp())
    assert torch.equal(firing.spike(x), (x > 0).double())
    alone = slope(firing, x[2:3])
    torch.testing.assert_close(slope(firing, x)[2:3], alone)  # whatever images stand beside it
    assert bool(torch.isfinite(slope(firing, torch.zeros(2, 3))).all())


def test_assg_keeps_statistics_by_key_and_forgets_them():
    firing, x = Firing(Surrogate("assg")), torch.full((2, 2), 3.0)
    fresh = slope(firing, x, key="a")
    firing.start_pass()
    adapted = slope(firing, x, key="a")
    assert not torch.equal(adapted, fresh)
    assert torch.equal(slope(firing, x, key="b"), fresh)
    assert torch.equal(slope(firing, x[:1], key="a"), fresh[:1])  # another batch
    firing.start_pass()
    with torch.no_grad():
        firing.spike(x, key="a")  # predictions teach nothing
    firing.forget()
    assert torch.equal(slope(firing, x, key="a"), fresh)


def test_a_sweep_holds_every_shape_at_every_width_and_those_without():
    sweep = surrogate_sweep((0.5, 1.0, 2.0), box_slope=0.2)
    assert len(set(sweep)) == len(sweep) == 3 * len(SHAPES) + len(WITHOUT_WIDTH)
    assert {s.box_slope for s in sweep} == {0.2}


def slope_of(function, x):
    x = x.clone().requires_grad_(True)
    return torch.autograd.grad(function(x).sum(), x)[0]


def test_below_a_soft_threshold_a_slope_falls_over_its_band_from_both_sides():
    x = torch.tensor([-3.0, -2.0, -1.5, -1.0, 0.0, 0.9, 1.0, 1.5, 1.75, 2.0, 2.5])
    wanted = torch.tensor([1.0, 0.5, 0.25, 0.0, 0.0, 0.0, 0.0, 0.25, 0.375, 0.5, 1.0])
    torch.testing.assert_close(slope_of(lambda u: shrink(u, 2.0, False, 0.5, 0.5), x), wanted)
    assert torch.equal(shrink(x, 2.0, False, 0.5, 0.5), x - x.clamp(-2, 2))
    assert torch.equal(slope_of(lambda u: shrink(u, 2.0, False), x), (x.abs() > 2).float())


def test_across_a_hard_threshold_the_slope_has_the_area_of_the_jump():
    x = torch.linspace(-4, 4, 80_001, dtype=torch.float64)
    assert torch.equal(shrink(x, 2.0, True, 1.0, 0.3), x * (x.abs() > 2))
    found = slope_of(lambda u: shrink(u, 2.0, True, 1.0, 0.3), x)
    assert float(found[x > 0].sum() * 1e-4) == pytest.approx(4.0, abs=1e-3)  # from 0 to 4, as the values do
    assert float(found[(x.abs() > 1.41) & (x.abs() < 2.59)].min()) > 0
    assert torch.equal(slope_of(lambda u: shrink(u, 2.0, True), x), (x.abs() > 2).double())


def test_outside_a_box_the_slope_falls_with_the_distance():
    x = torch.tensor([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 3.0])
    wanted = torch.tensor([0.0, 0.0, 0.4, 1.0, 1.0, 1.0, 0.4, 0.0])
    torch.testing.assert_close(slope_of(lambda u: clip(u, 0.0, 1.0, 0.8, 1.0), x), wanted)
    everywhere = torch.tensor([0.8, 0.8, 0.8, 1.0, 1.0, 1.0, 0.8, 0.8])
    torch.testing.assert_close(slope_of(lambda u: clip(u, 0.0, 1.0, 0.8), x), everywhere)


def test_the_sweep_of_bands_is_blind_nowhere():
    sweep = band_sweep(Surrogate("rate"))
    assert {surrogate.name for surrogate in sweep.values()} == {"rate"}
    assert all(s.box_slope if "box" in name else s.threshold_slope for name, s in sweep.items())
    assert len(set(sweep.values())) == len(sweep) == 7


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"name": "boxcar"}, "surrogate 'boxcar' is unknown"),
        ({"name": "atan", "width": 0.0}, "width 0.0 outside"),
        ({"name": "atan", "width": math.nan}, "width nan outside"),
        ({"name": "assg", "width": 2.0}, "leave it at 1"),
        ({"box_slope": -0.1}, "box_slope -0.1 outside"),
        ({"threshold_band": 0.0}, "threshold_band 0.0 outside"),
    ],
)
def test_wrong_choices_are_refused(choice, words):
    with pytest.raises(UserError, match=words):
        Surrogate(**choice)

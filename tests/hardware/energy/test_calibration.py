"""Bands fitted to rows of a lab: constants that rows were made from come back, others are named with the reason."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardware.chip.limits import limits_of
from hardware.energy.calibration import calibrate
from hardware.energy.calibration_file import write_calibrated
from hardware.energy.constants import CONSTANTS, constants_of
from neuro.base.errors import UserError

COUNTS = ("synaptic", "neuron_updates", "spikes", "steps", "fullest_synaptic")


def table(counts, **measured):
    columns = {**counts, **measured}
    rows = zip(*columns.values(), strict=True)
    return "\n".join([",".join(columns), *(",".join(repr(float(value)) for value in row) for row in rows)])


def made(seed, noise=0.0):
    """Counts of eight runs and what they took with 20, 60, 40 pJ, 0.5 us and 0.9 ns."""
    generator = np.random.default_rng(seed)
    counts = {name: generator.integers(10**3, 10**5, 8).astype(float) for name in COUNTS}
    spread = 1 + noise * generator.uniform(-1, 1, 8)
    energy = spread * (20e-12 * counts["synaptic"] + 60e-12 * counts["neuron_updates"] + 40e-12 * counts["spikes"])
    time = spread * (0.5e-6 * counts["steps"] + 0.9e-9 * counts["fullest_synaptic"])
    return counts, energy, time


def fitted(tmp_path, text, **options):
    path = tmp_path / "rows.csv"
    path.write_text(text)
    return calibrate(path, **options)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_constants_come_back_from_rows_that_were_made_of_them(tmp_path_factory, seed):
    counts, energy, time = made(seed)
    text = table(counts, dynamic_energy_j=energy, time_s=time, static_power_w=np.linspace(0.2, 0.3, 8))
    found = fitted(tmp_path_factory.mktemp("rows"), text)
    wanted = {"synaptic_energy": 20e-12, "neuron_energy": 60e-12, "spike_energy": 40e-12, "barrier_time": 0.5e-6}
    for name, number in wanted.items():
        assert found.bands[name].low == pytest.approx(number, rel=1e-6)
        assert found.bands[name].high == pytest.approx(number, rel=1e-6)
    assert (found.bands["static_power_chip"].low, found.bands["static_power_chip"].high) == (0.2, 0.3)
    assert found.bands["message_energy"] == CONSTANTS["message_energy"]
    assert set(found.fitted) >= {*wanted, "static_power_chip"}


def test_the_band_holds_every_row(tmp_path):
    counts, energy, time = made(3, noise=0.2)
    found = fitted(tmp_path, table(counts, dynamic_energy_j=energy, time_s=time))
    for end, better, slack in (("low", np.less_equal, 1e-9), ("high", np.greater_equal, -1e-9)):
        of = {name: getattr(found.bands[name], end) for name in found.fitted}
        names = {"synaptic_energy": "synaptic", "neuron_energy": "neuron_updates", "spike_energy": "spikes"}
        assert set(names) <= set(of)
        assert better(sum(of[name] * counts[key] for name, key in names.items()), energy * (1 + slack)).all()


def test_what_rows_do_not_part_keeps_its_band_and_says_so(tmp_path):
    counts, energy, _ = made(4)
    counts = {"synaptic": counts["synaptic"], "neuron_updates": counts["neuron_updates"],
              "spikes": 0.1 * counts["neuron_updates"], "learning": 0 * counts["spikes"]}  # fmt: skip
    found = fitted(tmp_path, table(counts, dynamic_energy_j=energy, time_s=energy))
    assert found.fitted == ("synaptic_energy",)
    assert found.bands["spike_energy"] == CONSTANTS["spike_energy"]
    assert "do not part neuron_energy, spike_energy; measure runs in which" in found.kept["spike_energy"]
    assert found.kept["learning_energy"] == "it never occurs"
    assert any(name == "spike_energy" and "kept" in line for name, line in found.lines())
    assert set(found.to_json()["kept"]) == {"neuron_energy", "spike_energy", "learning_energy"}


def test_a_constant_below_zero_is_not_believed(tmp_path):
    counts = {"synaptic": np.array([1e5, 2e5, 3e5, 4e5]), "spikes": np.array([4e3, 1e3, 3e3, 0.0])}
    found = fitted(tmp_path, table(counts, dynamic_energy_j=30e-12 * counts["synaptic"] - 40e-12 * counts["spikes"]))
    assert found.fitted == ("synaptic_energy",)
    assert "leave nothing for it (-40 pJ)" in found.kept["spike_energy"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("synaptic,energy\n1,2\n", "column 'energy' is unknown; .*choose one of dynamic_energy_j"),
        ("synaptic,dynamic_energy_j\n", "1 lines; give a line of column names and one of numbers"),
        ("synaptic,dynamic_energy_j\n5\n", "row 2 has 1 cells, the header 2; fill them all"),
        ("synaptic,dynamic_energy_j\n5,1e-6\n5,many\n", "row 3, dynamic_energy_j: 'many'; give a number of at least 0"),
        ("synaptic,dynamic_energy_j\n5,-1\n", "row 2, dynamic_energy_j: '-1'; give a number of at least 0"),
        ("synaptic,synaptic\n5,1\n", "column synaptic stands there twice"),
        (
            "synaptic,spikes,dynamic_energy_j\n5,5,1e-6\n",
            "determine no constant .*do not part synaptic_energy, spike_energy",
        ),
        ("synaptic,time_s\n5,1\n", "determine no constant .*no column dynamic_energy_j"),
        ("synaptic,dynamic_energy_j\n0,1\n", "determine no constant .*it never occurs"),
    ],
)
def test_rows_that_determine_nothing_get_one_line(tmp_path, text, words):
    with pytest.raises(UserError, match=words) as error:
        fitted(tmp_path, text)
    assert "rows.csv" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_calibration_is_written_as_constants_that_are_read_back(tmp_path):
    counts, energy, time = made(5, noise=0.1)
    found = fitted(tmp_path, table(counts, dynamic_energy_j=energy, time_s=time))
    path = write_calibrated(found, "loihi2-brief", tmp_path)
    assert constants_of(str(path)) == dict(found.bands)
    assert limits_of(str(path)).neurons == limits_of("loihi2-brief").neurons
    again = fitted(tmp_path, table(counts, dynamic_energy_j=energy), constants=str(path))
    assert again.bands["barrier_time"] == found.bands["barrier_time"]

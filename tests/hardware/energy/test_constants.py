"""Constants of a user's own: a file with provenance, or one line that says what it lacks."""

import pytest

from hardware.chip.limits import limits_of
from hardware.energy.constants import CONSTANTS, Band, constants_of
from neuro.base.errors import UserError

OURS = """
title = "our board"
limits_of = "loihi2-brief"
[limits.neurons]
value = 4096
unit = "neurons"
source = "resource table of our compiler"
[energies.static_power_chip]
low = 0.21
high = 0.24
unit = "W"
sources = ["power probe, 12 runs", "the same, a week later"]
"""


def written(tmp_path, text):
    path = tmp_path / "ours.toml"
    path.write_text(text)
    return str(path)


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path):
    name = written(tmp_path, OURS)
    bands, limits = constants_of(name), limits_of(name)
    band = bands.pop("static_power_chip")
    assert band == Band(0.21, 0.24, "W", "M", ("power probe, 12 runs", "the same, a week later"))
    assert bands == {key: value for key, value in CONSTANTS.items() if key != "static_power_chip"}
    assert (limits.name, limits.neurons.value, limits.neurons.mark) == (name, 4096, "M")
    assert limits.synaptic_memory == limits_of("loihi2-brief").synaptic_memory


ENERGY = "[energies.spike_energy]\n"
WHOLE = 'low = 1e-12\nhigh = 2e-12\nunit = "J"\nsource = "our probe"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (ENERGY + WHOLE.replace('unit = "J"\n', ""), 'energies.spike_energy: unit is missing; write unit = "J"'),
        (ENERGY + WHOLE.replace('"J"', '"pJ"'), 'unit is "pJ"; write unit = "J"'),
        (ENERGY + WHOLE.replace('source = "our probe"\n', ""), "source is missing; write source = "),
        (ENERGY + WHOLE.replace('"our probe"', '" "'), "source is missing"),
        (ENERGY + WHOLE.replace("1e-12", "3e-12"), "low 3e-12 is above high 2e-12; exchange them"),
        (ENERGY + WHOLE.replace("high = 2e-12\n", ""), "high is missing; write high = a number of at least 0"),
        (ENERGY + WHOLE.replace("1e-12", "-1e-12"), "low -1e-12; write low = a number of at least 0"),
        (ENERGY + WHOLE.replace("1e-12", "nan"), "low nan; write low"),
        (ENERGY + WHOLE + 'mark = "X"\n', "mark 'X'; choose among M, P, S, Q, I"),
        ("[energies.spike_enery]\n" + WHOLE, "energies 'spike_enery' is unknown; did you mean spike_energy"),
        ("[energies]\nspike_energy = 3\n", "spike_energy: is no table"),
        ("[costs.spike_energy]\n" + WHOLE, "table 'costs' is unknown; .*choose one of title"),
        ("title = 'nothing'\n", r"no constants; write tables \[limits.NAME\]"),
        ("energies = 3\n", "no constants"),
        (f"energies_of = 'loihi3'\n{ENERGY}{WHOLE}", "energies_of 'loihi3' is unknown; choose one of loihi2"),
        ("[energies.spike_energy\n", "no TOML file"),
    ],
)
def test_bad_energies_get_one_line(tmp_path, text, words):
    with pytest.raises(UserError, match=words) as error:
        constants_of(written(tmp_path, text))
    assert "ours.toml" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("4096", "0"), "limits.neurons: value 0; give at least 1"),
        (("4096", "4.5"), "limits.neurons: value 4.5 must be an integer"),
        (("value = 4096\n", ""), "limits.neurons: value None must be an integer"),
        (('"neurons"', '"cells"'), 'unit is "cells"; write unit = "neurons"'),
        (("limits.neurons", "limits.nerons"), "limits 'nerons' is unknown; did you mean neurons"),
        (("loihi2-brief", "loihi3"), "limits_of 'loihi3' is unknown"),
    ],
)
def test_bad_limits_get_one_line(tmp_path, change, words):
    with pytest.raises(UserError, match=words):
        limits_of(written(tmp_path, OURS.replace(*change)))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"cannot read .*none\.toml: No such file"):
        constants_of(str(tmp_path / "none.toml"))

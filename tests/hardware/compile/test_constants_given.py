"""`settle compile` with constants of a user's own, and with rows to fit them to."""

import json
import shutil
from pathlib import Path

import pytest

from hardware.energy.constants import CONSTANTS, constants_of

OURS = """
[limits.neurons]
value = 4000
unit = "neurons"
source = "our compiler's table"
[energies.static_power_chip]
low = 0.2
high = 0.2
unit = "W"
source = "our power probe"
"""
ROWS = """synaptic,spikes,dynamic_energy_j,static_power_w
100000,1000,2.05e-6,0.21
200000,9000,4.45e-6,0.22
400000,2000,8.10e-6,0.23
"""


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def test_a_file_of_constants_places_and_prices(command, run: Path, tmp_path: Path):
    (tmp_path / "ours.toml").write_text(OURS)
    options = ("--report", "--images", 5, "--json")
    assert command("compile", run, "--constants", tmp_path / "ours.toml", *options).json["limits"]["neurons"][1] == 4000
    energy = json.loads((run / "energy.json").read_text())
    static, latency = energy["inference"]["parts"]["static"], energy["inference"]["latency"]
    assert static["low"] == pytest.approx(0.2 * latency["low"])
    assert static["high"] == pytest.approx(0.2 * latency["high"])
    page = (run / "compile.html").read_text()
    assert "our power probe" in page
    assert "our compiler&#39;s table" in page
    assert json.loads((run / "deployment.json").read_text())["constants"]["neurons"]["mark"] == "M"


def test_rows_are_fitted_told_and_kept_for_the_next_time(command, run: Path, tmp_path: Path):
    (tmp_path / "rows.csv").write_text(ROWS)
    answer = command("compile", run, "--calibrate", tmp_path / "rows.csv", "--report", "--images", 5, "--json")
    found = answer.json["calibration"]
    assert set(found["fitted"]) == {"synaptic_energy", "spike_energy", "static_power_chip"}
    assert found["fitted"]["synaptic_energy"][0] == pytest.approx(20e-12, rel=1e-3)
    assert found["fitted"]["spike_energy"][1] == pytest.approx(50e-12, rel=1e-3)
    assert "fitted to 3 rows" in answer.err
    bands = constants_of(found["constants"])
    assert Path(found["constants"]) == run / "calibrated.toml"
    assert bands["static_power_chip"].low == 0.21
    assert bands["barrier_time"] == CONSTANTS["barrier_time"]
    assert "fitted to 3 rows of rows.csv" in (run / "compile.html").read_text()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--constants", "none.toml"], "cannot read none.toml"),
        (["--calibrate", "none.csv"], "cannot read none.csv"),
    ],
)
def test_files_that_are_not_there_are_named(options, words, command, run: Path):
    command("compile", run, *options).refused(words)

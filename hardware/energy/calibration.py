"""Bands fitted to what a lab measured on its own board: rows of (counts, time, energy) in a CSV file.

    dynamic_energy_j = sum of energies x counts of all cores
    time_s           = barrier x steps + sum of times x counts of the fullest core, added up over the steps
    static_power_w   = of one chip

Energies and times come from least squares, each equation for itself. A band reaches as far from the fitted number as
the rows do: measured over fitted, least to largest. What the rows do not determine keeps the band it had: a count that
never occurs, or that others explain, or whose constant comes out at zero or below.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hardware.chip.constants_file import is_constants_file
from hardware.energy.constants import DEFAULT_SET, Band, constants_of
from neuro.base.arrays import Reals
from neuro.base.checks import require_choice
from neuro.base.errors import UserError
from neuro.base.files import read_bytes, shown
from neuro.base.quantities import with_prefix
from neuro.base.shown import Lines, Shown

ENERGIES = {
    "synaptic": "synaptic_energy", "neuron_updates": "neuron_energy", "spikes": "spike_energy",
    "messages_out": "message_energy", "hops_row": "hop_row_energy", "hops_column": "hop_column_energy",
    "learning": "learning_energy",
}  # fmt: skip
TIMES = {
    "steps": "barrier_time", "fullest_synaptic": "synaptic_time", "fullest_memory_reads": "memory_read_time",
    "fullest_neuron_updates": "neuron_time", "fullest_spikes": "spike_time",
    "fullest_messages_out": "message_out_time", "fullest_messages_in": "message_in_time",
    "fullest_learning": "learning_time", "fullest_link": "link_time",
}  # fmt: skip
ENERGY, TIME, STATIC = "dynamic_energy_j", "time_s", "static_power_w"
COLUMNS = (ENERGY, TIME, STATIC, *ENERGIES, *TIMES)
INDEPENDENT = 1e-3  # of a column, at least, that no others explain


@dataclass(frozen=True, repr=False)
class Calibration(Shown):
    """What rows say of the constants.

    bands: all constants, those fitted with their new ends.    fitted: their names.
    kept:  why each of the others that the file has a column for keeps its band.
    """

    source: str
    n_rows: int
    bands: Mapping[str, Band]
    fitted: tuple[str, ...]
    kept: Mapping[str, str]

    def lines(self) -> Lines:
        """See `Shown`: a line for each constant that was looked at."""
        found = [(name, f"{_ends(self.bands[name])}, fitted to {self.n_rows} rows") for name in self.fitted]
        return [*found, *((name, f"{_ends(self.bands[name])}, kept: {why}") for name, why in self.kept.items())]

    def to_json(self) -> dict[str, object]:
        """All that was fitted and all that was not, with the reason."""
        ends = {name: [self.bands[name].low, self.bands[name].high, self.bands[name].unit] for name in self.fitted}
        return {"source": self.source, "rows": self.n_rows, "fitted": ends, "kept": dict(self.kept)}


def _ends(band: Band) -> str:
    return f"{with_prefix(band.low, band.unit)} to {with_prefix(band.high, band.unit)}"


def calibrate(path: Path, constants: str = DEFAULT_SET) -> Calibration:
    """Fit bands to the rows of a CSV file.

    constants: what the rows leave open is of this set, or of this file FILE.toml; any other name is the default set.
    Raises: UserError if the file is none of this kind (line, column, what it needs), or determines nothing.
    """
    base, columns = constants_of(constants if is_constants_file(constants) else DEFAULT_SET), read_rows(path)
    n_rows = len(next(iter(columns.values())))
    source = f"fitted to {n_rows} rows of {path.name}"
    bands, fitted = dict(base), list[str]()
    kept: dict[str, str] = {}
    for measured, names in ((ENERGY, ENERGIES), (TIME, TIMES)):
        counts = {names[key]: columns[key] for key in names if key in columns}
        if measured not in columns:
            kept.update({name: f"no column {measured}" for name in counts if name != TIMES["steps"]})
            continue
        ends, open_ones = _fit(columns[measured], counts, base)
        kept.update(open_ones)
        for name, (low, high) in ends.items():
            bands[name] = replace(base[name], low=low, high=high, marks="M", sources=(source,))
            fitted.append(name)
    if STATIC in columns:
        low, high = float(columns[STATIC].min()), float(columns[STATIC].max())
        bands["static_power_chip"] = Band(low, high, "W", "M", (source,))
        fitted.append("static_power_chip")
    if not fitted:
        reasons = "; ".join(f"{name}: {why}" for name, why in kept.items()) or f"no column {ENERGY}, {TIME} or {STATIC}"
        raise UserError(f"{shown(path)}: its {n_rows} rows determine no constant ({reasons}); measure runs that differ")
    return Calibration(path.name, n_rows, bands, tuple(fitted), kept)


Ends = dict[str, tuple[float, float]]


def _fit(measured: Reals, counts: Mapping[str, Reals], base: Mapping[str, Band]) -> tuple[Ends, dict[str, str]]:
    """The ends of each constant that is determined, and why the others are not."""
    kept = {name: "it never occurs" for name in counts if not counts[name].any()}
    names = [name for name in counts if name not in kept]
    rest = np.array(measured)
    while names:
        matrix = np.stack([counts[name] for name in names], axis=1)
        numbers, tied = _least_squares(matrix, rest), _tied(matrix)
        below = {name: number for name, number, is_tied in zip(names, numbers, tied, strict=True)
                 if number <= 0 and not is_tied}  # fmt: skip
        if not below:
            ends = _ends_of(rest, matrix, numbers)
            kept.update({name: _why(names, tied) for name, is_tied in zip(names, tied, strict=True) if is_tied})
            return {name: both for name, both, is_tied in zip(names, ends, tied, strict=True) if not is_tied}, kept
        for name, number in below.items():
            kept[name] = f"the rows leave nothing for it ({with_prefix(number, base[name].unit)})"
            rest -= base[name].low * counts[name]
        names = [name for name in names if name not in below]
    return {}, kept


def _least_squares(matrix: Reals, measured: Reals) -> Reals:
    size = np.linalg.norm(matrix, axis=0)
    numbers: Reals = np.linalg.lstsq(matrix / size, measured, rcond=INDEPENDENT)[0] / size
    return numbers


def _ends_of(measured: Reals, matrix: Reals, numbers: Reals) -> list[tuple[float, float]]:
    """The fitted numbers, stretched until they hold every row."""
    ratios = measured / np.maximum(matrix @ numbers, np.finfo(float).tiny)
    least, largest = max(0.0, min(1.0, float(ratios.min()))), max(1.0, float(ratios.max()))
    return [(float(number) * least, float(number) * largest) for number in numbers]


def _tied(matrix: Reals) -> list[bool]:
    """Of each column, whether others explain it."""
    scaled = matrix / np.linalg.norm(matrix, axis=0)
    found = []
    for i in range(scaled.shape[1]):
        others = np.delete(scaled, i, axis=1)
        left = scaled[:, i] - others @ np.linalg.lstsq(others, scaled[:, i], rcond=None)[0]
        found.append(bool(np.linalg.norm(left) < INDEPENDENT))
    return found


def _why(names: list[str], tied: list[bool]) -> str:
    together = ", ".join(name for name, is_tied in zip(names, tied, strict=True) if is_tied)
    return f"the rows do not part {together}; measure runs in which their counts differ"


def read_rows(path: Path) -> dict[str, Reals]:
    """The columns of a CSV file of rows by name, all numbers of at least 0.

    Raises: UserError naming the column that is unknown, or line and column of what is no number.
    """
    owner = shown(path)
    try:
        rows = list(csv.reader(io.StringIO(read_bytes(path).decode("utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{owner}: no CSV file ({error}); save it as text, a comma between columns") from error
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    if len(rows) < 2:
        raise UserError(f"{owner}: {len(rows)} lines; give a line of column names and one of numbers for each run")
    header = [cell.strip() for cell in rows[0]]
    for name in header:
        require_choice(f"{owner}: column", name, COLUMNS)
        if header.count(name) > 1:
            raise UserError(f"{owner}: column {name} stands there twice; leave one out")
    numbers = np.array([_numbers(owner, line, header, row) for line, row in enumerate(rows[1:], 2)])
    return {name: numbers[:, i] for i, name in enumerate(header)}


def _numbers(owner: str, line: int, header: list[str], row: list[str]) -> list[float]:
    if len(row) != len(header):
        raise UserError(f"{owner}: row {line} has {len(row)} cells, the header {len(header)}; fill them all")
    numbers = []
    for name, cell in zip(header, row, strict=True):
        try:
            number = float(cell)
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and number >= 0):
            raise UserError(f"{owner}: row {line}, {name}: {cell.strip()!r}; give a number of at least 0")
        numbers.append(number)
    return numbers

"""Tables as text: .csv, .tsv and the like; comma, semicolon, tabulator or blanks; with or without a header."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from neuro.base.arrays import Array
from neuro.base.errors import UserError, first_line
from neuro.base.files import read_bytes
from neuro.base.memory import require_bytes
from neuro.data.raw import RawData
from neuro.data.readers.bounds import gunzipped
from neuro.data.readers.columns import LABEL_NAMES, MISSING, Table, is_number, part_of_table
from neuro.data.readers.parts import Part, joined, stem_of, test_file

SAMPLE_ROWS, SAMPLE_CELLS = 100, 100_000  # looked at to find the layout: as many rows, or as many cells if that is more
DECIMAL_COMMA = re.compile(r'"?-?\d+,\d+"?')
BYTES_A_CELL = 8
Row = tuple[int, list[str]]  # number of the line, from 1; its cells


@dataclass(frozen=True)
class Layout:
    """How lines are a table. delimiter: "" for blanks; skip: lines before the data; is_text: of each column.

    width: cells of a row; one more than columns where every line ends in a delimiter.
    """

    delimiter: str
    names: tuple[str, ...]
    is_named: bool
    is_text: tuple[bool, ...]
    skip: int
    width: int


def read_table(path: Path) -> RawData:
    """The data in a text table; one whose name says train has its test part in the one named test beside it.

    Raises: UserError naming line and column of what is missing or no number.
    """
    train = _part(path)
    other, notes = test_file(path)
    parts = [train, *([_part(other, train.label)] if other else [])]
    return joined(stem_of(path), str(path.resolve()), parts, notes)


def _part(path: Path, label: str = "") -> Part:
    lines, notes = _lines(path)
    part = part_of_table(parse_table(lines, f"table {path}"), label)
    return Part(part.x, part.y, (*notes, *part.notes), part.label)


def _lines(path: Path) -> tuple[list[str], tuple[str, ...]]:
    """The lines of a file, unpacked if its name ends in .gz, decimal commas as points; and what was done."""
    content = read_bytes(path)
    if path.suffix.lower() == ".gz":
        content = gunzipped(content, str(path))
    require_bytes(str(path), len(content) // 2 * BYTES_A_CELL)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    if "\0" in text:
        raise UserError(f"table {path}: holds bytes that are no text; give a text table")
    lines = [line.rstrip("\r") for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    head = lines[:SAMPLE_ROWS]
    if _delimiter(head) == ";" and any(DECIMAL_COMMA.fullmatch(cell) for line in head for cell in line.split(";")):
        return [line.replace(",", ".") for line in lines], ("decimal commas are read as points",)
    return lines, ()


def _delimiter(lines: Sequence[str]) -> str:
    """What stands between cells: what the first line has most of; "" for blanks."""
    first = next((line for line in lines if line.strip() and not line.startswith("#")), "")
    counts = {mark: first.count(mark) for mark in (",", ";", "\t", "|")}
    mark = max(counts, key=lambda key: counts[key])
    return mark if counts[mark] else ""


def rows(lines: Sequence[str], delimiter: str) -> Iterator[Row]:
    """Every line that is not empty, as its number and its cells; a # at the beginning is left out."""
    if delimiter:
        reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
        numbered: Iterator[Row] = ((reader.line_num, cells) for cells in reader)
    else:
        numbered = ((number, line.split()) for number, line in enumerate(lines, 1))
    for number, cells in numbered:
        stripped = [cell.strip() for cell in cells]
        if stripped and stripped[0].startswith("#"):
            stripped[0] = stripped[0].lstrip("# ")
            stripped = stripped[0 if stripped[0] else 1 :]
        if any(stripped):
            yield number, stripped


def parse_table(lines: Sequence[str], place: str) -> Table:
    """The columns of a text table: numbers as float64, all else as text.

    Raises: UserError if it has no rows, or rows of unequal length, or a cell that is no number, naming the line.
    """
    try:
        delimiter = _delimiter(lines)
        layout = _layout(_sample(lines, delimiter), delimiter, place)
        columns = _columns(lines, layout, place)
    except csv.Error as error:
        raise UserError(f"{place}: no text table ({error}); save it as comma-separated values") from error

    def line_of(index: int) -> str:
        return f"line {next(islice(_data(lines, layout), index, None))[0]}"

    return Table(place, columns, line_of, layout.is_named)


def _sample(lines: Sequence[str], delimiter: str) -> list[Row]:
    """The first rows."""
    some = rows(lines, delimiter)
    first = list(islice(some, SAMPLE_ROWS))
    width = max((len(cells) for _, cells in first), default=1)
    return [*first, *islice(some, max(SAMPLE_CELLS // width - SAMPLE_ROWS, 0))]


def _data(lines: Sequence[str], layout: Layout) -> Iterator[Row]:
    return (row for row in rows(lines, layout.delimiter) if row[0] > layout.skip)


def _layout(head: list[Row], delimiter: str, place: str) -> Layout:
    """The layout that the first rows show."""
    while len(head) > 1 and len(head[0][1]) == 1 < len(head[1][1]):  # a remark before the table
        head = head[1:]
    if len(head) < 2:
        raise UserError(f"{place}: fewer than two rows; give a table with one row for every sample")
    (number, first), rest = head[0], [cells for _, cells in head[1:]]
    width = len(rest[0])
    n_columns = width - 1 if width > 1 and all(cells[-1] == "" for cells in rest) else width
    columns = list(zip(*(cells for cells in rest if len(cells) == width), strict=True))
    is_text = tuple(map(_is_text, columns[:n_columns]))
    names = ([""] * (n_columns - len(first)) + first)[:n_columns]  # R leaves out the name of the first column
    is_named = any(
        (not text and not is_number(name) and name not in MISSING[1:]) or (text and name.lower() in LABEL_NAMES)
        for text, name in zip(is_text, names, strict=True)
    )
    if not is_named:
        is_text = tuple(text or not is_number(name) for text, name in zip(is_text, names, strict=True))
        return Layout(delimiter, tuple(f"{k + 1}" for k in range(n_columns)), False, is_text, number - 1, width)
    unique = [name if name not in names[:k] else f"{name}_{k + 1}" for k, name in enumerate(names)]
    return Layout(delimiter, tuple(unique), True, is_text, number, width)


def _is_text(cells: Sequence[str]) -> bool:
    """Whether a column holds other things than numbers and missing values."""
    present = [cell for cell in cells if cell not in MISSING]
    return not present or not all(map(is_number, present))


def _columns(lines: Sequence[str], layout: Layout, place: str) -> dict[str, Array]:
    n_columns = len(layout.names)
    numeric = [k for k in range(n_columns) if not layout.is_text[k]]
    texts: dict[int, list[str]] = {k: [] for k in range(n_columns) if layout.is_text[k]}
    if texts or n_columns < layout.width:
        for number, cells in _data(lines, layout):
            _require_width(number, cells, layout, place)
            for k, column in texts.items():
                column.append(cells[k])
    values = _numbers(lines, layout, numeric, place) if numeric else np.empty((0, 0))
    by_index = {k: values[:, position] for position, k in enumerate(numeric)}
    return {name: by_index[k] if k in by_index else np.array(texts[k]) for k, name in enumerate(layout.names)}


def _numbers(lines: Sequence[str], layout: Layout, numeric: list[int], place: str) -> Array:
    """The columns of numbers, of shape [rows, columns]."""
    chosen: dict[str, Any] = {"usecols": numeric} if len(numeric) < layout.width else {}
    mark = layout.delimiter or None
    try:
        values: Array = np.loadtxt(
            lines[layout.skip :], np.float64, delimiter=mark, ndmin=2, comments=None, quotechar='"', **chosen
        )
        return values
    except (ValueError, IndexError) as error:
        _raise_fault(lines, layout, numeric, place, error)


def _raise_fault(lines: Sequence[str], layout: Layout, numeric: list[int], place: str, error: Exception) -> NoReturn:
    """Raise UserError that names the cell which is no number."""
    for number, cells in _data(lines, layout):
        _require_width(number, cells, layout, place)
        for k in numeric:
            column = f"column {layout.names[k]}"
            if cells[k] in MISSING:
                missing = sum(row[k] in MISSING for _, row in _data(lines, layout) if len(row) > k)
                raise UserError(
                    f"{place}: no value in line {number}, {column} ({missing} missing there); fill them in, or delete "
                    "those rows"
                ) from error
            if not is_number(cells[k]):
                raise UserError(
                    f"{place}: line {number}, {column}: {cells[k]!r:.40} is no number; mend it, or delete the row"
                ) from error
    raise UserError(f"{place}: no table of numbers ({first_line(error)}); mend that row") from error


def _require_width(number: int, cells: list[str], layout: Layout, place: str) -> None:
    if len(cells) != layout.width:
        raise UserError(
            f"{place}: line {number} has {len(cells)} columns, those before it {layout.width}; mend that line"
        )

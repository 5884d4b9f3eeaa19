"""The bench table on the terminal: every cell with its kind below it; what could not be measured as a numbered note."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from benchmarks.bench.rows import COLUMNS, INFERENCE, TRAINING, Row
from benchmarks.bench.run import Bench
from neuro.base.quantities import Cell, Counted, Modelled, NotMeasurable, with_prefix
from sim.screens.training import BarScreen

HEADERS = {"accuracy": "accuracy", "latency": "latency", "p99": "p99", "throughput": "images/s", "energy": "energy",
           "energy_delay": "energy x delay", "spikes": "spikes", "operations": "operations"}  # fmt: skip
COLOURS = {"measured": "green", "counted": "green", "modelled": "yellow", "reported": "cyan"}
NARROW, WIDTH, WIDE = 8, 12, 14  # of a column at least, at most; of that of operations; in characters


class BenchScreen(BarScreen):
    """Shows what is being benchmarked; a context manager."""

    def __enter__(self) -> BenchScreen:
        super().__enter__()
        self._task = self._progress.add_task("benchmark", total=None, note="")
        return self

    def on_part(self, text: str) -> None:
        """Say what comes next."""
        if self._task is not None:
            self._progress.update(self._task, note=text)


class Notes:
    """Reasons, numbered in the order in which they come up."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def number(self, text: str) -> int:
        """The number of a note, the same for the same text."""
        if text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text) + 1


def plain(value: float, unit: str) -> str:
    """A number in the width of a column: rates with thousands, shares with four digits."""
    if unit == "images/s":
        return f"{value:,.0f}" if value < 1e6 else f"{value / 1e6:.3g} M"
    return f"{value:.4f}" if unit == "" else with_prefix(value, unit)


def cell_lines(cell: Cell, notes: Notes) -> list[str]:
    """The lines of a cell: the number, a band in two lines, or a note; its kind is the last line."""
    if isinstance(cell, NotMeasurable):
        return ["none", f"note {notes.number(str(cell))}"]
    if isinstance(cell, Modelled):
        return [f"{plain(cell.low, cell.unit)} to", plain(cell.high, cell.unit), cell.kind]
    if isinstance(cell, Counted):
        value = f"{cell.value:,.0f}" if cell.value >= 1000 else f"{cell.value:.1f}"
        return [value, cell.kind] if cell.unit == "spikes" else [value, cell.unit, cell.kind]
    return [plain(cell.value, cell.unit), cell.kind]


def cell_text(cell: Cell, notes: Notes) -> Text:
    """A cell as the terminal shows it, its kind in colour on a line of its own."""
    *said, kind = cell_lines(cell, notes)
    text = Text("\n".join(said))
    return text.append("\n").append(kind, style=COLOURS.get(kind, "dim"))


def bench_tables(bench: Bench) -> Group:
    """One table for each kind of work, and the notes."""
    notes, blocks = Notes(), list[Table | Text]()
    for work in (INFERENCE, TRAINING):
        rows = [row for row in bench.rows if row.work == work]
        if rows:
            blocks += [Text(TITLES[work], style="bold"), _table(rows, notes), Text()]
    blocks += [Text(f"note {index}: {text}") for index, text in enumerate(notes.texts, 1)]
    return Group(*blocks, Text(LEGEND))


TITLES = {INFERENCE: "One image classified", TRAINING: "One image learned"}
LEGEND = (
    "latency: median time of a call (modelled: mean); energy: of an image, above idle; x delay: times the time of its "
    "call; spikes, operations: of an image, counted. Modelled: a band between public constants, not what a chip did."
)


def _table(rows: list[Row], notes: Notes) -> Table:
    """All rows are of the same work; a row without a latency has nothing but the reason."""
    names = COLUMNS[rows[0].work]
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("", min_width=12, max_width=19)
    for name in names:
        narrowest, widest = (WIDE, WIDE) if name == "operations" else (NARROW, WIDTH)
        table.add_column(HEADERS[name], min_width=narrowest, max_width=widest)
    for row in rows:
        label = Text(row.name).append(f"\n{row.device}, batch {row.batch}", style="dim")
        none = isinstance(row.latency, NotMeasurable)
        cells = [(name, getattr(row, name)) for name in names]
        shown = [
            cell_text(cell, notes) if not none or name == "latency" or isinstance(cell, Counted) else Text("")
            for name, cell in cells
        ]
        table.add_row(label, *shown)
    return table

"""What a sweep over sparsity shows: tables on the terminal, and a page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from matplotlib.axes import Axes
from rich.console import Group
from rich.table import Table as ScreenTable
from rich.text import Text

from benchmarks.bench.page import ENERGY, one_line, provenance
from benchmarks.bench.rows import Row
from benchmarks.bench.screen import LEGEND, Notes, cell_text
from benchmarks.bench.sweep import Point, Sweep
from neuro.base.files import write_atomically
from neuro.base.quantities import Cell, Measured, Modelled
from sim.reports.document import document
from sim.reports.figures.canvas import COLOURS, render
from sim.reports.section import Box, Panel, Section, Table

Pick = Callable[[Row], Cell]
Key = tuple[str, str]
LEAD = (
    "The same coder at rising sparsity thresholds. Measured: the deployed integers and the same relaxation in floats, "
    "on this machine. Modelled: Loihi 2, a band between public constants; no chip was involved. The published studies "
    "measured on Loihi 2 that time and energy fall as the threshold rises; data, sizes and thresholds here are our own."
)
LATENCY = "Median time of one image (modelled: mean)."
MEASURED = "Measured: mean of {n} test images."
SIZE = (5.6, 3.0)  # inches


def keys_of(sweep: Sweep) -> list[Key]:
    """The contestants of a sweep, by name and device, in order."""
    return list(dict.fromkeys((row.name, row.device) for point in sweep.points for row in point.rows))


def first_row(point: Point, key: Key) -> Row:
    """The row at batch 1."""
    return next(row for row in point.rows if (row.name, row.device) == key)


def best_row(point: Point, key: Key) -> Row:
    """The row at the best batch size."""
    return [row for row in point.rows if (row.name, row.device) == key][-1]


PICKS: dict[str, tuple[Callable[[Point, Key], Row], Pick]] = {
    "Latency of one image": (first_row, lambda row: row.latency),
    "Energy of an image, one at a time": (first_row, lambda row: row.energy),
    "Images per second, best batch": (best_row, lambda row: row.throughput),
    "Energy of an image, best batch": (best_row, lambda row: row.energy),
}


def sweep_tables(sweep: Sweep) -> Group:
    """The tables of a sweep for the terminal."""
    activity = _table(ACTIVITY_HEADERS)
    for point in sweep.points:
        activity.add_row(*_activity(point))
    notes, blocks = Notes(), list[ScreenTable | Text]([activity, Text(ACTIVITY), Text()])
    for title, (row_of, pick) in PICKS.items():
        table = _table(("threshold", *(f"{name}, {device}" for name, device in keys_of(sweep))))
        for point in sweep.points:
            cells = [cell_text(pick(row_of(point, key)), notes) for key in keys_of(sweep)]
            table.add_row(f"{point.threshold:.3g}", *cells)
        blocks += [Text(title, style="bold"), table, Text()]
    return Group(*blocks, *(Text(f"note {index}: {text}") for index, text in enumerate(notes.texts, 1)), Text(LEGEND))


ACTIVITY_HEADERS = ("threshold", "active units", "spikes", "additions", "error", "chip, dynamic")
ACTIVITY = (
    "measured, mean per image; error: |x - D a|^2 / |x|^2; chip, dynamic: modelled energy of an image, no static power"
)


def _activity(point: Point) -> tuple[str, ...]:
    return (f"{point.threshold:.3g}", f"{point.active:.1f}", f"{point.spikes:.1f}", f"{point.synaptic:,.0f}",
            f"{point.error:.4f}", str(point.dynamic).removesuffix(" (modelled)"))  # fmt: skip


def _table(headers: tuple[str, ...]) -> ScreenTable:
    table = ScreenTable(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for header in headers:
        table.add_column(header, max_width=20 if header == ACTIVITY_HEADERS[-1] else 13)
    return table


def write_sweep_page(sweep: Sweep, path: Path) -> Path:
    """Write the page, whole or not at all."""
    n, notes = sweep.points[0].n, Notes()
    panels = [
        Panel("Activity", _lines(sweep, {"active units": lambda p: p.active, "spikes": lambda p: p.spikes}), MEASURED),
        Panel("Reconstruction error", _lines(sweep, {"|x - D a|^2 / |x|^2": lambda p: p.error}), MEASURED),
    ]
    panels = [Panel(panel.title, panel.figure, panel.caption.format(n=n)) for panel in panels]
    for title, (row_of, pick) in PICKS.items():
        if title != "Images per second, best batch":
            caption = LATENCY if title.startswith("Latency") else ENERGY
            panels.append(Panel(title, render(_curves, sweep, row_of, pick, size=SIZE), caption))
    boxes = [Box("Activity", [Table(ACTIVITY_HEADERS, [_activity(point) for point in sweep.points], ACTIVITY)])]
    for title, (row_of, pick) in PICKS.items():
        rows = [(f"{point.threshold:.3g}", *(one_line(pick(row_of(point, key)), notes) for key in keys_of(sweep)))
                for point in sweep.points]  # fmt: skip
        caption = "; ".join(f"note {index}: {text}" for index, text in enumerate(notes.texts, 1))
        boxes.append(Box(title, [Table(("threshold", *(", ".join(key) for key in keys_of(sweep))), rows, caption)]))
    boxes.append(provenance(sweep.content))
    low, high = sweep.points[0], sweep.points[-1]
    facts = [
        (f"{low.threshold:.3g} to {high.threshold:.3g}", "sparsity threshold"),
        (f"{low.active:.1f} to {high.active:.1f}", f"active units, measured, n = {n}"),
        (f"{low.spikes:.0f} to {high.spikes:.0f}", f"spikes per image, measured, n = {n}"),
    ]
    section = Section("", "", facts, panels, boxes)
    write_atomically(path, document(f"{sweep.run}: cost against sparsity", LEAD, [section]).encode())
    return path


def _lines(sweep: Sweep, series: dict[str, Callable[[Point], float]]) -> str:
    return render(_draw_lines, sweep, series, size=SIZE)


def _draw_lines(axes: Axes, sweep: Sweep, series: dict[str, Callable[[Point], float]]) -> None:
    """Draw measured figures against the threshold."""
    for index, (name, of) in enumerate(series.items()):
        values = [of(point) for point in sweep.points]
        axes.plot([p.threshold for p in sweep.points], values, marker="o", color=COLOURS[index], label=name)
    axes.set(xscale="log", xlabel="sparsity threshold", ylim=(0, None))
    axes.legend(loc="best", frameon=False)


def _curves(axes: Axes, sweep: Sweep, row_of: Callable[[Point, Key], Row], pick: Pick) -> None:
    """Draw a cost against the threshold: measured as lines, modelled as bands; what is neither is left out."""
    at = [point.threshold for point in sweep.points]
    for index, key in enumerate(keys_of(sweep)):
        cells, colour = [pick(row_of(point, key)) for point in sweep.points], COLOURS[index % len(COLOURS)]
        label = f"{key[0]}, {key[1]}: {cells[0].kind}"
        if all(isinstance(cell, Modelled) for cell in cells):
            low, high = zip(*((c.low, c.high) for c in cells if isinstance(c, Modelled)), strict=True)
            axes.fill_between(at, low, high, color=colour, alpha=0.35, linewidth=0, label=label)
        elif all(isinstance(cell, Measured) for cell in cells):
            axes.plot(at, [c.value for c in cells if isinstance(c, Measured)], marker="o", color=colour, label=label)
        else:
            axes.plot([], [], color=colour, label=label)
    unit = next((c.unit for p in sweep.points for r in p.rows for c in [pick(r)] if hasattr(c, "unit")), "")
    axes.set(xscale="log", yscale="log", xlabel="sparsity threshold", ylabel=unit)
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=7)

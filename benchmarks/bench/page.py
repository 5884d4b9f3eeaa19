"""The page of a benchmark: the table with every kind spelled out, latency and energy drawn, the chip by its cores."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.bench import figures
from benchmarks.bench.rows import COLUMNS, INFERENCE, TRAINING, Row
from benchmarks.bench.run import Bench
from benchmarks.bench.screen import Notes, cell_lines
from hardware.reports.page import chip_boxes, chip_panels
from neuro.base.files import write_atomically
from neuro.base.quantities import Cell, Measured, NotMeasurable
from sim.reports.document import document
from sim.reports.section import Box, Fact, Panel, Section, Table

LEAD = (
    "One image after the other, and as many at once as give the most images per second; images in host memory, classes "
    "back in host memory, encoding and copies inside. Measured: by this machine's clock and energy counters. Modelled: "
    "a band between public constants of Loihi 1 and Loihi 2; no chip was involved. Counted: operations of an image, by "
    "the program. Where there is none of these, the table says why."
)
LATENCY = (
    "Median time of a call (modelled: mean). PyTorch runs as it is written: CUDA graphs or compilation would shorten "
    "small batches."
)
ENERGY = (
    "Energy of an image above idle power. A CPU's counter covers the whole package, a GPU's the board without its "
    "host, a chip's band the chip without its host."
)
HEADERS = {"accuracy": "accuracy", "latency": "latency", "p99": "99th percentile", "throughput": "images/s",
           "energy": "energy", "energy_delay": "energy x delay", "spikes": "spikes",
           "operations": "operations"}  # fmt: skip
PROVENANCE = ("date", "machine", "config", "config_sha256", "run_manifest_sha256", "data", "energy counters")


def write_bench_page(bench: Bench, path: Path) -> Path:
    """Write the page, whole or not at all."""
    panels, chip = _panels(bench), bench.chip.profile if bench.chip else None
    boxes = [*_tables(bench), provenance(bench.content, bench.rows)]
    if chip is not None:
        panels, boxes = [*panels, *chip_panels(chip)], [*boxes, *chip_boxes(chip)]
    section = Section("", "", _facts(bench), panels, boxes)
    write_atomically(path, document(f"{bench.run}: energy and latency", LEAD, [section]).encode())
    return path


def _facts(bench: Bench) -> list[Fact]:
    rows = [row for row in bench.rows if row.work == INFERENCE and not isinstance(row.latency, NotMeasurable)]
    facts = []
    for row in [row for row in rows if row.batch == 1]:
        facts.append((str(row.latency).split(" (")[0], f"{row.name}, {row.device}: latency at batch 1, {row.kind}"))
    return facts


def _panels(bench: Bench) -> list[Panel]:
    panels = []
    for work, event in ((INFERENCE, "an image classified"), (TRAINING, "an image learned")):
        rows = [row for row in bench.rows if row.work == work]
        if rows:
            panels += [
                Panel(f"Latency, {event}", figures.bars(rows, lambda row: row.latency, "latency, s"), LATENCY),
                Panel(f"Energy, {event}", figures.bars(rows, lambda row: row.energy, "energy of an image, J"), ENERGY),
            ]
    return panels


def _tables(bench: Bench) -> list[Box]:
    boxes = []
    for work, title in ((INFERENCE, "One image classified"), (TRAINING, "One image learned")):
        rows = [row for row in bench.rows if row.work == work]
        if rows:
            notes = Notes()
            lines = [_line(row, notes) for row in rows]
            footnotes = "; ".join(f"note {index}: {text}" for index, text in enumerate(notes.texts, 1))
            heads = (HEADERS[name] for name in COLUMNS[work])
            boxes.append(Box(title, [Table(("", "device", "batch", *heads), lines, footnotes)]))
    who = {(row.name, row.device): row.note for row in bench.rows if row.note}
    boxes.append(Box("Who", [Table(("", "device", "what it is"), [(*key, note) for key, note in who.items()])]))
    return boxes


def _line(row: Row, notes: Notes) -> tuple[str, ...]:
    return (row.name, row.device, str(row.batch), *(one_line(getattr(row, name), notes) for name in COLUMNS[row.work]))


def one_line(cell: Cell, notes: Notes) -> str:
    """A cell with its kind, in one line."""
    *said, kind = cell_lines(cell, notes)
    return f"{' '.join(said)}, {kind}"


def provenance(content: Mapping[str, Any], rows: Sequence[Row] = ()) -> Box:
    """What is needed to measure again; rows: for the meters that read their energy."""
    found = ((key, content[key]) for key in PROVENANCE)
    lines = [(key, value if isinstance(value, str) else json.dumps(value)) for key, value in found]
    meters = {row.energy.meter for row in rows if isinstance(row.energy, Measured)}
    return Box("Provenance", [Table((), [*lines, *(("energy", meter) for meter in sorted(meters))])])

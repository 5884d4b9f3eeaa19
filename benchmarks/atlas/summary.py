"""The atlas put together: cells over their seeds, compared with the perceptron, best and worst where that is sure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.atlas.cells import Cell
from benchmarks.atlas.config import REFERENCE, AtlasConfig
from benchmarks.atlas.measures import MEASURES
from benchmarks.atlas.run import AtlasRun
from benchmarks.atlas.samples import Interval, Sample, difference, interval_over, sample_of
from neuro.base.quantities import with_prefix
from neuro.base.shown import Lines, Shown

SHARES = ("clean", "attacked", "certified", "few")
BEST, WORST = "best", "worst"
BETTER, LOWER = "better", "worse"  # than the perceptron


@dataclass(frozen=True)
class Entry:
    """A cell of the table, over all seeds.

    value, interval: of what is measured or counted; low, high: of a modelled band. n: images of a seed.
    apart, apart_interval: paired difference from the perceptron. mark: best or worst of the column, against: better or
    worse than the perceptron, "" where the interval says neither. reason: why there is no figure.
    """

    row: str
    column: str
    kind: str
    seeds: int
    n: int
    value: float | None = None
    interval: Interval | None = None
    low: float | None = None
    high: float | None = None
    apart: float | None = None
    apart_interval: Interval | None = None
    against: str = ""
    mark: str = ""
    reason: str = ""
    verdict: str = ""
    by_seed: tuple[float | None, ...] = ()
    command: str = ""

    def __str__(self) -> str:
        if self.low is not None and self.high is not None:
            unit = MEASURES[self.column].unit
            return f"{with_prefix(self.low, unit)} to {with_prefix(self.high, unit)}"
        if self.value is None:
            return ""
        if self.kind == "counted":
            return f"{self.value:,.0f}" if self.interval is None else f"{self.value:.1f} [{_ends(self.interval, 1)}]"
        return f"{self.value:.3f}" + ("" if self.interval is None else f" [{_ends(self.interval, 3)}]")

    def to_json(self) -> dict[str, Any]:
        """The keys of `settle atlas --json`."""
        return {
            "mechanism": self.row, "measure": self.column, "value": self.value,
            "interval": None if self.interval is None else list(self.interval), "n": self.n, "seeds": self.seeds,
            "kind": self.kind, "command": self.command, "low": self.low, "high": self.high, "difference": self.apart,
            "difference_interval": None if self.apart_interval is None else list(self.apart_interval),
            "against": self.against, "mark": self.mark, "verdict": self.verdict, "reason": self.reason,
            "by_seed": list(self.by_seed),
        }  # fmt: skip


def _ends(interval: Interval, digits: int) -> str:
    return f"{interval[0]:.{digits}f}, {interval[1]:.{digits}f}"


@dataclass(frozen=True, eq=False, repr=False)
class Atlas(Shown):
    """The table. rows: what each row is about; entries by row and column."""

    config: AtlasConfig
    data: Mapping[str, Any]
    rows: Mapping[str, str]
    entries: Mapping[tuple[str, str], Entry]
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def columns(self) -> tuple[str, ...]:
        """The measures."""
        return self.config.columns

    def title(self, column: str) -> str:
        """The head of a column."""
        return MEASURES[column].title.format(
            eps=self.config.eps, sigma=self.config.sigma, radius=self.config.radius,
            per_class=self.config.scale.per_class,
        )  # fmt: skip

    def lines(self) -> Lines:
        """See `Shown`: one line a row, its measures in turn."""
        return [
            (row, "; ".join(f"{column} {self.entries[row, column] or '-'}".strip() for column in self.columns))
            for row in self.rows
        ]

    def to_json(self) -> dict[str, Any]:
        """The object that `settle atlas --json` prints."""
        return {
            "data": dict(self.data), "seeds": self.config.seeds, "quick": self.config.quick,
            "rows": [entry.to_json() for entry in self.entries.values()], "notes": list(self.notes),
        }  # fmt: skip


def atlas_of(job: AtlasRun, own: Sequence[str] = ()) -> Atlas:
    """The atlas of a job whose shards are all done."""
    dataset, scale = job.dataset(0), job.config.scale
    data = {
        "name": dataset.name, "sha256": dataset.sha256(), "n_train": len(dataset.y_train),
        "n_test": len(dataset.y_test), "image_shape": list(dataset.image_shape), "n_classes": dataset.n_classes,
    }  # fmt: skip
    entries: dict[tuple[str, str], Entry] = {}
    for column in job.columns:
        cells = {row: job.cells(row, column) for row in job.rows}
        samples = {row: _samples(found, column, cells[REFERENCE]) for row, found in cells.items()}
        for row, found in cells.items():
            entry = _entry(row, column, found, samples[row])
            entries[row, column] = replace(_compared(entry, samples), command=_command(job, row, column, own))
        entries |= _marked(column, entries, samples)
    ordered = {(row, column): entries[row, column] for row in job.rows for column in job.columns}
    about = {row: mechanism.is_about for row, mechanism in job.rows.items()}
    notes = [f"attacks: {scale.attacked} images at most, suite quick; corruptions: severities {scale.severities}"]
    return Atlas(job.config, data, about, ordered, tuple(notes))


def _samples(cells: Sequence[Cell], column: str, reference: Sequence[Cell]) -> list[Sample]:
    """The samples of all seeds; none if one of them has no figure."""
    related = reference if column == "mce" else [None] * len(cells)
    if any(cell.value is None or (other is not None and other.value is None)
           for cell, other in zip(cells, related, strict=True)):  # fmt: skip
        return []
    return [sample_of(cell, column, other) for cell, other in zip(cells, related, strict=True)]


def _entry(row: str, column: str, cells: Sequence[Cell], samples: Sequence[Sample]) -> Entry:
    """One row's cells over its seeds."""
    first = cells[0]
    entry = Entry(row, column, first.kind, len(cells), min(cell.n for cell in cells), verdict=first.verdict)
    lows, highs = ([getattr(cell, end) for cell in cells] for end in ("low", "high"))
    if all(low is not None for low in lows):
        return replace(entry, low=min(lows), high=max(highs))
    if not samples:
        told = [f"seed {seed}: {cell.reason}" for seed, cell in enumerate(cells) if cell.reason]
        return replace(entry, reason=first.reason if len(set(c.reason for c in cells)) == 1 else "; ".join(told))
    values = [sample.value for sample in samples]
    interval = interval_over(values, [sample.error for sample in samples])
    if column in SHARES:
        interval = max(0.0, interval[0]), min(1.0, interval[1])
    exact = len(set(values)) == 1 and not any(sample.error for sample in samples)
    return replace(
        entry, value=sum(values) / len(values), interval=None if exact else interval, by_seed=tuple(values)
    )  # fmt: skip


def _compared(entry: Entry, samples: Mapping[str, list[Sample]]) -> Entry:
    """The entry with its paired difference from the perceptron."""
    if entry.row == REFERENCE or not samples[entry.row] or not samples[REFERENCE]:
        return entry
    apart, ends = difference(samples[entry.row], samples[REFERENCE])
    better = MEASURES[entry.column].better
    against = ""
    if better and (ends[0] > 0 or ends[1] < 0):
        against = BETTER if (ends[0] > 0) == (better == "more") else LOWER
    return replace(entry, apart=apart, apart_interval=ends, against=against)


def _marked(
    column: str, entries: Mapping[tuple[str, str], Entry], samples: Mapping[str, list[Sample]]
) -> dict[tuple[str, str], Entry]:
    """The best and the worst of a column, if every paired interval says so."""
    better, rows = MEASURES[column].better, [row for row, found in samples.items() if found]
    if not better or len(rows) < 3 or all(_is_bare(samples[row]) for row in rows):
        return {}
    order = sorted(rows, key=lambda row: entries[row, column].value or 0.0, reverse=better == "more")
    marked = {}
    for row, mark, sign in ((order[0], BEST, 1), (order[-1], WORST, -1)):
        towards = sign if better == "more" else -sign
        ends = [difference(samples[row], samples[other])[1] for other in rows if other != row]
        if all((low if towards > 0 else -high) > 0 for low, high in ends):
            marked[row, column] = replace(entries[row, column], mark=mark)
    return marked


def _is_bare(samples: Sequence[Sample]) -> bool:
    """Whether nothing says how sure a figure is: one count under one seed."""
    return len(samples) == 1 and samples[0].error == 0.0


def _command(job: AtlasRun, row: str, column: str, own: Sequence[str]) -> str:
    """What derives a cell again, with the perceptron that it is compared with."""
    rows = None if any(text.startswith(f"{row}=") for text in own) else (row,)
    words = job.config.words(rows=rows or (REFERENCE,), columns=(column,))
    given = "".join(f" --row {text}" for text in own if text.startswith(f"{row}="))
    return f"{words}{given} --out DIR"

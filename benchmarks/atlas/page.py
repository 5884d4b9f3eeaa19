"""The files of an atlas: JSON, a self-contained page with a table that sorts, CSV and LaTeX."""

from __future__ import annotations

import csv
import io
from datetime import datetime, timezone
from pathlib import Path

from markupsafe import Markup

from benchmarks.atlas.config import REFERENCE
from benchmarks.atlas.figures import measure, measure_size
from benchmarks.atlas.summary import BEST, BETTER, LOWER, Atlas, Entry
from benchmarks.tools.results_file import machine
from neuro.base.files import json_bytes, write_atomically
from sim.reports.document import document
from sim.reports.figures.canvas import render
from sim.reports.section import Box, Cell, Panel, Section, Table, code

JSON, HTML, CSV, LATEX = "atlas.json", "atlas.html", "atlas.csv", "atlas.tex"
LEAD = (
    "Which mechanism makes networks robust? Rows are mechanisms with the same hidden layer, learned from the same "
    "images; columns are measures. In brackets: 95 % intervals of the mean over seeds, from the spread over seeds and "
    "over images. Click a head to sort."
)
NOTE = (
    "Green: better than the perceptron, red: worse, where the paired interval of the difference (same images, same "
    "seeds) excludes zero; no colour: not shown. Best and worst: all paired intervals in the column say so. Intervals "
    "are of one comparison each: of many, one in twenty excludes zero by chance. Energy and latency: modelled bands, "
    "no chip was involved. Attacked: a figure only where the verdict on the attacks is TRUSTED. Certified: of the "
    "smoothed classifier. mCE: errors on corrupted images over those of the perceptron. "
)
CAPTION = (
    "Mean over seeds with its 95 % interval, measured or counted. Green: better than the perceptron, orange: worse, as "
    "the paired interval says; dotted: the perceptron."
)
HEADERS = ("mechanism", "measure", "value", "less that of the perceptron", "n", "seeds", "kind", "derived by")
SORT = """<script>
document.querySelectorAll("table").forEach(table => table.querySelectorAll("th").forEach((head, column) => {
  head.style.cursor = "pointer";
  head.addEventListener("click", () => {
    const rows = [...table.rows].slice(1), down = head.dataset.down = head.dataset.down === "1" ? "0" : "1";
    const key = row => { const text = row.cells[column].textContent.trim(), number = parseFloat(text.replace(/,/g, ""));
      return [Number.isNaN(number), Number.isNaN(number) ? text : number]; };
    rows.sort((a, b) => { const [x, s] = key(a), [y, t] = key(b);
      return x - y || (s < t ? -1 : s > t ? 1 : 0) * (down === "1" ? -1 : 1); });
    rows.forEach(row => row.parentNode.appendChild(row));
  });
}));
</script>
</body>"""


def write_atlas(atlas: Atlas, folder: Path, result: Path | None = None) -> list[Path]:
    """Write all files into a folder, the first also to `result`."""
    content = {
        **atlas.to_json(),
        "command": f"{atlas.config.words(rows=None, columns=None)} --out DIR",
        "about": dict(atlas.rows),
        "titles": {column: atlas.title(column) for column in atlas.columns},
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": machine(),
    }
    for path in (folder / JSON, *([result] if result else [])):
        write_atomically(path, json_bytes(content))
    for name, text in ((HTML, page(atlas)), (CSV, table_csv(atlas)), (LATEX, table_latex(atlas))):
        write_atomically(folder / name, text.encode())
    return [folder / name for name in (JSON, HTML, CSV, LATEX)]


def page(atlas: Atlas) -> str:
    """The page."""
    drawn = [column for column in atlas.columns if any(atlas.entries[r, column].interval for r in atlas.rows)]
    panels = [
        Panel(atlas.title(column), render(measure, atlas, column, size=measure_size(atlas)), CAPTION)
        for column in drawn
    ]  # fmt: skip
    boxes = [
        Box("Mechanism against measure", [_table(atlas)], first=True),
        Box("Every cell", [Table(HEADERS, [_row(atlas, entry) for entry in atlas.entries.values()])]),
        Box("Rows", [Table(("row", "what it is"), list(atlas.rows.items()))]),
    ]
    data = atlas.data
    intro = (
        f"{data['name']}: {data['n_train']} training images, {data['n_test']} test images, {atlas.config.seeds} seeds"
    )
    text = document(f"Atlas of {data['name']}", LEAD, [Section("", intro, [], panels, boxes)])
    return text.replace("</body>", SORT, 1)


def _table(atlas: Atlas) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (row, *(_shown(atlas.entries[row, column]) for column in atlas.columns)) for row in atlas.rows
    ]
    heads = ("mechanism", *(atlas.title(column) for column in atlas.columns))
    return Table(heads, rows, NOTE + "; ".join(atlas.notes) + ".")


def _shown(entry: Entry) -> Cell:
    """A cell: its figure, its mark, and, folded, why and how."""
    figure = str(entry) or "-"
    if entry.against in (BETTER, LOWER):
        figure = Markup('<span class="{}">{}</span>').format("good" if entry.against == BETTER else "bad", figure)
    mark = Markup(" <b>{}</b>").format(entry.mark) if entry.mark else ""
    told = [text for text in (entry.reason, entry.verdict if entry.value is not None else "") if text]
    told.append(
        f"n = {entry.n}, {entry.seeds} seeds, {entry.kind}" if entry.n else f"{entry.seeds} seeds, {entry.kind}"
    )
    return Markup("{}{}<details><summary>how</summary>{}<br><code>{}</code></details>").format(
        figure, mark, Markup("<br>").join(told), entry.command
    )


def _row(atlas: Atlas, entry: Entry) -> tuple[Cell, ...]:
    apart = "-"
    if entry.apart is not None and entry.apart_interval is not None:
        apart = f"{entry.apart:+.3f} [{entry.apart_interval[0]:+.3f}, {entry.apart_interval[1]:+.3f}]"
    figure = str(entry) or entry.reason
    return (
        entry.row, atlas.title(entry.column), figure, apart, str(entry.n or "-"), str(entry.seeds), entry.kind,
        code(entry.command),
    )  # fmt: skip


def table_csv(atlas: Atlas) -> str:
    """One line a cell."""
    lines = [entry.to_json() for entry in atlas.entries.values()]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _flat(value) for key, value in line.items()} for line in lines)
    return text.getvalue()


def _flat(value: object) -> object:
    return " ".join(map(str, value)) if isinstance(value, list) else value


def table_latex(atlas: Atlas) -> str:
    """A tabular; bold: best of its column; a dagger: differs from the perceptron, as the paired interval says."""
    heads = " & ".join(_escaped(atlas.title(column)) for column in atlas.columns)
    lines = [rf"\begin{{tabular}}{{l{'r' * len(atlas.columns)}}}", r"\hline", rf"mechanism & {heads} \\", r"\hline"]
    for row in atlas.rows:
        cells = " & ".join(_in_latex(atlas.entries[row, column]) for column in atlas.columns)
        lines.append(rf"{_escaped(row)} & {cells} \\")
    return "\n".join([*lines, r"\hline", r"\end{tabular}", f"% reference: {REFERENCE}; {'; '.join(atlas.notes)}", ""])


def _in_latex(entry: Entry) -> str:
    text = _escaped(str(entry) or "--")
    text = rf"\textbf{{{text}}}" if entry.mark == BEST else text
    return text + (r"$^\dagger$" if entry.against else "")


def _escaped(text: str) -> str:
    for character in "\\&%$#_{}":
        text = text.replace(character, rf"\{character}") if character != "\\" else text.replace("\\", "/")
    return text.replace("µ", r"$\mu$")

"""Figures of `benchmarks/results` as text for the pages of the site: no number is typed by hand.

A page of `docs/` writes {{ ... }} (jinja2) where a figure stands; `render` fills it in, when the site is built and in
the tests. Light on purpose: the site is built without numpy.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from statistics import mean, median, stdev
from typing import Any

from jinja2 import Environment, StrictUndefined

from benchmarks.figures.recipes import recipe
from benchmarks.tools.places import RESULTS, ROOT
from neuro.base.quantities import with_prefix

NO_VALUE, RATE = "—", "images/s"


def result(name: str) -> Any:
    """The content of a file of results."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def real(value: float | None, digits: int = 4) -> str:
    """A number with so many digits after the point; a dash for none."""
    return NO_VALUE if value is None else f"{value:.{digits}f}"


def whole(value: float) -> str:
    """A number without digits after the point, thousands apart."""
    return f"{value:,.0f}"


def percent(value: float, digits: int = 2) -> str:
    """A share in percent."""
    return f"{100 * value:.{digits}f} %"


def spread(values: Iterable[float], digits: int = 4) -> str:
    """Mean and standard deviation of several values (over seeds); one value alone."""
    found = list(values)
    if len(found) < 2:
        return real(found[0], digits)
    return f"{mean(found):.{digits}f}\u00a0±\u00a0{stdev(found):.{digits}f}"  # on one line


def span(values: Iterable[float], digits: int = 0) -> str:
    """The smallest and the largest of several values."""
    found = sorted(values)
    low, high = (f"{value:,.{digits}f}" for value in (found[0], found[-1]))
    return low if low == high else f"{low} to {high}"


def column(rows: Sequence[dict[str, Any]], *keys: str) -> list[Any]:
    """One value of every row; several keys lead inwards."""
    values: list[Any] = list(rows)
    for key in keys:
        values = [value[key] for value in values]
    return values


def where(rows: Sequence[dict[str, Any]], **wanted: Any) -> list[dict[str, Any]]:
    """The rows that have these values. Raises: LookupError if there are none."""
    found = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    if not found:
        raise LookupError(f"no row has {wanted}")
    return found


def band(cells: dict[str, Any] | Sequence[dict[str, Any]]) -> str:
    """A modelled band, or what several bands span together: from the lowest to the highest."""
    bands = [cells] if isinstance(cells, dict) else list(cells)
    if any(cell["kind"] != "modelled" for cell in bands):
        raise ValueError("band: only what is modelled is a band")
    low, high, unit = min(c["low"] for c in bands), max(c["high"] for c in bands), bands[0]["unit"]
    if unit == RATE:
        return f"{whole(low)} to {whole(high)}"
    return f"{with_prefix(low, unit)} to {with_prefix(high, unit)}"


def cell(content: dict[str, Any]) -> str:
    """A cell of `settle bench`: its value, or why there is none, and its kind."""
    kind = content["kind"]
    if kind == "not measurable":
        return f"not measurable: {content['reason'].split(':')[0]}"
    if kind == "modelled":
        return f"{band(content)}, modelled"
    value, unit = content["value"], content["unit"]
    return f"{whole(value) if unit == RATE else with_prefix(value, unit)}, {kind}"


def largest(cells: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The cell of the largest measured value; the first, if none was measured."""
    measured = [content for content in cells if content["kind"] == "measured"]
    return max(measured, key=lambda content: content["value"]) if measured else cells[0]


def machine_of(content: dict[str, Any]) -> str:
    """The machine a file was measured on, in words."""
    machine = content.get("machine")
    if not machine:
        return "machine: not in the file"
    versions = machine.get("versions", {})
    named = ", ".join(f"{name} {versions[name]}" for name in ("python", "numpy", "numba", "torch") if name in versions)
    return f"{machine['processor']}, {machine['cores']} cores; {named}"


def source(*names: str) -> str:
    """Where the figures above come from: files, commands, machine, date."""
    lines = [f'??? info "Source: {", ".join(f"{name}.json" for name in names)}"', ""]
    for name in names:
        content, entry = result(name), recipe(name)
        lines += [
            f"    **{name}.json** {content.get('kind', 'measured')}. {machine_of(content)}. "
            f"Date: {content.get('date') or 'not in the file'}.",
            "",
            "    ```text",
            *(f"    {command}" for command in entry.shown()),
            "    ```",
            "",
        ]
        if entry.left:
            lines += [f"    Not derived by a command: {entry.left}.", ""]
    return "\n".join(lines)


def included(path: str) -> str:
    """The text of a file of the repository, without its first heading."""
    text = (ROOT / path).read_text(encoding="utf-8")
    return text.split("\n", 1)[1] if text.startswith("# ") else text


def environment() -> Environment:
    """What may stand between the braces."""
    made = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)
    made.globals.update(
        result=result, real=real, whole=whole, percent=percent, spread=spread, span=span, column=column, where=where,
        band=band, cell=cell, largest=largest, source=source, included=included, prefixed=with_prefix, mean=mean,
        median=median, zip=zip, min=min, max=max, sum=sum,
    )  # fmt: skip
    made.filters["sum_of"] = lambda counts: sum(counts.values())
    return made


def render(text: str) -> str:
    """The text of a page with its figures filled in. Raises: an error of jinja2, KeyError, ... if one is not there."""
    return environment().from_string(text).render()

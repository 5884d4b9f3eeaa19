"""What a page shows, whatever it is about: facts, figures, tables under their titles."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

Cell = str | Markup
Fact = tuple[Cell, str]  # a value and what it means, with how it was obtained
ONE_NUMBER = r"[-+−]?\d[\d.,−]*( ?(%|[fpnµmkMG]?(J|s|W)|bits?))?"
NUMBER = re.compile(rf"{ONE_NUMBER}(( to | of | × | \.\. ){ONE_NUMBER})*")
NO_NUMBER = ("", "-", "fixed", "not measured")  # in a column of numbers


@dataclass(frozen=True)
class Panel:
    """A figure, as SVG, with its title and a caption that says how it was obtained.

    narrow: the same on a narrow screen, where `figure` would be too small to read.
    picture, notes: a small figure at its left, and lines below that.
    """

    title: str
    figure: str
    caption: str
    wide: bool = False
    picture: str = ""
    notes: tuple[str, ...] = ()
    narrow: str = ""

    @property
    def svg(self) -> Markup:
        """The figure as markup."""
        return self._named(self.figure)

    @property
    def narrow_svg(self) -> Markup:
        """The figure for narrow screens as markup."""
        return self._named(self.narrow)

    @property
    def small_svg(self) -> Markup:
        """The picture as markup."""
        return self._named(self.picture)

    def _named(self, svg: str) -> Markup:
        """An SVG text with a name for those who do not see it."""
        return Markup('<svg role="img" aria-label="{}" ').format(self.title) + Markup(svg.removeprefix("<svg "))


@dataclass(frozen=True)
class Table:
    """Rows of text under their headers; `note` says what they mean."""

    headers: tuple[Cell, ...]
    rows: Sequence[tuple[Cell, ...]]
    note: Cell = ""

    @property
    def numeric(self) -> list[bool]:
        """Of each column: whether it holds numbers, which are aligned at the right."""
        columns = zip(*self.rows, strict=True)
        return [_are_numbers([Markup(cell).striptags() for cell in column]) for column in columns] or [False] * len(
            self.headers
        )


def _are_numbers(cells: Sequence[str]) -> bool:
    shown = [cell for cell in cells if cell not in NO_NUMBER]
    return bool(shown) and all(NUMBER.fullmatch(cell) for cell in shown)


@dataclass(frozen=True)
class Box:
    """Tables under a title, with a line of text after them. first: before the figures, not after them."""

    title: str
    tables: Sequence[Table] = ()
    text: Cell = ""
    first: bool = False


@dataclass(frozen=True)
class Section:
    """All that a page shows of one thing; without a name it has no heading."""

    name: str
    intro: str
    facts: Sequence[Fact]
    panels: Sequence[Panel]
    boxes: Sequence[Box] = field(default_factory=tuple)


def marked(text: str, good: bool) -> Markup:
    """A text in the colour of what is as it should be, or is not."""
    return Markup('<span class="{}">{}</span>').format("good" if good else "bad", text)


def link(reference: str, text: str) -> Markup:
    """A link to a file beside the page."""
    return Markup('<a href="{}">{}</a>').format(reference, text)


def code(text: str) -> Markup:
    """A text as it is typed."""
    return Markup("<code>{}</code>").format(text)


def listed(values: Mapping[str, Any]) -> str:
    """Names and values, as one reads them; without those that were left to the program."""
    told = ((name.replace("_", " "), _told(value)) for name, value in values.items())
    return " · ".join(f"{name} {value}" for name, value in told if value)


def _told(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_told, value))
    if isinstance(value, Mapping):
        return f"({listed(value)})"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def provenance(manifest: dict[str, Any], *more: tuple[str, str]) -> Box:
    """All that is needed to replay a run."""
    data = manifest["data"]
    rows = [
        ("data", f"{data['name']}: {data['n_train']} training images, {data['n_validation']} of them held out for "
                 f"validation, and {data['n_test']} test images"),
        ("data SHA-256", data["sha256"]),
        ("weights SHA-256", manifest["files"]["weights.npz"]),
        ("seed", str(manifest["seed"])),
        ("asked for", listed(manifest["config"])),
        ("chosen", listed(manifest["chosen"])),
        ("versions", listed(manifest["versions"])),
        *more,
    ]  # fmt: skip
    return Box("Provenance", [Table((), [(key, code(value)) for key, value in rows])])

"""What a page shows, whatever it is about: facts, figures, tables under their titles."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

Cell = str | Markup
Fact = tuple[Cell, str]  # a value and what it means, with how it was obtained


@dataclass(frozen=True)
class Panel:
    """A figure, as SVG, with its title and a caption that says how it was obtained.

    picture, notes: a small figure at its left, and lines below that.
    """

    title: str
    figure: str
    caption: str
    wide: bool = False
    picture: str = ""
    notes: tuple[str, ...] = ()

    @property
    def svg(self) -> Markup:
        """The figure as markup."""
        return Markup(self.figure)

    @property
    def small_svg(self) -> Markup:
        """The picture as markup."""
        return Markup(self.picture)


@dataclass(frozen=True)
class Table:
    """Rows of text under their headers; `note` says what they mean."""

    headers: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]
    note: Cell = ""


@dataclass(frozen=True)
class Box:
    """Tables under a title, with a line of text after them."""

    title: str
    tables: Sequence[Table] = ()
    text: Cell = ""


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


def provenance(manifest: dict[str, Any], *more: tuple[str, str]) -> Box:
    """All that is needed to replay a run."""
    data = manifest["data"]
    rows = [
        ("data", f"{data['name']}: {data['n_train']} training images, {data['n_validation']} of them held out for "
                 f"validation, and {data['n_test']} test images"),
        ("data SHA-256", data["sha256"]),
        ("weights SHA-256", manifest["files"]["weights.npz"]),
        ("seed", str(manifest["seed"])),
        ("asked for", json.dumps(manifest["config"])),
        ("chosen", json.dumps(manifest["chosen"])),
        ("versions", json.dumps(manifest["versions"])),
        *more,
    ]  # fmt: skip
    return Box("Provenance", [Table((), [(key, code(value)) for key, value in rows])])

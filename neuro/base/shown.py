"""How results show themselves: a short table as text, the same table as HTML in a notebook, its lines to a command."""

from __future__ import annotations

import html
from abc import ABC, abstractmethod

Lines = list[tuple[str, str]]


class Shown(ABC):
    """A result that prints as a table of names and values. Dataclasses that derive from it say `repr=False`."""

    @abstractmethod
    def lines(self) -> Lines:
        """The lines of the table: what a value is, and the value with its unit."""

    def __str__(self) -> str:
        lines = self.lines()
        width = max((len(name) for name, _ in lines), default=0)
        return "\n".join(f"{name:<{width}}  {value}".rstrip() for name, value in lines)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        """What Jupyter shows."""
        cell = '<td style="text-align: left">'
        shown = (f"<tr>{cell}<b>{html.escape(a)}</b></td>{cell}{html.escape(b)}</td></tr>" for a, b in self.lines())
        return f"<table>{''.join(shown)}</table>"

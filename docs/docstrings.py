"""Docstrings as they are laid out: after the first paragraph, columns and examples stay in their lines."""

from __future__ import annotations

import inspect
from typing import Any

import griffe


def laid_out(text: str) -> str:
    """The Markdown of a docstring: its first paragraph, then what follows in blocks of their own kind."""
    first, _, rest = inspect.cleandoc(text).partition("\n\n")
    blocks: list[tuple[str, list[str]]] = []
    for paragraph in filter(None, rest.split("\n\n")):
        kind = "pycon" if paragraph.lstrip().startswith(">>>") else "text"
        if blocks and blocks[-1][0] == kind:
            blocks[-1][1].append(paragraph)
        else:
            blocks.append((kind, [paragraph]))
    fenced = ["```{}\n{}\n```".format(kind, "\n\n".join(parts).strip("\n")) for kind, parts in blocks]
    lines = first.splitlines()
    if len(lines) > 1 and any(line.startswith((" ", "Args:", "Raises:", "Returns:", ">>>")) for line in lines[1:]):
        fenced.insert(0, "```text\n{}\n```".format("\n".join(lines[1:])))
        first = lines[0]
    return "\n\n".join([first.replace("_", "\\_").replace("*", "\\*") if "`" not in first else first, *fenced])


class Layout(griffe.Extension):
    """Called by griffe for every object it reads."""

    def on_instance(self, *, obj: griffe.Object, **options: Any) -> None:
        """Lay its docstring out."""
        if obj.docstring:
            obj.docstring.value = laid_out(obj.docstring.value)

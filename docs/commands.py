"""Writes docs/reference/commands.md: every command with its arguments and options, as Typer has them.

    python docs/commands.py [FILE]

The page is not committed; `make docs` writes it before it builds the site.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent / "reference" / "commands.md"
INTRODUCTION = """# Commands

As `settle COMMAND --help` has them. With `--json` the last line of stdout is one JSON object ([keys](json.md)), all
else goes to stderr. A mistake, or a failure of the system, is exit code 2 and one line; an interruption 130, SIGTERM
143, SIGHUP 129; 1 where whoever reads the output has gone.
"""


def commands(command: Any, name: str = "settle") -> Iterator[tuple[str, Any]]:
    """Yield every command that does something, with its full name."""
    for part, below in getattr(command, "commands", {}).items():
        yield from commands(below, f"{name} {part}")
    if not hasattr(command, "commands") or name == "settle":
        yield name, command


def default_of(parameter: Any) -> str:
    """The default, as --help shows it."""
    shown = parameter.show_default if isinstance(getattr(parameter, "show_default", None), str) else None
    if shown:
        return f"({shown.strip('()')})"
    if parameter.default is None or parameter.default is False or parameter.default in ("", ()):
        return ""
    return "on" if parameter.default is True else f"`{parameter.default}`"


def row(parameter: Any) -> str:
    """A line of the table."""
    if parameter.param_type_name == "argument":
        words = f"`{(parameter.metavar or parameter.name).upper()}`"
    else:
        words = ", ".join(f"`{word}`" for word in [*parameter.opts, *parameter.secondary_opts])
    kind = "" if getattr(parameter, "is_flag", False) else parameter.type_descriptor.annotation.__name__.lower()
    help_text = " ".join((getattr(parameter, "help", "") or "").split()).replace("|", "\\|").replace("[", "\\[")
    return f"| {words} | {kind} | {help_text} | {default_of(parameter)} |"


def page(program: Any) -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    for name, command in sorted(commands(program), key=lambda pair: pair[0]):
        parts += [f"## {name}\n", " ".join((command.help or "").split()), "", "| | | | default |", "|---|---|---|---|"]
        parts += [row(parameter) for parameter in command.params if parameter.name not in ("help",)]
        parts.append("")
    return "\n".join(parts)


def main() -> None:
    """Entry point."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    import typer

    import settle

    path = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    path.write_text(page(typer.main.get_command(settle.command_line())), encoding="utf-8")


if __name__ == "__main__":
    main()

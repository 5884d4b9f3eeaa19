"""Options that several commands share, and how commands answer. Light: nothing heavy is imported here."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from neuro.base.errors import UserError
from neuro.base.options import DATA, SEED, THREADS
from neuro.base.shown import Lines

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Run = Annotated[Path, typer.Argument(help="Folder of a finished run.", metavar="RUN")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of stdout.")]
Data = Annotated[str, typer.Option(help=DATA.help)]
Seed = Annotated[int, typer.Option(help=SEED.help)]
Threads = Annotated[int | None, typer.Option(help=THREADS.help, show_default=THREADS.unset)]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")]
CheckpointEveryS = Annotated[float, typer.Option(help="Seconds between checkpoints.")]
Device = Annotated[str, typer.Option(help="Where backend torch computes: cpu, cuda, cuda:N.")]
FrontEnd = Annotated[
    str | None,
    typer.Option(
        help="What stands before the network: a finished sparse coder (its folder), fovea[:fixations=5,scales=3] "
        "(retinal samples), or before ep v1[:channels=32+32,stride=4,window=4] (Gabor cells, drawn spikes as in V1), "
        "dn[:pool=5,sigma=26] (each pixel divided by its neighbourhood), or dn+v1."
    ),
]
StallS = Annotated[float, typer.Option(help="End a Lava run that finishes no image for so many seconds.")]


class Answer(Protocol):
    """What a command answers: rows for people, an object for scripts."""

    def lines(self) -> Lines:
        """See `neuro.base.shown.Shown`."""
        ...

    def to_json(self) -> dict[str, Any]:
        """What `--json` prints."""
        ...


def console(as_json: bool) -> Console:
    """Where tables go: stdout, or stderr if stdout is for JSON."""
    from rich.console import Console

    return Console(stderr=as_json, highlight=False)


def print_json(as_json: bool, content: dict[str, Any]) -> None:
    """Print `content` as one line if asked to."""
    if as_json:
        sys.stdout.write(json.dumps(content, allow_nan=False) + "\n")


def table_of(lines: Lines) -> Table:
    """Rows of a name and a value as a table."""
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column()
    for line in lines:
        table.add_row(*(Text(part) for part in line))  # as it is: names may hold brackets
    return table


def answer(result: Answer, as_json: bool) -> None:
    """Show a result, and print it as one line of JSON if asked to."""
    console(as_json).print(table_of(result.lines()))
    print_json(as_json, result.to_json())


def numbers(option: str, text: str) -> tuple[float, ...]:
    """The numbers of a text such as "0.05,0.1". Raises: UserError naming the option if it is none of the kind."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise UserError(f"{option} {text!r}: give numbers separated by commas, e.g. 0.05,0.1") from error

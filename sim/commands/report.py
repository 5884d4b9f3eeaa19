"""`settle report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sim.commands.options import Json, console, print_json


def report_command(
    runs: Annotated[list[Path], typer.Argument(help="Folders of finished runs.", metavar="RUN...")],
    out: Annotated[Path | None, typer.Option(help="File to write; default RUN/report.html of the first run.")] = None,
    as_json: Json = False,
) -> None:
    """Write one self-contained HTML page about one or more runs."""
    from sim.reports.page import write_report

    path = write_report(runs, out or runs[0] / "report.html")
    console(as_json).print(f"report: {path}", markup=False)
    print_json(as_json, {"runs": [str(run) for run in runs], "report": str(path)})

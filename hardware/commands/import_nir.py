"""`settle import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hardware.export.import_config import ImportConfig
from sim.commands.from_config import options_of
from sim.commands.options import Data, Json, answer


@options_of(ImportConfig)
def import_command(
    file: Annotated[Path, typer.Argument(help="NIR file of another tool: a chain of LIF layers.", metavar="FILE")],
    data: Data = "digits",
    out: Annotated[Path | None, typer.Option(help="Folder of the run; default runs/ and the file's name.")] = None,
    *,
    config: ImportConfig,
    as_json: Json = False,
) -> None:
    """Make a run of a feed-forward network of another tool, to evaluate, attack, compile and bench it."""
    from hardware.export.imported import import_nir

    answer(import_nir(file, data, out or Path("runs") / file.stem, config), as_json)

"""`settle compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sim.brain.config import CompareConfig
from sim.commands.from_config import options_of
from sim.commands.options import Json, Run, answer


@options_of(CompareConfig)
def compare_command(
    run: Run,
    recordings: Annotated[Path, typer.Option(help="FILE.npz with responses, stimuli, and, if known, regions.")],
    *,
    config: CompareConfig,
    as_json: Json = False,
) -> None:
    """Compare the layers of a run with recorded neurons: alignment, geometry, predictivity, with ceilings.

    The best layer of every region, and the pixels themselves beside it.
    """
    from sim.face.compare import compare_run
    from sim.face.run import Run as Loaded

    answer(compare_run(Loaded.load(run), recordings, config), as_json)

"""`settle bench`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.bench.config import AUTO, OFF, BenchConfig
from sim.commands.from_config import options_of
from sim.commands.options import Json, Run, console, numbers, print_json

if TYPE_CHECKING:
    from benchmarks.bench.run import Bench
    from benchmarks.bench.sweep import Sweep


@options_of(BenchConfig)
def bench_command(
    run: Run,
    *,
    config: BenchConfig,
    thresholds: Annotated[
        str | None, typer.Option(help="Of a sparse coder, separated by commas; default 1/2 to 8 times its own.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="JSON file; default RUN/bench.json. The page lies beside it.")] = (
        None
    ),
    as_json: Json = False,
) -> None:
    """Energy and latency of a run beside conventional networks: measured or modelled, never mixed. Writes a page."""
    from benchmarks.bench.run import RESULT
    from benchmarks.bench.screen import bench_tables
    from benchmarks.bench.sweep import Sweep
    from benchmarks.bench.sweep_page import sweep_tables

    chosen = None if thresholds is None else numbers("--thresholds", thresholds)
    path = out or run / RESULT
    result = bench(run, config, path, chosen)
    console(as_json).print(sweep_tables(result) if isinstance(result, Sweep) else bench_tables(result))
    console(as_json).print(f"written: {path}, {path.with_suffix('.html')}", markup=False)
    print_json(as_json, result.summary())


def bench(
    run: Path,
    config: BenchConfig,
    path: Path | None,
    thresholds: tuple[float, ...] | None = None,
    progress: bool = True,
) -> Bench | Sweep:
    """Benchmark a classifier, or sweep a sparse coder; write the JSON file and the page beside it, or none.

    Raises: UserError if the run, an option or the file does not fit.
    """
    from benchmarks.bench.page import write_bench_page
    from benchmarks.bench.run import bench_run
    from benchmarks.bench.screen import BenchScreen
    from benchmarks.bench.sweep import Sweep, sweep_run
    from benchmarks.bench.sweep_page import write_sweep_page
    from neuro.base.errors import UserError
    from neuro.base.files import json_bytes, write_atomically
    from sim.evaluate import is_coder, load_run
    from sim.screens.training import shown

    artifact = load_run(run)
    coder = is_coder(artifact)
    if coder and artifact.spec.family == "stock":
        raise UserError(
            f"run {run}: a {artifact.spec.title}; only sigma-delta coders are swept over thresholds; see "
            "settle compile --report"
        )
    if thresholds is not None and not coder:
        raise UserError(f"--thresholds: run {run} is no sparse coder; leave it out")
    if config.slayer not in (AUTO, OFF) and coder:
        raise UserError(f"--slayer: run {run} is a sparse coder, which SLAYER does not train; leave it out")
    page = path and path.with_suffix(".html")
    if page is not None and page == path:
        raise UserError(f"--out {path}: is the JSON file, the page lies beside it; give a name that ends in .json")
    with shown(progress), BenchScreen() as screen:
        result = sweep_run(run, config, thresholds, screen.on_part) if coder else bench_run(run, config, screen.on_part)
    if path is not None and page is not None:
        write_sweep_page(result, page) if isinstance(result, Sweep) else write_bench_page(result, page)
        write_atomically(path, json_bytes(result.content))
    return result

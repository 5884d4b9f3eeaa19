"""`settle bench`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmarks.bench.config import AUTO, OFF, BenchConfig
from sim.commands.from_config import options_of
from sim.commands.options import Json, Run, console, numbers, print_json

if TYPE_CHECKING:
    from rich.console import Group


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
    from neuro.base.errors import UserError
    from sim.evaluate import is_coder, load_run

    coder = is_coder(load_run(run))
    if thresholds is not None and not coder:
        raise UserError(f"--thresholds: run {run} is no sparse coder; leave it out")
    if config.slayer not in (AUTO, OFF) and coder:
        raise UserError(f"--slayer: run {run} is a sparse coder, which SLAYER does not train; leave it out")
    chosen = None if thresholds is None else numbers("--thresholds", thresholds)
    path = out or run / RESULT
    page = path.with_suffix(".html")
    if page == path:
        raise UserError(f"--out {path}: is the JSON file, the page lies beside it; give a name that ends in .json")
    tables, summary = _sweep(run, config, chosen, path, page) if coder else _bench(run, config, path, page)
    console(as_json).print(tables)
    console(as_json).print(f"written: {path}, {page}", markup=False)
    print_json(as_json, summary)


def _bench(run: Path, config: BenchConfig, path: Path, page: Path) -> tuple[Group, dict[str, Any]]:
    """Benchmark a classifier, write both files, return what to show and what to print."""
    from benchmarks.bench.page import write_bench_page
    from benchmarks.bench.run import bench_run
    from benchmarks.bench.screen import BenchScreen, bench_tables
    from neuro.base.files import json_bytes, write_atomically

    with BenchScreen() as screen:
        bench = bench_run(run, config, screen.on_part)
    write_bench_page(bench, page)
    write_atomically(path, json_bytes(bench.content))
    return bench_tables(bench), bench.summary()


def _sweep(
    run: Path, config: BenchConfig, thresholds: tuple[float, ...] | None, path: Path, page: Path
) -> tuple[Group, dict[str, Any]]:
    """Sweep a sparse coder, write both files, return what to show and what to print."""
    from benchmarks.bench.screen import BenchScreen
    from benchmarks.bench.sweep import sweep_run
    from benchmarks.bench.sweep_page import sweep_tables, write_sweep_page
    from neuro.base.files import json_bytes, write_atomically

    with BenchScreen() as screen:
        sweep = sweep_run(run, config, thresholds, screen.on_part)
    write_sweep_page(sweep, page)
    write_atomically(path, json_bytes(sweep.content))
    return sweep_tables(sweep), sweep.summary()

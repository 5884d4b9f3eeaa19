"""`settle bench`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sim.commands.options import Json, Run, Threads, console, numbers, print_json

if TYPE_CHECKING:
    from rich.console import Group

    from benchmarks.bench.run import BenchConfig


def bench_command(
    run: Run,
    devices: Annotated[
        str, typer.Option("--devices", "--device", help="Among cpu, cuda, loihi2, separated by commas.")
    ] = "cpu,cuda,loihi2",
    images: Annotated[int | None, typer.Option(help="Test images, from the first; default 1000 at most.")] = None,
    seconds: Annotated[float, typer.Option(help="Length of a measurement; energy needs several.")] = 3.0,
    no_train: Annotated[bool, typer.Option("--no-train", help="Inference only.")] = False,
    constants: Annotated[str, typer.Option(help="Energy constants of the chip: loihi2.")] = "loihi2",
    thresholds: Annotated[
        str | None, typer.Option(help="Of a sparse coder, separated by commas; default 1/2 to 8 times its own.")
    ] = None,
    slayer: Annotated[
        str,
        typer.Option(help="Compare with a finished run of train slayer; auto: trains one on small data; or none."),
    ] = "auto",
    threads: Threads = None,
    out: Annotated[Path | None, typer.Option(help="JSON file; default RUN/bench.json. The page lies beside it.")] = (
        None
    ),
    as_json: Json = False,
) -> None:
    """Energy and latency of a run beside conventional networks: measured or modelled, never mixed. Writes a page."""
    from benchmarks.bench.run import RESULT, BenchConfig
    from benchmarks.bench.slayer import AUTO, OFF
    from neuro.base.errors import UserError
    from sim.evaluate import is_coder, load_run

    config = BenchConfig(
        tuple(name.strip() for name in devices.split(",") if name.strip()), images, seconds, not no_train, constants,
        threads, slayer,
    )  # fmt: skip
    coder = is_coder(load_run(run))
    if thresholds is not None and not coder:
        raise UserError(f"--thresholds: run {run} is no sparse coder; leave it out")
    if slayer not in (AUTO, OFF) and coder:
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

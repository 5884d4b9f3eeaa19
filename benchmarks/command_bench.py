"""`settle bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from sim.command_options import Json, Run, Threads, console, print_json


def bench_command(
    run: Run,
    devices: Annotated[
        str, typer.Option("--devices", "--device", help="Among cpu, cuda, loihi2, separated by commas.")
    ] = "cpu,cuda,loihi2",
    images: Annotated[Optional[int], typer.Option(help="Test images, from the first; default 1000 at most.")] = None,
    seconds: Annotated[float, typer.Option(help="Length of a measurement; energy needs several.")] = 3.0,
    no_train: Annotated[bool, typer.Option("--no-train", help="Inference only.")] = False,
    constants: Annotated[str, typer.Option(help="Energy constants of the chip: loihi2.")] = "loihi2",
    thresholds: Annotated[
        Optional[str], typer.Option(help="Of a sparse coder, separated by commas; default 1/2 to 8 times its own.")
    ] = None,
    threads: Threads = None,
    out: Annotated[Optional[Path], typer.Option(help="JSON file; default RUN/bench.json. The page lies beside it.")] = (
        None
    ),
    as_json: Json = False,
) -> None:
    """Energy and latency of a run beside conventional networks: measured or modelled, never mixed. Writes a page."""
    from benchmarks.bench.page import write_bench_page
    from benchmarks.bench.run import RESULT, BenchConfig, bench_run, save_bench
    from benchmarks.bench.screen import BenchScreen, bench_tables

    del thresholds
    config = BenchConfig(
        tuple(name.strip() for name in devices.split(",") if name.strip()), images, seconds, not no_train, constants,
        threads,
    )  # fmt: skip
    with BenchScreen() as screen:
        bench = bench_run(run, config, screen.on_part)
    path = out or run / RESULT
    save_bench(bench, path)
    page = write_bench_page(bench, path.with_suffix(".html"))
    console(as_json).print(bench_tables(bench))
    console(as_json).print(f"written: {path}, {page}", markup=False)
    print_json(as_json, bench.summary())

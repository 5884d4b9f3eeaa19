"""The command line: `settle --help`. Thin: options in, one call each, results out; everything heavy is imported late.

Contract for scripts: with --json the last line of stdout is one JSON object; progress and tables go to stderr. A user's
mistake ends with exit code 2 and one line, an interruption with 130.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.bench import command as command_bench
from hardware.commands import export as command_export
from sim.commands import attack as command_attack
from sim.commands import train as command_train
from sim.commands.options import Device, Json, Run, Seed, StallS, Threads, console, print_json

app = typer.Typer(
    help="Energy-based spiking networks: train with local spike-driven rules, run as Lava graphs, prove them equal.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(command_train.app, name="train")
app.command("attack")(command_attack.attack_command)
app.command("export")(command_export.export_command)
command_train.app.command("slayer")(command_export.train_slayer_command)
app.command("bench")(command_bench.bench_command)


@app.command("evaluate")
def evaluate_command(
    run: Run,
    backend: Annotated[
        str | None,
        typer.Option(
            help="events (default), torch, reference, snntorch, lava; stock: chip (default), snntorch, lava, loihi2."
        ),
    ] = None,
    images: Annotated[int | None, typer.Option(help="Test images, from the first; default all, 100 on lava.")] = None,
    check: Annotated[str | None, typer.Option(help="Compare every spike, state and prediction with a backend.")] = None,
    data: Annotated[str | None, typer.Option(help="Other data than the run was trained on.")] = None,
    device: Device = "cpu",
    threads: Threads = None,
    stall_s: StallS = 120.0,
    as_json: Json = False,
) -> None:
    """Measure accuracy and spikes of a run on a backend; with --check, prove it equal to another."""
    from neuro.base.errors import UserError
    from neuro.data.sets import load_dataset
    from sim.backends.protocol import get_backend, native_backend
    from sim.commands.screen import ImageProgress, evaluation_table
    from sim.evaluate import add_result, data_of, evaluate, load_run

    artifact = load_run(run)
    backend = backend or native_backend(artifact.spec)
    if device != "cpu" and backend != "torch":
        raise UserError(f"--device {device}: only backend torch computes there; give --backend torch too")
    chosen, other = get_backend(backend), get_backend(check) if check else None
    dataset = load_dataset(data, artifact.manifest["seed"]) if data else data_of(artifact)
    if images is None and backend in SLOW_BACKENDS:
        images = min(SLOW_BACKENDS[backend], len(dataset.y_test))
    with ImageProgress(backend, images or len(dataset.y_test)) as progress:
        options: dict[str, Any] = {"threads": threads}
        if backend in ("lava", "loihi2"):
            options.update(stall_s=stall_s, on_image=progress.on_image)
        if backend == "torch":
            options.update(device=device)
        evaluation = evaluate(artifact, run, dataset, chosen, images, other, **options)
    if data is None:
        add_result(run, artifact, evaluation)
    console(as_json).print(evaluation_table(evaluation))
    print_json(as_json, evaluation.to_json())


SLOW_BACKENDS = {"lava": 100, "reference": 1000, "loihi2": 100}  # images they evaluate by default


@app.command("compile")
def compile_command(
    run: Run,
    target: Annotated[str, typer.Option(help="The chip: loihi2.")] = "loihi2",
    chips: Annotated[int | None, typer.Option(help="Chips there are; default as many as it takes.")] = None,
    constants: Annotated[str, typer.Option(help="Limits of a core: loihi2-lava or loihi2-brief.")] = "loihi2-lava",
    inference_only: Annotated[bool, typer.Option("--inference-only", help="Without what learning needs.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Leave Lava's chip compiler alone, even if there.")] = (
        False
    ),
    report: Annotated[bool, typer.Option("--report", help="Price test images; write RUN/compile.html.")] = False,
    images: Annotated[int, typer.Option(help="Test images to price, from the first.")] = 100,
    as_json: Json = False,
) -> None:
    """Place a run on the cores of a Loihi 2; say what is stock and what is not. Writes RUN/deployment.json."""
    from hardware.commands.screen import deployment_tables
    from hardware.compile.compiler import compile_run

    deployment = compile_run(
        run, dry_run=dry_run, target=target, constants=constants, n_chips=chips, learns=not inference_only
    )
    screen = console(as_json)
    screen.print(deployment_tables(deployment))
    if report:
        from hardware.commands.screen import profile_table
        from hardware.energy.profile import profile
        from hardware.reports.page import REPORT, write_compile_report
        from sim.evaluate import load_run

        profiled = profile(load_run(run), deployment, images)
        screen.print(profile_table(profiled))
        screen.print(f"report: {write_compile_report(profiled, run / REPORT)}", markup=False)
    print_json(as_json, deployment.summary())


@app.command("report")
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


@app.command("demo")
def demo_command(
    out: Annotated[Path, typer.Option(help="Folder of the run; an earlier demo in it is replaced.")] = Path(
        "runs/demo"
    ),
    images: Annotated[int, typer.Option(help="Test images to compare on Lava.")] = 100,
    seed: Seed = 0,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Digits, end to end, about a minute: train by local spikes, run on Lava, attack, place on a chip, report."""
    from hardware.commands.screen import deployment_tables
    from hardware.compile.compiler import compile_run
    from sim.commands.demo import run_demo

    screen = console(as_json)

    def place(folder: Path) -> None:
        screen.print(deployment_tables(compile_run(folder, dry_run=True)))

    print_json(as_json, run_demo(out, images, seed, threads, screen, place))


INTERRUPTED = 130


def main() -> None:
    """Entry point: turns a user's mistake into one line and exit code 2."""
    from neuro.base.errors import UserError

    try:
        code = app(standalone_mode=False, prog_name="settle") or 0
        sys.stdout.flush()
    except UserError as error:
        code = _fail(str(error), 2)
    except typer.TyperException as error:
        code = _fail(error.format_message(), 2)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        code = _drop_output(1)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        code = _drop_output(_fail("cannot write the output: the disk is full; free some space", 2))
    if code == INTERRUPTED:
        _fail("interrupted; a training goes on with --resume", code)
    sys.exit(code)


def _drop_output(code: int) -> int:
    """Keep Python from flushing once more, at its end, what nobody can take."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _fail(message: str, code: int) -> int:
    if message.strip():
        sys.stderr.write(f"settle: {' '.join(message.split())}\n")
    return code


if __name__ == "__main__":
    main()

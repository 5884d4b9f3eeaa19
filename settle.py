"""The command line: `settle --help`. Thin: options in, one call each, results out; everything heavy is imported late.

Contract for scripts: with --json the last line of stdout is one JSON object; progress and tables go to stderr. A user's
mistake ends with exit code 2 and one line, an interruption with 130, SIGTERM with 143.
"""

from __future__ import annotations

import errno
import os
import sys

import typer

from benchmarks.bench import command
from hardware.commands import compile, demo, export
from sim.commands import attack, evaluate, report, train

app = typer.Typer(
    help="Energy-based spiking networks: train with local spike-driven rules, run as Lava graphs, prove them equal.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(train.app, name="train")
train.app.command("slayer")(export.train_slayer_command)
app.command("evaluate")(evaluate.evaluate_command)
app.command("attack")(attack.attack_command)
app.command("compile")(compile.compile_command)
app.command("bench")(command.bench_command)
app.command("export")(export.export_command)
app.command("report")(report.report_command)
app.command("demo")(demo.demo_command)

INTERRUPTED = 130


def main() -> None:
    """Entry point: turns a user's mistake into one line and exit code 2."""
    from neuro.base.errors import UserError
    from sim.training.interrupt import Terminated, terminable

    try:
        with terminable():
            code = app(standalone_mode=False, prog_name="settle") or 0
        sys.stdout.flush()
    except UserError as error:
        code = _fail(str(error), 2)
    except typer.TyperException as error:
        code = _fail(error.format_message(), 2)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Terminated as ended:
        code = _fail("terminated; a training goes on with --resume", ended.number)
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

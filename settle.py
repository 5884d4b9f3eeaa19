"""Settle in a notebook, and as a command.

    import settle
    run = settle.train("digits", hidden=(64,), seed=0)              # or settle.train((images, labels), ...)
    run.evaluate(backend="lava", images=20, check="events")         # equal, spike for spike?
    run.attack("quick", eps=(0.05, 0.1)).verdict
    run.compile(), run.bench(), run.export("nir", "network.nir"), run.report("page.html")
    settle.plot.raster(run)

The command line (`settle --help`) calls the same. Nothing heavy is imported before it is needed. Contract for scripts:
with --json the last line of stdout is one JSON object; progress and tables go to stderr. A user's mistake is a
`settle.UserError`: on the command line exit code 2 and one line; an interruption ends with 130, SIGTERM
with 143, SIGHUP with 129.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardware.face import DeployableRun
from neuro.base.errors import UserError

if TYPE_CHECKING:
    import typer

    from benchmarks.bench.run import Bench
    from benchmarks.bench.sweep import Sweep
    from sim.brain.comparison import Comparison
    from sim.estimators import EPClassifier as EPClassifier
    from sim.estimators import SparseCoder as SparseCoder
    from sim.face.data import Data
    from sim.reports import plot as plot

__all__ = ["EPClassifier", "Run", "SparseCoder", "UserError", "load", "main", "plot", "train", "train_coder"]
LATE = {
    "plot": "sim.reports.plot",
    "EPClassifier": "sim.estimators:EPClassifier",
    "SparseCoder": "sim.estimators:SparseCoder",
}


def __getattr__(name: str) -> Any:
    """What is imported only when it is asked for."""
    if name not in LATE:
        raise AttributeError(f"module 'settle' has no attribute {name!r}")
    module, _, attribute = LATE[name].partition(":")
    found = importlib.import_module(module)
    return getattr(found, attribute) if attribute else found


def __dir__() -> list[str]:
    return sorted({*globals(), *LATE})


class Run(DeployableRun):
    """A finished training in the hand; from `train`, `train_coder` or `load`.

    >>> run = train("digits", hidden=(16,), epochs=1, learning_rate=1.0, output_share=0.25, progress=False)
    >>> run.accuracy.n, run.spec.n_classes, len(run.history)
    (359, 10, 1)
    >>> run.evaluate(images=20, check="reference").differences.total
    0
    """

    def bench(
        self,
        devices: str = "cpu,cuda,loihi2",
        *,
        images: int | None = None,
        seconds: float = 3.0,
        train: bool = True,
        constants: str = "loihi2",
        thresholds: tuple[float, ...] | None = None,
        slayer: str = "auto",
        threads: int | None = None,
        out: str | Path | None = None,
        progress: bool = True,
    ) -> Bench | Sweep:
        """Energy and latency beside conventional networks: measured or modelled, never mixed.

        Args:   devices: among cpu, cuda, loihi2; images: test images, 1000 at most; seconds: length of a measurement;
                train: learning, too; constants: energies of the chip; thresholds: of a sparse coder; slayer: a finished
                run of SLAYER's, auto or none; out: the JSON file, default bench.json in the folder, none in memory.
        Raises: UserError if a name is unknown or a value out of range.
        """
        from benchmarks.bench.command import bench
        from benchmarks.bench.config import BenchConfig

        path = None if out is None and self.folder is None else self.file("bench.json", out)
        config = BenchConfig(
            devices=tuple(name.strip() for name in devices.split(",") if name.strip()), images=images, seconds=seconds,
            train=train, constants=constants, slayer=slayer, threads=threads,
        )  # fmt: skip
        return bench(self.on_disk(), config, path, thresholds, progress)

    def compare(self, recordings: str | Path, **options: Any) -> Comparison:
        """How like recorded neurons its layers answer: alignment, geometry, predictivity, with intervals and ceilings.

        Args:   recordings: an .npz file with responses and stimuli (docs/guides/compare.md); options: measures, step,
                seed, threads: those of `sim.brain.config.CompareConfig`.
        Raises: UserError if the file is none, or its stimuli are no images for the network.
        """
        from neuro.base.options import configured
        from sim.brain.config import CompareConfig
        from sim.face.compare import compare_run

        return compare_run(self, recordings, configured(CompareConfig, options))


def train(
    data: Data = "digits",
    *,
    out: str | Path | None = None,
    front_end: str | Path | Run | None = None,
    backend: str = "",
    device: str = "cpu",
    resume: bool = False,
    progress: bool = True,
    **options: Any,
) -> Run:
    """Train an equilibrium propagation network by its local rule; in memory, unless `out` names a folder.

    Args:   data: a name, a file, a folder, arrays, a frame, a Dataset (docs/guides/data-sources.md); front_end: a
            sparse coder before the network, or a fixed front end by name, e.g. "v1:window=4"; backend: events or torch,
            which learn equal weights; device: of torch; resume: go on from the checkpoint in `out`; options: hidden,
            layers, epochs, seed, rule, family, ...: those
            of `sim.training.config.TrainConfig`; rescale, channels: of `neuro.data.options.DataOptions`.
    Raises: UserError naming the object, the limit and the remedy.

    >>> train("digits", hidden=(16,), epochs=1, learning_rate=1.0, output_share=0.25, progress=False).spec.n_inputs
    64
    """
    from neuro.base.options import configured, taken
    from neuro.data.options import DataOptions
    from sim.face.training import train_network
    from sim.training.config import TrainConfig

    prepared = taken(DataOptions, options)
    trained = train_network(
        data, configured(TrainConfig, options), out, options=prepared, front_end=front_end, backend=backend,
        device=device, resume=resume, progress=progress,
    )  # fmt: skip
    return Run(trained.result.artifact, trained.result.folder, trained.dataset)


def train_coder(
    data: Data = "digits",
    *,
    out: str | Path | None = None,
    front_end: str | Path | Run | None = None,
    resume: bool = False,
    progress: bool = True,
    **options: Any,
) -> Run:
    """Learn a sparse coder (LCA) by its local rule; in memory, unless `out` names a folder.

    Args:   see `train`; options: atoms, patch, stride, sparsity_threshold, epochs, seed, ...: those of
            `sim.coding.config.LcaConfig`.
    Raises: UserError naming the object, the limit and the remedy.

    >>> train_coder("digits", atoms=16, epochs=1, progress=False).results.spikes_per_image > 0
    True
    """
    from neuro.base.options import configured, taken
    from neuro.data.options import DataOptions
    from sim.coding.config import LcaConfig
    from sim.face.training import train_sparse_coder

    prepared = taken(DataOptions, options)
    trained = train_sparse_coder(
        data,
        configured(LcaConfig, options),
        out,
        options=prepared,
        front_end=front_end,
        resume=resume,
        progress=progress,
    )
    return Run(trained.result.artifact, trained.result.folder, trained.dataset)


def load(folder: str | Path) -> Run:
    """The finished run in `folder`. Raises: UserError if there is none, or it is damaged.

    >>> load("no/such/folder")
    Traceback (most recent call last):
    neuro.base.errors.UserError: run no/such/folder: no manifest.json; give the folder of a finished run ...
    """
    return Run.load(folder)


def command_line() -> typer.Typer:
    """All commands."""
    import typer

    from benchmarks.atlas import command as atlas
    from benchmarks.bench import command
    from hardware.commands import compile, demo, export, import_nir
    from sim.commands import attack, certify, compare, evaluate, perturb, report, train, version

    app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    app.callback(invoke_without_command=True)(version.version_command)
    app.add_typer(train.app, name="train")
    train.app.command("slayer")(export.train_slayer_command)
    app.command("evaluate")(evaluate.evaluate_command)
    app.command("attack")(attack.attack_command)
    app.command("certify")(certify.certify_command)
    app.command("perturb")(perturb.perturb_command)
    app.command("compare")(compare.compare_command)
    app.command("compile")(compile.compile_command)
    app.command("bench")(command.bench_command)
    app.command("export")(export.export_command)
    app.command("import")(import_nir.import_command)
    app.command("atlas")(atlas.atlas_command)
    app.command("report")(report.report_command)
    app.command("demo")(demo.demo_command)
    return app


def main() -> None:
    """Entry point of the command: every mistake is one line, never a traceback (`sim.commands.ending`)."""
    from sim.commands.ending import exit_code

    sys.exit(exit_code(lambda: command_line()(standalone_mode=False, prog_name="settle"), sys.argv[1:]))


if __name__ == "__main__":
    main()

"""The command line: `settle --help`. Thin: options in, one call each, results out; everything heavy is imported late.

Contract for scripts: with --json the last line of stdout is one JSON object; progress and tables go to stderr. A user's
mistake ends with exit code 2 and one line, an interruption with 130.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from neuro.data import Dataset
    from sim.experiment import TrainConfig
    from sim.front_end import FrontEnd

app = typer.Typer(
    help="Energy-based spiking networks: train with local spike-driven rules, run as Lava graphs, prove them equal.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
train_app = typer.Typer(help="Train a network by its local rule.", no_args_is_help=True)
app.add_typer(train_app, name="train")

Run = Annotated[Path, typer.Argument(help="Folder of a finished run.", metavar="RUN")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of stdout.")]
Seed = Annotated[int, typer.Option(help="Draws weights, order, rounding and splits; same seed, same result.")]
Threads = Annotated[Optional[int], typer.Option(help="Cores to use; default all. Never changes a result.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")]
CheckpointEveryS = Annotated[float, typer.Option(help="Seconds between checkpoints.")]
FrontEndRun = Annotated[Optional[Path], typer.Option(help="A finished sparse coder whose codes are the input.")]
StallS = Annotated[float, typer.Option(help="End a Lava run that finishes no image for so many seconds.")]


def _console(as_json: bool) -> Console:
    from rich.console import Console

    return Console(stderr=as_json, highlight=False)


def _print_json(as_json: bool, content: dict[str, Any]) -> None:
    if as_json:
        sys.stdout.write(json.dumps(content, allow_nan=False) + "\n")


def _hidden(text: str) -> tuple[int, ...]:
    from neuro.errors import UserError

    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise UserError(f"--hidden {text!r}: give layer sizes separated by commas, e.g. 256 or 256,128") from error


@train_app.command("ep")
def train_ep_command(
    data: Annotated[str, typer.Option(help="digits, mnist, fashion-mnist, cifar10, or a FILE.npz.")] = "digits",
    out: Annotated[Optional[Path], typer.Option(help="Folder of the run; default runs/ep-DATA-HIDDEN-seedN.")] = None,
    hidden: Annotated[str, typer.Option(help="Hidden layers from input to output, e.g. 256,128.")] = "256",
    epochs: Annotated[Optional[int], typer.Option(help="Passes over the training set; default from its size.")] = None,
    rule: Annotated[
        Optional[str],
        typer.Option(
            help="Local rule: event (STDP, default), end-point, y3; stock: R5 (default), R1..R4, deferred, graded."
        ),
    ] = None,
    shadow_bits: Annotated[int, typer.Option(help="Accumulator bits below the weight while learning, 0..8.")] = 8,
    weight_bits: Annotated[int, typer.Option(help="Bits of a weight, 2..8.")] = 8,
    batch_size: Annotated[int, typer.Option(help="Images that learn from the same weights; > 1 uses all cores.")] = 1,
    learning_rate: Annotated[Optional[float], typer.Option(help="Default: chosen on a validation split.")] = None,
    output_share: Annotated[Optional[float], typer.Option(help="Output layer's share of the learning rate.")] = None,
    centred: Annotated[
        Optional[bool], typer.Option("--centred/--not-centred", help="Subtract the mean image; default from the data.")
    ] = None,
    refit: Annotated[
        Optional[bool], typer.Option("--refit/--no-refit", help="Train again on all training images; default if few.")
    ] = None,
    family: Annotated[
        str, typer.Option(help="sigma-delta, or stock: processes that Lava ships, rules of the chip's learning engine.")
    ] = "sigma-delta",
    noise: Annotated[str, typer.Option(help="Stock: random numbers per-synapse (a chip), or shared (Lava).")] = (
        "per-synapse"
    ),
    weight_lsb: Annotated[int, typer.Option(help="Stock: step of a learned weight, 1 (Lava) or 2.")] = 1,
    backend: Annotated[Optional[str], typer.Option(help="Stock: lava learns --images inside Lava itself.")] = None,
    images: Annotated[Optional[int], typer.Option(help="Training images to learn inside Lava.")] = None,
    stall_s: StallS = 120.0,
    front_end: FrontEndRun = None,
    seed: Seed = 0,
    threads: Threads = None,
    resume: Resume = False,
    checkpoint_every_s: CheckpointEveryS = 5.0,
    as_json: Json = False,
) -> None:
    """Train an equilibrium propagation network; Ctrl-C and even kill -9 lose nothing: go on with --resume."""
    from neuro.data import load_dataset
    from sim.experiment import TrainConfig
    from sim.train import train_ep

    _check_backend(backend, images)
    config = TrainConfig(
        seed, _hidden(hidden), rule or ("R5" if family == "stock" else "event"), shadow_bits, weight_bits, epochs,
        batch_size, threads, family, noise, weight_lsb, learning_rate, output_share, centred, None, refit,
    )  # fmt: skip
    dataset = load_dataset(data, seed)
    front = _front_end(front_end, dataset)
    kind = "ep" if family == "sigma-delta" else f"ep-{family}-{config.rule}"
    if front_end is not None:
        kind = f"{front_end.name}-{kind}"
    folder = out or Path("runs") / f"{kind}-{dataset.name}-{'-'.join(map(str, config.hidden))}-seed{seed}"
    if backend == "lava":
        _train_in_lava(dataset, config, folder, IMAGES_IN_LAVA if images is None else images, stall_s, as_json)
        return
    from sim.screen import TrainScreen, result_table

    with TrainScreen() as screen:
        result = train_ep(dataset, config, folder, screen, front, resume=resume, checkpoint_every_s=checkpoint_every_s)
    _console(as_json).print(result_table(result))
    _print_json(as_json, result.to_json())


def _front_end(run: Path | None, dataset: Dataset) -> FrontEnd | None:
    if run is None:
        return None
    from sim.front_end import load_front_end

    return load_front_end(run, dataset)


@train_app.command("lca")
def train_lca_command(
    data: Annotated[str, typer.Option(help="digits, mnist, fashion-mnist, cifar10, or a FILE.npz.")] = "digits",
    out: Annotated[Optional[Path], typer.Option(help="Folder of the run; default runs/lca-DATA-ATOMS-seedN.")] = None,
    atoms: Annotated[Optional[int], typer.Option(help="Atoms; default 256, of patches 64.")] = None,
    patch: Annotated[Optional[int], typer.Option(help="Extent of convolutional atoms; default: whole images.")] = None,
    stride: Annotated[Optional[int], typer.Option(help="Stride of convolutional atoms; default half their extent.")] = (
        None
    ),
    same: Annotated[bool, typer.Option("--same", help="Pad images so that any stride tiles them.")] = False,
    threshold: Annotated[Optional[float], typer.Option(help="Sparsity threshold (lambda); default from the data.")] = (
        None
    ),
    hard: Annotated[bool, typer.Option("--hard", help="Hard threshold in place of the soft one.")] = False,
    signed: Annotated[bool, typer.Option("--signed", help="Codes of both signs.")] = False,
    layout: Annotated[
        Optional[str], typer.Option(help="inhibition (default for whole images) or residual (for patches).")
    ] = None,
    activation_bits: Annotated[Optional[int], typer.Option(help="Payload unit of codes 2**-bits.")] = None,
    epochs: Annotated[Optional[int], typer.Option(help="Passes over the training set; default from its size.")] = None,
    shadow_bits: Annotated[int, typer.Option(help="Accumulator bits below the weight while learning, 0..8.")] = 8,
    normalise: Annotated[
        bool, typer.Option("--normalise/--chip-alone", help="Whether a host gives atoms unit norm now and then.")
    ] = True,
    front_end: FrontEndRun = None,
    seed: Seed = 0,
    threads: Threads = None,
    resume: Resume = False,
    checkpoint_every_s: CheckpointEveryS = 5.0,
    as_json: Json = False,
) -> None:
    """Learn a sparse coder (LCA) by its local rule; use it alone, or as the front end of another network."""
    from neuro.data import load_dataset
    from sim.lca_experiment import LcaConfig
    from sim.screen import CoderScreen, coder_table
    from sim.train_lca import train_lca

    dataset = load_dataset(data, seed)
    front = _front_end(front_end, dataset)
    config = LcaConfig(
        seed, atoms, patch, stride, same, threshold, signed, "hard" if hard else "soft", layout, activation_bits,
        epochs, shadow_bits, normalise, threads, front.sha256 if front else "",
    )  # fmt: skip
    kind = "lca" if front_end is None else f"{front_end.name}-lca"
    name = "-".join(str(part) for part in (kind, dataset.name, atoms, patch and f"{patch}x{patch}") if part)
    with CoderScreen() as screen:
        result = train_lca(
            dataset, config, out or Path("runs") / f"{name}-seed{seed}", screen, front, resume=resume,
            checkpoint_every_s=checkpoint_every_s,
        )  # fmt: skip
    _console(as_json).print(coder_table(result))
    _print_json(as_json, result.to_json())


IMAGES_IN_LAVA = 20  # seconds each


def _check_backend(backend: str | None, images: int | None) -> None:
    from neuro.errors import UserError

    if backend not in (None, "lava"):
        raise UserError(
            f"--backend {backend}: a training goes by itself to the backend of its family; give lava or none"
        )
    if images is not None and backend is None:
        raise UserError("--images: counts images to learn inside Lava; give --backend lava too, or --epochs instead")


def _train_in_lava(
    dataset: Dataset, config: TrainConfig, folder: Path, images: int, stall_s: float, as_json: bool
) -> None:
    from sim.lava_training import train_in_lava
    from sim.screen import ImageProgress, lava_training_table

    with ImageProgress("learning inside lava", images) as progress:
        result = train_in_lava(dataset, config, folder, images, stall_s, progress.on_image)
    _console(as_json).print(lava_training_table(result))
    _print_json(as_json, result.to_json())


@app.command("evaluate")
def evaluate_command(
    run: Run,
    backend: Annotated[
        Optional[str],
        typer.Option(
            help="events (default), reference, snntorch, lava; stock: chip (default), snntorch, lava, loihi2."
        ),
    ] = None,
    images: Annotated[
        Optional[int], typer.Option(help="Test images, from the first; default all, 100 on lava.")
    ] = None,
    check: Annotated[
        Optional[str], typer.Option(help="Compare every spike, state and prediction with a backend.")
    ] = None,
    data: Annotated[Optional[str], typer.Option(help="Other data than the run was trained on.")] = None,
    threads: Threads = None,
    stall_s: StallS = 120.0,
    as_json: Json = False,
) -> None:
    """Measure accuracy and spikes of a run on a backend; with --check, prove it equal to another."""
    from neuro.data import load_dataset
    from sim.backends.base import get_backend, native_backend
    from sim.evaluate import add_result, data_of, evaluate, load_run
    from sim.screen import ImageProgress, evaluation_table

    artifact = load_run(run)
    backend = backend or native_backend(artifact.spec)
    chosen, other = get_backend(backend), get_backend(check) if check else None
    dataset = load_dataset(data, artifact.manifest["seed"]) if data else data_of(artifact)
    if images is None and backend in SLOW_BACKENDS:
        images = min(SLOW_BACKENDS[backend], len(dataset.y_test))
    with ImageProgress(backend, images or len(dataset.y_test)) as progress:
        options: dict[str, Any] = {"threads": threads}
        if backend in ("lava", "loihi2"):
            options.update(stall_s=stall_s, on_image=progress.on_image)
        evaluation = evaluate(artifact, run, dataset, chosen, images, other, **options)
    if data is None:
        add_result(run, artifact, evaluation)
    _console(as_json).print(evaluation_table(evaluation))
    _print_json(as_json, evaluation.to_json())


SLOW_BACKENDS = {"lava": 100, "reference": 1000, "loihi2": 100}  # images they evaluate by default


@app.command("compile")
def compile_command(
    run: Run,
    target: Annotated[str, typer.Option(help="The chip: loihi2.")] = "loihi2",
    chips: Annotated[Optional[int], typer.Option(help="Chips there are; default as many as it takes.")] = None,
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
    from hardware.compile import compile_run
    from hardware.screen import deployment_tables

    deployment = compile_run(
        run, dry_run=dry_run, target=target, constants=constants, n_chips=chips, learns=not inference_only
    )
    console = _console(as_json)
    console.print(deployment_tables(deployment))
    if report:
        from hardware.observe import profile
        from hardware.report import REPORT, write_compile_report
        from hardware.screen import profile_table
        from sim.evaluate import load_run

        profiled = profile(load_run(run), deployment, images)
        console.print(profile_table(profiled))
        console.print(f"report: {write_compile_report(profiled, run / REPORT)}", markup=False)
    _print_json(as_json, deployment.summary())


@app.command("attack")
def attack_command(
    run: Run,
    attacks: Annotated[str, typer.Option(help="quick, standard, or names of attacks separated by commas.")] = "quick",
    eps: Annotated[
        Optional[str], typer.Option(help="Sizes separated by commas; default .05,.1,.2,.3 (l2: 10 times).")
    ] = (None),
    norm: Annotated[str, typer.Option(help="linf: largest change of a pixel; l2: Euclidean.")] = "linf",
    images: Annotated[Optional[int], typer.Option(help="Test images, from the first; default 200, on Lava 10.")] = (
        None
    ),
    score: Annotated[str, typer.Option(help="Backend that scores: events or chip, reference, lava.")] = "",
    shard: Annotated[Optional[str], typer.Option(help="Do only part I/N of the work; a later call collects.")] = None,
    workers: Annotated[Optional[int], typer.Option(help="Processes that share the work; default one a core.")] = None,
    device: Annotated[str, typer.Option(help="Where gradients are computed: cpu or cuda.")] = "cpu",
    passes: Annotated[int, typer.Option(help="Average the scores of a stochastic twin over so many (EoT).")] = 1,
    slurm: Annotated[
        Optional[str], typer.Option(help="Submit the missing shards to this Slurm partition and return.")
    ] = (None),
    against: Annotated[
        Optional[list[Path]], typer.Option(help="Another run on the same data, for the transfer matrix; repeatable.")
    ] = (None),
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Attack a run through its twins, score the deployed integers, and judge whether the result can be trusted."""
    from sim.robustness.bridge import EPS, AttackConfig, AttackRun, default_images
    from sim.robustness.report_attack import write_attack_report
    from sim.robustness.workers import do_shards, submit_shards
    from sim.screen import AttackScreen, attack_table

    sizes = _numbers("--eps", eps) if eps else EPS.get(norm, EPS["linf"])
    count = default_images(score) if images is None else images
    config = AttackConfig(attacks, norm, sizes, count, score, seed, device, passes)
    job = AttackRun(run, config, against or ())
    part = _part(shard, job.n_shards)
    if slurm is not None:
        submitted, number = submit_shards(job, part, slurm)
        if submitted:
            _console(as_json).print(
                f"submitted shards {submitted} of {job.n_shards} as job {number}; once `squeue -j {number}` is empty, "
                "the same command collects them, and submits again what failed", markup=False,
            )  # fmt: skip
            _print_json(as_json, {"run": str(run), "missing": job.missing(), "shards": job.n_shards, "job": number})
            return
    with AttackScreen(job.n_shards) as screen:
        do_shards(job, part, (os.cpu_count() or 1) if workers is None else workers, screen)
    if job.missing():
        _console(as_json).print(f"shards {job.missing()} of {job.n_shards} are still missing", markup=False)
        _print_json(as_json, {"run": str(run), "missing": job.missing(), "shards": job.n_shards})
        return
    result = job.result()
    page = write_attack_report(job, result)
    _console(as_json).print(attack_table(result))
    _console(as_json).print(f"report: {page}", markup=False)
    _print_json(as_json, result.to_json())


def _numbers(option: str, text: str) -> tuple[float, ...]:
    from neuro.errors import UserError

    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise UserError(f"{option} {text!r}: give numbers separated by commas, e.g. 0.05,0.1") from error


def _part(shard: str | None, n_shards: int) -> list[int]:
    """Return the shards of part I/N: every N-th one, from the I-th."""
    from neuro.errors import UserError

    if shard is None:
        return list(range(1, n_shards + 1))
    try:
        part, parts = (int(number) for number in shard.split("/"))
    except ValueError as error:
        raise UserError(f"--shard {shard!r}: give I/N, e.g. 1/4") from error
    if not 1 <= part <= parts <= n_shards:
        raise UserError(
            f"--shard {shard}: needs 1 <= I <= N <= {n_shards}, the shards of so many images; ask for fewer"
        )
    return list(range(part, n_shards + 1, parts))


@app.command("report")
def report_command(
    runs: Annotated[list[Path], typer.Argument(help="Folders of finished runs.", metavar="RUN...")],
    out: Annotated[
        Optional[Path], typer.Option(help="File to write; default RUN/report.html of the first run.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write one self-contained HTML page about one or more runs."""
    from sim.report import write_report

    path = write_report(runs, out or runs[0] / "report.html")
    _console(as_json).print(f"report: {path}", markup=False)
    _print_json(as_json, {"runs": [str(run) for run in runs], "report": str(path)})


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
    """Digits, end to end, about a minute: train by local spikes, run on Lava, prove equality, write a report."""
    from sim.demo import run_demo

    _print_json(as_json, run_demo(out, images, seed, threads, _console(as_json)))


INTERRUPTED = 130


def main() -> None:
    """Entry point: turns a user's mistake into one line and exit code 2."""
    from neuro.errors import UserError

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

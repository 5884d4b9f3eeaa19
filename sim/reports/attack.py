"""The page about an attack: robust accuracy with its intervals, every attack, the checks behind the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from neuro.base.arrays import Bools
from neuro.base.files import write_atomically
from neuro.base.metrics import Accuracy
from sim.evaluate import read_results
from sim.reports.beside import ATTACK_PAGE
from sim.reports.document import document
from sim.reports.figures import attack as figures
from sim.reports.figures.canvas import HALF_PAGE, render, render_grid
from sim.reports.panels import backends, latest
from sim.reports.section import Box, Cell, Panel, Section, Table, marked, provenance
from sim.robustness.analysis.subject import ADVERSARIAL, Analysis
from sim.robustness.analysis.transfer_matrix import TransferMatrix
from sim.robustness.attacks.threats import Threat
from sim.robustness.bridge.result import AttackResult
from sim.robustness.bridge.run import AttackRun
from sim.robustness.judging.comparison import Check

TITLE = "Settle attack report"
LEAD = (
    "Every accuracy on this page was measured on the integers that are deployed; nothing here is modelled or estimated."
)
INTRO = (
    "Adversarial images are made on differentiable twins of the network and scored on its deployed integers; an image "
    "counts as withstood only if no attack, on no twin, from no start, changed its label."
)
CURVES = (
    "Share of {n} test images that are still classified correctly when no pixel moves by more than eps. Thick: the "
    "worst of all attacks, image by image, with its 95 % interval. Points: measured; lines only join them."
)
CHECKS = (
    "Signs of gradient masking. An attack evaluation that fails one of them says little about the network: the attack "
    "may have failed, not the network withstood. Limits allow for the sampling error of so few images."
)
ATTACKS = "Accuracy under each attack alone, the worst over twins, image by image. Measured on the deployed integers."
SMALLEST = (
    "Share of {n} test images whose label no change of that size was found to turn: the smallest changes (FMN, DDN) on "
    "every twin, each iterate scored on the deployed integers. In linf it falls in steps where the encoder's grid has "
    "them. Measured, at most: other attacks may find smaller ones."
)
EXAMPLES = "Top row: clean. Below: the same images under a gradient attack, by size."
SHOWN, FEW_ROWS = 8, 2  # attacked images, half as many if there is room for larger ones
LABELS = 0.7  # inches
LARGE, TALL = (4.95, 3.7), (4.95, 4.9)  # inches
RATIOS = (
    "How large a change of the image is in every layer at the end of the free phase, beside what the layer holds "
    "without it (Euclidean norms, mean over {n} images). Adversarial: the images above. Random: a random change of the "
    "same size. A line that rises: the network amplifies the change. Measured on the deployed integers."
)
LINES = (
    "Score of the true class minus the largest other one, in units of the scores of the integer twin, on the way from "
    "an image to its adversarial one, and in a random direction; mean of {n} images, shaded: 10th to 90th percentile. "
    "Below 0 the image is misread. Way up and down over the distance covered (1: the margin only falls or only rises): "
    "{roughness}. Share of steps that leave the margin as it is: {flat}. Measured."
)
TRANSFER = (
    "Accuracy on {n} images: rows, the model that the images were made to fool, by 20 steps of projected gradients; "
    "columns, the model that sees them (settling networks as deployed). Measured."
)
SKIPPED = "Analyses that could not be made of this attack."
TITLES = {
    "ratios": "How a change of the image grows from layer to layer",
    "lines": "The surface of the output around an image",
    "transfer": "Who fools whom",
}


def write_attack_report(job: AttackRun, result: AttackResult) -> Path:
    """Write the page of a finished attack beside its shards and return it."""
    clean = _accuracy(result.table.clean)
    reasons = "; ".join(result.verdict.reasons) or "all checks for gradient masking passed"
    section = Section(
        name=f"{job.run}: attacked, {result.config.attacks}",
        intro=INTRO,
        facts=[
            (marked(str(result.verdict), result.verdict.trusted), reasons),
            (f"{clean.value:.4f}", f"clean accuracy, measured; {_interval(clean)}"),
            *(
                (f"{found.value:.4f}", f"robust accuracy at {threat}{_in_units(result, threat)}, measured; "
                                       f"{_interval(found)}")
                for threat in result.config.threats
                for found in [result.table.robust(threat)]
            ),
        ],
        panels=_panels(job, result),
        boxes=[
            Box("Attacks and checks", [_attack_table(result), _check_table(result.verdict.checks),
                                       *_skipped_table(result.analysis)]),
            backends(latest(read_results(job.run, job.artifact)), str(job.run), job.scorer),
            provenance(job.artifact.manifest, ("attack", str(result.config))),
        ],
    )  # fmt: skip
    path = job.folder / ATTACK_PAGE
    write_atomically(path, document(TITLE, LEAD, [section]).encode())
    return path


def _in_units(result: AttackResult, threat: Threat) -> str:
    """The size of a threat in the units of the data, in brackets."""
    words = result.units.get(threat)
    return f" ({words})" if words else ""


def _accuracy(flags: Bools) -> Accuracy:
    return Accuracy(int(flags.sum()), len(flags))


def _interval(found: Accuracy) -> str:
    low, high = found.interval
    return f"95 % interval {low:.4f} to {high:.4f}, n = {found.n}"


def _panels(job: AttackRun, result: AttackResult) -> list[Panel]:
    n = len(result.table.labels)
    intervals = {0.0: _accuracy(result.table.clean).interval, **result.intervals}
    curves = render(figures.robust_curves, result.config.norm, result.clean, result.by_attack, result.robust, intervals,
                    size=TALL)  # fmt: skip
    panels = [Panel("Robust accuracy", curves, CURVES.format(n=n))]
    if result.smallest:
        by_norm = {norm: found["curve"] for norm, found in result.smallest.items()}
        lines = -(-len(by_norm) // 2)
        drawn = render_grid(
            lambda grid: figures.smallest_changes(grid, by_norm, result.clean),
            (TALL[0], TALL[1] * lines / 2), lines, 2, sharey=True,
        )  # fmt: skip
        panels.append(Panel("The smallest change that turns a label", drawn, SMALLEST.format(n=n)))
    examples = job.examples()
    if examples:
        names = ["clean", *(str(threat) for threat in result.config.threats if str(threat) in examples)]
        rows = [(name, examples[name][: SHOWN if len(names) > FEW_ROWS else SHOWN // 2]) for name in names]
        columns = len(rows[0][1])
        size = (HALF_PAGE[0], (HALF_PAGE[0] - LABELS) / columns * len(rows))
        drawn = render_grid(lambda grid: figures.adversarial_examples(grid, rows), size, len(rows), columns)
        panels.append(Panel("What the attacked images look like", drawn, EXAMPLES))
    return [*panels, *_analysis_panels(result.analysis, result.config.norm)]


def _analysis_panels(found: Analysis, norm: str) -> list[Panel]:
    panels = []
    if found.ratios:
        n = max(ratio.n for layers in found.ratios[ADVERSARIAL].values() for ratio in layers.values())
        panels.append(
            Panel(TITLES["ratios"], render(figures.layer_ratios, found.ratios, size=LARGE), RATIOS.format(n=n))
        )
    if found.lines:
        caption = LINES.format(
            n=found.lines[ADVERSARIAL].n,
            roughness=_listed({name: line.roughness for name, line in found.lines.items()}, "{:.2f}"),
            flat=_listed({name: line.flat for name, line in found.lines.items()}, "{:.0%}"),
        )
        drawn = render(figures.margin_lines, found.lines, norm, size=LARGE)
        panels.append(Panel(TITLES["lines"], drawn, caption))
    if found.transfer:
        drawn = _transfer(found.transfer)
        wide = figures.is_wide(found.transfer)
        panels.append(Panel(TITLES["transfer"], drawn, TRANSFER.format(n=found.transfer.n), wide))
    return panels


def _transfer(found: TransferMatrix) -> str:
    size = figures.transfer_size(found)
    return render_grid(lambda grid: figures.transfer_tables(grid, found), size, 1, len(found.accuracy))


def _listed(values: Mapping[str, float | None], layout: str) -> str:
    return ", ".join(f"{name} {'-' if value is None else layout.format(value)}" for name, value in values.items())


def _skipped_table(found: Analysis) -> list[Table]:
    rows = [(TITLES[name], reason) for name, reason in found.skipped.items()]
    return [Table(("not shown", "because"), [*rows], SKIPPED)] if rows else []


def _attack_table(result: AttackResult) -> Table:
    threats = result.config.threats
    by_threat = {threat: result.table.by_attack(threat) for threat in threats}
    names = dict.fromkeys(name for found in by_threat.values() for name in found)
    rows = [(name, *(_cell(by_threat[threat].get(name)) for threat in threats)) for name in names]
    rows.append(("worst of all, image by image", *(_cell(result.table.robust(threat)) for threat in threats)))
    return Table(("attack", *(str(threat) for threat in threats)), rows, ATTACKS)


def _cell(found: Accuracy | None) -> str:
    return "" if found is None else f"{found.value:.4f}"


def _check_table(checks: list[Check]) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (c.name, marked("passed" if c.passed else "FAILED", c.passed),
         "not measured" if c.value != c.value else f"{c.value:.3f}", f"{c.limit:.3f}", c.detail)
        for c in checks
    ]  # fmt: skip
    return Table(("check", "", "value", "limit", "where"), rows, CHECKS)

"""The page about an attack: robust accuracy with its intervals, every attack, the checks behind the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from neuro.base.arrays import Bools
from neuro.base.files import write_atomically
from neuro.base.metrics import Accuracy
from sim.evaluate import equality_sentence, read_results
from sim.reports.figures import attack as figures_attack
from sim.reports.page import render
from sim.reports.section import Panel, Section, Table, latest, provenance
from sim.robustness.analysis.subject import ADVERSARIAL, Analysis
from sim.robustness.bridge.result import AttackResult
from sim.robustness.bridge.run import AttackRun
from sim.robustness.judging.verdict import Check

PAGE = "attack.html"
INTRO = (
    "Adversarial images are made on differentiable twins of the network and scored on its deployed integers; an image "
    "counts as withstood only if no attack, on no twin, from no start, changed its label."
)
CURVES = (
    "Share of {n} test images that are still classified correctly when no pixel moves by more than eps. Black: the "
    "worst of all attacks, image by image, with its 95 % interval. Measured."
)
CHECKS = (
    "Signs of gradient masking. An attack evaluation that fails one of them says little about the network: the attack "
    "may have failed, not the network withstood. Limits allow for the sampling error of so few images."
)
ATTACKS = "Accuracy under each attack alone, the worst over twins, image by image. Measured on the deployed integers."
EXAMPLES = "Top row: clean. Below: the same images under a gradient attack, by size."
SHOWN = 8
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
    evaluations = [(found, equality_sentence(found)) for found in latest(read_results(job.run, job.artifact))]
    clean = _accuracy(result.table.clean)
    section = Section(
        name=f"{job.run}: attacked, {result.config.attacks}",
        intro=INTRO,
        facts=[
            (str(result.verdict), "; ".join(result.verdict.reasons) or "all checks for gradient masking passed"),
            (f"{clean.value:.4f}", f"clean accuracy, measured; {_interval(clean)}"),
            *(
                (f"{found.value:.4f}", f"robust accuracy at {threat}, measured; {_interval(found)}")
                for threat in result.config.threats
                for found in [result.table.robust(threat)]
            ),
        ],
        panels=_panels(job, result),
        tables=[_attack_table(result), _check_table(result.verdict.checks), *_skipped_table(result.analysis)],
        evaluations=evaluations,
        provenance=[*provenance(job.artifact), ("attack", str(result.config))],
        check=job.scorer,
    )
    path = job.folder / PAGE
    write_atomically(path, render([section]).encode())
    return path


def _accuracy(flags: Bools) -> Accuracy:
    return Accuracy(int(flags.sum()), len(flags))


def _interval(found: Accuracy) -> str:
    low, high = found.interval
    return f"95 % interval {low:.4f} to {high:.4f}, n = {found.n}"


def _panels(job: AttackRun, result: AttackResult) -> list[Panel]:
    n = len(result.table.labels)
    panels = [
        Panel("Robust accuracy", figures_attack.robust_curves(result.table, result.config.threats), CURVES.format(n=n))
    ]
    examples = job.examples()
    if examples:
        names = ["clean", *(str(threat) for threat in result.config.threats if str(threat) in examples)]
        drawn = figures_attack.adversarial_examples([(name, examples[name][:SHOWN]) for name in names])
        panels.append(Panel("What the attacked images look like", drawn, EXAMPLES))
    return [*panels, *_analysis_panels(result.analysis, result.config.norm)]


def _analysis_panels(found: Analysis, norm: str) -> list[Panel]:
    panels = []
    if found.ratios:
        n = max(ratio.n for layers in found.ratios[ADVERSARIAL].values() for ratio in layers.values())
        panels.append(Panel(TITLES["ratios"], figures_attack.layer_ratios(found.ratios), RATIOS.format(n=n)))
    if found.lines:
        caption = LINES.format(
            n=found.lines[ADVERSARIAL].n,
            roughness=_listed({name: line.roughness for name, line in found.lines.items()}, "{:.2f}"),
            flat=_listed({name: line.flat for name, line in found.lines.items()}, "{:.0%}"),
        )
        panels.append(Panel(TITLES["lines"], figures_attack.margin_lines(found.lines, norm), caption))
    if found.transfer:
        drawn, wide = figures_attack.transfer_tables(found.transfer), figures_attack.is_wide(found.transfer)
        panels.append(Panel(TITLES["transfer"], drawn, TRANSFER.format(n=found.transfer.n), wide))
    return panels


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
    rows = [
        (c.name, "passed" if c.passed else "FAILED", "not measured" if c.value != c.value else f"{c.value:.3f}",
         f"{c.limit:.3f}", c.detail)
        for c in checks
    ]  # fmt: skip
    return Table(("check", "", "value", "limit", "where"), rows, CHECKS)

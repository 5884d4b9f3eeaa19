"""What a person sees of a compiled network on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from hardware.compile.deployment import Deployment, resource_rows

if TYPE_CHECKING:
    from hardware.energy.profile import Profile

RESULTS = {True: "passed", False: "FAILED", None: "not checked"}
MOST_CONSTANTS = 5


def deployment_tables(deployment: Deployment) -> Group:
    """Populations, resources, checks and notes."""
    placement = deployment.placement
    facts = _table(("", ""), headed=False)
    for line in deployment.lines():
        facts.add_row(*map(Text, line))
    populations = _table(("population", "neurons", "cores", "process", "stock"))
    for plan in deployment.populations:
        cores = len(placement.of(plan.name))
        stock = "yes" if plan.stock else "microcode"
        populations.add_row(*map(Text, (plan.name, f"{plan.neurons:,}", str(cores or "host"), plan.process, stock)))
    resources = _table(("resource", "used, fullest core", "max", "share"))
    for row in resource_rows(deployment):
        resources.add_row(*map(Text, row))
    checks = _table(("check", "result", "detail"))
    for check in deployment.checks:
        checks.add_row(*map(Text, (check.name, RESULTS[check.passed], check.detail)))
    notes = [Text(f"- {note}") for note in deployment.notes]
    return Group(facts, Text(), populations, Text(), resources, Text(), checks, Text(), *notes)


def profile_table(profile: Profile) -> Table:
    """Energy and latency bands, and the constants that dominate them."""
    table = _table(("modelled, per image", "inference", "learning"))
    learning = profile.learning
    rows = [("energy", profile.inference.energy, learning and learning.energy),
            ("latency", profile.inference.latency, learning and learning.latency)]  # fmt: skip
    rows += [(name, part, learning and learning.parts[name]) for name, part in profile.inference.parts.items()]
    for name, first, second in rows:
        table.add_row(*map(Text, (name, str(first), "" if second is None else str(second))))
    for index, row in enumerate(profile.sensitivity[:MOST_CONSTANTS]):
        other = profile.learning_sensitivity[index] if profile.learning_sensitivity else None
        texts = [f"{r.constant.replace('_', ' ')}: x {r.swing:.3g}" if r else "" for r in (row, other)]
        table.add_row(*map(Text, (f"dominates, {index + 1}", *texts)))
    return table


def _table(headers: tuple[str, ...], *, headed: bool = True) -> Table:
    table = Table(show_header=headed, box=None, pad_edge=False, header_style="bold")
    for header in headers:
        table.add_column(header, style=None)
    return table

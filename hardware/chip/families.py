"""What differs by the kind of a network on the chip's side: one table, verb by verb; see `sim.families`."""

from __future__ import annotations

from typing import Any

from neuro.base.late import named
from neuro.spec.network import Network
from neuro.stock.processes import StockSpec

VERBS: dict[str, dict[str, str]] = {
    "blocks": {
        "sigma-delta": "hardware.chip.blocks:sigma_delta_blocks",
        "stock": "hardware.chip.blocks:stock_blocks",
        "chain": "hardware.chip.blocks:chain_blocks",
    },
    "plans": {
        "sigma-delta": "hardware.compile.deployment:sigma_delta_plans",
        "stock": "hardware.compile.deployment:stock_plans",
        "chain": "hardware.compile.deployment:chain_plans",
    },
    "notes": {
        "sigma-delta": "hardware.compile.deployment:sigma_delta_notes",
        "lif": "hardware.compile.deployment:lif_notes",
        "graded-relu": "hardware.compile.deployment:graded_notes",
        "chain": "hardware.compile.deployment:chain_notes",
    },
    "dry job": {
        "sigma-delta": "hardware.compile.dry_checks:sigma_delta_job",
        "stock": "hardware.compile.dry_checks:stock_job",
    },
    "learning": {
        "sigma-delta": "hardware.energy.learning_counts:sigma_delta_learns",
        "lif": "hardware.energy.learning_counts:engine_learns",
        "graded-relu": "hardware.energy.learning_counts:host_learns",
    },
}


def of_kind(verb: str, network: Network | StockSpec) -> Any:
    """What does `verb` for a network, or a bare graph of stock processes; None if nothing does."""
    table = VERBS[verb]
    name = table.get(network.kind) or table.get(network.family)
    return None if name is None else named(name)

"""What differs by the kind of a network on a conventional machine: one table, verb by verb.

An entry is looked up by the kind of a network, or else by its family.
"""

from __future__ import annotations

from typing import Any

from neuro.base.late import named
from neuro.spec.network import Network

VERBS: dict[str, dict[str, str]] = {
    "twin": {
        "sigma-delta": "sim.twins.sigma_delta:SigmaDeltaTwin",
        "graded-relu": "sim.twins.graded_relu:GradedTwin",
        "lif": "sim.twins.lif:LifTwin",
        "feed-forward": "sim.twins.lif:LifTwin",
        "chain": "sim.twins.chain:ChainTwin",
    },
    "fixed-point twin": {"sigma-delta": "sim.robustness.bridge.fixed_point_twin:FixedPointTwin"},
    "signals": {
        "sigma-delta": "sim.robustness.analysis.perturbation:sigma_delta_signals",
        "stock": "sim.robustness.analysis.perturbation:stock_signals",
        "chain": "sim.robustness.analysis.perturbation:chain_signals",
    },
    "lava session": {
        "sigma-delta": "sim.backends.lava.sigma_delta.session:LavaSession",
        "stock": "sim.backends.lava.stock.session:LavaStockSession",
    },
    "snntorch session": {
        "sigma-delta": "sim.backends.snn.backend:SigmaDeltaTorchSession",
        "stock": "sim.backends.snn.backend:StockTorchSession",
    },
    "codes": {
        "sigma-delta": "neuro.coding.sigma_delta:codes_of",
        "stock": "neuro.coding.coder:codes_of",
    },
    "quality": {
        "sigma-delta": "sim.coding.measure:measure_quality",
        "stock": "sim.coding.stock:stock_quality",
    },
    "converged share": {
        "sigma-delta": "sim.coding.measure:converged_share",
        "stock": "sim.coding.stock:stock_converged_share",
    },
    "report": {
        "sigma-delta": "sim.reports.sigma_delta:SigmaDeltaSubject",
        "graded-relu": "sim.reports.graded:GradedSubject",
        "lif": "sim.reports.stock:StockSubject",
        "feed-forward": "sim.reports.feed_forward:FeedForwardSubject",
        "chain": "sim.reports.chain:ChainSubject",
    },
    "report of a coder": {
        "sigma-delta": "sim.reports.coder:CoderSubject",
        "stock": "sim.reports.stock_coder:StockCoderSubject",
    },
}


def of_kind(verb: str, network: Network) -> Any:
    """What does `verb` for a network; None if nothing does."""
    table = VERBS[verb]
    name = table.get(network.kind) or table.get(network.family)
    return None if name is None else named(name)

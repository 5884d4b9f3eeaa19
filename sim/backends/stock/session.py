"""What a stock network opened on the emulator and one opened on Lava have in common."""

from __future__ import annotations

from collections.abc import Mapping

from neuro.base.arrays import Int16, Integers
from neuro.base.errors import UserError
from neuro.stock.family import StockFamily
from neuro.stock.learning_engine import EngineRule
from neuro.stock.network import SHADOW
from neuro.stock.processes import StockSpec
from sim.backends.presentation import Presentation
from sim.backends.session import Rates, Session
from sim.backends.stock.emulator import emulate
from sim.backends.stock.record import check_images
from sim.backends.stock.segments import Commit

Weights = dict[str, Int16]


class StockSession(Session[StockFamily]):
    """A stock network and its weights; how it runs and learns is left to the backend."""

    def _check(self, shown: Presentation) -> None:
        check_images(self.spec, shown.payloads, shown.targets)

    def weights(self) -> Weights:
        """A copy of all weights that learning changes, by projection: plastic ones and copies of them."""
        names = learned_names(self.spec)
        return {p.name: p.weights.copy() for p in self.spec.projections if p.name in names}

    def full_weights(self) -> Weights:
        """The same as `weights`: there are no bits below them."""
        return self.weights()

    def restore(self, full: Mapping[str, Integers]) -> None:
        """Set the weights to what `full_weights` returned."""
        self._spec = self.spec.with_weights(full)


def engine_rules(rates: Rates) -> dict[str, EngineRule]:
    """The rules by projection. Raises: UserError if one is no rule of the learning engine."""
    rules = {name: rule for name, rule in rates.items() if isinstance(rule, EngineRule)}
    for name in rates.keys() - rules.keys():
        raise UserError(f"learning rate of {name}: stock networks learn by rules of the learning engine; give one")
    return rules


def stock_inputs(
    network: StockFamily, payloads: Integers, targets: Integers | None, threads: int | None = None
) -> tuple[StockSpec, Integers, Mapping[str, Integers]]:
    """The graph, inputs and biases of an inference, or with targets of shape [B, K] of all phases, not learning."""
    if targets is None:
        return network.inference, network.free_inputs(payloads), network.free_biases(payloads)
    outputs = None
    if network.nudge_needs_output:
        outputs = network.scores(emulate(network.inference, network.free_inputs(payloads), threads).spikes)
    return network.still, network.phase_inputs(payloads, targets, outputs), {}


def refuse_biases(backend: str, network: StockFamily) -> None:
    """Raise UserError if a host has to set biases for every image: not all backends can."""
    if network.graph.biased:
        raise UserError(
            f"backend {backend}: sets no biases of {', '.join(network.graph.biased)} for each image; evaluate on chip "
            "or lava, or give the coder input_bits"
        )


def commit_pairs(network: StockFamily) -> list[Commit]:
    """The copies that a host makes for a rule that needs one; none for the others."""
    names, pairs = {projection.name for projection in network.projections}, list[Commit]()
    for projection in network.plastic:
        if projection.name.startswith(SHADOW):
            pairs.append(Commit(projection.name, f"{projection.source}->{projection.target}"))
            back = f"{projection.target}->{projection.source}"
            pairs += [Commit(projection.name, back, transposed=True)] if back in names else []
    return pairs


def learned_names(network: StockFamily) -> set[str]:
    """The names of the projections whose weights change."""
    return {p.name for p in network.plastic} | {pair.target for pair in commit_pairs(network)}

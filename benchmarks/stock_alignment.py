"""How well does each rule of the learning engine point along the gradient?

    python -m benchmarks.stock_alignment [--rules R7]

Digits, 64-64-10, after a short training with R5 (late in a training most samples have no gradient left). For every rule
the network is built anew around those weights; 300 samples are learned one by one, each from the same weights, in the
chip's integers with per-synapse noise, and their weight changes summed. Repeated with fresh noise, because a single
change is mostly rounding. Reference: the EP update of the float rate model at a nudge of 0.05, which tends to the
gradient (tests/sim/oracles/test_lif.py). Cosine by projection.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.tools.results_file import earlier, parser, save
from neuro.base.arrays import Int16, Int32, Labels, Payloads, Reals
from neuro.data.sets import load_dataset, split_validation
from neuro.stock.network import SHADOW, StockNetwork
from neuro.stock.rules import RULES
from sim.backends.stock.learning import LearningEmulator
from sim.oracles.lif import LifRateNetwork, input_rates
from sim.training.config import TrainConfig
from sim.training.recipe import make_trainer
from sim.training.stock_recipe import build_stock, stock_choices

SAMPLES, REPEATS, SEEDS = 300, 4, (0, 1, 2)
HIDDEN = (64,)
NAMES = ("input->hidden", "hidden->output", "output->hidden")


def half_trained(seed: int) -> tuple[StockNetwork, Int16, Int32]:
    """A network after one epoch on digits, payloads and labels of the samples."""
    dataset, config = load_dataset("digits", seed), TrainConfig(seed=seed, hidden=HIDDEN, rule="R5", family="stock")
    split = split_validation(dataset.y_train, seed)
    trainer = make_trainer(dataset, config, stock_choices(config), split, 1)
    trainer.run()
    chosen = split.train[:SAMPLES]
    network = trainer.session.spec
    return network, network.encoder.encode(dataset.x_train[chosen]), dataset.y_train[chosen]


def with_rule(trained: StockNetwork, rule: str, seed: int) -> StockNetwork:
    """A network that learns by `rule` and transmits with the (even) weights of `trained`."""
    config = TrainConfig(seed=seed, hidden=HIDDEN, rule=rule, family="stock")
    dataset = load_dataset("digits", seed)
    network = build_stock(dataset, config, split_validation(dataset.y_train, seed))
    still = {projection.name: projection.weights for projection in trained.still.projections}
    names = [projection.name for projection in network.projections]
    return network.with_weights({name: still[name.removeprefix(SHADOW)] for name in names})


def summed_change(network: StockNetwork, payloads: Int16, labels: Int32) -> dict[str, Reals]:
    """The mean over noise of the summed weight changes, each sample from the same weights."""
    total = {projection.name: np.zeros(projection.weights.shape) for projection in network.plastic}
    steps = network.schedule.steps
    inputs = network.learning_inputs(payloads, labels)
    for repeat in range(REPEATS):
        for index, sample in enumerate(inputs):
            chip = LearningEmulator(network.graph, time=(repeat * len(inputs) + index) * steps)
            chip.run(sample)
            for name, weights in chip.weights().items():
                total[name] += weights
    initial = {projection.name: projection.weights for projection in network.plastic}
    return {name: total[name] / REPEATS - len(inputs) * initial[name].astype(np.float64) for name in total}


def cosines(seed: int, rule: str, trained: StockNetwork, payloads: Payloads, labels: Labels) -> dict[str, float]:
    """The cosine by projection."""
    network = with_rule(trained, rule, seed)
    changed = summed_change(network, payloads, labels)
    targets = torch.eye(network.n_classes, dtype=torch.float64)[torch.as_tensor(labels, dtype=torch.int64)]
    expected = LifRateNetwork.of(network).update(input_rates(network, payloads), targets)
    return {
        name.removeprefix(SHADOW): float(np.sum(changed[name] * expected[name]))
        / float(np.linalg.norm(changed[name]) * np.linalg.norm(expected[name]) + 1e-12)
        for name in changed
    }


def main() -> None:
    """Entry point."""
    arguments = parser(__doc__ or "", "stock_alignment")
    arguments.add_argument("--rules", default=",".join(RULES), help="others keep what the file holds")
    options = arguments.parse_args()
    counts: dict[str, Any] = {"samples": SAMPLES, "repeats": REPEATS, "seeds": list(SEEDS), "hidden": list(HIDDEN)}
    names = options.rules.split(",")
    rows: dict[str, list[dict[str, float]]] = earlier(options.out, counts, "cosines")
    rows |= {rule: [] for rule in names}
    for seed in SEEDS:
        trained, payloads, labels = half_trained(seed)
        for rule in track(names, f"seed {seed}", console=Console(stderr=True)):
            rows[rule].append(cosines(seed, rule, trained, payloads, labels))
    table = Table("rule", *NAMES, title=f"cosine with the gradient, {SAMPLES} samples, {len(SEEDS)} seeds")
    for rule, found in rows.items():
        parts = [[row[name] for row in found if name in row] for name in NAMES]
        table.add_row(rule, *(f"{np.mean(part):.3f} +- {np.std(part):.3f}" if part else "copied" for part in parts))
    Console().print(table)
    save(options.out, {"kind": "measured", **counts, "cosines": rows})


if __name__ == "__main__":
    main()

"""What does it cost to learn one image in the chip's engine, modelled, and what do others report?

    python -m benchmarks.stock_chip --data mnist --hidden 128

A network of the stock family learns `--learn` images by each rule on the integers of the chip; then `--images` more are
shown with their teacher and their operations counted: steps, spikes, updates of synapses by the engine, messages of the
host. Energy and time are bands from public constants (`hardware.energy`), never measured: no chip was involved. Beside
them what Renner et al. 2024 report of a Loihi, where the whole of backpropagation runs on the chip.
"""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.tools.results_file import earlier, of_data, parser, save
from hardware.compile.compiler import compile_network
from hardware.energy.counts import count
from hardware.energy.estimate import Estimate, estimate
from hardware.energy.learning_counts import count_learning
from neuro.base.quantities import Reported
from neuro.data.sets import load_dataset, split_validation
from sim.backends.protocol import get_backend, one_hot_targets
from sim.training.config import TrainConfig
from sim.training.stock_recipe import build_stock

SOURCE = "Renner et al. 2024, Nature Communications 15, 9691, table 1: 400-400-10 on Loihi, learned"
REPORTED = {"energy": Reported(0.59e-3, "J", SOURCE), "latency": Reported(1.5e-3, "s", SOURCE)}


def priced(data: str, rule: str, hidden: tuple[int, ...], learned: int, images: int) -> dict[str, Any]:
    """Counts and bands of an inference and of a learned image of one rule."""
    dataset = load_dataset(data)
    config = TrainConfig(hidden=hidden, family="stock", rule=rule, threads=1)
    split = split_validation(dataset.y_train, 0)
    network = build_stock(dataset, config, split)
    rules = {projection.name: projection.rule for projection in network.plastic}
    payloads = network.encoder.encode(dataset.x_train[split.train[: learned + images]])
    targets = one_hot_targets(network, dataset.y_train[split.train[: learned + images]])
    with get_backend("chip").open(network, threads=1) as session:
        session.learn(payloads[:learned], targets[:learned], rules, seed=0, first_image=0)
        taught = session.run(payloads[learned:], targets[learned:], keep_spikes=True)
        shown = session.run(payloads[learned:], keep_spikes=True)
        network = session.spec
    deployment, still = compile_network(network), compile_network(network, learns=False)
    lesson = estimate(count_learning(network, taught, deployment.placement))
    inference = estimate(count(network, shown, still.placement))
    spikes = {p.name: float(taught.spike_counts[p.name].sum(axis=1).mean()) for p in network.populations}
    return {
        "cores": len(deployment.placement.cores),
        "steps": network.schedule.steps,
        "steps of an inference": network.free_steps,
        "spikes": spikes,
        "evaluations of the rule": network.schedule.steps >> min(p.rule.k or 0 for p in network.plastic if p.rule),
        "learning": lesson.to_json(),
        "inference": inference.to_json(),
        "shown": [_cells(lesson), _cells(inference)],
    }


def _cells(found: Estimate) -> list[str]:
    return [str(found.energy), str(found.latency)]


def main() -> None:
    """Entry point."""
    arguments = parser(__doc__ or "", "stock_chip", data="mnist", hidden=(128,))
    arguments.add_argument("--rules", default="R7,R5")
    arguments.add_argument("--learn", type=int, default=2000, help="images learned before")
    arguments.add_argument("--images", type=int, default=20, help="images counted")
    options = arguments.parse_args()
    content: dict[str, Any] = {
        "kind": "spikes and operations counted; energy and time modelled; published figures reported",
        "data": options.data, "hidden": list(options.hidden), "learned": options.learn, "images": options.images,
    }  # fmt: skip
    path = of_data(options.out, "stock_chip", options.data)
    rows = earlier(path, content, "rules")
    table = Table("rule", "steps", "spikes, hidden and output", "energy, learned image", "time, learned image")
    for rule in options.rules.split(","):
        rows[rule] = priced(options.data, rule, options.hidden, options.learn, options.images)
        moving = sum(value for name, value in rows[rule]["spikes"].items() if name.startswith(("hidden", "output")))
        table.add_row(rule, str(rows[rule]["steps"]), f"{moving:.0f}", *rows[rule].pop("shown")[0])
        reported = {name: value.to_json() for name, value in REPORTED.items()}
        save(path, {**content, "rules": rows, "reported": reported})
    table.add_row("reported", "", "", *(str(value) for value in REPORTED.values()))
    Console().print(table)


if __name__ == "__main__":
    main()

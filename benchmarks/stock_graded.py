"""Equilibrium propagation on stock processes alone: graded ReLU neurons and dense synapses with int8 weights.

    python -m benchmarks.stock_graded

Digits, 64 hidden, and MNIST, 256 hidden. Trains by local spikes with the box of the states opened (a ReLU), on a
training split; the conversion (state bits, steps) is judged on the validation split and the test set read once a
network. Prints and saves the accuracy of the same weights as a float relaxation, as the sigma-delta network and as the
graded network, how much of it Lava repeats, integer for integer, and the cosine of the contrastive update of the graded
network with autograd. The graded network also learns by itself, in batches whose contrastive update the host adds to
real weights (on MNIST in fewer epochs, and for the first seed only).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch

from benchmarks.tools.results_file import parser, save
from neuro.base.arrays import Int32, Int64, Integers
from neuro.base.fixed_point import quantize
from neuro.base.metrics import accuracy, cosine
from neuro.data.sets import Dataset, Split, load_dataset, split_validation
from neuro.equilibrium.graded_relu import GradedDesign, contrastive_update, graded_from, open_boxes, output_forces
from neuro.spec.sigma_delta import NetworkSpec
from neuro.stock.graded import present, readout, state_limit
from neuro.stock.processes import StockSpec
from sim.backends.lava.stock.run import run_stock_in_lava
from sim.backends.protocol import get_backend
from sim.backends.stock.emulator import emulate
from sim.contract.stock import count_stock_differences
from sim.oracles.equilibrium import RateNetwork
from sim.training.config import TrainConfig
from sim.training.rates import squared_length
from sim.training.recipe import build_network
from sim.training.trainer import USUAL, Choices, Trainer
from sim.training.training_set import TrainingSet

UPPER = 8.0  # states of trained networks stay below 6
LONGEST = 60  # steps after which a network counts as settled
SETTLED = 0.999  # share of validation images whose prediction must no longer change
STATE_BITS = (6, 8, 10, 12)  # judged on validation; the last one is used
COMPARED = 512  # images of a gradient comparison
LEARNED = 200  # images learned before it
CHUNK = 256
LEARNING = GradedDesign(free_steps=15, nudged_steps=12)


@dataclass(frozen=True)
class Task:
    """A data set, a hidden layer, epochs of training and its hyper-parameters (found on validation splits).

    chip_epochs, chip_rate: of learning through the graded network (at twice the rate some seeds become unsteady).
    chip_seeds: how many seeds do so.
    """

    data: str
    hidden: int
    epochs: int
    choices: Choices
    chip_epochs: int
    chip_rate: float
    chip_seeds: int


TASKS = {
    "digits": Task("digits", 64, 40, Choices(1.4, 0.125, centred=True, exponent_offset=1), 40, 0.7, 100),
    "mnist": Task("mnist", 256, 12, Choices(1.4, 0.125), 4, 1.4, 1),
}


def untrained(task: Task, dataset: Dataset, split: Split, seed: int) -> NetworkSpec:
    """The fresh network of a task, boxes open."""
    config = TrainConfig(seed=seed, hidden=(task.hidden,))
    return open_boxes(build_network(dataset, config, task.choices, split), UPPER)


def train(task: Task, dataset: Dataset, split: Split, seed: int, epochs: int) -> NetworkSpec:
    """The network of the best validated epoch, trained online by the event rule."""
    spec = untrained(task, dataset, split, seed)
    data = TrainingSet(spec.encoder.encode(dataset.x_train), dataset.y_train, split)
    with get_backend("events").open(spec, threads=1) as session:
        trainer = Trainer(session, data, task.choices, epochs, seed)
        trainer.run()
    return spec.with_weights(trainer.best_weights)


def outputs(stock: StockSpec, name: str, payloads: Integers, steps: int) -> Int32:
    """The messages of the output at every step of the free phase, of shape [B, steps, K]."""
    messages = []
    for first in range(0, len(payloads), CHUNK):
        spikes = emulate(stock, present(stock, payloads[first : first + CHUNK], steps)).spikes
        readout(stock, spikes, name, steps)  # refuses a network that ran away
        messages.append(spikes[name].copy())
    return np.concatenate(messages)


def settling_steps(stock: StockSpec, name: str, payloads: Integers) -> int:
    """The fewest steps, a multiple of 5, after which predictions of `SETTLED` of the images are final."""
    predictions = outputs(stock, name, payloads, LONGEST).argmax(axis=2)
    same = (predictions == predictions[:, -1:]).mean(axis=0)
    return next(steps for steps in range(5, LONGEST + 1, 5) if same[steps - 1] >= SETTLED)


def float_predictions(spec: NetworkSpec, payloads: Integers) -> Int64:
    """The classes of the settled float relaxation with the same weights."""
    network, predictions = RateNetwork(spec, torch.float32), []
    for first in range(0, len(payloads), CHUNK):
        sources = network.sources(torch.tensor(payloads[first : first + CHUNK].astype(np.int64)))
        predictions.append(network.relax(sources, LONGEST).states[spec.output].argmax(1).numpy())
    return np.concatenate(predictions)


def sigma_delta_predictions(spec: NetworkSpec, payloads: Integers) -> Int32:
    """The classes that the network in its trained form predicts."""
    with get_backend("events").open(spec) as session:
        return session.run(payloads).predictions


def nudged_inputs(
    stock: StockSpec, spec: NetworkSpec, design: GradedDesign, payloads: Integers, labels: Integers
) -> Any:
    """Inputs of all three phases, the force taken from a free run."""
    free = emulate(stock, present(stock, payloads, design.free_steps)).spikes
    output = readout(stock, free, spec.output, design.free_steps)
    forces = output_forces(design, output, np.eye(spec.n_classes)[labels])
    return present(stock, payloads, design.all_steps, forces)


def chip_update(spec: NetworkSpec, design: GradedDesign, payloads: Integers, labels: Integers) -> dict[str, Any]:
    """The contrastive update of the graded network, summed over the images, by plastic projection."""
    stock = graded_from(spec, design)
    inputs = nudged_inputs(stock, spec, design, payloads, labels)
    return contrastive_update(spec, design, emulate(stock, inputs).spikes)


def gradient_cosines(task: Task, dataset: Dataset, split: Split, seed: int) -> dict[str, float]:
    """The cosine of the update with autograd by projection, on a network that has learned a little."""
    few = replace(split, train=split.train[:LEARNED])
    spec, chosen = train(task, dataset, few, seed, 1), split.train[:COMPARED]
    payloads, labels = spec.encoder.encode(dataset.x_train[chosen]), dataset.y_train[chosen]
    goal = torch.nn.functional.one_hot(torch.tensor(labels, dtype=torch.int64), spec.n_classes)
    truth = RateNetwork(spec).autograd_update(torch.tensor(payloads.astype(np.int64)), goal, steps=100)
    update = chip_update(spec, GradedDesign(), payloads, labels)
    return {name: cosine(update[name], truth[name].numpy()) for name in update}


def learn_on_chip(task: Task, dataset: Dataset, split: Split, seed: int, epochs: int, batch: int = 20) -> NetworkSpec:
    """The network trained through its graded form: the host keeps real weights, the chip their int8 rounding."""
    spec = untrained(task, dataset, split, seed)
    payloads, limit = spec.encoder.encode(dataset.x_train), 127
    real = {p.name: spec.weights_of(p) * 2.0**-p.exponent for p in spec.plastic}
    base = task.chip_rate / squared_length(spec.encoder, payloads[split.train])
    for epoch in range(epochs):
        rate = base * USUAL.final_rate ** (epoch / max(1, epochs - 1))
        order = np.random.default_rng([seed, epoch]).permutation(split.train)
        for chosen in np.array_split(order, len(order) // batch):
            update = chip_update(spec, LEARNING, payloads[chosen], dataset.y_train[chosen])
            for p in spec.plastic:
                share = task.choices.output_share if p.target == spec.output else 1.0
                reach = limit * 2.0**-p.exponent
                real[p.name] = np.clip(real[p.name] + rate * share * update[p.name], -reach, reach)
            spec = spec.with_weights({p.name: quantize(real[p.name], p.exponent, -limit, limit) for p in spec.plastic})
    return spec


def in_lava(stock: StockSpec, spec: NetworkSpec, payloads: Integers, labels: Integers, steps: int) -> dict[str, Any]:
    """The number of messages that differ between Lava and the chip, free and nudged phases, and of those compared."""
    design = GradedDesign(free_steps=steps)
    inputs = nudged_inputs(stock, spec, design, payloads, labels)
    record, lava = emulate(stock, inputs), run_stock_in_lava(stock, inputs)
    return {
        "images": len(payloads),
        "messages": int(sum((spikes != 0).sum() for spikes in record.spikes.values())),
        "differences": count_stock_differences(record, lava.record),
        "lava_s_per_image": mean(lava.run_s),
    }


def measure(task: Task, seed: int, epochs: int, n_lava: int, chip_epochs: int) -> dict[str, Any]:
    """Train and convert one network, and return its figures."""
    dataset = load_dataset(task.data, seed)
    split = split_validation(dataset.y_train, seed)
    spec = train(task, dataset, split, seed, epochs)
    check, check_labels = spec.encoder.encode(dataset.x_train[split.validation]), dataset.y_train[split.validation]
    validation = {}
    for bits in STATE_BITS:
        stock = graded_from(spec, GradedDesign(bits))
        final = outputs(stock, spec.output, check, LONGEST)[:, -1].argmax(1)
        validation[bits] = accuracy(final, check_labels).value
    steps = settling_steps(stock, spec.output, check)
    x_test, y_test = spec.encoder.encode(dataset.x_test), dataset.y_test
    sent = outputs(stock, spec.output, x_test, steps)
    graded, real = sent[:, -1].argmax(1), float_predictions(spec, x_test)
    row: dict[str, Any] = {
        "seed": seed,
        "n_test": len(y_test),
        "free_steps": steps,
        "validation": validation,
        "float": accuracy(real, y_test).value,
        "sigma_delta": accuracy(sigma_delta_predictions(spec, x_test), y_test).value,
        "graded": accuracy(graded, y_test).value,
        "agreement": float(np.mean(graded == real)),
        "state_limit": state_limit(stock) / GradedDesign().one,
        "cosine": gradient_cosines(task, dataset, split, seed),
    }
    if n_lava:
        row["lava"] = in_lava(stock, spec, x_test[:n_lava], y_test[:n_lava], steps)
    if seed < task.chip_seeds:
        learned = learn_on_chip(task, dataset, split, seed, chip_epochs)
        final = outputs(graded_from(learned, GradedDesign()), spec.output, x_test, LONGEST)[:, -1].argmax(1)
        row["learned_on_chip"] = accuracy(final, y_test).value
    return row


def report(name: str, row: dict[str, Any]) -> None:
    """Print the figures of one network."""
    kinds = ("float", "sigma_delta", "graded", "learned_on_chip")
    print(f"{name}, seed {row['seed']}, {row['n_test']} test images, {row['free_steps']} steps: "
          + ", ".join(f"{kind} {row[kind]:.4f}" for kind in kinds if kind in row)
          + f"; cosine at least {min(row['cosine'].values()):.3f}"
          + (f"; Lava {row['lava']}" if "lava" in row else ""), flush=True)  # fmt: skip


def main() -> None:
    """Entry point."""
    arguments = parser(__doc__ or "", "stock_graded", seeds=3, epochs=None)
    arguments.add_argument("--data", default="digits,mnist", help=f"of {', '.join(TASKS)}")
    arguments.add_argument("--lava", type=int, default=20, help="test images of seed 0 to repeat in Lava, 0 for none")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    content: dict[str, Any] = {"kind": "measured", "upper": UPPER, "state_bits": STATE_BITS[-1]}
    for name in options.data.split(","):
        task = TASKS[name]
        epochs, rows = options.epochs or task.epochs, []
        for seed in range(options.seeds):
            chip_epochs = min(epochs, task.chip_epochs)
            rows.append(measure(task, seed, epochs, 0 if seed else options.lava, chip_epochs))
            report(name, rows[-1])
        values = [row["graded"] for row in rows]
        spread = f" +- {stdev(values):.4f}" if len(values) > 1 else ""
        print(f"{name} {task.hidden} hidden, graded: {mean(values):.4f}{spread}, {len(values)} seeds", flush=True)
        content[name] = {"hidden": task.hidden, "epochs": epochs, "chip_epochs": chip_epochs, "rows": rows}
    save(options.out, content)


if __name__ == "__main__":
    main()

"""What do the defaults of the network design change? Measured on validation images; no test image is read.

    python -m benchmarks.design_choices --data digits --seeds 40
    python -m benchmarks.design_choices --data mnist --seeds 3

Trains one hidden layer (64 neurons on digits, 256 elsewhere) as it is by default and with one choice changed: the step
of the relaxation 3/4 instead of 7/8, an output box that ends at 1 instead of 1.5, the other exponent_offset. More
layers: `benchmarks.depth`. Every seed draws its own validation split and weights. Learning rates are the first guesses
of `sim.training.tune`. Prints and saves validation accuracy after the last epoch and the share of validation images
that are silent at the end of the free phase.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from statistics import mean, stdev
from typing import Any

from benchmarks.tools.results_file import of_data, parser, save
from neuro.base.metrics import accuracy
from neuro.data.sets import Dataset, load_dataset, split_validation
from neuro.spec.neurons import SigmaDelta
from neuro.spec.sigma_delta import NetworkSpec
from sim.training.config import TrainConfig
from sim.training.recipe import build_network, is_small, make_trainer, n_epochs
from sim.training.trainer import Choices
from sim.training.tune import LEARNING_RATES, OUTPUT_SHARES, wants_centring


def as_it_is(spec: NetworkSpec) -> NetworkSpec:
    """The network, unchanged."""
    return spec


def with_step_three_quarters(spec: NetworkSpec) -> NetworkSpec:
    """The network with a smaller step in all populations."""
    return _with_neurons(spec, lambda name, unit: replace(unit, step_multiplier=3, step_shift=2))


def with_tight_output(spec: NetworkSpec) -> NetworkSpec:
    """The network with an output that cannot exceed its target."""
    return _with_neurons(spec, lambda name, unit: replace(unit, upper=unit.one) if name == spec.output else unit)


def _with_neurons(spec: NetworkSpec, change: Callable[[str, SigmaDelta], SigmaDelta]) -> NetworkSpec:
    return replace(
        spec,
        populations=tuple(
            replace(p, neuron=change(p.name, p.neuron)) if isinstance(p.neuron, SigmaDelta) else p
            for p in spec.populations
        ),
    )


def train(
    dataset: Dataset, config: TrainConfig, choices: Choices, change: Callable[[NetworkSpec], NetworkSpec] = as_it_is
) -> dict[str, float]:
    """Train the changed network and return what it reached on the validation images."""
    split = split_validation(dataset.y_train, config.seed)
    choices = replace(choices, centred=wants_centring(dataset, config, split))
    spec = change(build_network(dataset, config, choices, split))
    trainer = make_trainer(dataset, config, choices, split, n_epochs(config, len(dataset.y_train)), spec)
    with trainer.session as session:
        trainer.run()
        record = session.run(trainer.data.payloads[trainer.data.split.validation])
    value = accuracy(record.predictions, trainer.data.labels[trainer.data.split.validation]).value
    return {"val_accuracy": value, "silent": float(record.settled.mean())}


def shallow_rows(data: str, seeds: int, epochs: int | None) -> list[dict[str, Any]]:
    """Train one hidden layer by default and with each choice changed."""
    rows = []
    for seed in range(seeds):
        dataset = load_dataset(data, seed)
        config = TrainConfig(seed=seed, hidden=(64,) if data == "digits" else (256,), epochs=epochs, threads=1)
        usual = Choices(LEARNING_RATES[1][0], OUTPUT_SHARES[1][0], exponent_offset=int(is_small(dataset)))
        other = replace(usual, exponent_offset=1 - usual.exponent_offset)
        variants = {
            "default": (usual, as_it_is),
            "step 3/4": (usual, with_step_three_quarters),
            "output box to 1": (usual, with_tight_output),
            f"exponent_offset {other.exponent_offset}": (other, as_it_is),
        }
        for name, (choices, change) in variants.items():
            rows.append({"seed": seed, "variant": name, **train(dataset, config, choices, change)})
    return rows


def print_shallow(rows: list[dict[str, Any]]) -> None:
    """Print means, and the differences from the default with their standard errors over seeds."""
    variants: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        variants.setdefault(row["variant"], []).append(row)
    for name, mine in variants.items():
        value, silent = mean(row["val_accuracy"] for row in mine), mean(row["silent"] for row in mine)
        line = f"{name:18s} validation {value:.4f}, silent {100 * silent:.1f} %"
        if name != "default":
            apart = [a["val_accuracy"] - b["val_accuracy"] for a, b in zip(mine, variants["default"], strict=True)]
            error = f" +- {stdev(apart) / len(apart) ** 0.5:.4f}" if len(apart) > 1 else ""
            line += f"; accuracy less the default's {mean(apart):+.4f}{error}"
        print(line)


def main() -> None:
    """Entry point."""
    arguments = parser(__doc__ or "", "design_choices", data="digits", seeds=40, epochs=None)
    options = arguments.parse_args()
    shallow = shallow_rows(options.data, options.seeds, options.epochs)
    print_shallow(shallow)
    path = of_data(options.out, "design_choices", options.data)
    save(path, {"data": options.data, "kind": "measured", "one hidden layer": shallow})


if __name__ == "__main__":
    main()

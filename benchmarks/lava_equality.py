"""Is the integer chip Lava, to the last bit? Long version of what the test suite checks.

    python -m benchmarks.lava_equality

300 steps each, in Lava's fixed-point models and in ours, everything compared: random two-factor rules on one connection
(weights, tags, traces); random networks of LIF, LIFReset and GradedReluVec (every spike, u and v at the end); random
networks whose projections learn (spikes, u, v, weights and tags); and the whole EP network of every rule while it
learns digits, 64-32-10 (spikes, u, v, weights, tags and traces).
"""

from __future__ import annotations

from collections import Counter

from rich.progress import track

from benchmarks.results_file import parser, save
from neuro.data import load_dataset, split_validation
from neuro.stock_network import StockNetwork
from neuro.stock_rules import RULES
from sim.backends.chip import run_chip
from sim.backends.chip_learning import LearningChip, learn_stock_on_chip
from sim.backends.lava.engine import learn_in_lava
from sim.backends.lava.learning import learn_stock_in_lava
from sim.backends.lava.stock import run_stock_in_lava
from sim.backends.segments import count_learning_differences
from sim.engine_contract import count_differences, random_engine_case
from sim.experiment import TrainConfig, build_network
from sim.lava_training import image_segments
from sim.stock_contract import count_stock_differences, random_learning_spec, random_stock_inputs, random_stock_spec
from sim.stock_experiment import stock_choices

STEPS = 300
BATCH = 20  # rules per Lava worker


def rules(count: int, seed: int) -> tuple[Counter[str], int]:
    """Return differences by kind, and how many weights moved, over `count` random rules."""
    differences: Counter[str] = Counter()
    moved = 0
    for first in track(range(0, count, BATCH), "rules, twenty at a time"):
        cases = [random_engine_case(seed + first + k, STEPS) for k in range(min(BATCH, count - first))]
        for case, lava in zip(cases, learn_in_lava(cases), strict=True):
            differences.update(count_differences(case, lava))
            moved += int((lava["weights"] != case.weights).sum())
    return differences, moved


def networks(count: int, seed: int) -> tuple[Counter[str], int]:
    """Return differences by kind, and the spikes compared, over `count` random networks that do not learn."""
    differences: Counter[str] = Counter()
    n_spikes = 0
    for index in track(range(seed, seed + count), "networks"):
        spec = random_stock_spec(index)
        inputs = random_stock_inputs(spec, index, 1, STEPS)
        record = run_chip(spec, inputs)
        differences.update(count_stock_differences(record, run_stock_in_lava(spec, inputs).record))
        n_spikes += sum(int((spikes != 0).sum()) for spikes in record.spikes.values())
    return differences, n_spikes


def learning_networks(count: int, seed: int) -> tuple[Counter[str], int]:
    """Return differences by kind, and how many weights moved, over `count` random networks that learn."""
    differences: Counter[str] = Counter()
    moved = 0
    for index in track(range(seed, seed + count), "networks that learn"):
        spec = random_learning_spec(index)
        inputs = random_stock_inputs(spec, index, 1, STEPS)
        chip = LearningChip(spec)
        record = chip.run(inputs[0])
        lava = run_stock_in_lava(spec, inputs)
        differences.update(count_stock_differences(record, lava.record))
        before = {projection.name: projection.effective for projection in spec.projections}
        for name, weights in chip.weights().items():
            differences["weights"] += int((weights != lava.weights[0][name]).sum())
            differences["tags"] += int((chip.tags()[name] != lava.tags[0][name]).sum())
            moved += int((weights != before[name]).sum())
    return differences, moved


def ep_networks(count: int, seed: int) -> tuple[Counter[str], int]:
    """Return differences by rule and kind, and how many weights moved, over `count` samples of digits for each rule."""
    dataset, differences, moved = load_dataset("digits", seed), Counter[str](), 0
    for rule in track(RULES, "EP networks, rule by rule"):
        config = TrainConfig(seed, (32,), rule, family="stock", noise="shared")
        network = build_network(dataset, config, stock_choices(config), split_validation(dataset.y_train, seed))
        assert isinstance(network, StockNetwork)  # the family
        payloads = network.encoder.encode(dataset.x_train[:count])
        inputs = network.learning_inputs(payloads, dataset.y_train[:count])
        inputs, segments = inputs.reshape(-1, inputs.shape[2]), image_segments(network, count)
        lava = learn_stock_in_lava(network.graph, inputs, segments, keep_spikes=True).record
        chip = learn_stock_on_chip(network.graph, inputs, segments, keep_spikes=True)
        found = count_learning_differences(lava, chip)
        differences.update({f"{rule} {key}": value for key, value in found.items()})
        initial = {projection.name: projection.weights for projection in network.projections}
        moved += sum(int((weights != initial[name]).sum()) for name, weights in chip.weights.items())
    return differences, moved


def main() -> None:
    """Entry point."""
    arguments = parser(__doc__ or "", "lava_equality")
    arguments.add_argument("--rules", type=int, default=200)
    arguments.add_argument("--networks", type=int, default=40)
    arguments.add_argument("--learning", type=int, default=12)
    arguments.add_argument("--samples", type=int, default=10, help="digits that every EP network learns")
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    content: dict[str, object] = {"kind": "measured", "steps": STEPS, "seed": options.seed}
    questions = (
        ("rules", rules, options.rules, "weights moved"),
        ("networks", networks, options.networks, "spikes compared"),
        ("networks that learn", learning_networks, options.learning, "weights moved"),
    )
    for name, ask, count, what in questions:
        differences, total = ask(count, options.seed)
        print(f"{count} random {name} x {STEPS} steps, {total} {what}: differing {dict(differences)}")
        content[name] = {"count": count, what: total, "differences": dict(differences)}
    differences, moved = ep_networks(options.samples, options.seed)
    print(f"EP networks, {len(RULES)} rules x {options.samples} samples, {moved} weights moved: {dict(differences)}")
    content["EP networks"] = {
        "rules": list(RULES),
        "samples": options.samples,
        "weights moved": moved,
        "differences": dict(differences),
    }
    save(options.out, content)


if __name__ == "__main__":
    main()

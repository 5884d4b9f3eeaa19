"""Is the integer chip Lava, to the last bit? Long version of what the test suite checks.

    python -m benchmarks.lava_equality

300 steps each, in Lava's fixed-point models and in ours, everything compared: random two-factor rules on one connection
(weights, tags, traces); random networks of LIF, LIFReset and GradedReluVec (every spike, u and v at the end); random
networks whose projections learn (spikes, u, v, weights and tags).
"""

from __future__ import annotations

from collections import Counter

from rich.progress import track

from benchmarks.results_file import parser, save
from sim.backends.chip import run_chip
from sim.backends.chip_learning import LearningChip
from sim.backends.lava.engine import learn_in_lava
from sim.backends.lava.stock import run_stock_in_lava
from sim.engine_contract import count_differences, random_engine_case
from sim.stock_contract import count_stock_differences, random_learning_spec, random_stock_inputs, random_stock_spec

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


def main() -> None:
    """Entry point."""
    arguments = parser(__doc__ or "", "lava_equality")
    arguments.add_argument("--rules", type=int, default=200)
    arguments.add_argument("--networks", type=int, default=40)
    arguments.add_argument("--learning", type=int, default=12)
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
    save(options.out, content)


if __name__ == "__main__":
    main()

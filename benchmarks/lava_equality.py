"""Is the integer chip Lava, to the last bit? Long version of what the test suite checks.

    python -m benchmarks.lava_equality [--sections NAME,...] [--ep-rules R5,R7]

Sections, and rules of EP networks, that are not asked for keep what the file holds. 300 steps each, in Lava's
fixed-point models and in ours, everything compared: random two-factor rules on one connection (weights, tags, traces);
random networks of LIF, LIFReset and GradedReluVec (every spike, u and v at the end); random networks whose projections
learn (spikes, u, v, weights and tags); and the whole EP network of every rule while it learns digits, 64-32-10 (spikes,
u, v, weights, tags and traces), step by step and image by image. And sparse coders with 128 atoms on digits of unit
length: spiking LCA with every kind of input, with atoms of one and of both signs, and graded ones (spikes, u and v).
"""

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from typing import Any

import numpy as np
from rich.progress import track

from benchmarks.stock_lca import TASKS, Case, make_case
from benchmarks.tools.results_file import earlier, parser, save
from neuro.base.arrays import Integers
from neuro.coding.coder import StockCoder
from neuro.coding.dictionary import unit_norm
from neuro.coding.graded_relu import graded_coder
from neuro.coding.lif import SpikingDesign, spiking_coder
from neuro.data.sets import load_dataset, split_validation
from neuro.stock.network import StockNetwork
from neuro.stock.rules import RULES
from sim.backends.lava.stock.learning import learn_stock_in_lava
from sim.backends.lava.stock.learning_engine import learn_in_lava
from sim.backends.lava.stock.run import run_stock_in_lava
from sim.backends.stock.emulator import emulate
from sim.backends.stock.learning import LearningEmulator, learn_in_emulator
from sim.backends.stock.segments import LearningRecord, count_learning_differences
from sim.backends.stock.session import commit_pairs
from sim.backends.stock.structured import StructuredEmulator, why_not
from sim.coding.stock import run_coder
from sim.contract.engine import count_differences, random_engine_case
from sim.contract.stock import count_stock_differences, random_learning_spec, random_stock_inputs, random_stock_spec
from sim.training.config import TrainConfig
from sim.training.in_lava import image_segments
from sim.training.stock_recipe import build_stock

STEPS = 300
BATCH = 20  # rules per Lava worker
SPARSE_STEPS = {"spiking-coder": 256, "graded-coder": 100}
SECTIONS = ("rules", "networks", "networks that learn", "EP networks", "sparse coders")


def rules(count: int, seed: int) -> tuple[Counter[str], int]:
    """Differences by kind, and how many weights moved, over `count` random rules."""
    differences: Counter[str] = Counter()
    moved = 0
    for first in track(range(0, count, BATCH), "rules, twenty at a time"):
        cases = [random_engine_case(seed + first + k, STEPS) for k in range(min(BATCH, count - first))]
        for case, lava in zip(cases, learn_in_lava(cases), strict=True):
            differences.update(count_differences(case, lava))
            moved += int((lava["weights"] != case.weights).sum())
    return differences, moved


def networks(count: int, seed: int) -> tuple[Counter[str], int]:
    """Differences by kind, and the spikes compared, over `count` random networks that do not learn."""
    differences: Counter[str] = Counter()
    n_spikes = 0
    for index in track(range(seed, seed + count), "networks"):
        spec = random_stock_spec(index)
        inputs = random_stock_inputs(spec, index, 1, STEPS)
        record = emulate(spec, inputs)
        differences.update(count_stock_differences(record, run_stock_in_lava(spec, inputs).record))
        n_spikes += sum(int((spikes != 0).sum()) for spikes in record.spikes.values())
    return differences, n_spikes


def learning_networks(count: int, seed: int) -> tuple[Counter[str], int]:
    """Differences by kind, and how many weights moved, over `count` random networks that learn."""
    differences: Counter[str] = Counter()
    moved = 0
    for index in track(range(seed, seed + count), "networks that learn"):
        spec = random_learning_spec(index)
        inputs = random_stock_inputs(spec, index, 1, STEPS)
        chip = LearningEmulator(spec)
        record = chip.run(inputs[0])
        lava = run_stock_in_lava(spec, inputs)
        differences.update(count_stock_differences(record, lava.record))
        before = {projection.name: projection.effective for projection in spec.projections}
        for name, weights in chip.weights().items():
            differences["weights"] += int((weights != lava.weights[0][name]).sum())
            differences["tags"] += int((chip.tags()[name] != lava.tags[0][name]).sum())
            moved += int((weights != before[name]).sum())
    return differences, moved


def ep_networks(count: int, seed: int, names: list[str]) -> tuple[Counter[str], dict[str, int]]:
    """Differences by rule and kind, and how many weights moved by rule, over `count` samples of digits for each."""
    dataset, differences, moved = load_dataset("digits", seed), Counter[str](), dict[str, int]()
    for rule in track(names, "EP networks, rule by rule"):
        config = TrainConfig(seed=seed, hidden=(32,), rule=rule, family="stock", draws="shared")
        network = build_stock(dataset, config, split_validation(dataset.y_train, seed))
        payloads = network.encoder.encode(dataset.x_train[:count])
        inputs = network.learning_inputs(payloads, dataset.y_train[:count])
        inputs, segments = inputs.reshape(-1, inputs.shape[2]), image_segments(network, count)
        lava = learn_stock_in_lava(network.graph, inputs, segments, keep_spikes=True).record
        chip = learn_in_emulator(network.graph, inputs, segments, keep_spikes=True)
        found = count_learning_differences(lava, chip)
        differences.update({f"{rule} {key}": value for key, value in found.items()})
        by_image = image_by_image(network, payloads, dataset.y_train[:count], lava)
        differences.update({f"{rule} image by image, {key}": value for key, value in by_image.items()})
        initial = {projection.name: projection.weights for projection in network.projections}
        moved[rule] = sum(int((weights != initial[name]).sum()) for name, weights in chip.weights.items())
    return differences, moved


def image_by_image(network: StockNetwork, payloads: Integers, labels: Integers, lava: LearningRecord) -> dict[str, int]:
    """Differences from Lava, by kind, of learning by `sim.backends.stock.structured`."""
    assert why_not(network) is None
    fast = StructuredEmulator(network)
    spikes = fast.learn(payloads, labels, keep_spikes=True).spikes
    for pair in commit_pairs(network):
        fast.commit(pair)
    traces = {(name, k): z for name, found in fast.traces().items() for k, z in found.items()}
    kinds: dict[str, list[tuple[Integers, Integers]]] = {
        "weights": [(values, lava.weights[name]) for name, values in fast.weights().items() if name in lava.weights],
        "tags": [(values, lava.tags[name]) for name, values in fast.tags().items()],
        "traces": [(values, lava.traces[name][k]) for (name, k), values in traces.items()],
        "u": [(u, lava.u[name]) for name, (u, _) in fast.states().items()],
        "v": [(v, lava.v[name]) for name, (_, v) in fast.states().items()],
        "spikes": [(sent, lava.spikes[name]) for name, sent in spikes.items()],
    }
    return {kind: sum(int((mine != theirs).sum()) for mine, theirs in pairs) for kind, pairs in kinds.items()}


def make_sparse_coders(case: Case, seed: int) -> dict[str, StockCoder]:
    """Coders with the non-negative dictionary of a case, and some with random atoms of both signs."""
    atoms, threshold = case.problem.dictionary, case.problem.sparsity_threshold
    both = unit_norm(np.random.default_rng([seed, 0xB07]).normal(size=atoms.shape))
    return {
        "spiking, biases": spiking_coder(atoms, threshold),
        "spiking, payloads of 7 bits": spiking_coder(atoms, threshold, SpikingDesign(input_bits=7)),
        "spiking, binary spikes": spiking_coder(atoms, threshold, SpikingDesign(input_bits=0)),
        "spiking, both signs, two Denses": spiking_coder(both, threshold),
        "spiking, both signs, one Dense": spiking_coder(both, threshold, SpikingDesign(lateral="mixed")),
        "graded": graded_coder(atoms, threshold),
        "graded, no momentum": graded_coder(atoms, threshold, momentum=0.0, step_scale=1.0),
    }


def sparse_coders(count: int, seed: int) -> dict[str, Any]:
    """The messages compared over `count` patches and the differences by kind, by coder."""
    case, rows = make_case(TASKS["digits"], seed, n_test=count), {}
    for name, coder in track(make_sparse_coders(case, seed).items(), "sparse coders"):
        drive = coder.drive(case.patches, SPARSE_STEPS[coder.kind])
        chip, lava = run_coder(coder, drive), run_coder(coder, drive, "lava")
        rows[name] = {
            "steps": SPARSE_STEPS[coder.kind],
            "messages compared": int(coder.n_spikes(chip.spikes).sum()),
            "differences": count_stock_differences(chip, lava),
        }
    return rows


def ask(section: str, options: Namespace) -> dict[str, Any]:
    """The results of a section."""
    if section == "sparse coders":
        return {"patches": options.patches, "coders": sparse_coders(options.patches, options.seed)}
    if section == "EP networks":
        names = options.ep_rules.split(",")
        differences, moved = ep_networks(options.samples, options.seed, names)
        kept = earlier(options.out, {"steps": STEPS, "seed": options.seed}, section)
        by_rule = {**kept.get("weights moved by rule", {}), **moved}
        of_others = {key: value for key, value in kept.get("differences", {}).items() if key.split(" ")[0] not in names}
        described: dict[str, Any] = {
            "rules": [rule for rule in RULES if rule in {*names, *kept.get("rules", ())}],
            "samples": options.samples,
            "weights moved by rule": by_rule,
        }
        return {**described, "differences": {**of_others, **differences}}
    ask_random, count, what = {
        "rules": (rules, options.rules, "weights moved"),
        "networks": (networks, options.networks, "spikes compared"),
        "networks that learn": (learning_networks, options.learning, "weights moved"),
    }[section]
    differences, total = ask_random(count, options.seed)
    return {"count": count, what: total, "differences": dict(differences)}


def main() -> None:
    """Entry point."""
    arguments = parser(__doc__ or "", "lava_equality", seed=0)
    arguments.add_argument("--sections", default=",".join(SECTIONS), help="of " + ", ".join(SECTIONS))
    arguments.add_argument("--rules", type=int, default=200)
    arguments.add_argument("--networks", type=int, default=40)
    arguments.add_argument("--learning", type=int, default=12)
    arguments.add_argument("--ep-rules", default=",".join(RULES), help="rules of EP networks")
    arguments.add_argument("--samples", type=int, default=10, help="digits that every EP network learns")
    arguments.add_argument("--patches", type=int, default=10, help="digits that every sparse coder codes")
    options = arguments.parse_args()
    question: dict[str, Any] = {"kind": "measured", "steps": STEPS, "seed": options.seed}
    wanted, content = options.sections.split(","), dict(question)
    for section in SECTIONS:
        if section in wanted:
            content[section] = ask(section, options)
            print(f"{section}: {content[section]}", flush=True)
        elif kept := earlier(options.out, question, section):
            content[section] = kept
    save(options.out, content)


if __name__ == "__main__":
    main()

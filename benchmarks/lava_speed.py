"""How fast is the integer chip against Lava itself, same network, same integers, one run?

    python -m benchmarks.lava_speed

Inference: 784-512-10, LIF, bidirectional, one sequence at a time and 256 at once. Learning: 784-128-10, all projections
plastic, two traces each, one sequence. Lava's cost of a step is the difference between a long and a short run: building
its graph and reading its results do not count; ours is measured after compilation. Input spikes with probability 0.1.
The spikes of a short run are compared first, one by one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import numpy as np

from benchmarks.tools.results_file import parser, save
from neuro.base.arrays import Int32
from neuro.stock.learning_engine import EngineRule, product
from neuro.stock.processes import LIF, SpikeInput, StockPopulation, StockProjection, StockSpec
from sim.backends.lava.stock.run import run_stock_in_lava
from sim.backends.stock.emulator import emulate
from sim.backends.stock.learning import LearningEmulator
from sim.contract.stock import count_stock_differences

STEPS = 256
SHORT, LONG = 50, 1050  # steps of the two runs in Lava
BATCH = 256
SPIKE_PROBABILITY = 0.1
RULE = EngineRule((product(-1, -4, "u", "x1", "y1"), product(1, -4, "u", "x2", "y2")), k=3)


def network(n_hidden: int, rule: EngineRule | None) -> StockSpec:
    """The network 784-n_hidden-10 with feedback from the output, weights at random."""
    generator = np.random.default_rng(0)
    neuron = LIF(current_decay=2047, voltage_decay=127, threshold=400)
    sizes = {"input": 784, "hidden": n_hidden, "output": 10}
    neurons = {"input": SpikeInput(), "hidden": neuron, "output": neuron}
    populations = tuple(StockPopulation(name, (size,), neurons[name]) for name, size in sizes.items())
    pairs = (("input", "hidden"), ("hidden", "output"), ("output", "hidden"))
    projections = tuple(
        StockProjection(
            f"{a}->{b}", a, b, generator.integers(-40, 60, (sizes[a], sizes[b])) // 2 * 2, exponent=-2, rule=rule
        )
        for a, b in pairs
    )
    return StockSpec(populations, projections)


def trains(batch: int, steps: int) -> Int32:
    """Random input spikes of shape [batch, steps, 784]."""
    return (np.random.default_rng(1).random((batch, steps, 784)) < SPIKE_PROBABILITY).astype(np.int32)


def seconds(work: Callable[[], object]) -> float:
    """The least of three timings."""
    timings = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        timings.append(time.perf_counter() - start)
    return min(timings)


def lava_steps_per_s(spec: StockSpec) -> float:
    """Steps per second of one sequence in Lava."""
    short, long = (min(run_stock_in_lava(spec, trains(2, steps)).run_s) for steps in (SHORT, LONG))
    return (LONG - SHORT) / (long - short)


def check_equal(spec: StockSpec) -> None:
    """Stop the benchmark if the two engines do not agree: a speed of something else is worth nothing."""
    inputs = trains(1, SHORT)
    plastic = any(projection.rule for projection in spec.projections)
    ours = LearningEmulator(spec).run(inputs[0]) if plastic else emulate(spec, inputs)
    if any(count_stock_differences(ours, run_stock_in_lava(spec, inputs).record).values()):
        raise SystemExit("lava_speed: the two engines differ; run pytest tests/contract/test_stock.py")


def main() -> None:
    """Entry point."""
    options = parser(__doc__ or "", "lava_speed").parse_args()
    still, plastic = network(512, None), network(128, RULE)
    for spec in (still, plastic):
        check_equal(spec)
    rates = {"lava, 784-512-10": lava_steps_per_s(still), "lava, 784-128-10 learning": lava_steps_per_s(plastic)}
    one, many = trains(1, STEPS), trains(BATCH, STEPS)
    rates["chip, 784-512-10, batch 1"] = STEPS / seconds(lambda: emulate(still, one, threads=1))
    rates[f"chip, 784-512-10, batch {BATCH}"] = BATCH * STEPS / seconds(lambda: emulate(still, many))
    chip = LearningEmulator(plastic)
    rates["chip, 784-128-10 learning"] = STEPS / seconds(lambda: chip.run(one[0]))
    ratios = {
        "batch 1": rates["chip, 784-512-10, batch 1"] / rates["lava, 784-512-10"],
        f"batch {BATCH}": rates[f"chip, 784-512-10, batch {BATCH}"] / rates["lava, 784-512-10"],
        "learning": rates["chip, 784-128-10 learning"] / rates["lava, 784-128-10 learning"],
    }
    for name, rate in rates.items():
        print(f"{name:32s} {rate:12,.0f} steps/s")
    print("chip / lava: " + ", ".join(f"{name} {ratio:.0f}" for name, ratio in ratios.items()))
    save(options.out, {"kind": "measured", "steps_per_s": rates, "ratios": ratios, "cores": os.cpu_count()})


if __name__ == "__main__":
    main()

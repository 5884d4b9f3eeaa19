"""Is our learning engine Lava's, to the last bit? Long version of what the test suite checks.

    python -m benchmarks.lava_equality --cases 200

Random two-factor rules, sign modes, epochs and spikes, 300 steps each, in Lava's LearningDense (fixed point) and in
`sim.backends.chip_engine`; counts the weights, tags and traces that differ.
"""

from __future__ import annotations

from rich.progress import track

from benchmarks.results_file import parser, save
from sim.backends.lava.engine import RESULTS, learn_in_lava
from sim.engine_contract import count_differences, random_engine_case

BATCH = 20  # cases per Lava worker


def main() -> None:
    """Entry point."""
    arguments = parser(__doc__ or "", "lava_equality")
    arguments.add_argument("--cases", type=int, default=200)
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    total, compared, moved = dict.fromkeys(RESULTS, 0), dict.fromkeys(RESULTS, 0), 0
    for first in track(range(0, options.cases, BATCH), "cases, twenty at a time"):
        cases = [random_engine_case(options.seed + first + k) for k in range(min(BATCH, options.cases - first))]
        for case, lava in zip(cases, learn_in_lava(cases), strict=True):
            for name, count in count_differences(case, lava).items():
                total[name] += count
                compared[name] += lava[name].size
            moved += int((lava["weights"] != case.weights).sum())
    for name in RESULTS:
        print(f"{name:8s} {compared[name]:7d} compared, {total[name]} differ")
    print(f"{options.cases} rules x 300 steps; {moved} of {compared['weights']} weights moved")
    save(
        options.out,
        {"kind": "measured", "cases": options.cases, "steps": 300, "seed": options.seed, "differences": total,
         "compared": compared, "weights_moved": moved},
    )  # fmt: skip


if __name__ == "__main__":
    main()

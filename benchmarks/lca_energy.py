"""What does a code cost as it becomes sparser? Energy and latency of a coder against its sparsity threshold. MNIST.

    python -m benchmarks.lca_energy [--seconds 1] [--seed 0]

Trains a coder of whole digits (256 atoms, defaults of `settle train lca`) and sweeps its threshold as `settle bench`
does: the deployed integers and the same relaxation in floats, measured on one core; Loihi 2, modelled. See
`benchmarks.bench.sweep` for the published studies that ask the same of a chip.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.bench.config import BenchConfig
from benchmarks.bench.screen import BenchScreen
from benchmarks.bench.sweep import sweep_run
from benchmarks.tools.results_file import parser, save
from neuro.data.sets import load_dataset
from sim.coding.config import LcaConfig
from sim.coding.training import train_lca
from sim.screens.training import CoderScreen


def main() -> None:
    """Train, sweep, print, save."""
    arguments = parser(__doc__.splitlines()[0], "lca_energy", data="mnist", seed=0, epochs=None)
    arguments.add_argument("--seconds", type=float, default=1.0)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, config = Path(name) / "coder", LcaConfig(seed=options.seed, epochs=options.epochs)
        with CoderScreen() as screen:
            trained = train_lca(load_dataset(options.data, options.seed), config, folder, screen)
        with BenchScreen() as watcher:
            sweep = sweep_run(folder, BenchConfig(seconds=options.seconds, threads=1), on_part=watcher.on_part)
    for point in sweep.points:
        print(f"threshold {point.threshold:.3g}: {point.active:.1f} active, {point.spikes:.0f} spikes, "
              f"error {point.error:.3f}; chip without static power {point.dynamic}")  # fmt: skip
        for row in point.rows:
            print(f"  {row.name}, {row.device}, batch {row.batch}: {row.latency}; energy {row.energy}")
    learned = {"seed": options.seed, "objective_gap": trained.objective_gap, "readout": trained.readout_accuracy}
    save(options.out, {**sweep.content, "run": f"{options.data}, {sweep.content['coder']['code']} atoms", **learned})


if __name__ == "__main__":
    main()

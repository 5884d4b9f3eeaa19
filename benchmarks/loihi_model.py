"""How far can the model of Loihi 2 be trusted, and what does it say of a network that was trained?

    python -m benchmarks.loihi_model

Without a chip. (1) Runs that others measured on Loihi 2 and published with their operations: every reading against the
band of our model, against the band that the other runs give without it, and readings that no band was derived from.
(2) Resource tables that Lava's compiler printed for PilotNet, against our count of the same layers. (3) Seconds that
three large networks take to compile, and how far their placement is from a lower bound. (4) Energy and latency bands of
digit networks, trained here, for an inference and for a learned image, from spikes counted on test images.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tools.published import line_of, published_rows
from benchmarks.tools.results_file import parser, save
from hardware.chip.blocks import DENSE, KERNEL, SynapseBlock
from hardware.chip.limits import DEFAULT_LIMITS, limits_of
from hardware.chip.pattern import full, of_kernel
from hardware.compile.compiler import compile_network, compile_run
from hardware.energy.profile import Profile, profile
from neuro.artifact.run_folder import load_artifact
from neuro.base.convolution import Convolution
from neuro.base.quantities import Modelled
from neuro.coding.sigma_delta import CoderDesign, build_coder
from neuro.data.sets import load_dataset
from neuro.equilibrium.design import design_for
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.spec.network import Network
from sim.screens.training import TrainScreen
from sim.training.config import TrainConfig
from sim.training.equilibrium import train_ep

SOURCE = "lava-dl, tutorials/lava/lib/dl/netx/pilotnet_snn/benchmark.ipynb"
DENSE_TABLE = ((10, 1, 10), (50, 10, 150), (100, 50, 1300), (2560, 17, 12800), (2560, 100, 61440))
KERNEL_TABLE = ((3, 24, 81), (24, 36, 864), (36, 48, 1620), (48, 64, 2160), (64, 64, 2880))
IMAGES = 100


def resource_rows() -> list[dict[str, Any]]:
    """Compare entries of synaptic memory: ours, and those that Lava's compiler printed."""
    limits, rows = limits_of(DEFAULT_LIMITS), []
    for sources, targets, published in DENSE_TABLE:
        block = SynapseBlock("", "", "", DENSE, full(sources, targets), 8)
        rows.append(_row(f"dense {sources} -> {targets}", block.entries(0, targets, limits), published))
    for channels, features, published in KERNEL_TABLE:
        convolution = Convolution((3, 3), (1, 1), ((0, 0), (0, 0)))
        pattern = of_kernel(convolution, (8, 8, channels), features)
        block = SynapseBlock("", "", "", KERNEL, pattern, 8, taps=9 * channels)
        rows.append(
            _row(f"kernel 3 x 3, {channels} -> {features}", block.entries(0, pattern.n_target, limits), published)
        )
    return rows


def _row(layer: str, ours: int, published: int) -> dict[str, Any]:
    return {"layer": layer, "entries": ours, "published": published, "error": ours / published - 1}


def large_networks() -> dict[str, Network]:
    """The three networks that must compile in seconds."""
    dictionary = np.random.default_rng(0).normal(size=(784, 1024))
    return {
        "784-512-10, learning on the chip": build_equilibrium(design_for((28, 28), 10, (512,)), 0),
        "LCA coder, 1024 atoms of 784": build_coder(
            CoderDesign((28, 28), 0.1), dictionary / np.linalg.norm(dictionary, axis=0)
        ),
        "784-1800-1800-10, learning, three chips": build_equilibrium(design_for((28, 28), 10, (1800, 1800)), 0),
    }


def compile_rows() -> list[dict[str, Any]]:
    """Compile them, every process built."""
    rows = []
    for name, network in large_networks().items():
        start = time.perf_counter()
        deployment = compile_network(network)
        placement = deployment.placement
        rows.append(
            {
                "network": name,
                "compile_s": time.perf_counter() - start,
                "cores": len(placement.cores),
                "chips": placement.n_chips,
                "lower_bound": placement.lower_bound,
                "ratio": placement.ratio,
                "busiest_load": placement.busiest_load,
                "mean_load": placement.mean_load,
                "checks": {check.name: check.passed for check in deployment.checks},
            }
        )
    return rows


def digits_row(family: str, seed: int, epochs: int | None) -> dict[str, Any]:
    """Train 64-64-10 on digits and price test images."""
    rule = "event" if family == "sigma-delta" else "R5"
    config = TrainConfig(seed=seed, hidden=(64,), family=family, rule=rule, epochs=epochs, threads=1)
    with tempfile.TemporaryDirectory() as name, TrainScreen() as screen:
        folder = Path(name) / "run"
        result = train_ep(load_dataset("digits", seed), config, folder, screen)
        chip_profile = profile(load_artifact(folder), compile_run(folder), IMAGES)
    return {
        "family": family,
        "rule": rule,
        "seed": seed,
        "val_accuracy": result.val_accuracy.value,
        "test_accuracy": result.test_accuracy.value,
        "n_test": result.test_accuracy.n,
        **_priced(chip_profile),
    }


def _priced(found: Profile) -> dict[str, Any]:
    assert found.learning is not None  # plastic networks
    both = (("inference", found.inference, found.sensitivity), ("learning", found.learning, found.learning_sensitivity))
    priced: dict[str, Any] = {}
    for work, estimated, rows in both:
        priced[work] = estimated.to_json()
        priced[f"{work}: energy moves with"] = {row.constant: row.swing for row in rows[:5]}
    return priced


def main() -> None:
    """Answer, print, save."""
    arguments = parser(__doc__.splitlines()[0], "loihi_model", seeds=3, epochs=None)
    options = arguments.parse_args()
    content = {
        "kind": "modelled; compile_s and accuracies measured; published figures reported",
        "source": SOURCE,
        "resources": resource_rows(),
        "published": published_rows(),
        "compile": compile_rows(),
        "digits": [
            digits_row(family, seed, options.epochs)
            for family in ("sigma-delta", "stock")
            for seed in range(options.seeds)
        ],
    }
    for row in content["published"]:
        print(line_of(row))
    for row in content["resources"]:
        print(f"{row['layer']}: {row['entries']} entries, published {row['published']} ({100 * row['error']:+.0f} %)")
    for row in content["compile"]:
        print(f"{row['network']}: {row['compile_s']:.2f} s, {row['cores']} cores, {row['ratio']:.2f} x lower bound")
    for row in content["digits"]:
        for work in ("inference", "learning"):
            bands = {
                key: Modelled(*(row[work][key][e] for e in ("low", "high", "unit"))) for key in ("energy", "latency")
            }
            print(f"{row['family']}, seed {row['seed']}, {work}: {bands['energy']}, {bands['latency']}")
    save(options.out, content)


if __name__ == "__main__":
    main()

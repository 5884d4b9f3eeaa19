"""Does another simulator price the same spikes alike? SANA-FE's model of Loihi 1, on our placement.

    SETTLE_SANAFE=PYTHON python -m benchmarks.sanafe_oracle

PYTHON is one that has SANA-FE (`pip install sanafe`, GPL-3), which runs as a program of its own. Networks on digits,
trained here: sigma-delta units, one and two hidden layers; LIF neurons of the stock family; and the first on cores of 8
neurons, so that messages cross tiles. What differs, and why: SANA-FE prices an update where a neuron spikes, our model
at every step; it pays for the host's messages, one for each core they go to; and a core of it sends and receives at the
same time, which lies between the ends of our band.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.tools.results_file import parser, save
from benchmarks.tools.sanafe_replay import Comparison, as_json, compared, sanafe_python, shown
from hardware.chip.blocks import blocks_of
from hardware.chip.limits import DEFAULT_LIMITS, Constant, Limits, limits_of
from hardware.placement.partition import partition
from neuro.artifact.run_folder import load_artifact
from neuro.data.sets import Dataset, load_dataset
from neuro.spec.network import Network
from sim.backends.protocol import get_backend
from sim.screens.training import TrainScreen
from sim.training.config import TrainConfig
from sim.training.equilibrium import train_ep

IMAGES = 2
SMALL_CORES = replace(limits_of(DEFAULT_LIMITS), neurons=Constant(8, "neurons", "I", "so that messages cross tiles"))


def trained(dataset: Dataset, hidden: tuple[int, ...], family: str, seed: int, epochs: int | None) -> Network:
    """A network, trained."""
    rule = "R5" if family == "stock" else "event"
    config = TrainConfig(seed=seed, hidden=hidden, family=family, rule=rule, epochs=epochs, threads=1)
    with tempfile.TemporaryDirectory() as name, TrainScreen() as screen:
        train_ep(dataset, config, Path(name) / "run", screen)
        return load_artifact(Path(name) / "run").spec


def compare(network: Network, dataset: Dataset, limits: Limits) -> Comparison:
    """The first test images by both models."""
    payloads = network.encoder.encode(dataset.x_test[:IMAGES])
    with get_backend(network.native_backend).open(network) as session:
        record = session.run(payloads, keep_spikes=True)
    return compared(network, record, partition(blocks_of(network, limits, learns=False), limits))


def main() -> None:
    """Train, replay, print, save."""
    options = parser(__doc__.splitlines()[0], "sanafe_oracle", seed=0, epochs=None).parse_args()
    sanafe_python()
    dataset = load_dataset("digits", options.seed)
    units = trained(dataset, (64,), "sigma-delta", options.seed, options.epochs)
    usual = limits_of(DEFAULT_LIMITS)
    cases = {
        "sigma-delta 64-64-10": (units, usual),
        "sigma-delta 64-64-32-10": (trained(dataset, (64, 32), "sigma-delta", options.seed, options.epochs), usual),
        "LIF 64-64-10, R5": (trained(dataset, (64,), "stock", options.seed, options.epochs), usual),
        "sigma-delta 64-64-10, cores of 8 neurons": (units, SMALL_CORES),
    }
    found = {name: compare(network, dataset, limits) for name, (network, limits) in cases.items()}
    for name, comparison in found.items():
        print(shown(name, comparison))
    kind = "modelled, by SANA-FE and by our model with its constants"
    save(options.out, {"kind": kind, "images": IMAGES, "networks": {k: as_json(v) for k, v in found.items()}})


if __name__ == "__main__":
    main()

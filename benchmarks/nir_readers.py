"""Who reads the NIR files of `settle export`, and do they spike alike there?

    SETTLE_NORSE=PYTHON SETTLE_ROCKPOOL=PYTHON SETTLE_SINABS=PYTHON python -m benchmarks.nir_readers

Each PYTHON has that reader, nir and numpy; without a variable a reader is taken from this Python, or left out and said
so. Files: a LIF network with feedback, EP by R5 on digits, as one recurrent layer and with Delay nodes, and without
feedback. Spikes of the output are compared with those of the integers of the chip, in every step; what decays lose by
rounding on the chip is in no file, so that a few may differ in every reader alike.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tools.nir_readers import READERS, NotRead, differing
from benchmarks.tools.results_file import parser, save
from hardware.export.netx import forward_part
from neuro.artifact.nir_graph import levels_of, nir_bytes, to_nir
from neuro.artifact.nir_recurrent import LEVEL, to_recurrent_nir
from neuro.artifact.run_folder import load_artifact
from neuro.base.errors import UserError
from neuro.data.sets import load_dataset
from sim.backends.stock.emulator import emulate
from sim.screens.training import TrainScreen
from sim.training.config import TrainConfig
from sim.training.equilibrium import train_ep

IMAGES = 100


def rows(epochs: int | None, seed: int) -> list[dict[str, Any]]:
    """Every file in every reader."""
    dataset = load_dataset("digits", seed)
    with tempfile.TemporaryDirectory() as name, TrainScreen() as screen:
        config = TrainConfig(seed=seed, hidden=(64,), family="stock", rule="R5", epochs=epochs, threads=1)
        train_ep(dataset, config, Path(name) / "run", screen)
        network = load_artifact(Path(name) / "run").spec
    inputs = np.array(network.free_inputs(network.encoder.encode(dataset.x_test[:IMAGES])))
    whole, output, forward = network.inference, network.output, forward_part(network.inference)
    files = {
        "feedback as one recurrent layer": (whole, to_recurrent_nir(whole, output), LEVEL),
        "feedback with Delay nodes": (whole, to_nir(whole, output), levels_of(whole)[output]),
        "without feedback": (forward, to_nir(forward, output), levels_of(forward)[output]),
    }
    found = []
    for file, (graph, nir_graph, level) in files.items():
        wanted, content = emulate(graph, inputs).spikes[output], nir_bytes(nir_graph)
        for reader in READERS:
            row: dict[str, Any] = {"file": file, "reader": reader, "spikes": int(wanted.sum()), "differing": None}
            try:
                row["differing"] = differing(reader, content, inputs, wanted, level)
            except NotRead as error:
                row["why"] = f"not read: {str(error).partition(': ')[2]}"
            except UserError:
                row["why"] = "not tried: not installed"
            found.append(row)
    return found


def main() -> None:
    """Train, write, read, print, save."""
    options = parser(__doc__.splitlines()[0], "nir_readers", seed=0, epochs=None).parse_args()
    found = rows(options.epochs, options.seed)
    for row in found:
        said = row.get("why") or f"{row['differing']} of {row['spikes']} spikes differ"
        print(f"{row['file']}, {row['reader']}: {said}")
    save(options.out, {"kind": "measured", "images": IMAGES, "rows": found})


if __name__ == "__main__":
    main()

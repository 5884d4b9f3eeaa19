"""Does a network of another tool survive its import, and an honest attack?

    python -m benchmarks.imported [--seeds 3]

Digits, 64-32-10: Leaky neurons of snnTorch, trained there by backpropagation through time on all training images and
put on a grid of 1/32 (the import is exact then), written by snnTorch's own export, and taken in as `settle import`
does. Compared on 200 test images: predictions of snnTorch and of the imported integers. The quick suite then attacks
the same images, scored on the deployed integers, with its verdict on itself.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.tools.results_file import parser, save
from benchmarks.tools.stranger import STEPS, counts, trained, trains_of, write_nir
from hardware.export.import_config import ImportConfig
from hardware.export.imported import import_nir
from neuro.artifact.run_folder import load_artifact
from neuro.data.sets import load_dataset
from sim.face.run import Run
from sim.training.equilibrium import infer

IMAGES, EPOCHS, GRID, EPS = 200, 20, 32, (0.05, 0.1)


def row(seed: int) -> dict[str, Any]:
    """One network: trained, imported, compared, attacked."""
    dataset = load_dataset("digits", seed)
    network = trained(dataset.x_train, dataset.y_train, dataset.n_classes, EPOCHS, seed)
    for module in network:
        if isinstance(module, torch.nn.Linear):
            module.weight.data = (module.weight.data * GRID).round().clamp(-127, 127) / GRID
    images, labels = dataset.x_test[:IMAGES], dataset.y_test[:IMAGES]
    with torch.no_grad():
        theirs = counts(network, trains_of(images)).argmax(1).numpy()
    with tempfile.TemporaryDirectory() as name:
        file, run = Path(name) / "stranger.nir", Path(name) / "run"
        write_nir(network, dataset.x_train[0].size, file)
        found = import_nir(file, "digits", run, ImportConfig(seed=seed, steps=STEPS + len(network) // 2))
        ours = infer(load_artifact(run).spec, images).predictions
        attack = Run.of(run).attack("quick", eps=EPS, images=IMAGES, workers=1, progress=False).to_json()
    return {
        "seed": seed, "n": len(images), "exact": found.exact, "equal": int((ours == theirs).sum()),
        "clean_snntorch": float((theirs == labels).mean()),
        **{key: attack[key] for key in ("clean", "robust", "verdict", "reasons")},
    }  # fmt: skip


def main() -> None:
    """Import and attack networks of several seeds, print, save."""
    options = parser(__doc__.splitlines()[0], "imported", seeds=3).parse_args()
    rows = []
    for seed in range(options.seeds):
        rows.append(row(seed))
        print(rows[-1])
    save(options.out, {"kind": "measured", "data": "digits", "eps": list(EPS), "rows": rows})


if __name__ == "__main__":
    main()

"""What are front ends that do not learn worth, each beside its controls?

    python -m benchmarks.front_ends --data mnist --hidden 256 --images 6000 --epochs 4 --seeds 3
    python -m benchmarks.front_ends --data digits --hidden 32 --fronts pixels --images 300 --epochs 2 --seeds 1

One EP network behind each, on the same images: the first so many training images, the first so many test images, which
are read once. Of two learning rates the one that validates better is deployed; everything else is as by default. A seed
draws weights, order, filters and spikes. Spikes are counted apart: those that the front end sends, whether drawn or
payloads, and those of the network. Rows that are not asked for stay in the file as they were found.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from benchmarks.tools.results_file import earlier, of_data, parser, save
from neuro.base.metrics import accuracy
from neuro.data.sets import Dataset, load_dataset
from sim.backends.protocol import get_backend
from sim.training.config import TrainConfig
from sim.training.equilibrium import train_ep
from sim.training.front_end import Front, load_front_end

FRONTS: dict[str, dict[str, Any]] = {
    "pixels": {},
    "pixels, learned with Gaussian noise .25": {"noise": 0.25},
    "v1": {"fixed_front": "v1:window=4"},
    "v1, one window": {"fixed_front": "v1:window=1"},
    "v1, no noise": {"fixed_front": "v1:window=0"},
    "dn before v1, no noise": {"fixed_front": "dn:pool=5,sigma=26+v1:window=0"},
    "dn": {"fixed_front": "dn:pool=5,sigma=26"},
    "fovea": {"front": "fovea:fixations=5,scales=3"},
    "fovea, equal distances": {"front": "fovea:fixations=5,scales=3,sampling=uniform"},
    "random filters": {"fixed_front": "v1:window=4,filters=random"},
    "random filters, no noise": {"fixed_front": "v1:window=0,filters=random"},
}
RATES = (1.4, 0.7)


def train_once(dataset: Dataset, config: TrainConfig, front: Front | None) -> dict[str, Any]:
    """Train at each of RATES, deploy the one that validates better, and return its figures on the test images."""
    runs = [train_ep(dataset, replace(config, learning_rate=rate), None, front=front) for rate in RATES]
    best = max(runs, key=lambda run: run.val_accuracy.value)
    spec = best.artifact.spec
    sender = spec.input if front is None else front.spec.output
    with get_backend("events").open(spec, threads=1) as session:
        record = session.run(spec.encoder.encode(dataset.x_test), seed=config.seed)
    sent = float(record.spike_counts[sender][:, :2].sum(axis=1).mean())
    test = accuracy(record.predictions, dataset.y_test)
    return {
        "seed": config.seed,
        "learning_rate": best.artifact.manifest["chosen"]["learning_rate"],
        "val_accuracy": best.val_accuracy.value,
        "test_accuracy": test.value,
        "n_test": test.n,
        "front_end_spikes": sent,
        "network_spikes": record.spikes_per_inference(spec) - (0.0 if front is None else sent),
        "train_cpu_s": sum(run.train_cpu_s for run in runs),
    }


def main() -> None:
    """Entry point."""
    arguments = parser(__doc__ or "", "front_ends", data="mnist", hidden=(256,), epochs=4, seeds=3)
    arguments.add_argument("--fronts", default="; ".join(FRONTS), help="names separated by semicolons")
    arguments.add_argument("--images", type=int, default=6000, help="training images")
    arguments.add_argument("--test-images", type=int, default=2000)
    options = arguments.parse_args()
    content: dict[str, Any] = {
        "data": options.data, "hidden": list(options.hidden), "epochs": options.epochs, "images": options.images,
        "test_images": options.test_images, "rates": list(RATES), "kind": "measured",
    }  # fmt: skip
    path = of_data(options.out, "front_ends", options.data)
    content["fronts"] = earlier(path, content, "fronts")
    for name in (part.strip() for part in options.fronts.split(";")):
        known = {row["seed"]: row for row in content["fronts"].get(name, {}).get("rows", [])}
        for seed in range(options.seeds):
            dataset = load_dataset(options.data, seed)
            n, n_test = options.images, options.test_images
            dataset = replace(
                dataset, x_train=dataset.x_train[:n], y_train=dataset.y_train[:n],
                x_test=dataset.x_test[:n_test], y_test=dataset.y_test[:n_test],
            )  # fmt: skip
            config = TrainConfig(
                seed=seed, hidden=options.hidden, epochs=options.epochs, threads=1, refit=False, output_share=0.125,
                **{key: value for key, value in FRONTS[name].items() if key != "front"},
            )  # fmt: skip
            named = FRONTS[name].get("front")
            front = load_front_end(Path(str(named)), dataset) if named else None
            known[seed] = train_once(dataset, config, front)
            rows = [known[key] for key in sorted(known)]
            content["fronts"][name] = {"choice": FRONTS[name], "rows": rows}
            save(path, content)
        tests = [row["test_accuracy"] for row in rows]
        spread = f" +- {stdev(tests):.4f}" if len(tests) > 1 else ""
        print(f"{name}: test {mean(tests):.4f}{spread}, {len(tests)} seeds", flush=True)


if __name__ == "__main__":
    main()

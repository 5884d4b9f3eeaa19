"""Data as they come, nothing prepared by hand, nothing chosen: is the network as accurate as scikit-learn's perceptron?

    python -m benchmarks.strangers --seeds 10

Wine, iris and breast cancer as scikit-learn holds them, features in units of their own; and images of KMNIST's shape
and type, 28 x 28 whole numbers up to 255 (digits, enlarged: KMNIST is not at hand everywhere). `settle train ep --data
sklearn:wine` with its defaults, against `MLPClassifier` with its own, on the raw values and behind a `StandardScaler`;
the better of the two, in the mean over seeds, counts. Every seed draws the test part, a fifth of every class, for all
alike. Saves every accuracy, and the difference with its 95 % interval over seeds (Student's t). The seeds here have
chosen nothing: defaults were fixed on others.
"""

from __future__ import annotations

import math
import time
import warnings
from statistics import mean, stdev
from typing import Any

import numpy as np

from benchmarks.estimators import T_95
from benchmarks.tools.results_file import merge, parser
from neuro.base.arrays import AnyArray
from neuro.data.preparation import drawn
from neuro.data.raw import RawData
from neuro.data.sets import prepare
from neuro.data.sources import read_raw
from sim.training.config import TrainConfig
from sim.training.equilibrium import train_ep

TABLES = ("wine", "iris", "breast_cancer")
IMAGES = "digits-28x28"
SETS = (*TABLES, IMAGES)
FIRST_SEED = 100
MOST_BEHIND = 0.015
SETTLE, RAW, SCALED = "settle", "MLPClassifier", "MLPClassifier, scaled"


def source(name: str) -> RawData:
    """Samples and labels as a stranger brings them."""
    if name != IMAGES:
        return read_raw(f"sklearn:{name}")
    from scipy.ndimage import zoom

    digits = read_raw("sklearn:digits")
    enlarged = zoom(np.asarray(digits.x_train, dtype=np.float64), (1, 3.5, 3.5), order=1) * (255 / 16)
    return RawData(name, np.rint(enlarged).astype(np.int64), digits.y_train)


def perceptrons(samples: AnyArray, labels: AnyArray, seed: int) -> dict[str, float]:
    """Test accuracy of scikit-learn's perceptron, with its defaults, on the values as they are and standardised."""
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train, test = drawn(labels, seed)
    flat = samples.reshape(len(samples), -1)
    reached = {}
    for name, scaling in ((RAW, ()), (SCALED, (StandardScaler(),))):
        model = make_pipeline(*scaling, MLPClassifier(random_state=seed))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its default 200 epochs may be too few for it
            model.fit(flat[train], labels[train])
        reached[name] = float(model.score(flat[test], labels[test]))
    return reached


def measure(name: str, seed: int) -> dict[str, Any]:
    """Accuracies of all on the split of one seed."""
    raw = source(name)
    dataset = prepare(raw, seed=seed)
    start = time.process_time()
    result = train_ep(dataset, TrainConfig(seed=seed), None)
    accuracies = {SETTLE: result.test_accuracy.value}
    spent = time.process_time() - start
    accuracies.update(perceptrons(np.asarray(raw.x_train), np.asarray(raw.y_train), seed))
    words = ", ".join(f"{who} {value:.4f}" for who, value in accuracies.items())
    print(f"{name}, seed {seed}: {words}; {spent:.1f} CPU s", flush=True)
    return {"seed": seed, "n_test": result.test_accuracy.n, **accuracies, "cpu_s": spent}


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over seeds; the difference to the better perceptron, with its interval; whether it is near enough."""
    means = {who: mean(row[who] for row in rows) for who in (SETTLE, RAW, SCALED)}
    better = max((RAW, SCALED), key=lambda who: means[who])
    values = [row[SETTLE] - row[better] for row in rows]
    half = T_95[len(values)] * stdev(values) / math.sqrt(len(values))
    return {
        "mean": means, "better": better, "difference": mean(values),
        "interval": [mean(values) - half, mean(values) + half], "n_seeds": len(rows),
        "near": mean(values) >= -MOST_BEHIND, "rows": rows,
    }  # fmt: skip


def main() -> None:
    """Measure and save."""
    arguments = parser(__doc__ or "", "strangers")
    arguments.add_argument("--seeds", type=int, default=10, choices=T_95, help=f"seeds {FIRST_SEED}, ...")
    arguments.add_argument("--sets", nargs="+", choices=SETS, default=SETS, help="what to measure; others stay")
    options = arguments.parse_args()
    for name in options.sets:
        found = summary([measure(name, FIRST_SEED + index) for index in range(options.seeds)])
        low, high = found["interval"]
        print(f"{name}: settle - {found['better']}: {found['difference']:+.4f} [{low:+.4f}, {high:+.4f}]")
        merge(options.out, {"kind": "measured", "most_behind": MOST_BEHIND, name: found})


if __name__ == "__main__":
    main()

"""Are the scikit-learn estimators worth their place beside scikit-learn's own of the same width?

    python -m benchmarks.estimators --states 5

Digits (1,797 images), 3-fold cross-validation, shuffled anew for every random state; both classifiers at their default
settings but for the 64 hidden neurons: `EPClassifier`, which scales pixels itself, and `MLPClassifier` behind a
`MinMaxScaler`, its features as they come, too. Prints and saves the accuracies, their means and the mean difference
with its 95 % interval over random states (Student's t).
"""

from __future__ import annotations

import math
import time
import warnings
from statistics import mean, stdev
from typing import Any

from benchmarks.tools.results_file import parser, save
from sim.estimators import EPClassifier

HIDDEN, FOLDS = (64,), 3
T_95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}  # by states


def contestants(state: int) -> dict[str, Any]:
    """The estimators to compare, by name."""
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler

    return {
        "EPClassifier": EPClassifier(hidden=HIDDEN, random_state=state),
        "MLPClassifier": MLPClassifier(hidden_layer_sizes=HIDDEN, random_state=state),
        "MLPClassifier, scaled": make_pipeline(
            MinMaxScaler(), MLPClassifier(hidden_layer_sizes=HIDDEN, random_state=state)
        ),
    }


def measure(state: int) -> list[dict[str, Any]]:
    """Cross-validate every estimator on the folds of one random state."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    samples, labels = load_digits(return_X_y=True)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=state)
    rows = []
    for name, estimator in contestants(state).items():
        start = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the perceptron's default 200 epochs may be too few for it
            scores = cross_val_score(estimator, samples, labels, cv=folds)
        row = {"random_state": state, "estimator": name, "accuracy": [float(score) for score in scores],
               "cpu_s": time.process_time() - start}  # fmt: skip
        print(f"random state {state}, {name}: {mean(row['accuracy']):.4f}, {row['cpu_s']:.1f} CPU s", flush=True)
        rows.append(row)
    return rows


def difference(rows: list[dict[str, Any]], other: str) -> dict[str, Any]:
    """How much more accurate `EPClassifier` is than `other`, mean over random states, with its 95 % interval."""
    means = {(row["random_state"], row["estimator"]): mean(row["accuracy"]) for row in rows}
    states = sorted({row["random_state"] for row in rows})
    values = [means[state, "EPClassifier"] - means[state, other] for state in states]
    half = T_95[len(values)] * stdev(values) / math.sqrt(len(values))
    return {"mean": mean(values), "interval": [mean(values) - half, mean(values) + half], "n_states": len(values)}


def main() -> None:
    """Measure and save."""
    arguments = parser(__doc__ or "", "estimators")
    arguments.add_argument("--states", type=int, default=5, choices=T_95, help="random states 0, 1, ...")
    options = arguments.parse_args()
    rows = [row for state in range(options.states) for row in measure(state)]
    names = list(dict.fromkeys(row["estimator"] for row in rows))
    accuracies = {name: mean(mean(row["accuracy"]) for row in rows if row["estimator"] == name) for name in names}
    differences = {name: difference(rows, name) for name in names if name != "EPClassifier"}
    for name, value in accuracies.items():
        print(f"digits, {options.states} random states x {FOLDS} folds, {name}: {value:.4f}")
    for name, found in differences.items():
        low, high = found["interval"]
        print(f"EPClassifier - {name}: {found['mean']:+.4f} [{low:+.4f}, {high:+.4f}]")
    save(options.out, {"data": "digits", "hidden": list(HIDDEN), "folds": FOLDS, "kind": "measured",
                       "accuracy": accuracies, "difference": differences, "rows": rows})  # fmt: skip


if __name__ == "__main__":
    main()

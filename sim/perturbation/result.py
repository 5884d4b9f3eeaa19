"""What perturbed images cost a network, beside a perceptron of the same shape on the same images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from neuro.base.arrays import Bools, Reals
from neuro.base.metrics import Accuracy
from neuro.base.resampling import interval_of, resampling
from neuro.base.shown import Lines, Shown
from sim.perturbation.config import PerturbConfig

LOSES_NOTHING = 0.005  # mean loss of accuracy of the baseline, below which a relative error says nothing


@dataclass(frozen=True, eq=False)
class Answers:
    """Which images a classifier gets right. clean of shape [n]; perturbed of shape [kinds, severities, n]."""

    name: str
    clean: Bools
    perturbed: Bools

    @property
    def accuracy(self) -> Accuracy:
        """On the images as they are."""
        return _share(self.clean)

    def at(self, kind: int, severity: int) -> Accuracy:
        """On images of a kind and a severity, both by their place."""
        return _share(self.perturbed[kind, severity])

    def errors(self, weights: Reals, kinds: Sequence[int]) -> Reals:
        """Share of wrong answers, mean over severities, of kinds: of shape [draws, kinds]; weights of [draws, n]."""
        wrong = 1.0 - self.perturbed[list(kinds)].mean(axis=1)
        shares: Reals = weights @ wrong.T / weights.shape[1]
        return shares

    def clean_error(self, weights: Reals) -> Reals:
        """Share of wrong answers on the images as they are, of shape [draws, 1]."""
        shares: Reals = weights @ (1.0 - self.clean[:, None]) / weights.shape[1]
        return shares


def _share(right: Bools) -> Accuracy:
    return Accuracy(int(np.count_nonzero(right)), len(right))


@dataclass(frozen=True)
class Figure:
    """A figure with its 95 % interval, by the bootstrap over images; kinds: how many it is the mean of."""

    value: float
    interval: tuple[float, float]
    kinds: int

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.3f}  (95 % interval {low:.3f} to {high:.3f}, {self.kinds} kinds)"


@dataclass(frozen=True, eq=False, repr=False)
class PerturbResult(Shown):
    """What `settle perturb` found. names: of the kinds, as a table names them.

    identical: kinds that do not change such images, by definition; they are in no mean.
    """

    run: str
    config: PerturbConfig
    names: Mapping[str, str]
    network: Answers
    baseline: Answers
    identical: tuple[str, ...] = ()
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def kinds(self) -> tuple[str, ...]:
        """What was done to images."""
        return tuple(self.names)

    @property
    def severities(self) -> tuple[int, ...]:
        """How strongly."""
        return self.config.severities

    @property
    def n(self) -> int:
        """Images."""
        return len(self.network.clean)

    @property
    def accuracy(self) -> dict[str, dict[int, float]]:
        """Accuracy of the network by kind and severity."""
        return self._table(self.network)

    def _table(self, answers: Answers) -> dict[str, dict[int, float]]:
        return {
            kind: {severity: answers.at(row, column).value for column, severity in enumerate(self.severities)}
            for row, kind in enumerate(self.kinds)
        }

    @cached_property
    def _weights(self) -> Reals:
        """Of images: all once, then resampled."""
        return np.concatenate([np.ones((1, self.n)), resampling(self.n)])

    @property
    def counted(self) -> list[int]:
        """Places of the kinds that change images."""
        return [place for place, kind in enumerate(self.kinds) if kind not in self.identical]

    @cached_property
    def compared(self) -> list[int]:
        """Places of the kinds of which the baseline gets an image wrong: others have no ratio."""
        wrong = ~self.baseline.perturbed.all(axis=(1, 2))
        return [place for place in self.counted if wrong[place]]

    @cached_property
    def related(self) -> list[int]:
        """Places of the kinds that cost the baseline something."""
        lost = self.baseline.clean.mean() - self.baseline.perturbed.mean(axis=(1, 2))
        return [place for place in self.compared if lost[place] > LOSES_NOTHING]

    @cached_property
    def corrupted(self) -> Figure | None:
        """Mean accuracy over kinds and severities."""
        return self._figure(1.0 - self.network.errors(self._weights, self.counted), len(self.counted))

    @cached_property
    def mce(self) -> Figure | None:
        """Mean corruption error: errors over those of the baseline, all severities of a kind together; 1 is equal.

        mean over kinds of  sum_s E(kind, s) / sum_s E_baseline(kind, s)
        """
        return self._figure(_ratio(*(a.errors(self._weights, self.compared) for a in self._both)), len(self.compared))

    @cached_property
    def relative_mce(self) -> Figure | None:
        """The same of what a kind adds to the clean error; of kinds that cost the baseline something."""
        lost = (a.errors(self._weights, self.related) - a.clean_error(self._weights) for a in self._both)
        return self._figure(_ratio(*lost), len(self.related))

    @property
    def corruption_errors(self) -> dict[str, float]:
        """By kind: the ratio that `mce` is the mean of."""
        ratios = _ratio(*(a.errors(self._weights[:1], self.compared) for a in self._both))[0]
        return {self.kinds[place]: float(ratio) for place, ratio in zip(self.compared, ratios, strict=True)}

    @property
    def _both(self) -> tuple[Answers, Answers]:
        return self.network, self.baseline

    def _figure(self, values: Reals, kinds: int) -> Figure | None:
        """The mean over kinds of values of shape [1 + draws, kinds], the first on all images once; None of none."""
        if not kinds:
            return None
        with np.errstate(invalid="ignore"):
            means = np.where(np.isfinite(values), values, np.nan).mean(axis=1)
        return Figure(float(means[0]), interval_of(means[1:]), kinds)

    def lines(self) -> Lines:
        """See `Shown`."""
        rows = [("run", self.run), ("clean", self.network.accuracy.describe())]
        for row, name in enumerate(self.names.values()):
            told = " ".join(f"{self.network.at(row, column).value:.3f}" for column in range(len(self.severities)))
            rows.append((name, told))
        words = {
            "corrupted accuracy": self.corrupted,
            f"mCE, 1 is {self.baseline.name}": self.mce,
            "relative mCE": self.relative_mce,
        }
        rows += [(name, str(figure)) for name, figure in words.items() if figure is not None]
        return [*rows, *(("note", note) for note in self.notes)]

    def to_json(self) -> dict[str, Any]:
        """The object that `settle perturb --json` prints."""
        figures = {"mean_accuracy": self.corrupted, "mce": self.mce, "relative_mce": self.relative_mce}
        return {
            "run": self.run,
            "set": self.config.set,
            "table": self.config.table,
            "n": self.n,
            "seed": self.config.seed,
            "clean": self.network.accuracy.value,
            "accuracy": _texts(self.accuracy),
            **{name: None if figure is None else figure.value for name, figure in figures.items()},
            "interval": {name: None if figure is None else list(figure.interval) for name, figure in figures.items()},
            "corruption_errors": self.corruption_errors,
            "baseline": {
                "name": self.baseline.name, "clean": self.baseline.accuracy.value,
                "accuracy": _texts(self._table(self.baseline)),
            },
            "identical": list(self.identical),
            "notes": list(self.notes),
        }  # fmt: skip


def _ratio(above: Reals, below: Reals) -> Reals:
    """Ratios of errors; NaN where the baseline has none."""
    ratios: Reals = above / np.where(below > 0, below, np.nan)
    return ratios


def _texts(table: Mapping[str, Mapping[int, float]]) -> dict[str, dict[str, float]]:
    return {kind: {str(severity): value for severity, value in row.items()} for kind, row in table.items()}

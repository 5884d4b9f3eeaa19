"""What a sparse coder is worth: its objective against the LASSO solution, a linear readout, whether it has settled."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from neuro.base.arrays import Floats, Integers, Reals
from neuro.coding.problem import cost, support_overlap
from neuro.coding.sigma_delta import CODE
from neuro.spec.network import Network
from neuro.spec.schedule import Phase, Schedule
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.protocol import get_backend
from sim.families import of_kind

TOLERANCE = 0.01  # a code has converged if the objective falls by less in twice the steps, relative to its value
RIDGES = (1e-2, 1e-1, 1.0, 10.0, 100.0)  # relative to the mean square of a feature times the number of signals, / 1000
VALIDATION, CHOOSE_ON = 0.2, 5000


@dataclass(frozen=True)
class CoderQuality:
    """Measured on n signals. gap: median of objective / LASSO objective - 1, both on the deployed integer dictionary.

    support_overlap: median of |both| / |either| over the atoms in use.
    """

    n: int
    gap: float
    support_overlap: float
    active: float
    lasso_active: float


def integer_dictionary(spec: NetworkSpec) -> Reals:
    """The deployed dictionary as a real matrix [N, K * positions]."""
    name = "input->code" if "input->code" in spec.projection_index else "residual->code"
    projection = spec.projection(name)
    return np.asarray(spec.weights_of(projection) * 2.0**-projection.exponent)


def threshold_of(spec: NetworkSpec) -> float:
    """The sparsity threshold in real units."""
    neuron = spec.unit(CODE)
    return neuron.threshold * 2.0**-neuron.state_bits


def codes(coder: Network, payloads: Integers, threads: int | None = None) -> Reals:
    """The real codes of shape [B, K] at the end of the free phase, of a coder of any kind."""
    with get_backend(coder.native_backend).open(coder, threads=threads) as session:
        return codes_of(coder, session.run(payloads).output_states)


def codes_of(coder: Network, states: Integers) -> Reals:
    """The real codes, of shape [B, K], that the output states of a record stand for."""
    found: Reals = of_kind("codes", coder)(coder, states)
    return found


def objective(spec: NetworkSpec, payloads: Integers, found: Reals) -> Reals:
    """The objective 1/2 |x - D a|^2 + threshold sum |a| of shape [B] on the deployed dictionary."""
    signals = payloads * 2.0**-spec.encoder.activation_bits
    residual = signals - found @ integer_dictionary(spec).T
    return np.asarray(cost(residual, found, threshold_of(spec)))


def lasso_codes(spec: NetworkSpec, payloads: Integers) -> Reals:
    """The solutions of scikit-learn's Lasso on the deployed dictionary: the oracle, slow."""
    signals = payloads * 2.0**-spec.encoder.activation_bits
    return lasso(integer_dictionary(spec), threshold_of(spec), signals, positive=spec.unit(CODE).lower == 0)


def lasso(dictionary: Reals, sparsity_threshold: float, signals: Reals, *, positive: bool) -> Reals:
    """The solutions of scikit-learn's Lasso, of shape [B, K]; dictionary of shape [N, K], signals of shape [B, N]."""
    from sklearn.linear_model import Lasso

    dictionary = np.asfortranarray(dictionary)
    model = Lasso(
        alpha=sparsity_threshold / len(dictionary), fit_intercept=False, positive=positive, tol=1e-6,
        max_iter=100_000, precompute=dictionary.T @ dictionary,
    )  # fmt: skip
    return np.stack([model.fit(dictionary, signal).coef_ for signal in signals])


def measure_quality(spec: NetworkSpec, payloads: Integers) -> CoderQuality:
    """Compare codes with the LASSO solutions on signals of shape [B, N]; soft thresholds only."""
    found, wanted = codes(spec, payloads), lasso_codes(spec, payloads)
    return quality_of(found, wanted, objective(spec, payloads, found), objective(spec, payloads, wanted))


def quality_of(found: Reals, wanted: Reals, reached: Reals, least: Reals) -> CoderQuality:
    """Compare codes with those of the LASSO, of shape [B, K], and their objectives, of shape [B]."""
    return CoderQuality(
        len(found),
        float(np.median(reached / np.maximum(least, 1e-12) - 1)),
        float(np.median(support_overlap(found, wanted))),
        float(np.count_nonzero(found, axis=1).mean()),
        float(np.count_nonzero(wanted, axis=1).mean()),
    )


def converged_share(spec: NetworkSpec, payloads: Integers) -> float:
    """The share of signals whose objective falls by less than TOLERANCE of itself in twice the steps."""
    steps = spec.schedule.phases[0].steps
    longer = replace(spec, schedule=Schedule((Phase(spec.schedule.phases[0].name, 2 * steps),)))
    now, later = (objective(spec, payloads, codes(network, payloads)) for network in (spec, longer))
    return float(np.mean(now - later <= TOLERANCE * now))


def readout_accuracy(
    train: Floats,
    train_labels: Integers,
    test: Floats,
    test_labels: Integers,
    seed: int,
) -> float:
    """The test accuracy of a ridge regression onto the classes; its penalty is chosen on a fifth of `train`."""
    train, test = train.astype(np.float32), test.astype(np.float32)
    order = np.random.default_rng([seed, 0x11DE]).permutation(len(train))[:CHOOSE_ON]
    held, kept = np.split(order, [int(VALIDATION * len(order))])
    scale = float(np.mean(np.square(train))) * len(train) / 1000
    scores = [_ridge(train[kept], train_labels[kept], train[held], train_labels[held], r * scale) for r in RIDGES]
    return _ridge(train, train_labels, test, test_labels, RIDGES[int(np.argmax(scores))] * scale)


def _ridge(x: Floats, y: Integers, x_new: Floats, y_new: Integers, penalty: float) -> float:
    from sklearn.linear_model import RidgeClassifier

    return float(RidgeClassifier(alpha=max(penalty, 1e-9)).fit(x, y).score(x_new, y_new))

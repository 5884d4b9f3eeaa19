"""How well the local integer update points along the true gradient."""

from __future__ import annotations

import numpy as np
import torch

from neuro.base.arrays import Int64, Integers, Reals
from neuro.base.metrics import cosine
from neuro.spec.neurons import SigmaDelta, Source
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.presentation import nudge_signs
from sim.backends.protocol import get_backend, one_hot_targets
from sim.oracles.equilibrium import RateNetwork


def integer_update(
    spec: NetworkSpec, payloads: Integers, labels: Integers, seed: int, rule: str = "end-point"
) -> dict[str, Reals]:
    """The update that the integer network would make, before rounding, summed over images, by projection.

    rule: "end-point" (equal to "event") or "y3" (for projections from sources). Real units: -dC/dW up to a factor.
    """
    with get_backend("events").open(spec) as session:
        record = session.run(payloads, one_hot_targets(spec, labels), seed=seed, keep_states=True)
    assert record.states is not None  # asked for
    signs = nudge_signs(spec, seed, 0, len(payloads)).astype(np.float64)
    first, second = (
        {name: part[:, phase].astype(np.int64) for name, part in record.states.items()} for phase in (-2, -1)
    )
    updates = {}
    for projection in spec.plastic:
        pre, post = projection.source, projection.target
        static = isinstance(spec.population(pre).neuron, Source)
        if rule == "y3" and static:
            change = (first[post] - second[post]) * signs[:, None]
            change = _sent(spec, pre, first).T @ change
        else:
            ends = [(_sent(spec, pre, end) * signs[:, None]).T @ _sent(spec, post, end) for end in (first, second)]
            change = ends[0] - ends[1]
        updates[projection.name] = spec.shared_change(projection, change)
    return updates


def _sent(spec: NetworkSpec, name: str, states: dict[str, Int64]) -> Reals:
    """The s_hat of a population, from its states."""
    neuron = spec.population(name).neuron
    sent = neuron.activation(states[name]) if isinstance(neuron, SigmaDelta) else states[name]
    return np.asarray(sent, dtype=np.float64)


def gradient_cosines(
    spec: NetworkSpec, payloads: Integers, labels: Integers, seed: int, rule: str = "end-point"
) -> dict[str, float]:
    """The cosine, by projection, between the integer update and -dC/dW by autograd through the free phase."""
    targets = torch.nn.functional.one_hot(torch.tensor(labels, dtype=torch.int64), spec.n_classes)
    truth = RateNetwork(spec).autograd_update(torch.tensor(np.asarray(payloads, dtype=np.int64)), targets)
    update = integer_update(spec, payloads, labels, seed, rule)
    return {name: cosine(update[name], truth[name].numpy()) for name in update}

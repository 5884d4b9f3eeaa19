"""Chains on backends: the same integers everywhere, and those of both parts run by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neuro.artifact.run_folder import load_artifact
from neuro.base.errors import UserError
from neuro.coding.chain import Chain, is_chain
from neuro.data.sets import Dataset
from sim.backends.protocol import get_backend, one_hot_targets
from sim.backends.record import Record, compare
from sim.coding.stock import FORMS


@pytest.fixture(params=FORMS)
def chain(request: pytest.FixtureRequest, chains: dict[str, Path]) -> Chain:
    spec = load_artifact(chains[f"behind {request.param}"]).spec
    assert is_chain(spec)
    return spec


def record_of(chain: Chain, backend: str, dataset: Dataset, first: int = 0, end: int = 20) -> Record:
    payloads = chain.encoder.encode(dataset.x_test[first:end])
    targets = one_hot_targets(chain, dataset.y_test[first:end])
    with get_backend(backend).open(chain, threads=1) as session:
        return session.run(payloads, targets, seed=3, first_image=first, keep_states=True, keep_spikes=True)


@pytest.mark.parametrize("backend", ["chip", "reference"])
def test_backends_agree(chain: Chain, backend: str, blob_data: Dataset) -> None:
    native = record_of(chain, "events", blob_data)
    other = record_of(chain, backend, blob_data)
    assert compare(native, other).total == 0
    assert (native.backend, other.backend) == ("events", backend)
    np.testing.assert_array_equal(native.settled, other.settled)
    for name, counts in native.spike_counts.items():
        np.testing.assert_array_equal(counts, other.spike_counts[name])


def test_a_chain_does_what_its_parts_do_one_after_the_other(chain: Chain, blob_data: Dataset) -> None:
    whole = record_of(chain, "events", blob_data)
    with get_backend("chip").open(chain.front) as session:
        front = session.run(chain.encoder.encode(blob_data.x_test[:20]), keep_spikes=True)
    with get_backend("events").open(chain.back) as session:
        targets = one_hot_targets(chain.back, blob_data.y_test[:20])
        back = session.run(chain.codes(front.output_states), targets, seed=3, keep_spikes=True)
    np.testing.assert_array_equal(whole.predictions, back.predictions)
    np.testing.assert_array_equal(whole.output_states, back.output_states)
    np.testing.assert_array_equal(whole.settled, front.settled & back.settled)
    assert whole.spikes is not None
    assert front.spikes is not None
    assert back.spikes is not None
    assert len(whole.spikes) == len(front.spikes) + len(back.spikes)
    both = front.spikes_per_inference(chain.front) + back.spikes_per_inference(chain.back)
    assert whole.spikes_per_inference(chain) == pytest.approx(both)


def test_the_table_of_spikes_is_that_of_the_counts(chain: Chain, blob_data: Dataset) -> None:
    whole = record_of(chain, "events", blob_data)
    assert whole.spikes is not None
    column = chain.phases()[whole.spikes.step - chain.first_step] + 1
    for index, population in enumerate(chain.populations):
        counts = whole.spike_counts[population.name]
        chosen = whole.spikes.population == index
        cell = whole.spikes.image[chosen] * counts.shape[1] + column[chosen]
        np.testing.assert_array_equal(np.bincount(cell, minlength=counts.size).reshape(counts.shape), counts)
    assert (chain.phases() == 0).sum() == chain.free_steps - 1  # the presentation to the network behind is none
    assert set(whole.synaptic_operations(chain)) == {p.name for p in chain.projections}


def test_images_are_numbered(chain: Chain, blob_data: Dataset) -> None:
    whole, later = record_of(chain, "events", blob_data), record_of(chain, "events", blob_data, 12)
    assert whole.states is not None
    assert later.states is not None
    for name, states in later.states.items():
        np.testing.assert_array_equal(states, whole.states[name][12:])


def test_what_a_chain_cannot_do_is_refused(chain: Chain, blob_data: Dataset) -> None:
    payloads, labels = chain.encoder.encode(blob_data.x_test[:2]), blob_data.y_test[:2]
    with get_backend("events").open(chain) as session:
        assert set(session.weights()) == {p.name for p in chain.projections if p.weights is not None}
        with pytest.raises(UserError, match="a chain does not learn; train a network behind its coder"):
            session.learn(payloads, one_hot_targets(chain, labels), {}, seed=0, first_image=0)
        with pytest.raises(UserError, match=r"targets of shape \(2, 2\)"):
            session.run(payloads, np.zeros((2, 2), dtype=np.int32))
        with pytest.raises(UserError, match="payloads of shape"):
            session.run(payloads[:, :3])
    for backend in ("torch", "snntorch", "loihi2"):
        with pytest.raises(UserError, match=f"backend {backend}: it runs no chain networks; use events"):
            get_backend(backend).open(chain)

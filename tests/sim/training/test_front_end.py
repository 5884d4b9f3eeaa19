"""Front ends: codes as images of the next network, and the two as one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shared_coders import SMALL_CODER, dense_coder

from neuro.artifact.run_folder import load_artifact
from neuro.base.errors import UserError
from neuro.coding.chain import is_chain
from neuro.data.sets import Dataset
from neuro.spec.neurons import SigmaDelta
from neuro.spec.sigma_delta import NetworkSpec
from neuro.spec.stack import unstack
from sim.backends.protocol import get_backend, one_hot_targets
from sim.coding.stock import FORMS
from sim.coding.training import train_lca
from sim.training.config import TrainConfig
from sim.training.equilibrium import train_ep
from sim.training.front_end import FrontEnd, load_front_end


@pytest.fixture(scope="module", params=["dense", "kernels", "second"])
def front(request: pytest.FixtureRequest, coders: dict[str, Path], blob_data: Dataset) -> FrontEnd:
    return load_front_end(coders[request.param], blob_data)


def test_codes_are_images_without_loss(front: FrontEnd, blob_data: Dataset) -> None:
    found = front.codes(blob_data, threads=1)
    output = front.spec.population(front.spec.output)
    assert found.image_shape == output.shape
    assert (found.name, found.n_classes) == (blob_data.name, blob_data.n_classes)
    for images, codes in ((blob_data.x_train, found.x_train), (blob_data.x_test, found.x_test)):
        assert 0 <= codes.min() < codes.max() <= 1
        payloads = front.payloads(images, 1)
        np.testing.assert_array_equal(front.encoder.encode(codes), payloads)
        with get_backend("events").open(front.spec, threads=1) as session:
            record = session.run(front.spec.encoder.encode(images), keep_states=True)
        assert record.states is not None
        assert isinstance(output.neuron, SigmaDelta)
        np.testing.assert_array_equal(payloads, output.neuron.activation(record.states[output.name][:, 0]))


def test_no_images_no_codes(front: FrontEnd, blob_data: Dataset) -> None:
    assert front.payloads(blob_data.x_test[:0]).shape == (0, front.spec.n_classes)


@pytest.mark.parametrize("name", ["stack", "three"])
def test_once_the_coder_has_settled_the_stack_does_what_the_back_alone_does(
    name: str, coders: dict[str, Path], blob_data: Dataset
) -> None:
    spec = load_artifact(coders[name]).spec
    assert isinstance(spec, NetworkSpec)
    ahead, back = unstack(spec)
    assert ahead is not None
    codes = FrontEnd(ahead, "").payloads(blob_data.x_test, 1)
    with get_backend("events").open(spec, threads=1) as whole, get_backend("events").open(back, threads=1) as alone:
        together = whole.run(spec.encoder.encode(blob_data.x_test))
        behind = alone.run(codes)
    assert together.settled.mean() > (0.5 if name == "stack" else 0.1)  # residuals take long to fall silent
    one = 2.0 ** spec.unit(spec.output).state_bits
    difference = np.abs(together.output_states - behind.output_states)[together.settled] / one
    assert np.mean(together.predictions == behind.predictions) > 0.95
    assert np.median(difference) < 2 / 32  # payload units of the output


def test_a_network_behind_a_coder_classifies_in_one_spec(coders: dict[str, Path], blob_data: Dataset) -> None:
    artifact = load_artifact(coders["stack"])
    spec, results = artifact.spec, artifact.manifest["results"]
    with get_backend("events").open(spec, threads=1) as session:
        record = session.run(spec.encoder.encode(blob_data.x_test), one_hot_targets(spec, blob_data.y_test))
    assert results["test"] == {"n_correct": int(np.sum(record.predictions == blob_data.y_test)), "n": 90}
    assert results["test"]["n_correct"] > 75
    assert results["spikes_per_inference"] == record.spikes_per_inference(spec)
    assert spec.image_shape == blob_data.image_shape
    assert {"code", "hidden1", "output"} <= set(record.spike_counts)
    assert artifact.manifest["config"]["front_end"] == load_front_end(coders["dense"], blob_data).sha256


def test_what_is_no_front_end_is_refused(
    coders: dict[str, Path], finished: Path, finished_stock: Path, blob_data: Dataset, tmp_path: Path
) -> None:
    for folder in (finished, finished_stock, coders["stack"]):
        with pytest.raises(UserError, match="is no sparse coder"):
            load_front_end(folder, blob_data)
    with pytest.raises(UserError, match="missing"):
        load_front_end(tmp_path / "missing", blob_data)
    other = replace(blob_data, x_test=1 - blob_data.x_test)
    with pytest.raises(UserError, match="another split of blobs; give the same --seed"):
        load_front_end(coders["dense"], other)
    other = replace(blob_data, name="renamed", x_train=blob_data.x_train[:, :3], x_test=blob_data.x_test[:, :3])
    with pytest.raises(UserError, match=r"takes images of shape \(4, 4\), the data has \(3, 4\)"):
        load_front_end(coders["dense"], other).codes(other)


def test_signed_codes_are_refused(blob_data: Dataset, silent: Any, tmp_path: Path) -> None:
    train_lca(blob_data, replace(SMALL_CODER, signed=True), tmp_path / "signed", silent())
    front = load_front_end(tmp_path / "signed", blob_data)
    with pytest.raises(UserError, match="without --signed"):
        front.codes(blob_data, 1)


def test_codes_too_fine_for_an_encoder_are_refused() -> None:
    with pytest.raises(UserError, match="coarser codes"):
        _ = FrontEnd(dense_coder(6, 4, reach=100.0, activation_bits=8), "").encoder


def test_another_front_end_is_another_run(
    coders: dict[str, Path], blob_data: Dataset, silent: Any, tmp_path: Path
) -> None:
    config = TrainConfig(seed=3, hidden=(8,), epochs=2, learning_rate=1.4, output_share=0.125, refit=False)
    first, second = (load_front_end(coders[name], blob_data) for name in ("dense", "kernels"))
    result = train_ep(blob_data, config, tmp_path / "run", silent(), first)
    assert train_ep(blob_data, config, tmp_path / "run", silent(), first, resume=True) == result
    with pytest.raises(UserError, match="was made with front_end"):
        train_ep(blob_data, config, tmp_path / "run", silent(), second, resume=True)


@pytest.mark.parametrize("options", [{"family": "stock", "rule": "R5"}, {"centred": True}], ids=str)
def test_networks_that_cannot_stand_behind_are_refused(
    options: dict[str, Any], coders: dict[str, Path], blob_data: Dataset, silent: Any, tmp_path: Path
) -> None:
    front, config = load_front_end(coders["dense"], blob_data), TrainConfig(seed=3, hidden=(8,), epochs=1, **options)
    with pytest.raises(UserError, match="front end"):
        train_ep(blob_data, config, tmp_path / "run", silent(), front)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("form", FORMS)
def test_codes_of_stock_coders_are_images_without_loss(form: str, chains: dict[str, Path], blob_data: Dataset) -> None:
    front = load_front_end(chains[form], blob_data)
    found = front.codes(blob_data, threads=1)
    with get_backend("chip").open(front.spec) as session:
        scores = session.run(front.spec.encoder.encode(blob_data.x_test)).output_states
    payloads = front.payloads(blob_data.x_test, 1)
    np.testing.assert_array_equal(front.encoder.encode(found.x_test), payloads)
    whole = load_artifact(chains[f"behind {form}"]).spec
    assert is_chain(whole)
    np.testing.assert_array_equal(payloads, whole.codes(scores))
    limit = 1 << front.encoder.activation_bits
    assert limit / 2 < front.payloads(blob_data.x_train, 1).max() <= limit
    assert np.corrcoef(payloads.ravel(), scores.ravel())[0, 1] > 0.999
    assert front.payloads(blob_data.x_test[:0]).shape == (0, front.spec.n_classes)


@pytest.mark.parametrize("form", FORMS)
def test_a_network_behind_a_stock_coder_is_trained_as_on_any_codes(
    form: str, chains: dict[str, Path], blob_data: Dataset
) -> None:
    artifact = load_artifact(chains[f"behind {form}"])
    results, manifest = artifact.manifest["results"]["test"], artifact.manifest
    assert results["n_correct"] > 75
    with get_backend("chip").open(artifact.spec) as session:
        record = session.run(artifact.spec.encoder.encode(blob_data.x_test))
    assert results == {"n_correct": int(np.sum(record.predictions == blob_data.y_test)), "n": 90}
    assert manifest["results"]["spikes_per_inference"] == record.spikes_per_inference(artifact.spec)
    assert manifest["config"]["front_end"] == load_front_end(chains[form], blob_data).sha256


def test_no_coder_stands_behind_a_stock_coder(
    chains: dict[str, Path], blob_data: Dataset, silent: Any, tmp_path: Path
) -> None:
    front = load_front_end(chains["spiking"], blob_data)
    with pytest.raises(UserError, match=r"a spiking coder feeds no second coder; put a classifier behind it"):
        train_lca(blob_data, SMALL_CODER, tmp_path / "second", silent(), front)
    other = replace(blob_data, name="renamed", x_train=blob_data.x_train[:, :3], x_test=blob_data.x_test[:, :3])
    with pytest.raises(UserError, match=r"takes images of shape \(4, 4\), the data has \(3, 4\)"):
        load_front_end(chains["spiking"], other)
    encoder = front.spec.encoder
    assert encoder.offset is not None
    mean = (encoder.offset / 2**encoder.activation_bits).astype(np.float32).reshape(1, 4, 4)
    grey = replace(blob_data, name="grey", x_train=np.repeat(mean, len(blob_data.x_train), axis=0))
    with pytest.raises(UserError, match="all codes of the training images are zero"):
        load_front_end(chains["graded"], grey)

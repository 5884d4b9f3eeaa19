"""What a sparse coder is asked to be: settings, what follows from the data, what is refused, the linear readout."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shared_coders import SMALL_CODER

from neuro.base.errors import UserError
from neuro.data.sets import Dataset
from sim.coding.config import LcaConfig
from sim.coding.measure import integer_dictionary, readout_accuracy
from sim.coding.recipe import coder_epochs, design_coder, make_learner, signal_lengths
from sim.coding.training import train_lca


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"atoms": 0}, "atoms 0"),
        ({"patch": 0}, "patch 0"),
        ({"patch": 3, "stride": 0}, "stride 0"),
        ({"stride": 2}, "--patch"),
        ({"epochs": 0}, "epochs 0"),
        ({"seed": -1}, "seed -1"),
        ({"threads": 0}, "threads 0"),
        ({"activation_bits": 17}, "activation_bits 17"),
        ({"sparsity_threshold": 0.0}, "sparsity_threshold 0.0"),
        ({"sparsity_threshold": -1.0}, "sparsity_threshold -1.0"),
        ({"sparsity_threshold": float("nan")}, "sparsity_threshold nan"),
    ],
    ids=str,
)
def test_senseless_settings_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as error:
        LcaConfig(**options)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"patch": 5}, "smaller than the kernel"), ({"patch": 3, "stride": 2}, "does not tile"),
     ({"patch": 2, "stride": 3}, "stride 3"), ({"patch": 2, "layout": "inhibition"}, "residual layout"),
     ({"layout": "ring"}, "ring"), ({"shadow_bits": 9}, "shadow_bits 9")],
    ids=str,
)  # fmt: skip
def test_what_does_not_fit_the_images_is_refused(
    options: dict[str, Any], words: str, blob_data: Dataset, silent: Any, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=words):
        train_lca(blob_data, replace(SMALL_CODER, **options), tmp_path / "run", silent())
    assert not (tmp_path / "run").exists()


def test_defaults_follow_the_data(blob_data: Dataset) -> None:
    assert [coder_epochs(LcaConfig(), n) for n in (100, 60_000, 10**6)] == [40, 2, 2]
    assert coder_epochs(LcaConfig(epochs=7), 100) == 7
    every = np.arange(len(blob_data.y_train))
    design = design_coder(blob_data, LcaConfig(), every, None)
    centred = design.encoder.encode(blob_data.x_train) / 128
    lengths = signal_lengths(centred, blob_data.image_shape, None)
    np.testing.assert_allclose(lengths, np.linalg.norm(centred, axis=1))
    assert design.sparsity_threshold == pytest.approx(0.07 * np.median(lengths), rel=0.1)
    assert 4 <= design.sparsity_threshold * 2**design.activation_bits < 8.001
    kernels = design_coder(blob_data, LcaConfig(patch=2), every, None)
    assert kernels.convolution is not None
    patches = signal_lengths(centred[:3], blob_data.image_shape, kernels.convolution)
    assert patches[0] == pytest.approx(np.linalg.norm(centred[0].reshape(4, 4)[:2, :2]))


def test_a_readout_reads_what_can_be_read() -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(300) % 3
    features = np.eye(3)[labels] + generator.normal(scale=0.2, size=(300, 3))
    assert readout_accuracy(features[:200], labels[:200], features[200:], labels[200:], 0) > 0.95
    noise = generator.normal(size=(300, 3))
    assert readout_accuracy(noise[:200], labels[:200], noise[200:], labels[200:], 0) < 0.55


def test_contrast_and_whitening_are_of_images_not_of_codes() -> None:
    for options in ({"whiten": True}, {"normalise_contrast": True}):
        with pytest.raises(UserError, match="front end"):
            LcaConfig(front_end="5e77", **options)


@pytest.mark.parametrize(("contrast", "whiten"), [(True, False), (False, True), (True, True)])
def test_encoders_are_designed_as_configured(contrast: bool, whiten: bool, blob_data: Dataset) -> None:
    config, train = LcaConfig(normalise_contrast=contrast, whiten=whiten), np.arange(200)
    design = design_coder(blob_data, config, train, None)
    encoder = design.encoder
    assert encoder.transform is not None
    assert encoder.offset is not None
    assert (encoder.transform.contrast_floor > 0, encoder.transform.whitening is not None) == (contrast, whiten)
    assert encoder.payload_limit == 128  # as large as pixels may be
    again = design_coder(blob_data, config, train[:100], None).encoder.transform
    assert again is not None
    if encoder.transform.whitening is not None and again.whitening is not None:
        assert not np.array_equal(encoder.transform.whitening, again.whitening)  # learned from training images alone
    lengths = signal_lengths(encoder.encode(blob_data.x_train) / 32, blob_data.image_shape, None)
    assert 1 < np.median(lengths) <= 1.1 * 4  # 16 values of about 1
    assert design.reach >= lengths.max() / 1.5


@pytest.mark.parametrize("patch", [None, 2])
def test_coders_behind_such_encoders_have_room_for_their_signals(patch: int | None, blob_data: Dataset) -> None:
    config = LcaConfig(atoms=6, patch=patch, whiten=True, normalise_contrast=True, layout="residual")
    learner = make_learner(design_coder(blob_data, config, np.arange(200), None), config)
    spec = learner.spec()
    assert spec.population("residual").neuron.upper >= 2 * 4 << 16
    outcome, residual = learner.observe(spec.encoder.encode(blob_data.x_train[:50]))
    signals = spec.encoder.encode(blob_data.x_train[:50]) / 32
    np.testing.assert_allclose(residual, signals - outcome.codes @ integer_dictionary(spec).T, atol=0.06)

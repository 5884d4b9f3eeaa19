"""The LCA benchmarks run on little data, and their competitor is what it says it is."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks import lca_quality, lca_speed
from neuro.base.convolution import Convolution
from neuro.coding.dictionary import random_dictionary
from sim.oracles.coding import Dynamics, encode
from sim.oracles.operators import ConvolutionalOperator


def run(module, path, monkeypatch, *options):
    monkeypatch.setattr("sys.argv", ["benchmark", "--out", str(path), *options])
    module.main()
    return json.loads(path.read_text())


def test_both_coders_find_the_same_codes(tmp_path, monkeypatch):
    monkeypatch.setattr(lca_speed, "GAP", 0.2)
    content = run(lca_speed, tmp_path / "s.json", monkeypatch, "--images", "1", "--iterations", "500", "--repeats", "1")
    fixed, early = content["fixed_steps"], content["early_stop"]
    assert fixed["largest_difference"] <= 1e-4
    assert early["largest_difference"] <= 1e-4
    assert fixed["ratio"] > 1
    assert 0.02 < fixed["active_share"] < 0.5
    assert fixed["steps"]["explicit"] == [500]
    assert early["steps"]["ours"] < 500
    equal = content["equal_objective"]
    assert equal["proven_gap"] <= 1e-5
    assert equal["steps"]["fista"] < equal["steps"]["lca, usual time constant"]
    assert equal["ratio"]["explicit, usual time constant"] == 1.0


def test_codes_that_differ_fail_the_benchmark(tmp_path, monkeypatch):
    monkeypatch.setattr(lca_speed, "LIMIT", 1e-12)
    with pytest.raises(SystemExit, match="codes differ"):
        run(lca_speed, tmp_path / "s.json", monkeypatch, "--images", "1", "--iterations", "30", "--repeats", "1")
    assert not (tmp_path / "s.json").exists()


@pytest.mark.parametrize(("extent", "stride"), [(7, 2), (5, 3), (4, 4), (3, 1)])
def test_the_explicit_lateral_kernel_is_that_of_the_operator(extent, stride):
    shape = (4 * stride + extent, 4 * stride + extent, 2)
    convolution = Convolution((extent,) * 2, (stride,) * 2, ((0, 0),) * 2)
    kernel = random_dictionary(convolution.kernel_shape(shape, 5), 0)
    operator = ConvolutionalOperator(kernel, convolution, shape)
    images = np.random.default_rng(0).normal(size=(3, *shape))
    dynamics = Dynamics(0.3, 20.0, max_steps=50, tolerance=None)
    wanted = encode(operator, torch.tensor(images).reshape(3, -1), dynamics)
    explicit = lca_speed.ExplicitLateral(operator.weight, stride)
    codes, steps = explicit.encode(torch.tensor(images).permute(0, 3, 1, 2), dynamics)
    torch.testing.assert_close(codes.permute(0, 2, 3, 1).flatten(1), wanted.codes, atol=1e-9, rtol=0)
    assert steps == 50


def test_synthetic_images_are_like_natural_ones():
    images = lca_speed.standardised(lca_speed.synthetic_images(8, 0))
    assert images.shape == (8, 32, 32, 3)
    np.testing.assert_allclose(images.mean(axis=(1, 2, 3)), 0.0, atol=1e-5)
    np.testing.assert_allclose(images.std(axis=(1, 2, 3)), 1.0, atol=1e-5)
    neighbours = [np.corrcoef(image[:, 1:].ravel(), image[:, :-1].ravel())[0, 1] for image in images]
    assert min(neighbours) > 0.5


def strokes(count, generator):
    """Images of 28 x 28 with one bright bar, upright or level: two classes."""
    labels = np.arange(count) % 2
    images = generator.integers(0, 30, (count, 28, 28))
    for image, label in zip(images, labels, strict=True):
        at = generator.integers(4, 22)
        (image.T if label else image)[at : at + 3, 4:24] = 220
    return images.astype(np.uint8), labels


def test_quality_of_two_small_coders(tmp_path, monkeypatch):
    generator = np.random.default_rng(0)
    (x_train, y_train), (x_test, y_test) = strokes(200, generator), strokes(60, generator)
    np.savez(tmp_path / "bars.npz", x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    monkeypatch.setattr(lca_quality, "COMPARED", 10)
    for name, task in lca_quality.TASKS.items():
        config = replace(task.config, n_atoms=12, epochs=1)
        monkeypatch.setitem(lca_quality.TASKS, name, replace(task, config=config, n_learned=300))
    content = run(lca_quality, tmp_path / "q.json", monkeypatch, "--data", str(tmp_path / "bars.npz"))
    for name in ("digits", "patches"):
        (row,) = content[name]["rows"]
        assert -1e-6 < row["lasso"]["converged"]["median_gap"] < 0.01
        assert abs(row["lasso"]["converged_fast"]["median_gap"]) < 0.01
        assert row["readout"]["test"] > 0.8
        assert 0 < row["active_per_image"] < row["units_per_image"]

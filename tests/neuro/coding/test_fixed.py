"""Front ends that are networks without learning: exact, stacked before another one, trained behind."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

import settle
from neuro.coding.fixed import fixed_network, is_linear
from neuro.equilibrium.design import design_for
from neuro.equilibrium.sigma_delta import build_equilibrium
from neuro.front_ends.fovea import FoveaChoices, resampling
from neuro.front_ends.pixels import PixelEncoder
from neuro.spec.stack import unstack
from sim.backends.protocol import get_backend
from sim.contract.sigma_delta import check_run, random_images
from sim.reports.sigma_delta import fields
from sim.training.front_end import FrontEnd

NAME = "fovea:fixations=2,scales=2"


def digits() -> np.ndarray:
    return (load_digits().images * 15).astype(np.uint8)


@pytest.fixture(scope="module")
def front() -> FrontEnd:
    return FrontEnd(fixed_network(NAME, (8, 8)), "fovea")


def test_samples_are_the_weighted_means_rounded(front):
    images = digits()[:50]
    real = images.reshape(50, 64) / 255 @ (resampling(FoveaChoices(fixations=2, scales=2), (8, 8)) / 128.0)
    found = front.payloads(images, threads=1)
    assert np.abs(found / 32 - real).max() < 0.5 / 32 + 64 * 0.5 / 256 / 64 + 1e-9  # its rounding, that of pixels
    assert is_linear(front.spec)


def test_before_a_network_it_is_one_graph_on_every_backend(front):
    size = front.spec.n_classes
    back = build_equilibrium(design_for((size,), 4, (10,), encoder=PixelEncoder(5), hidden_gain=3.0), 0)
    spec = front.before(back)
    assert not is_linear(spec)
    payloads, targets = spec.encoder.encode(digits()[:3]), random_images(back, 0, 3)[1]
    for backend in ("events", "torch", "snntorch"):
        check_run(get_backend(backend), spec, payloads, targets)
    front_again, _ = unstack(spec)
    assert front_again is not None
    assert is_linear(front_again)


def test_a_network_learns_behind_it_by_name(tmp_path: Path):
    x, y = digits()[:400], load_digits().target[:400]
    run = settle.train((x, y), front_end=NAME, hidden=(16,), epochs=6, learning_rate=1.4, output_share=0.25,
                       progress=False, out=tmp_path / "run", threads=1)  # fmt: skip
    assert run.artifact.manifest["config"]["front_end"].startswith("fovea:fixations=2")
    assert run.results.test_accuracy.value > 0.4
    assert fields(run.spec).shape == (64, 16)

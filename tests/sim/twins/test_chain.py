"""Twins of chains: the deployed integers forward, the derivative of the solution backward."""

import shutil

import numpy as np
import pytest
import torch

from neuro.artifact.run_folder import load_artifact
from sim.backends.protocol import get_backend
from sim.coding.stock import FORMS
from sim.robustness.bridge.config import AttackConfig
from sim.robustness.bridge.fidelity import fidelity
from sim.robustness.bridge.run import attack
from sim.twins.make import make_twin
from sim.twins.surrogates import Surrogate


@pytest.fixture(params=FORMS)
def chain(request, chains):
    return load_artifact(chains[f"behind {request.param}"]).spec


def attacked(twin, images, labels, eps):
    pixels = images.clone().requires_grad_(True)
    torch.nn.functional.cross_entropy(twin(pixels), labels).backward()
    assert pixels.grad is not None
    return (images + eps * pixels.grad.sign()).clamp(0, 1), pixels.grad


@pytest.mark.parametrize("name", ["straight-through", "rate", "atan"])
def test_labels_are_the_deployed_ones_on_clean_and_attacked_images(chain, name, blob_data):
    images, labels = torch.tensor(blob_data.x_test), torch.tensor(blob_data.y_test.astype(np.int64))
    twin = make_twin(chain, Surrogate(name))
    changed, gradient = attacked(twin, images, labels, 0.3)
    assert torch.isfinite(gradient).all()
    assert (gradient != 0).float().mean() > 0.9
    with get_backend("chip").open(chain, threads=1) as session:
        for shown in (images, changed):
            found = fidelity(twin, session, shown)
            assert (found.label_agreement, found.output_error, found.n) == (1.0, 0.0, 90)
    assert (twin.predict(images) == labels).float().mean() > 0.8
    assert (twin.predict(changed) == labels).float().mean() < 0.7  # one step


def test_the_gradient_is_that_of_the_solution(chain, blob_data):
    """Against the unrolled iteration of the problem, which knows nothing of active sets."""
    twin = make_twin(chain)
    payloads = twin.payloads(torch.tensor(blob_data.x_test))
    direction = torch.randn(90, chain.back.n_inputs, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = []
    for codes in (twin.codes, twin.unrolled):
        given = payloads.detach().clone().requires_grad_(True)
        (codes(given) * direction).sum().backward()
        found.append(given.grad)
    own, other = found
    same = torch.nn.functional.cosine_similarity(own, other, dim=1)
    assert same.median() > 0.99
    assert torch.median(own.norm(dim=1) / other.norm(dim=1)) == pytest.approx(1.0, abs=0.05)


def test_codes_are_those_of_the_coder_and_near_the_unrolled_ones(chain, blob_data):
    twin = make_twin(chain)
    payloads = chain.encoder.encode(blob_data.x_test)
    with get_backend("chip").open(chain.front) as session:
        scores = session.run(payloads).output_states
    given = torch.from_numpy(payloads.astype(np.float64))
    np.testing.assert_array_equal(twin.codes(given).numpy(), chain.codes(scores))
    error = np.abs(twin.unrolled(given).numpy() - chain.codes(scores))
    assert error.mean() < 0.03 * chain.back.encoder.payload_limit


def test_a_twin_that_leaks_moves_atoms_that_are_silent(chain, blob_data):
    images = torch.tensor(blob_data.x_test)
    plain, leaky = make_twin(chain), make_twin(chain, Surrogate(box_slope=0.2))
    payloads = plain.payloads(images)
    silent = (plain.codes(payloads) == 0).double()
    assert silent.any()
    moved = []
    for twin in (plain, leaky):
        given = payloads.detach().clone().requires_grad_(True)
        (twin.codes(given) * silent).sum().backward()
        moved.append(float(given.grad.abs().sum()))
    assert moved[1] > 10 * moved[0]


def test_a_chain_is_attacked_as_any_run(chains, tmp_path):
    folder = shutil.copytree(chains["behind spiking"], tmp_path / "run")
    found = attack(folder, AttackConfig(attacks="noise,fgsm,pgd-10", eps=(0.1, 0.3), images=30))
    assert found.clean > 0.9
    assert found.robust[0.3] < found.robust[0.1] < found.clean
    assert found.to_json()["fidelity"] == 1.0
    ratios = found.analysis.ratios
    assert ratios is not None
    assert len(ratios["adversarial"]) == 2
    for layers in ratios["adversarial"].values():
        assert set(layers) == {"input", "front.code", "hidden1", "output"}
    by_attack = found.by_attack
    assert by_attack["pgd-10"][0.3] < by_attack["fgsm"][0.3] < by_attack["noise"][0.3]

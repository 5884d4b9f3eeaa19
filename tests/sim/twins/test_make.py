"""What holds for twins of every family: what they refuse, and how far they are to be trusted."""

import numpy as np
import pytest
import torch

from neuro.artifact.run_folder import load_artifact
from neuro.base.errors import UserError
from neuro.equilibrium.design import design_for
from neuro.equilibrium.lif import StockDesign, build_stock_network
from neuro.equilibrium.sigma_delta import build_equilibrium
from sim.backends.protocol import get_backend
from sim.robustness.bridge.fidelity import Fidelity, fidelity
from sim.twins.base import margin_direction, rivals
from sim.twins.gradients import implicit_gradient, local_gradient
from sim.twins.make import make_twin
from sim.twins.surrogates import Surrogate

SPEC = build_equilibrium(design_for((4, 3), 3, (7,)), 0)
NETWORK = build_stock_network(StockDesign((4, 3), 3, (7,), squared_length=5.0), 0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"forward": "float"}, "forward 'float' is unknown"),
        ({"steps": 0}, "steps 0 outside"),
        ({"checkpoint_steps": -1}, "checkpoint_steps -1"),
        ({"device": "abacus"}, "device 'abacus' is unknown"),
        ({"device": "meta"}, "twins run on cpu or cuda"),
        ({"device": "cuda:99"}, "CUDA devices here; choose cpu"),
    ],
)
@pytest.mark.parametrize("spec", [SPEC, NETWORK], ids=["sigma-delta", "stock"])
def test_wrong_options_are_refused(spec, options, words):
    with pytest.raises(UserError, match=words) as error:
        make_twin(spec, **options)
    assert "\n" not in str(error.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_cuda_is_refused_where_there_is_none():
    with pytest.raises(UserError, match="device 'cuda': 0 CUDA devices here; choose cpu"):
        make_twin(SPEC, device="cuda")


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (torch.zeros(2, 3, 4), r"shape \(2, 3, 4\): the network takes floats of shape \[B, 4, 3\]"),
        (torch.zeros(4, 3), "takes floats of shape"),
        (torch.zeros(2, 4, 3, dtype=torch.uint8), r"torch\.uint8"),
        (torch.full((2, 4, 3), 1.01), r"1\.01\.\.1\.01 outside \[0, 1\]"),
        (torch.full((2, 4, 3), -0.5), "outside"),
        (torch.full((2, 4, 3), torch.nan), "outside"),
    ],
)
def test_wrong_images_are_refused(images, words):
    for spec in (SPEC, NETWORK):
        for use in (make_twin(spec), make_twin(spec).predict):
            with pytest.raises(UserError, match=words):
                use(images)


@pytest.mark.parametrize("gradient", [local_gradient, implicit_gradient])
def test_gradients_of_equilibrium_networks_are_refused_for_others(gradient):
    more = (1.0,) if gradient is local_gradient else ()
    with pytest.raises(UserError, match="sigma-delta network"):
        gradient(make_twin(NETWORK), torch.zeros(1, 4, 3), torch.tensor([0]), *more)


@pytest.mark.parametrize("run", ["finished", "finished_stock"])
def test_fidelity_is_measured_against_the_deployed_integers(run, request, blob_data):
    spec = load_artifact(request.getfixturevalue(run)).spec
    clean = torch.tensor(blob_data.x_test[:40], dtype=torch.float32)
    labels = torch.tensor(blob_data.y_test[:40].astype(np.int64))
    exact, relaxed = make_twin(spec), make_twin(spec, forward="relaxed")
    pixels = clean.clone().requires_grad_(True)
    scores = exact(pixels)
    (push,) = torch.autograd.grad((scores * margin_direction(scores.detach(), labels)).sum(), pixels)
    attacked = (clean + 0.5 * push.sign()).clamp(0, 1)
    assert (exact.predict(attacked) == labels).sum() < (exact.predict(clean) == labels).sum() - 8
    with get_backend(spec.native_backend).open(spec, threads=1) as session:
        for images in (clean, attacked):
            assert fidelity(exact, session, images) == Fidelity(1.0, 0.0, 40)
            found = fidelity(relaxed, session, images)
            assert found.label_agreement > 0.8
            assert found.output_error > 0
            record = session.run(spec.encoder.encode(images.numpy()))
            assert fidelity(relaxed, record, images) == found
            assert fidelity(exact, record.predictions, images) == Fidelity(1.0, None, 40)
            flipped = np.where(np.arange(40) < 10, (record.predictions + 1) % 3, record.predictions)
            assert fidelity(exact, flipped, images).label_agreement == 0.75


def test_fidelity_needs_images_and_as_many_predictions():
    twin = make_twin(SPEC)
    with pytest.raises(UserError, match="no images"):
        fidelity(twin, np.zeros(0, dtype=np.int32), torch.zeros(0, 4, 3))
    with pytest.raises(UserError, match="1 predictions for 2 images"):
        fidelity(twin, np.zeros(1, dtype=np.int32), torch.zeros(2, 4, 3))


def test_the_rival_is_the_best_of_the_others():
    scores, labels = torch.tensor([[3.0, 1.0, 2.0], [3.0, 1.0, 2.0]]), torch.tensor([0, 2])
    assert rivals(scores, labels).tolist() == [2, 0]
    assert margin_direction(scores, labels).tolist() == [[-1, 0, 1], [1, 0, -1]]


def test_ties_go_to_the_lowest_class():
    silent = SPEC.with_weights({p.name: np.zeros_like(p.weights) for p in SPEC.projections if p.weights is not None})
    assert make_twin(silent).predict(torch.rand(5, 4, 3)).tolist() == [0] * 5


def test_a_twin_can_be_cloned_through_its_state():
    other = build_equilibrium(design_for((4, 3), 3, (7,)), 1)
    twin, clone, images = make_twin(SPEC), make_twin(other), torch.rand(5, 4, 3)
    assert not torch.equal(twin(images), clone(images))
    clone.load_state_dict(twin.state_dict())
    assert torch.equal(twin(images), clone(images))


def test_leaky_surrogates_are_part_of_the_choice():
    assert make_twin(SPEC).surrogate == Surrogate()
    assert make_twin(NETWORK).surrogate == Surrogate("rate")

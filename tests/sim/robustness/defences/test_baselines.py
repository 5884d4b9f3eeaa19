"""The networks to compare with: they learn, repeat themselves; the recurrent one is the relaxation of
`sim.oracles.equilibrium`."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neuro.base.errors import UserError
from neuro.equilibrium.design import design_for
from neuro.equilibrium.sigma_delta import build_equilibrium
from sim.oracles.equilibrium import RateNetwork
from sim.robustness.attacks.gradient import ProjectedGradient
from sim.robustness.attacks.threats import Threat
from sim.robustness.defences.baselines import (
    Recipe,
    Relaxation,
    accuracy_of,
    adversarial_recipe,
    build_baseline,
    fit,
    real_images,
    train_baseline,
)

QUICK = Recipe(epochs=2, batch=20, learning_rate=1e-2)
HIDDEN = {"perceptron": (32,), "cnn": (8, 16), "bptt": (32,), "snn": (32,)}


@pytest.mark.parametrize("name", HIDDEN)
def test_each_baseline_learns_and_repeats_itself(name, digits):
    before = torch.random.get_rng_state()
    first, again = (train_baseline(name, digits.dataset, HIDDEN[name], 3, QUICK) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert first.val_accuracy == again.val_accuracy
    with torch.no_grad():
        assert torch.equal(first.model(digits.images), again.model(digits.images))
    assert first.val_accuracy.value > 0.7
    images = digits.images.clone().requires_grad_(True)
    first.model(images).square().sum().backward()
    assert float((images.grad != 0).float().mean()) > 0.5


@pytest.mark.parametrize("hidden", [(9,), (8, 6)])
def test_recurrent_net_is_the_relaxation_of_the_rate_network(hidden):
    """Same weights, same steps: its scores are the input that moves the output of `sim.oracles.equilibrium` in its last
    step."""
    design = design_for((4, 4), 3, hidden)
    spec = build_equilibrium(design, 5)
    network = RateNetwork(spec)
    payloads = spec.encoder.encode(np.random.default_rng(0).random((6, 4, 4)).astype(np.float32))
    sources = network.sources(torch.tensor(payloads.astype(np.int64)))
    model = Relaxation(design).double()
    layers = [*(f"hidden{i + 1}" for i in range(len(hidden))), "output"]
    for name, value in network.weights.items():
        projection = spec.projection(name)
        layer = layers.index(projection.target)
        if projection.source == "bias":
            model.biases[layer].data = value[0]
        else:
            model.weights[layer].data = value
    scores = model(sources["input"])
    before, after = (network.relax(sources, design.free_steps - n).states["output"] for n in (1, 0))
    moved = (before + model.step_size * (scores - before)).clamp(*design.output_box)
    torch.testing.assert_close(moved, after)
    assert float(after.std()) > 0.0


def test_adversarial_training_makes_robust(digits):
    threat = Threat("linf", 0.1)
    plain = train_baseline("perceptron", digits.dataset, (32,), 0, Recipe(epochs=6))
    hardened = train_baseline("perceptron", digits.dataset, (32,), 0, adversarial_recipe(threat, 5, Recipe(epochs=6)))
    attack = Recipe(adversary=ProjectedGradient(20), threat=threat)
    robust = [accuracy_of(t.model, digits.images, digits.labels, attack).value for t in (plain, hardened)]
    assert robust[1] > robust[0] + 0.1
    assert hardened.val_accuracy.value < plain.val_accuracy.value  # it is that under attack


def test_distilled_net_imitates_scores(digits):
    with torch.no_grad():
        scores = digits.perceptron(real_images(digits.dataset.x_train)).numpy()
        wanted = digits.perceptron(digits.images)
    student = train_baseline("distilled", digits.dataset, (64,), 0, Recipe(epochs=15), scores=scores).model
    with torch.no_grad():
        got = student(digits.images)
    assert float((got.argmax(1) == wanted.argmax(1)).float().mean()) > 0.9
    assert float((got - wanted).square().mean()) < 0.2 * float(wanted.var())


def test_the_best_epoch_is_kept_and_training_stops():
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(60, 5, generator=generator)
    labels = torch.randint(0, 2, (60,), generator=generator)  # nothing to learn
    reached = []
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_baseline("perceptron", (5,), (8,), 2)
    trained = fit(model, (images, labels), (images[:20], 1 - labels[:20]), 0, Recipe(epochs=50, patience=3),
                  lambda epoch, accuracy: reached.append(accuracy))  # fmt: skip
    assert len(reached) == trained.epochs + 3
    assert trained.val_accuracy == max(reached, key=lambda a: a.n_correct)
    assert accuracy_of(model, images[:20], 1 - labels[:20]) == trained.val_accuracy


def test_colour_images_and_bytes():
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3)).astype(np.uint8)
    assert float(real_images(images).max()) <= 1.0
    assert build_baseline("cnn", (8, 8, 3), (4, 6), 7)(real_images(images)).shape == (5, 7)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "resnet"}, "unknown"),
        ({"name": "distilled"}, "scores"),
        ({"name": "perceptron", "scores": np.zeros((3, 10))}, "scores"),
        ({"name": "distilled", "scores": np.zeros((3, 10))}, "one row"),
        ({"name": "cnn", "hidden": (4, 4, 4, 4)}, "poolings"),
    ],
)
def test_what_cannot_be_trained_is_refused(arguments, words, digits):
    with pytest.raises(UserError, match=words):
        train_baseline(**{"dataset": digits.dataset, "hidden": (4,), **arguments})


def test_a_recipe_needs_adversary_and_threat():
    with pytest.raises(UserError, match="both"):
        Recipe(threat=Threat("linf", 0.1))

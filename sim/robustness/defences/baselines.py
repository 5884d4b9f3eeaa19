"""Networks to compare with, of the same shape, trained by backpropagation: what is special about the settling ones?

    perceptron, cnn      ReLU, softmax cross-entropy
    adversarial ones     the same, trained on their own PGD-10 images (Madry et al. 2018)
    bptt                 the relaxation of `sim.oracles.equilibrium`, unrolled and trained by backpropagation through
    time snn                  leaky integrate-and-fire, surrogate gradient (`twin_baseline`)
    distilled            a perceptron that imitates given scores, e.g. the fixed points of a settling network

All are functions images [B, *shape] in 0..1 -> scores [B, K]; deterministic by seed; the epoch is chosen on validation.
"""

from __future__ import annotations

import copy
import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from neuro.base.arrays import Floats, Images
from neuro.base.checks import require_choice
from neuro.base.errors import UserError
from neuro.base.metrics import Accuracy
from neuro.data.sets import Dataset, split_validation
from neuro.equilibrium.design import EquilibriumDesign, design_for
from sim.robustness.attacks.gradient import ProjectedGradient
from sim.robustness.attacks.search import Attack
from sim.robustness.attacks.threats import Threat

SMALL = 10_000  # training images; below, smaller batches and more epochs
CHUNK = 1000


@dataclass(frozen=True)
class Recipe:
    """How to train: Adam with cosine decay; stops after `patience` epochs without a better validation accuracy.

    epochs, batch: None for 40 epochs of batches of 50 on small training sets, else 12 of 100. adversary and threat:
    train on adversarial images of the network as it is (validation accuracy is then that under the same attack).
    """

    epochs: int | None = None
    batch: int | None = None
    learning_rate: float = 2e-3
    patience: int = 10
    adversary: Attack | None = None
    threat: Threat | None = None

    def __post_init__(self) -> None:
        if (self.adversary is None) != (self.threat is None):
            raise UserError("baseline: adversarial training needs both an adversary and a threat; give both or none")


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained baseline. val_accuracy: of the epoch kept, under attack if it was trained so; cpu_s of the process."""

    model: nn.Module
    val_accuracy: Accuracy
    epochs: int
    cpu_s: float


def real_images(images: Images) -> Tensor:
    """Images (uint8 0..255 or floats in 0..1) as float32 in 0..1, shape kept."""
    scale = 255.0 if images.dtype == np.uint8 else 1.0
    return torch.tensor(images, dtype=torch.float32) / scale


def perceptron(image_shape: tuple[int, ...], hidden: tuple[int, ...], n_classes: int) -> nn.Sequential:
    """A ReLU perceptron on flattened images."""
    sizes = (math.prod(image_shape), *hidden, n_classes)
    layers: list[nn.Module] = [nn.Flatten()]
    for pre, post in itertools.pairwise(sizes):
        layers += [nn.Linear(pre, post), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class _ToPlanes(nn.Module):
    """[B, h, w] or [B, h, w, c] -> [B, c, h, w]."""

    def forward(self, images: Tensor) -> Tensor:
        """Move the channels to the front."""
        return images[:, None] if images.dim() == 3 else images.permute(0, 3, 1, 2)


def convolutional(image_shape: tuple[int, ...], channels: tuple[int, ...], n_classes: int) -> nn.Sequential:
    """A network of 3x3 convolutions, each with ReLU and 2x2 average pooling, and one dense layer.

    Raises: UserError if the images are no planes, or too small for so many poolings.
    """
    if len(image_shape) not in (2, 3) or min(image_shape[:2]) >> len(channels) < 1:
        raise UserError(f"baseline cnn: {len(channels)} poolings on images {image_shape}; give planes of at least "
                        f"{2 ** len(channels)} pixels a side, or fewer channels")  # fmt: skip
    layers: list[nn.Module] = [_ToPlanes()]
    for pre, post in itertools.pairwise([*(image_shape[2:3] or (1,)), *channels]):
        layers += [nn.Conv2d(pre, post, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2)]
    rows, columns = (side >> len(channels) for side in image_shape[:2])
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels[-1] * rows * columns, n_classes))


class Relaxation(nn.Module):
    """The settling network of `sim.oracles.equilibrium` with real weights that backpropagation through time trains.

        I_l = b_l + s_{l-1} W_{l-1} + s_{l+1} W_l^T ;   s_l <- clip(s_l + step (I_l - s_l), lower_l, upper_l)

    All layers at once, from zero, for the free phase of the design. Scores: the input I of the last layer for its last
    step, which is the output's pre-activation. weights[l] of shape [N_l, N_{l+1}].
    Checked: tests/sim/robustness/defences/test_baselines.py, against sim.oracles.equilibrium.
    """

    def __init__(self, design: EquilibriumDesign) -> None:
        super().__init__()
        self.steps, self.step_size = design.free_steps, design.step_multiplier / 2**design.step_shift
        self.boxes = [*[(0.0, 1.0)] * len(design.hidden), design.output_box]
        hidden = [layer for layer in design.hidden if isinstance(layer, int)]
        if len(hidden) < len(design.hidden):
            raise UserError("baseline: backpropagation through time trains all-to-all layers; drop the convolutions")
        shapes = list(itertools.pairwise((math.prod(design.input_shape), *hidden, design.n_classes)))
        self.weights = nn.ParameterList([nn.Parameter(nn.init.xavier_uniform_(torch.empty(shape))) for shape in shapes])
        self.biases = nn.ParameterList([nn.Parameter(torch.zeros(size)) for _, size in shapes])

    def forward(self, images: Tensor) -> Tensor:
        """The scores [B, K]."""
        drive = images.flatten(1) @ self.weights[0]
        states = [torch.zeros(len(images), len(bias)).to(images) for bias in self.biases]
        inputs = states
        for _ in range(self.steps):
            inputs = self._inputs(drive, states)
            moved = [s + self.step_size * (i - s) for s, i in zip(states, inputs, strict=True)]
            states = [torch.clamp(m, *box) for m, box in zip(moved, self.boxes, strict=True)]
        return inputs[-1]

    def _inputs(self, drive: Tensor, states: list[Tensor]) -> list[Tensor]:
        """The total input I of every layer; `drive`: what the image gives the first one."""
        inputs = []
        for layer, bias in enumerate(self.biases):
            total = bias + (drive if layer == 0 else states[layer - 1] @ self.weights[layer])
            if layer + 1 < len(states):
                total = total + states[layer + 1] @ self.weights[layer + 1].T
            inputs.append(total)
        return inputs


def build_baseline(name: str, image_shape: tuple[int, ...], hidden: tuple[int, ...], n_classes: int) -> nn.Module:
    """Build an untrained baseline by name; `hidden`: sizes of the hidden layers, or channels of the cnn."""
    sizes = (math.prod(image_shape), *hidden, n_classes)
    if name in ("perceptron", "distilled"):
        return perceptron(image_shape, hidden, n_classes)
    if name == "cnn":
        return convolutional(image_shape, hidden, n_classes)
    if name == "bptt":
        return Relaxation(design_for(image_shape, n_classes, hidden))
    require_choice("baseline", name, BASELINES)
    from sim.robustness.defences.perceptron import DirectSpiking

    return DirectSpiking(sizes)


BASELINES = ("perceptron", "cnn", "bptt", "snn", "distilled")


def train_baseline(
    name: str, dataset: Dataset, hidden: tuple[int, ...], seed: int = 0, recipe: Recipe | None = None,
    scores: Floats | None = None, progress: Callable[[int, Accuracy], None] | None = None,
) -> Trained:  # fmt: skip
    """Train a baseline on the training split of a dataset.

    Args:    hidden: see `build_baseline`; scores of shape [n_train, K]: what "distilled" imitates, for all training
             images; progress: told of every epoch and its validation accuracy.
    Raises:  UserError if the name is unknown, or scores are missing for "distilled", or given for another.
    """
    if (name == "distilled") != (scores is not None):
        raise UserError(f"baseline {name!r}: scores of the network to imitate go with 'distilled', and only with it")
    if scores is not None and scores.shape != (len(dataset.y_train), dataset.n_classes):
        raise UserError(f"baseline distilled: scores of shape {scores.shape}; give one row for each of the "
                        f"{len(dataset.y_train)} training images and a column for each class")  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_baseline(name, dataset.image_shape, hidden, dataset.n_classes)
    labels = torch.tensor(dataset.y_train, dtype=torch.int64)
    targets = labels if scores is None else torch.tensor(scores, dtype=torch.float32)
    split = split_validation(dataset.y_train, seed)
    kept, held_out = torch.tensor(split.train), torch.tensor(split.validation)
    images = real_images(dataset.x_train)
    return fit(model, (images[kept], targets[kept]), (images[held_out], labels[held_out]), seed, recipe, progress)


def fit(
    model: nn.Module, training: tuple[Tensor, Tensor], validation: tuple[Tensor, Tensor], seed: int = 0,
    recipe: Recipe | None = None, progress: Callable[[int, Accuracy], None] | None = None,
) -> Trained:  # fmt: skip
    """Train `model` in place on (images, targets) and keep the epoch of the best validation accuracy.

    targets: labels (int64, softmax cross-entropy) or scores (float, squared error). Works on any model that has
    parameters, a twin of a settling network too.
    """
    recipe, began = recipe or Recipe(), time.process_time()
    images, targets = training
    small = len(images) < SMALL
    epochs = recipe.epochs or (40 if small else 12)
    batch = recipe.batch or (50 if small else 100)
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    best, best_epoch, state = Accuracy(0, 0), 0, copy.deepcopy(model.state_dict())
    for epoch in range(1, epochs + 1):
        for order, indices in enumerate(torch.split(torch.randperm(len(images), generator=generator), batch)):
            _learn(model, optimizer, images[indices], targets[indices], recipe, seed + epoch * len(images) + order)
        schedule.step()
        accuracy = accuracy_of(model, *validation, recipe, seed)
        if progress:
            progress(epoch, accuracy)
        if best_epoch == 0 or accuracy.n_correct > best.n_correct:
            best, best_epoch, state = accuracy, epoch, copy.deepcopy(model.state_dict())
        if epoch - best_epoch >= recipe.patience:
            break
    model.load_state_dict(state)
    return Trained(model.eval(), best, best_epoch, time.process_time() - began)


def _learn(
    model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, targets: Tensor, recipe: Recipe, seed: int
) -> None:
    """One step on one batch, on adversarial images if the recipe has an adversary."""
    if recipe.adversary and recipe.threat:
        labels = targets.argmax(1) if targets.is_floating_point() else targets
        images = recipe.adversary(model, images, labels, recipe.threat, seed).images
    optimizer.zero_grad()
    scores = model(images)
    soft = targets.is_floating_point()
    loss = nn.functional.mse_loss(scores, targets) if soft else nn.functional.cross_entropy(scores, targets)
    torch.autograd.backward(loss)
    optimizer.step()


def accuracy_of(
    model: nn.Module, images: Tensor, labels: Tensor, recipe: Recipe | None = None, seed: int = 0
) -> Accuracy:
    """The accuracy of a model, under the attack of the recipe if it has one."""
    n_correct = 0
    for x, y in zip(torch.split(images, CHUNK), torch.split(labels, CHUNK), strict=True):
        if recipe and recipe.adversary and recipe.threat:
            x = recipe.adversary(model, x, y, recipe.threat, seed).images
        with torch.no_grad():
            n_correct += int((model(x).argmax(1) == y).sum())
    return Accuracy(n_correct, len(labels))


def adversarial_recipe(threat: Threat, steps: int = 10, recipe: Recipe | None = None) -> Recipe:
    """The recipe of adversarial training by PGD with `steps` steps on the cross-entropy (Madry et al. 2018)."""
    base = recipe or Recipe()
    adversary = ProjectedGradient(steps, loss="cross-entropy")
    return Recipe(base.epochs, base.batch, base.learning_rate, base.patience, adversary, threat)

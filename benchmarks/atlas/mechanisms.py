"""The rows of the atlas: how each mechanism is trained, all of the same hidden layer, from a seed.

A row of the user's is NAME=module:object. The object is a class of torch modules, called with the shape of an image and
the number of classes and trained by backpropagation as the perceptron is; or a function of (dataset, seed, folder) that
returns a trained torch module (images [B, *shape] in 0..1 -> scores [B, K]) or the folder of a finished run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.atlas.backprop import attack_of, noise_of, trained
from benchmarks.atlas.config import REFERENCE
from benchmarks.atlas.subject import Subject, Training
from benchmarks.without_competition import train_without_competition
from neuro.artifact.run_folder import MANIFEST
from neuro.base.checks import require_choice
from neuro.base.errors import UserError
from neuro.base.late import named
from neuro.base.options import configured
from sim.coding.config import LcaConfig
from sim.face.data import keep_arrays
from sim.face.training import train_network, train_sparse_coder
from sim.robustness.attacks.gradient import ProjectedGradient
from sim.robustness.attacks.threats import Threat
from sim.robustness.defences.adversarial import AdversarialTraining
from sim.robustness.defences.baselines import build_baseline, real_images
from sim.training.config import TrainConfig
from sim.training.equilibrium import train_ep
from sim.training.watcher import Watcher

Make = Callable[[Training], Subject]
MAPS, CNN = "conv:16x3,pool:2", (16,)
ADVERSARY_STEPS, ADVERSARY_EPOCHS = 10, 8


@dataclass(frozen=True)
class Mechanism:
    """A row. is_about: what it is, a few words; make: trains it."""

    is_about: str
    make: Make


def _backprop(name: str, sizes: tuple[int, ...] | None, training: Training) -> Subject:
    """A network trained by backpropagation."""
    return Subject(module=trained(_built(name, sizes, training), training))


def _built(name: str, sizes: tuple[int, ...] | None, training: Training) -> Callable[[], nn.Module]:
    dataset = training.dataset
    return partial(build_baseline, name, dataset.image_shape, sizes or training.hidden, dataset.n_classes)


def _noisy(training: Training) -> Subject:
    """The perceptron trained with noise on every image."""
    noise = noise_of(training.config.sigma)
    return Subject(module=trained(_built(REFERENCE, None, training), training, noise, noise))


def _attacked(training: Training) -> Subject:
    """The perceptron trained on its own adversarial images."""
    change = attack_of(ProjectedGradient(ADVERSARY_STEPS, loss="cross-entropy"), Threat("linf", training.config.eps))
    return Subject(module=trained(_built(REFERENCE, None, training), training, change))


def _finished(folder: Path) -> bool:
    return (folder / MANIFEST).is_file()


def _equilibrium(training: Training, front: str | Path | None = None, **options: Any) -> Subject:
    """A network trained by equilibrium propagation."""
    folder = training.folder / "run"
    if not _finished(folder):
        shape = {} if "layers" in options else {"hidden": options.pop("hidden", training.hidden)}
        config = configured(TrainConfig, {"seed": training.seed, "threads": 1, **shape, **options})
        train_network(training.dataset, config, folder, front_end=front, progress=False)
    return Subject(run=folder)


def _deep(training: Training) -> Subject:
    return _equilibrium(training, hidden=training.hidden * 2)


def _maps(training: Training) -> Subject:
    if len(training.dataset.image_shape) < 2:
        raise UserError(f"images of shape {training.dataset.image_shape}: vectors have no maps")
    return _equilibrium(training, layers=MAPS)


def _with_noise(training: Training) -> Subject:
    return _equilibrium(training, noise=training.config.sigma)


def _behind(front: str, training: Training) -> Subject:
    """Equilibrium propagation behind a front end that does not learn."""
    return _equilibrium(training, front)


def _coder(training: Training) -> Path:
    folder = training.folder / "coder"
    if not _finished(folder):
        config = configured(LcaConfig, {"seed": training.seed, "threads": 1})
        train_sparse_coder(training.dataset, config, folder, progress=False)
    return folder


def _coded(training: Training) -> Subject:
    return _equilibrium(training, _coder(training))


def _uncontested(training: Training) -> Subject:
    network = train_without_competition(_coder(training), training.dataset, training.hidden, training.seed)
    return Subject(module=network)


def _adversarial(training: Training) -> Subject:
    """An EP network that learns every image as the network of the moment is attacked with it."""
    folder, dataset = training.folder / "run", training.dataset
    if not _finished(folder):
        config = TrainConfig(seed=training.seed, hidden=training.hidden, epochs=ADVERSARY_EPOCHS, threads=1)
        images, labels = real_images(dataset.x_train), torch.tensor(dataset.y_train).long()
        threat = Threat("linf", training.config.eps)
        adversary = AdversarialTraining(
            Watcher(), images, labels, ProjectedGradient(ADVERSARY_STEPS), threat, training.seed
        )
        train_ep(keep_arrays(dataset, folder), config, folder, adversary)
    return Subject(run=folder)


MECHANISMS: dict[str, Mechanism] = {
    REFERENCE: Mechanism("ReLU, backpropagation", partial(_backprop, REFERENCE, None)),
    "cnn": Mechanism("3x3 convolutions, backpropagation", partial(_backprop, "cnn", CNN)),
    "perceptron-noise": Mechanism("the perceptron, noise on training images", _noisy),
    "perceptron-adversarial": Mechanism("the perceptron, adversarial training", _attacked),
    "ep": Mechanism("equilibrium propagation", _equilibrium),
    "ep-deep": Mechanism("equilibrium propagation, two hidden layers", _deep),
    "ep-maps": Mechanism("equilibrium propagation, kernels", _maps),
    "ep-noise": Mechanism("equilibrium propagation, noise on training images", _with_noise),
    "ep-adversarial": Mechanism("equilibrium propagation, adversarial training", _adversarial),
    "v1-ep": Mechanism("filters of V1, equilibrium propagation behind them", partial(_behind, "v1")),
    "fovea-ep": Mechanism("retinal samples of several fixations, equilibrium propagation", partial(_behind, "fovea")),
    "dn-ep": Mechanism("divisive normalisation, equilibrium propagation", partial(_behind, "dn")),
    "lca-ep": Mechanism("sparse coder (LCA), equilibrium propagation behind it", _coded),
    "lca-control": Mechanism("its atoms without competition, perceptron behind them", _uncontested),
}


def own_rows(texts: Sequence[str]) -> dict[str, Mechanism]:
    """The rows that a user brings, each NAME=module:object. Raises: UserError if one is no such text or not found."""
    return {name: Mechanism(text, partial(_own, text)) for name, text in map(_parted, texts)}


def _parted(text: str) -> tuple[str, str]:
    name, _, place = text.partition("=")
    if not name or place.count(":") != 1 or name in MECHANISMS or "/" in name:
        raise UserError(f"--row {text!r}: give NAME=module:object, with a NAME that no row has")
    _object(place)
    return name, place


def _object(place: str) -> Any:
    if "" not in sys.path:
        sys.path.insert(0, "")  # modules beside the user
    try:
        return named(place)
    except (ImportError, AttributeError) as error:
        raise UserError(f"--row {place}: {error}; give module:object, importable from here") from error


def _own(place: str, training: Training) -> Subject:
    """A mechanism of the user's, trained."""
    given, dataset = _object(place), training.dataset
    if isinstance(given, type) and issubclass(given, nn.Module):
        return Subject(module=trained(partial(given, dataset.image_shape, dataset.n_classes), training))
    made = given(dataset, training.seed, training.folder)
    if isinstance(made, nn.Module):
        return Subject(module=made.eval())
    if isinstance(made, (str, Path)):
        return Subject(run=Path(made))
    raise UserError(f"row {place}: returned {type(made).__name__}; return a torch module or the folder of a run")


def rows_of(names: Sequence[str] | None, own: Mapping[str, Mechanism]) -> dict[str, Mechanism]:
    """The rows asked for, the reference first. Raises: UserError if one is unknown."""
    known = {**MECHANISMS, **own}
    for name in names or ():
        require_choice("row", name, known)
    return {name: known[name] for name in dict.fromkeys((REFERENCE, *(names or known), *own))}

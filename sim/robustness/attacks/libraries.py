"""Attacks of foolbox and pyautoattack behind our interface (`pip install settle[robustness]`), loaded when first run.

What they lack is added here: of an image that the attacked model withstands they return the clean image, so their
perturbation is also tried stretched to the whole of the threat, and the best one is kept.
"""

from __future__ import annotations

import importlib
import logging
import math
import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from neuro.base.errors import UserError
from sim.robustness.attacks.search import Adversarial, Kind, Model, Search
from sim.robustness.attacks.threats import Threat, norm_of, per_image


def load(name: str) -> Any:
    """Import a library. Raises: UserError if it is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the libraries
        try:
            return importlib.import_module(name)
        except ImportError as error:
            package = name.split(".")[0]
            raise UserError(f"attack: {package} is not installed; run `pip install settle[robustness]`") from error


class Planar(nn.Module):
    """The model on images [B, c, h, w], as libraries expect them. One row of pixels is made square where it can be."""

    def __init__(self, model: Model, shape: torch.Size) -> None:
        super().__init__()
        self.model, self.shape = model, shape
        n_pixels = math.prod(shape)
        side = math.isqrt(n_pixels)
        flat = (1, side, side) if side * side == n_pixels else (1, 1, n_pixels)
        self.planar = {1: flat, 2: (1, *shape), 3: (shape[-1], *shape[:2])}.get(len(shape), flat)

    def forward(self, planes: Tensor) -> Tensor:
        """The scores [B, K]; where they have no gradient they get one of zero, which the libraries need."""
        return self.model(self.to_images(planes)) + 0.0 * planes.flatten(1).sum(1, keepdim=True)

    def to_images(self, planes: Tensor) -> Tensor:
        """[B, c, h, w] -> [B, *shape]."""
        planes = planes.permute(0, 2, 3, 1) if len(self.shape) == 3 else planes
        return planes.reshape(-1, *self.shape)

    def to_planes(self, images: Tensor) -> Tensor:
        """[B, *shape] -> [B, c, h, w]."""
        images = images.permute(0, 3, 1, 2) if len(self.shape) == 3 else images
        return images.reshape(-1, *self.planar).contiguous()


def finish(search: Search, found: Tensor) -> Adversarial:
    """Offer what a library found, projected, and stretched to the full eps; measure gradients at the clean images.

    found: for every image of `search.first`; under several sizes the same serves all.
    """
    found = found.to(search.clean).repeat(search.threat.copies, *[1] * (found.dim() - 1))
    change = (found - search.clean).nan_to_num(0.0, 0.0, 0.0)
    length = norm_of(change, search.threat.norm).clamp(min=1e-12)
    for factor in (torch.ones_like(length), search.threat.sizes(length) / length):
        search.offer(search.threat.project(search.clean + per_image(factor, change) * change, search.clean))
    search.gradient(search.clean, clean=True)
    return search.result()


@dataclass(frozen=True)
class DeepFool:
    """Smallest change by repeated linearisation, cut or stretched to eps. Source: Moosavi-Dezfooli et al. 2016."""

    steps: int = 50
    several_sizes: ClassVar[bool] = True
    kind: Kind = "minimal-norm"
    family: str = "deepfool"

    def __call__(self, model: Model, images: Tensor, labels: Tensor, threat: Threat, seed: int) -> Adversarial:
        """Attack; see `attack.Attack`."""
        search = Search(model, images, labels, threat)
        name = "LinfDeepFoolAttack" if threat.norm == "linf" else "L2DeepFoolAttack"
        attack = getattr(load("foolbox").attacks, name)(steps=self.steps)
        return finish(search, run_foolbox(attack, search, None))


def run_foolbox(attack: Any, search: Search, eps: float | None) -> Tensor:
    """Run an attack of foolbox on `search.first`; eps None for minimal-norm ones.

    Returns: images [B, *shape], clean where it failed.
    """
    foolbox = load("foolbox")
    clean = search.first
    planar = Planar(search.model, clean.shape[1:]).eval()
    network = foolbox.PyTorchModel(planar, bounds=(0, 1), device=clean.device)
    criterion = foolbox.criteria.Misclassification(search.labels[: len(clean)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = attack.run(network, planar.to_planes(clean), criterion, **({"epsilon": eps} if eps else {}))
    return planar.to_images(found)


@dataclass(frozen=True)
class FastAdaptiveBoundary:
    """FAB: minimal perturbation by projection onto the linearised boundary. Source: Croce and Hein 2020 (FAB).

    Looks for the boundary wherever it lies, beyond eps too; what is found is then cut at eps.
    steps; targeted: towards each of up to nine rival classes (FAB-T).
    """

    steps: int = 50
    targeted: bool = False
    several_sizes: ClassVar[bool] = True
    kind: Kind = "minimal-norm"
    family: str = "fab"

    def __call__(self, model: Model, images: Tensor, labels: Tensor, threat: Threat, seed: int) -> Adversarial:
        """Attack; see `attack.Attack`."""
        search = Search(model, images, labels, threat)
        planar = Planar(model, images.shape[1:])
        attack = load("pyautoattack.fab_pt").FABAttack_PT(
            planar, norm=_norm(threat), n_restarts=1, n_iter=self.steps, eps=float(images[0].numel()),
            seed=seed, targeted=self.targeted, device=images.device,
            n_target_classes=min(9, search.clean_scores.shape[1] - 1),
        )  # fmt: skip
        with own_randomness(images):
            found = attack.perturb(planar.to_planes(search.first), search.labels[: len(search.first)])
        return finish(search, planar.to_images(found))


@dataclass(frozen=True)
class AutoAttack:
    """The ensemble of Croce and Hein 2020 as it is: a cross-check of our own attacks on the model itself.

    It contains Square, so the verdict does not count it as white-box. parts: e.g. ("apgd-ce", "square").
    """

    parts: tuple[str, ...] = ("apgd-ce", "apgd-t", "fab-t", "square")
    kind: Kind = "ensemble"
    family: str = "autoattack"
    steps: int = 100

    def __call__(self, model: Model, images: Tensor, labels: Tensor, threat: Threat, seed: int) -> Adversarial:
        """Attack; see `attack.Attack`."""
        search = Search(model, images, labels, threat)
        if search.clean_scores.shape[1] < 4:
            raise UserError(
                f"attack autoattack: {search.clean_scores.shape[1]} classes; it needs 4, use apgd and square"
            )
        planar = Planar(model, images.shape[1:])
        ensemble = load("pyautoattack").AutoAttack(
            planar, norm=_norm(threat), eps=threat.eps, version="custom", attacks=list(self.parts), seed=seed,
            device=images.device,
        )  # fmt: skip
        ensemble.apgd.n_restarts = ensemble.fab.n_restarts = 1  # as in its standard version
        ensemble.fab.n_target_classes = ensemble.apgd_targeted.n_target_classes = min(
            9, search.clean_scores.shape[1] - 1
        )
        with own_randomness(images), _Quiet("auto-attack"):
            found, _ = ensemble.run_standard_evaluation(planar.to_planes(search.clean), search.labels)
        return finish(search, planar.to_images(found))


def _norm(threat: Threat) -> str:
    return {"linf": "Linf", "l2": "L2"}[threat.norm]


def own_randomness(images: Tensor) -> Any:
    """Keep the global generators, which the libraries seed, as they were."""
    return torch.random.fork_rng(devices=[images.device] if images.is_cuda else [])


class _Quiet:
    """Silence a logger: its warnings are what our own checks measure."""

    def __init__(self, name: str) -> None:
        self.logger = logging.getLogger(name)

    def __enter__(self) -> None:
        self.level = self.logger.level
        self.logger.setLevel(logging.CRITICAL)

    def __exit__(self, *_: object) -> None:
        self.logger.setLevel(self.level)

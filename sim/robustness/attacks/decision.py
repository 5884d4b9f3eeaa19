"""An attack that sees labels alone: no score, no gradient, so that nothing about them can mislead it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sim.robustness.attacks.libraries import Planar, load, own_randomness
from sim.robustness.attacks.search import Adversarial, Kind, Model, Search, generator_of
from sim.robustness.attacks.threats import Threat, norm_of, per_image

FURTHER = (1.5, 2.0, 3.0, 5.0)  # times the change that other attacks found: where the label turns beyond the threat


@dataclass(frozen=True, eq=False)
class HopSkipJump:
    """Walks along the boundary towards the clean image, from the images that other attacks found.

    starts: threat -> images of shape [B, *shape] for the same batch, found by others. steps; first_queries: of the
    first step, for the direction of the boundary, growing with the square root of the steps.
    Source: Chen, Jordan and Wainwright 2020, in foolbox.
    """

    starts: Callable[[Threat], Sequence[Tensor]]
    steps: int = 20
    first_queries: int = 60
    kind: Kind = "decision"
    family: str = "hop-skip-jump"

    def __call__(self, model: Model, images: Tensor, labels: Tensor, threat: Threat, seed: int) -> Adversarial:
        """Attack; see `attack.Attack`. model: its largest score is the label."""
        search = Search(model, images, labels, threat)
        found = [start.to(search.clean) for start in self.starts(threat)]
        for start in found:
            search.offer(start)
        begin, fooled = self._fooling(search, found, seed)
        chosen = fooled & (search.best_margin <= 0)
        if bool(chosen.any()):
            moved = search.best_images.clone()
            moved[chosen] = self._walk(search, chosen, begin[chosen], seed)
            search.offer(threat.project(moved, search.clean))
        return search.result()

    def _fooling(self, search: Search, found: list[Tensor], seed: int) -> tuple[Tensor, Tensor]:
        """For each image the nearest known one with another label, and whether there is one, of shape [B]."""
        clean = search.clean
        best, distance = clean.clone(), torch.full((len(clean),), torch.inf, device=clean.device)
        others = [clean[torch.randperm(len(clean), generator=generator_of(seed, k)).to(clean.device)] for k in range(9)]
        beyond = [(clean + factor * (start - clean)).clamp(0.0, 1.0) for factor in FURTHER for start in found]
        for images in [*found, *beyond, *others]:
            turned = search.scores(images).argmax(1) != search.labels
            away = norm_of(images - clean, search.threat.norm)
            better = turned & (away < distance)
            best, distance = torch.where(per_image(better, images), images, best), torch.where(better, away, distance)
        return best, distance < torch.inf

    def _walk(self, search: Search, chosen: Tensor, begin: Tensor, seed: int) -> Tensor:
        """The images that foolbox reaches from `begin`, for those `chosen`."""
        foolbox = load("foolbox")
        planar = Planar(search.model, search.clean.shape[1:]).eval()
        network = foolbox.PyTorchModel(planar, bounds=(0, 1), device=search.clean.device)
        attack = foolbox.attacks.HopSkipJumpAttack(
            steps=self.steps, initial_gradient_eval_steps=self.first_queries, max_gradient_eval_steps=1000,
            constraint=search.threat.norm,
        )  # fmt: skip
        criterion = foolbox.criteria.Misclassification(search.labels[chosen])
        with warnings.catch_warnings(), own_randomness(search.clean):
            warnings.simplefilter("ignore")
            torch.manual_seed(seed)
            found = attack.run(network, planar.to_planes(search.clean[chosen]), criterion,
                               starting_points=planar.to_planes(begin))  # fmt: skip
        return planar.to_images(found).to(search.clean)


def by_labels(scorer: Callable[[Tensor], Tensor], n_classes: int) -> Model:
    """A model whose scores say the label, and nothing more; scorer: images -> labels [B]."""
    return lambda images: torch.nn.functional.one_hot(scorer(images), n_classes).to(images)

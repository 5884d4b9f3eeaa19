"""What an attack report shows beside accuracies: ratios per layer, the output's surface, transfer between models."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from neuro.base.arrays import Float32, Int32, Integers
from neuro.base.errors import UserError
from neuro.spec.network import Network
from sim.backends.protocol import get_backend
from sim.backends.session import AnySession
from sim.robustness.analysis.perturbation import Ratio, perturbation_ratios
from sim.robustness.analysis.surface import Line, random_images, walk
from sim.robustness.analysis.transfer_matrix import TransferMatrix, scorer_of_model, transfer_matrix
from sim.robustness.attacks.search import Model
from sim.robustness.attacks.threats import Threat
from sim.robustness.judging.table import Scorer
from sim.twins.make import make_twin

NETWORK = "this network"
CLEAN, ADVERSARIAL, RANDOM = "clean", "adversarial", "random"
WALKED = 20  # images
NO_IMAGES = "no attack by projected gradients (pgd-...) was among the attacks, or the first shard's images are not here"


@dataclass(frozen=True)
class Subject:
    """What is analysed.

    network; kept: images [B, *shape] by name, "clean" and by threat the adversarial ones; labels [B] of the clean ones;
    threats; models: others to compare with, by name, on `device`; networks: others, by name.
    """

    network: Network
    kept: Mapping[str, Float32]
    labels: Integers
    threats: tuple[Threat, ...]
    models: Mapping[str, Model]
    networks: Mapping[str, Network] = field(default_factory=dict)
    seed: int = 0
    device: str = "cpu"

    @property
    def attacked(self) -> tuple[Threat, ...]:
        """The threats under which images were kept, in order of eps."""
        found = [threat for threat in self.threats if str(threat) in self.kept]
        return tuple(sorted(found, key=lambda threat: threat.eps))

    @property
    def clean(self) -> Tensor:
        """The clean images."""
        return torch.tensor(self.kept[CLEAN])


@dataclass(frozen=True)
class Analysis:
    """What was found; None where it could not be measured, then `skipped` says why.

    ratios: by "adversarial" and "random" (moves of the same size), by threat, by layer. lines: by the same two words.
    """

    ratios: dict[str, dict[str, dict[str, Ratio]]] | None
    lines: dict[str, Line] | None
    transfer: TransferMatrix | None
    skipped: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """The same as plain objects."""
        return asdict(self)


def analyse(subject: Subject) -> Analysis:
    """Measure all that can be measured of what an attack kept."""
    measures: dict[str, Callable[[Subject], Any]] = {"ratios": ratios_of, "lines": lines_of, "transfer": transfer_of}
    results, skipped = dict.fromkeys(measures), {}
    for name, measure in measures.items():
        try:
            results[name] = measure(subject)
        except UserError as error:
            skipped[name] = str(error)
    return Analysis(results["ratios"], results["lines"], results["transfer"], skipped)


def ratios_of(subject: Subject) -> dict[str, dict[str, dict[str, Ratio]]]:
    """The perturbation-to-signal ratios. Raises: UserError without adversarial images."""
    _require_images(subject)
    clean = subject.kept[CLEAN]
    adversarial = {str(threat): subject.kept[str(threat)] for threat in subject.attacked}
    moved = {str(t): random_images(t, subject.clean, subject.seed).numpy() for t in subject.attacked}
    return {
        name: perturbation_ratios(subject.network, clean, images)
        for name, images in ((ADVERSARIAL, adversarial), (RANDOM, moved))
    }


def lines_of(subject: Subject) -> dict[str, Line]:
    """The margins of the integer twin on the way to the images of the largest eps.

    Raises: UserError without adversarial images.
    """
    _require_images(subject)
    threat, twin = subject.attacked[-1], make_twin(subject.network, device=subject.device)
    clean, labels = subject.clean[:WALKED], torch.as_tensor(subject.labels[:WALKED], dtype=torch.int64)
    ends = {
        ADVERSARIAL: torch.tensor(subject.kept[str(threat)][:WALKED]),
        RANDOM: random_images(threat, clean, subject.seed),
    }
    place = subject.device
    return {name: walk(twin, clean.to(place), end.to(place), labels.to(place), threat.eps)
            for name, end in ends.items()}  # fmt: skip


def transfer_of(subject: Subject) -> TransferMatrix:
    """Measure who fools whom: networks are attacked through their twins and scored as deployed."""
    if CLEAN not in subject.kept:
        raise UserError("the images of the first shard are not here")
    networks = {NETWORK: subject.network, **subject.networks}
    twins: dict[str, Model] = {name: make_twin(network, device=subject.device) for name, network in networks.items()}
    targets: dict[str, Scorer] = {}
    with ExitStack() as stack:
        for name, network in networks.items():
            session = stack.enter_context(get_backend(network.native_backend).open(network))
            targets[name] = scorer_of(network, session)
        targets |= {name: scorer_of_model(model, subject.device) for name, model in subject.models.items()}
        labels = torch.as_tensor(subject.labels, dtype=torch.int64).to(subject.device)
        return transfer_matrix(
            {**twins, **subject.models}, targets, subject.clean.to(subject.device), labels, subject.threats,
            subject.seed,
        )  # fmt: skip


def scorer_of(network: Network, session: AnySession) -> Scorer:
    """The deployed network as a function images [B, *shape] -> labels [B]; one that draws spikes draws them anew."""
    calls = itertools.count()

    def score(images: Float32) -> Int32:
        seed = next(calls) if network.stochastic else 0
        return session.run(network.encoder.encode(images), seed=seed).predictions

    return score


def _require_images(subject: Subject) -> None:
    if not subject.attacked:
        raise UserError(NO_IMAGES)

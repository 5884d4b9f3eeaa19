"""The adversarial images that a page shows, and those that another attack starts from."""

from __future__ import annotations

from pathlib import Path

import torch

from neuro.base.files import array_bytes, write_atomically
from sim.robustness.attacks.threats import Threat


class Examples:
    """The adversarial images of the first attack by projected gradients under each threat."""

    def __init__(self, path: Path, images: torch.Tensor) -> None:
        self.path, self.kept = path, {"clean": images.numpy()}

    def keep(self, model: str, attack: str, threat: Threat, seed: int, index: int, images: torch.Tensor) -> None:
        """See `scoring.evaluate_robustness`: told the images of every attack."""
        if attack.startswith("pgd") and str(threat) not in self.kept:
            self.kept[str(threat)] = images.cpu().numpy()

    def save(self) -> None:
        """Write them."""
        write_atomically(self.path, array_bytes(self.kept))


class Found:
    """The images of all attacks on one batch, by threat: where an attack that sees labels alone may start."""

    def __init__(self, also: Examples | None) -> None:
        self.also, self.images = also, dict[Threat, list[torch.Tensor]]()

    def keep(self, model: str, attack: str, threat: Threat, seed: int, index: int, images: torch.Tensor) -> None:
        """See `scoring.evaluate_robustness`; hands on to `also`."""
        self.images.setdefault(threat, []).append(images)
        if self.also:
            self.also.keep(model, attack, threat, seed, index, images)

    def starts(self, threat: Threat) -> list[torch.Tensor]:
        """What attacks under a threat found."""
        return self.images.get(threat, [])

"""What a user may choose of an attack, checked."""

from __future__ import annotations

from dataclasses import dataclass

from neuro.base.errors import UserError
from sim.robustness.attacks.search import Threat
from sim.robustness.bridge.stages import check_names
from sim.twins.make import checked_device

EPS = {"linf": (0.05, 0.1, 0.2, 0.3), "l2": (0.5, 1.0, 2.0, 3.0)}
IMAGES = 200
LAVA_IMAGES = 10
MAX_PASSES = 1000


@dataclass(frozen=True)
class AttackConfig:
    """What the user asks for.

    attacks: suites or names (`sim.robustness.attacks.suites`); norm, eps: threats; images: test images, from the first;
    score: backend that the adversarial images are scored on, "" for that of the family; seed: of random starts; device:
    that the twins run on; passes: over which the scores of a stochastic twin are averaged (EoT).
    """

    attacks: str = "quick"
    norm: str = "linf"
    eps: tuple[float, ...] = EPS["linf"]
    images: int = IMAGES
    score: str = ""
    seed: int = 0
    device: str = "cpu"
    passes: int = 1

    def __post_init__(self) -> None:
        check_names(self.attacks)
        if not self.eps or len(set(self.eps)) != len(self.eps):
            raise UserError(f"eps {self.eps}: give one or more different values")
        for eps in self.eps:
            Threat(self.norm, eps)
        if self.images < 1:
            raise UserError(f"images {self.images}: attack at least one")
        if not 1 <= self.passes <= MAX_PASSES:
            raise UserError(f"passes {self.passes} outside 1..{MAX_PASSES}")
        checked_device(self.device)

    @property
    def threats(self) -> tuple[Threat, ...]:
        """The threats, in order of eps."""
        return tuple(Threat(self.norm, eps) for eps in sorted(self.eps))


def default_images(scorer: str) -> int:
    """Return how many images to attack unless told: few where one takes seconds."""
    return LAVA_IMAGES if scorer == "lava" else IMAGES

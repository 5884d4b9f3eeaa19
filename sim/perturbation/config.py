"""What a user may choose of a perturbation, checked."""

from __future__ import annotations

from dataclasses import dataclass

from neuro.base.checks import Range, require_choice
from neuro.base.errors import UserError
from neuro.base.options import SEED, check_options, option

IMAGES = 1000
SMALL = 64  # pixels of the longer side, up to which the constants of CIFAR are taken
SETS = {"corruptions": "the 19 kinds of Hendrycks and Dietterich", "mnist-c": "the 15 of Mu and Gilmer, one channel"}


@dataclass(frozen=True, kw_only=True)
class PerturbConfig:
    """What the user asks for. The options, with their limits, stand at the fields; None is settled with the run."""

    set: str = option("corruptions", "What is done to images", choices=SETS)
    kinds: tuple[str, ...] = option(None, "Kinds, separated by commas, e.g. fog,snow.", unset="all of the set")
    severities: tuple[int, ...] = option(None, "Severities, separated by commas.", Range(1, 5), "all five")
    images: int | None = option(None, "Test images, from the first.", Range(1), f"{IMAGES}, or as many as there are")
    table: str = option("", f"Constants, cifar or imagenet; unless given, those of cifar up to {SMALL} pixels a side.")
    frost: str = option("", "Folder of photographs of frost, in place of the procedural one.")
    backend: str = option("", "Backend that classifies: events or chip, reference, torch, lava.")
    seed: int = SEED.default(0)

    def __post_init__(self) -> None:
        check_options(self)
        from sim.perturbation.tables import CIFAR, MNIST_C, TABLES

        known = MNIST_C if self.set == "mnist-c" else CIFAR

        for kind in self.kinds or ():
            require_choice("kinds", kind, known)
        for name in ("kinds", "severities"):
            values = getattr(self, name)
            if values is not None and (not values or len(set(values)) != len(values)):
                raise UserError(f"{name} {values}: give one or more different values")
        if self.set == "mnist-c" and (self.table or self.severities not in (None, (1,))):
            raise UserError("set mnist-c: has one severity and constants of its own; drop --table and --severities")
        if self.table:
            require_choice("table", self.table, TABLES)
        if self.backend:
            from sim.backends.protocol import get_backend

            get_backend(self.backend)

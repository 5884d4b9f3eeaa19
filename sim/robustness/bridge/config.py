"""What a user may choose of an attack, checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from neuro.base.checks import Range
from neuro.base.errors import UserError
from neuro.base.options import SEED, check_options, fill, option

if TYPE_CHECKING:
    from neuro.spec.network import Network
    from sim.robustness.attacks.threats import Threat

EPS = {"linf": (0.05, 0.1, 0.2, 0.3), "l2": (0.5, 1.0, 2.0, 3.0)}
NORMS = {"linf": "largest change of a pixel", "l2": "Euclidean"}
UNITS = {"pixel": "0..1 is the whole range", "data": "the units of the data as they came"}
IMAGES, LAVA_IMAGES = 200, 10
FEWEST_PASSES = 10  # over networks that draw spikes


@dataclass(frozen=True, kw_only=True)
class AttackConfig:
    """What the user asks for. The options, with their limits, stand at the fields.

    attacks: of `sim.robustness.attacks.suites`; seed: of random starts. eps in the units of the data become pixels in
    `sim.robustness.bridge.units`.
    """

    attacks: str = option("quick", "quick, standard, exhaustive, min-norm, or names of attacks separated by commas.")
    norm: str = option("linf", "Size of a change", choices=NORMS)
    eps: tuple[float, ...] = option(None, "Sizes, separated by commas, e.g. 8/255.", unset=".05,.1,.2,.3; l2: tenfold")
    eps_units: str = option("pixel", "What --eps is in", choices=UNITS)
    images: int | None = option(None, "Test images, from the first.", Range(1), f"{IMAGES}; on Lava: {LAVA_IMAGES}")
    score: str = option("", "Backend that scores: events or chip, reference, lava.")
    seed: int = SEED.default(0)
    device: str = option("cpu", "Where gradients are computed: cpu or cuda.")
    passes: int = option(1, "Average the scores of a stochastic twin over so many (EoT).", Range(1, 1000))

    def __post_init__(self) -> None:
        if not self.eps and self.eps_units == "data":
            raise UserError("eps_units data: give --eps, too, in the units of the data")
        fill(self, eps=EPS.get(self.norm, ()))
        check_options(self)
        from sim.robustness.bridge.stages import check_names
        from sim.twins.make import checked_device

        object.__setattr__(self, "attacks", listed(self.attacks))
        check_names(self.attacks)
        if self.score:
            from sim.backends.protocol import get_backend

            get_backend(self.score)
        if not self.eps or len(set(self.eps)) != len(self.eps):
            raise UserError(f"eps {self.eps}: give one or more different values")
        if self.eps_units == "pixel":
            _ = self.threats  # check themselves
        checked_device(self.device)

    @property
    def threats(self) -> tuple[Threat, ...]:
        """The threats, in order of eps."""
        from sim.robustness.attacks.threats import Threat

        return tuple(Threat(self.norm, eps) for eps in sorted(self.eps))


def listed(names: str) -> str:
    """The names without blanks and repeats, so that a suite is known as such.

    Raises: UserError if one is missing.
    """
    parts = [part.strip() for part in names.split(",")]
    if "" in parts:
        raise UserError(f"attacks {names!r}: a name is missing before, between or after the commas; give names alone")
    return ",".join(dict.fromkeys(parts))


def averaged(config: AttackConfig, spec: Network) -> AttackConfig:
    """The configuration for a network; of one that draws spikes attacks average over FEWEST_PASSES passes at least.

    Raises: UserError if fewer were asked for.
    """
    if not spec.stochastic or config.passes >= FEWEST_PASSES:
        return config
    if config.passes > 1:
        raise UserError(
            f"passes {config.passes}: the input draws spikes, gradients are averaged over {FEWEST_PASSES} passes at "
            "least (EoT); give that, or leave it out"
        )
    return replace(config, passes=FEWEST_PASSES)


def default_images(scorer: str) -> int:
    """How many images to attack unless told: few where one takes seconds."""
    return LAVA_IMAGES if scorer == "lava" else IMAGES

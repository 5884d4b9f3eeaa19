"""Every attack by its name, and suites of names: quick, standard, and exhaustive, with runs of 1,000 steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from neuro.base.checks import require_choice
from neuro.base.errors import UserError
from sim.robustness.attacks.adaptive_steps import StableAdaptive
from sim.robustness.attacks.auto_gradient import TARGETED, AutoGradient
from sim.robustness.attacks.gradient import ProjectedGradient, averaged_gradient, fast_gradient, momentum_gradient
from sim.robustness.attacks.libraries import AutoAttack, DeepFool, FastAdaptiveBoundary
from sim.robustness.attacks.query import Noise, Square
from sim.robustness.attacks.search import Attack, Model
from sim.robustness.attacks.transfer import Transfer

RESTARTS = 5


def _pgd(steps: int, restarts: int = 1, loss: str = "margin") -> Callable[[], Attack]:
    family = "pgd" + (f" x{restarts}" if restarts > 1 else "") + ("" if loss == "margin" else f" {loss}")
    return lambda: ProjectedGradient(steps, restarts, loss, family=family)


def _stable(steps: int) -> Callable[[], Attack]:
    return lambda: StableAdaptive(steps)


ATTACKS: dict[str, Callable[[], Attack]] = {
    "noise": Noise,
    "fgsm": fast_gradient,
    **{f"pgd-{steps}": _pgd(steps) for steps in (10, 20, 40, 50, 100, 1000)},
    **{f"pgd-{steps}x{RESTARTS}": _pgd(steps, RESTARTS) for steps in (50, 100)},
    "pgd-40-ce": _pgd(40, loss="cross-entropy"),
    "mi-fgsm": momentum_gradient,
    "averaged-20": averaged_gradient,
    "apgd-ce": lambda: AutoGradient(100, loss="cross-entropy"),
    "apgd-dlr": lambda: AutoGradient(100, loss="dlr"),
    "apgd-dlr-t": lambda: AutoGradient(100, restarts=9, loss=TARGETED),
    "apgd-dlr-1000": lambda: AutoGradient(1000, loss="dlr"),
    **{f"sa-pgd-{steps}": _stable(steps) for steps in (20, 100, 1000)},
    "square": lambda: Square(5000),
    "square-500": lambda: Square(500),
    "fab": FastAdaptiveBoundary,
    "fab-t": lambda: FastAdaptiveBoundary(targeted=True),
    "deepfool": DeepFool,
    "autoattack": AutoAttack,
}
TRANSFER = "transfer"  # one for each source model
MINIMAL = "min-norm"  # asks the deployed network, see `sim.robustness.bridge.minimal`
_STANDARD = (
    "noise", "fgsm", "pgd-10", "pgd-20", "pgd-50x5", "pgd-100x5", "averaged-20", "mi-fgsm", "sa-pgd-100", "apgd-ce",
    "apgd-dlr", "apgd-dlr-t", "fab", "deepfool", "square", TRANSFER, MINIMAL,
)  # fmt: skip
SUITES: dict[str, tuple[str, ...]] = {
    "quick": ("noise", "fgsm", "pgd-20", "pgd-40", "averaged-20", "apgd-dlr", "square-500", TRANSFER),
    "standard": _STANDARD,
    "exhaustive": (*_STANDARD, "pgd-1000", "sa-pgd-1000", "apgd-dlr-1000"),
}
THOROUGH = ("standard", "exhaustive")  # suites with sweeps, and with attacks on the deployed labels


def suite_of(names: str) -> str:
    """The suite that `names` are, "" if they are others."""
    return names.strip() if names.strip() in SUITES else ""


def members_of(names: str) -> tuple[str, ...]:
    """The attacks that `names` mean, suites spelled out."""
    given = (name.strip() for name in names.split(","))
    return tuple(member for name in given for member in SUITES.get(name, (name,)))


def build_attacks(
    names: str | Sequence[str],
    sources: Mapping[str, Model] | None = None,
) -> dict[str, Attack]:
    """Build attacks by name, MINIMAL left out.

    Args:    names: a suite, names separated by commas, or a list of both; sources: models by
             name, for the transfer attack. A suite without sources goes without it (its report is then not trusted).
    Raises:  UserError if a name is unknown, or transfer is asked for without a source.
    """
    given = [part.strip() for part in names.split(",")] if isinstance(names, str) else list(names)
    attacks: dict[str, Attack] = {}
    for name in given:
        for member in SUITES.get(name, (name,)):
            if member == MINIMAL:
                continue
            if member == TRANSFER:
                if not sources and name == TRANSFER:
                    raise UserError("attack transfer: no source model; give one, e.g. a perceptron of the same shape")
                attacks |= {f"{TRANSFER} from {s}": Transfer(model, f"{TRANSFER} from {s}")
                          for s, model in (sources or {}).items()}  # fmt: skip
            else:
                require_choice("attack", member, [*SUITES, *ATTACKS, TRANSFER, MINIMAL])
                attacks[member] = ATTACKS[member]()
    return attacks

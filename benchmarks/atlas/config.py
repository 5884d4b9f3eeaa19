"""What a user may choose of an atlas, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from neuro.base.checks import Range
from neuro.base.errors import UserError
from neuro.base.options import DATA, check_options, option, settings_of

REFERENCE = "perceptron"  # the row that others are compared with; always there
LEAST = 100  # images of an attack that can be judged


@dataclass(frozen=True)
class Scale:
    """How much is measured. train: training images at most; the others: test images at most, of each measure."""

    train: int
    clean: int
    attacked: int
    certified: int
    samples: int
    corrupted: int
    severities: tuple[int, ...]
    spikes: int = 100
    per_class: int = 20


FULL = Scale(60_000, 10_000, 500, 200, 10_000, 1000, (1, 2, 3, 4, 5))
QUICK = Scale(2000, 1000, LEAST, 40, 400, 200, (1, 3, 5))


@dataclass(frozen=True, kw_only=True)
class AtlasConfig:
    """What the user asks for. The options, with their limits, stand at the fields."""

    data: str = DATA.default("digits")
    quick: bool = option(False, "Minutes in place of hours: fewer images, of training, too.")
    seeds: int = option(3, "Seeds, from 0 on.", Range(1, 100))
    rows: tuple[str, ...] = option(None, "Mechanisms, separated by commas.", unset="all")
    columns: tuple[str, ...] = option(None, "Measures, separated by commas.", unset="all")
    hidden: int = option(64, "Neurons of the hidden layer of every row.", Range(1, 100_000))
    eps: float = option(0.1, "Size of attacks, linf, in pixels of 0..1.", Range(0.0, 1.0, open_below=True))
    sigma: float = option(0.25, "Noise of certificates and of training with noise.", Range(0.0, 10.0, open_below=True))
    radius: float = option(0.25, "Radius in l2 that is certified.", Range(0.0, open_below=True))

    def __post_init__(self) -> None:
        check_options(self)
        for name in ("rows", "columns"):
            values = getattr(self, name)
            if values is not None and (not values or len(set(values)) != len(values)):
                raise UserError(f"{name} {values}: give one or more different names")

    @property
    def scale(self) -> Scale:
        """How much is measured."""
        return QUICK if self.quick else FULL

    def words(self, **changed: Any) -> str:
        """The command that asks for the same, but for what is changed, as one types it."""
        words = ["settle atlas"]
        for setting in settings_of(AtlasConfig):
            value = changed.get(setting.name, getattr(self, setting.name))
            if setting.kind is bool:
                words += [setting.flags[0]] if value else []
            elif value is not None and (value != setting.default or setting.name in ("data", "seeds")):
                words += [setting.flags[0], str(setting.text(value))]
        return " ".join(words)

    @property
    def asked(self) -> dict[str, Any]:
        """What decides the content of a cell, beside its row, column and seed."""
        names = ("data", "quick", "hidden", "eps", "sigma", "radius")
        return {name: getattr(self, name) for name in names}

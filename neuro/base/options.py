"""Options said once: help text, default and limits of an option stand at its field of a config class.

    @dataclass(frozen=True, kw_only=True)
    class Config:
        epochs: int | None = option(None, "Passes over the training set.", Range(1, 10_000), "from its size")

        def __post_init__(self) -> None:
            check_options(self)

`check_options` holds every value against its field. A command (`sim.commands.from_config.options_of`) and a benchmark
(`add_arguments`) take their options from the same fields. Light: the command line reads them at its start.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from types import NoneType, UnionType
from typing import Any, TypeVar

from neuro.base.checks import LARGEST_SEED, Range, require_choice, require_integers
from neuro.base.errors import UserError

METADATA = "option"


@dataclass(frozen=True)
class Option:
    """What may be given.

    help:    what it is, a sentence; limits and choices are added to it.
    within:  the numbers allowed, None for any; of several numbers: each of them.
    unset:   what no value stands for, where the default is None.
    choices: the names allowed, each with what it stands for, "" where the name says it; {} for any.
    flags:   what stands for it on the command line: None for --name, ("--yes/--no",) for both answers, () for nothing.
    sets:    what a flag that takes no value stands for.
    called:  its name in messages; default that of the field.
    """

    help: str
    within: Range | None = None
    unset: str = ""
    choices: Mapping[str, str] = dataclasses.field(default_factory=dict)
    flags: tuple[str, ...] | None = None
    sets: Any = True
    called: str = ""

    def default(self, value: Any) -> Any:
        """A dataclass field of this option with a default."""
        return dataclasses.field(default=value, metadata={METADATA: self})


def option(default: Any, help: str, within: Range | None = None, unset: str = "", **details: Any) -> Any:
    """A dataclass field that says what may be given; see `Option`."""
    return Option(help, within, unset, **details).default(default)


DATA = Option(
    "A name (digits, mnist, torchvision:KMNIST, sklearn:wine), a file (.npz, .csv, .pt, .h5 ...) or folder of images."
)
SEED = Option("Draws weights, order, rounding and splits; same seed, same result.", Range(0, LARGEST_SEED))
THREADS = Option("Cores to use. Never changes a result.", Range(1), "all")


@dataclass(frozen=True)
class Setting:
    """An option at its field. kind: int, float, str or bool; several: whether the value is a tuple of that kind."""

    name: str
    kind: type
    several: bool
    default: Any
    option: Option

    @property
    def flags(self) -> tuple[str, ...]:
        """What stands for it on the command line; () if nothing does."""
        return (f"--{self.name.replace('_', '-')}",) if self.option.flags is None else self.option.flags

    @property
    def takes_value(self) -> bool:
        """Whether a value follows the flag."""
        return self.kind is not bool and self.option.sets is True

    @property
    def help(self) -> str:
        """The sentence of the option, its choices and its limits."""
        names = [f"{name} ({meaning})" if meaning else name for name, meaning in self.option.choices.items()]
        text = self.option.help
        if names and self.takes_value:
            text = f"{text.removesuffix('.')}: {', '.join(names)}."
        limits = "" if self.option.within is None else str(self.option.within)
        return f"{text} {limits if limits.startswith(('(', '[')) else f'({limits})'}" if limits else text

    def parse(self, text: str) -> Any:
        """The value that a text stands for; several are separated by commas. Raises: UserError if it is none."""
        if self.kind is str:
            return tuple(filter(None, map(str.strip, text.split(",")))) if self.several else text
        try:
            number = _real if self.kind is float else self.kind
            return tuple(map(number, text.split(","))) if self.several else number(text)
        except (ValueError, ZeroDivisionError) as error:
            words = (SEVERAL if self.several else KINDS)[self.kind]
            raise UserError(f"{self.flags[0]} {text!r}: give {words}") from error

    def text(self, value: Any) -> Any:
        """A value as `parse` reads it; None stays."""
        return ",".join(map(str, value)) if self.several and value is not None else value

    def checked(self, value: Any, owner: str = "") -> Any:
        """A value in the type of its field, e.g. (64,) for [64] or 64. Raises: UserError if it is not allowed."""
        if not self.several:
            return self._checked_one(value, owner)
        values = value if isinstance(value, Iterable) and not isinstance(value, str) else (value,)
        return tuple(self._checked_one(each, owner) for each in values)

    def _checked_one(self, value: Any, owner: str) -> Any:
        name, prefix = self.option.called or self.name, f"{owner}: " if owner else ""
        if self.kind is int:
            require_integers(owner, **{name: value})
            value = int(value)
        elif self.kind is float and not isinstance(value, bool) and isinstance(value, Real):
            value = float(value)
        elif not isinstance(value, self.kind):
            raise UserError(f"{prefix}{name} {value!r}: give {KINDS[self.kind]}")
        if self.option.within is not None:
            self.option.within.require(owner, **{name: value})
        if self.option.choices:
            require_choice(f"{prefix}{name}", value, self.option.choices)
        return value


def _real(text: str) -> float:
    """A number, or a fraction of two: 8/255."""
    above, fraction, below = text.partition("/")
    return float(above) / float(below) if fraction else float(text)


KINDS = {int: "a whole number", float: "a number", str: "a text", bool: "True or False"}
SEVERAL = {
    int: "whole numbers separated by commas, e.g. 256,128",
    float: "numbers separated by commas, e.g. 0.05,8/255",
}


@functools.cache
def settings_of(config_class: type) -> tuple[Setting, ...]:
    """The options of a config class, in the order of its fields."""
    types = typing.get_type_hints(config_class)
    return tuple(
        Setting(field.name, *_kind_of(types[field.name]), field.default, field.metadata[METADATA])
        for field in dataclasses.fields(config_class)
        if METADATA in field.metadata
    )


def _kind_of(hint: Any) -> tuple[type, bool]:
    """What a type hint says: int | None is an int, tuple[int, ...] several."""
    (kind,) = (t for t in typing.get_args(hint) if t is not NoneType) if isinstance(hint, UnionType) else (hint,)
    several = typing.get_origin(kind) is tuple
    return (typing.get_args(kind)[0] if several else kind), several


def check_options(config: Any, owner: str = "") -> None:
    """Hold a config, whose `__post_init__` this is called in, against its class; values take the types of their fields.

    owner: whose options they are, in front of messages.
    Raises: UserError if a value is not allowed. None is, where it is the default.
    """
    for setting in settings_of(config.__class__):
        value = getattr(config, setting.name)
        if value is not None or setting.default is not None:
            object.__setattr__(config, setting.name, setting.checked(value, owner))


def fill(config: Any, **values: Any) -> None:
    """Set the options of a config that nobody gave, in its `__post_init__`, where they follow from others."""
    for name, value in values.items():
        if getattr(config, name) is None:
            object.__setattr__(config, name, value)


def add_arguments(parser: argparse.ArgumentParser, *config_classes: type, **defaults: Any) -> None:
    """Give a parser options of config classes, those named, with these defaults; help and limits are of the class."""
    settings = {setting.name: setting for config_class in config_classes for setting in settings_of(config_class)}
    for name, default in defaults.items():
        setting = settings[name]
        unset = setting.option.unset if default is None else setting.text(default)
        words = f"{setting.help} Default: {unset}." if unset else setting.help
        parser.add_argument(
            *setting.flags, dest=name, type=_argument_type(setting), default=default, help=words.replace("%", "%%")
        )


def _argument_type(setting: Setting) -> Callable[[str], Any]:
    """What argparse calls with the text of an argument."""

    def parse(text: str) -> Any:
        try:
            return setting.checked(setting.parse(text))
        except UserError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parse


Config = TypeVar("Config")


def configured(kind: Callable[..., Config], options: Mapping[str, Any]) -> Config:
    """A config class filled from options by name; of several values one alone, or a list, will do.

    Raises: UserError if an option is unknown, with the names nearest to it, or a value is out of range.
    """
    settings = {setting.name: setting for setting in settings_of(kind)}
    for name in options:
        require_choice("option", name, settings)
    return kind(**{name: _several(value) if settings[name].several else value for name, value in options.items()})


def taken(kind: Callable[..., Config], options: dict[str, Any]) -> Config:
    """A config class filled from those of the options that are its own, which are taken out of them."""
    return configured(
        kind, {setting.name: options.pop(setting.name) for setting in settings_of(kind) if setting.name in options}
    )


def _several(value: Any) -> Any:
    """A value of an option that takes several, as a tuple; None stays: not given."""
    if value is None:
        return None
    return tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else (value,)

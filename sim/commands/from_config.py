"""Options of a command from the fields of a config class. Light: nothing heavy is imported here."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from inspect import Parameter
from typing import Any

import typer

from neuro.base.options import Setting, settings_of

CONFIG = "config"


def options_of(config_class: type, name: str = CONFIG) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorator: a command whose parameter `name` becomes the options of a config class.

    The command takes, in place of it, one option for each field that has one, with the help, limits and default
    of the class; it is called with the config made of them. Options that nobody gives are left to the class.
    """
    settings = [setting for setting in settings_of(config_class) if setting.flags]

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def command(**values: Any) -> None:
            given = {setting.name: values.pop(setting.name) for setting in settings}
            made = {setting.name: _value(setting, given[setting.name]) for setting in settings}
            config = config_class(**{key: value for key, value in made.items() if value is not None})
            function(**{name: config}, **values)

        own = inspect.signature(function, eval_str=True).parameters.values()
        parameters = [
            new.replace(kind=Parameter.KEYWORD_ONLY)
            for old in own
            for new in (map(_parameter, settings) if old.name == name else [old])
        ]
        vars(command)["__signature__"] = inspect.Signature(parameters, return_annotation=None)
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return command

    return decorate


def _parameter(setting: Setting) -> Parameter:
    """The parameter of a command that Typer makes an option of."""
    kind: Any = (str if setting.several else setting.kind) | None
    default = setting.text(setting.default)
    if not setting.takes_value and "/" not in setting.flags[0]:
        kind, default = bool, False
    shown = setting.option.unset or True
    given = typer.Option(default, *setting.flags, help=setting.help, show_default=shown)
    return Parameter(setting.name, Parameter.KEYWORD_ONLY, default=given, annotation=kind)


def _value(setting: Setting, given: Any) -> Any:
    """What the class is given for what Typer found; None for nothing."""
    if given is None or (setting.kind is bool and "/" in setting.flags[0]):
        return given
    if not setting.takes_value:
        return setting.option.sets if given else None
    return setting.parse(given) if setting.several else given

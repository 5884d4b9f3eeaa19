"""Packages of data sets, torchvision and tonic: by name in any case, both parts, whatever their classes call them."""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from neuro.base.errors import UserError, first_line

SPLITS = (("train", "test"), ("trainval", "test"), ("train", "val"), ("train", "valid"))
VARIANTS = ("split", "what", "classes")  # what classes with parts call the variants that they have besides
FAULTS = (OSError, RuntimeError, ValueError, TypeError, KeyError, NotImplementedError, ImportError, EOFError)
Options = dict[str, Any]


def parts_of(source: str, classes: Mapping[str, Any], root: str, folder: Path) -> tuple[str, list[Any]]:
    """Name of the data set that `package:NAME` or `package:NAME/VARIANT` means, and its parts: training, test.

    Args:   classes: the data sets of the package by name. root: what they call the folder that is downloaded to.
    Raises: UserError if it is unknown, cannot be downloaded, or needs what cannot be given here.
    """
    package, _, rest = source.partition(":")
    given, _, variant = rest.partition("/")
    name = _known(package, given, classes)
    accepted = _parameters(classes[name])
    options: Options = {root: str(folder)} if root in accepted else {}
    options |= {"download": True} if "download" in accepted else {}
    forms = [[{**options, **part} for part in form] for form in _forms(accepted, variant, f"{package}:{name}")]
    return f"{name}/{variant}" if variant else name, _made(classes[name], forms, f"{package}:{name}")


def _known(package: str, given: str, classes: Mapping[str, Any]) -> str:
    """The name as the package spells it."""
    spelled = {_plain(name): name for name in classes}
    if _plain(given) in spelled:
        return spelled[_plain(given)]
    near = [spelled[close] for close in get_close_matches(_plain(given), list(spelled))]
    advice = f"did you mean {', '.join(near)}?" if near else f"choose one of {', '.join(sorted(classes))}"
    raise UserError(f"{package} data set {given!r} is unknown; {advice}")


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def _made(made: Any, forms: Sequence[Sequence[Options]], place: str) -> list[Any]:
    """The parts, by the first form of arguments that the class knows. What it prints goes where progress goes."""
    fault: Exception | None = None
    for form in forms:
        try:
            with contextlib.redirect_stdout(sys.stderr):
                return [made(**options) for options in form]
        except ValueError as error:  # it knows no part of this name; perhaps the next
            fault = fault or error
        except FAULTS as error:
            fault = error
            break
    reason = first_line(fault) if fault else ""
    raise UserError(
        f"{place}: cannot be had ({reason}); look at the network, or download it by hand and give the file"
    ) from fault


def _parameters(made: Any) -> set[str]:
    """Names of the arguments of a class, and of those before it where it passes on what it does not know."""
    names: set[str] = set()
    for kind in inspect.getmro(made):
        if "__init__" not in vars(kind):
            continue
        parameters = inspect.signature(vars(kind)["__init__"]).parameters.values()
        names |= {parameter.name for parameter in parameters}
        if all(parameter.kind is not parameter.VAR_KEYWORD for parameter in parameters):
            break
    return names


def _forms(accepted: set[str], variant: str, place: str) -> list[list[Options]]:
    """The arguments of the parts of a data set, the likeliest first."""
    needed = [word for word in VARIANTS if word in accepted]
    if variant and ("train" not in accepted or not needed):
        raise UserError(f"{place}: has no variant {variant}; give {place}")
    if "train" in accepted:
        if "split" in accepted and not variant:
            raise UserError(f"{place}: has variants; give one, e.g. {place}/letters")
        extra = {needed[0]: variant} if variant else {}
        return [[{"train": True, **extra}, {"train": False, **extra}]]
    if "split" in accepted:
        return [[{"split": first}, {"split": second}] for first, second in SPLITS]
    return [[{}]]

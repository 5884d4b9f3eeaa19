"""Packages of data sets, torchvision and tonic: by name in any case, both parts, whatever their classes call them."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neuro.base.checks import require_choice
from neuro.base.errors import UserError

SPLITS = (("train", "test"), ("trainval", "test"), ("train", "val"), ("train", "valid"))
FAULTS = (OSError, RuntimeError, ValueError, TypeError, KeyError, NotImplementedError, ImportError, EOFError)


@dataclass(frozen=True)
class Catalogue:
    """A package of data sets.

    package: its name, as in front of the colon.  classes: its data sets by name.  root: name of the argument for the
    folder that is downloaded to.
    """

    package: str
    classes: dict[str, Any]
    root: str
    variant: dict[str, str] = field(default_factory=dict)

    def parts(self, source: str, folder: Path) -> tuple[str, list[Any]]:
        """Name of the data set that `package:NAME` or `package:NAME/VARIANT` means, and its parts: training, test.

        Raises: UserError if it is unknown, cannot be downloaded, or needs what cannot be given here.
        """
        name, _, variant = source.partition(":")[2].partition("/")
        by_case = {known.lower().replace("-", ""): known for known in self.classes}
        wanted = by_case.get(name.lower().replace("-", "").replace("_", ""), name)
        require_choice(f"{self.package} data set", wanted, sorted(self.classes))
        label = f"{wanted}/{variant}" if variant else wanted
        return label, self._made(wanted, variant, folder)

    def _made(self, name: str, variant: str, folder: Path) -> list[Any]:
        made = self.classes[name]
        accepted = inspect.signature(made).parameters
        options: dict[str, Any] = {self.root: str(folder)} if self.root in accepted else {}
        options |= {"download": True} if "download" in accepted else {}
        forms = _forms(accepted, variant, self.package, name)
        fault: Exception | None = None
        for form in forms:
            try:
                return [made(**options, **part) for part in form]
            except ValueError as error:  # a part of this name is unknown there; the next names may be known
                fault = fault or error
            except FAULTS as error:
                fault = error
                break
        reason = (str(fault) or type(fault).__name__).splitlines()[0]
        raise UserError(
            f"{self.package}:{name}: cannot be had ({reason}); look at the network, or give the data as a file"
        ) from fault


def _forms(accepted: Any, variant: str, package: str, name: str) -> list[Sequence[dict[str, Any]]]:
    """The arguments that the parts of a data set may need, the likeliest first."""
    if "train" in accepted:
        extra = {}
        if variant:
            needed = [word for word in ("split", "what", "classes") if word in accepted]
            if not needed:
                raise UserError(f"{package}:{name}: has no variant {variant}; give {package}:{name}")
            extra = {needed[0]: variant}
        elif "split" in accepted:
            raise UserError(f"{package}:{name}: give one of its variants, e.g. {package}:{name}/letters")
        return [[{"train": True, **extra}, {"train": False, **extra}]]
    if "split" in accepted:
        return [[{"split": first}, {"split": second}] for first, second in SPLITS]
    return [[{}]]

"""Constants of a user's own chip: a TOML file of limits and energies, each with its unit and where it comes from.

    title = "our board"

    [limits.neurons]
    value = 4096
    unit = "neurons"
    source = "resource table of our compiler"

    [energies.static_power_chip]
    low = 0.21
    high = 0.24
    unit = "W"
    sources = ["power probe, 12 runs, 2026-11"]

What the file leaves out stays as it is in the set that `limits_of`, `energies_of` name, or in the default one. The mark
is M, measured by whoever wrote the file, unless `mark` says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neuro.base.checks import require_choice
from neuro.base.errors import UserError

SUFFIX = ".toml"
MARKS = ("M", "P", "S", "Q", "I")
LIMITS, ENERGIES = "limits", "energies"
BASES = {LIMITS: "limits_of", ENERGIES: "energies_of"}
KEYS = ("title", *BASES.values(), LIMITS, ENERGIES)
Entry = Mapping[str, Any]


def is_constants_file(name: str) -> bool:
    """Whether the name of a set of constants is that of a file."""
    return name.endswith(SUFFIX)


def entries_of(name: str, part: str, units: Mapping[str, str], default: str) -> tuple[str, dict[str, Entry]]:
    """The entries of a part (LIMITS or ENERGIES) of a file, and the set that the others are of.

    Args:   units: of each constant that there is, by name; default: the set where the file names none.
    Raises: UserError naming file, entry, what is missing or wrong, and what to write.
    """
    from neuro.base.toml import read_toml  # needs numpy, and the command line starts with this module

    content = read_toml(Path(name))
    for key in content:
        require_choice(f"{name}: table", key, KEYS)
    tables = [content.get(key, {}) for key in (LIMITS, ENERGIES)]
    if not all(isinstance(table, dict) for table in tables) or not any(tables):
        raise UserError(f"{name}: no constants; write tables [limits.NAME] or [energies.NAME]")
    entries = content.get(part, {})
    for key, entry in entries.items():
        require_choice(f"{name}: {part}", key, units)
        _require_provenance(f"{name}: {part}.{key}", entry, units[key])
    return content.get(BASES[part], default), entries


def _require_provenance(owner: str, entry: Any, unit: str) -> None:
    if not isinstance(entry, dict):
        raise UserError(f"{owner}: is no table; write [{owner.rsplit(' ', 1)[-1]}] with unit and source")
    if entry.get("unit") != unit:
        said = f"is {entry['unit']!r}" if "unit" in entry else "is missing"
        raise UserError(f"{owner}: unit {said}; write unit = {unit!r}".replace("'", '"'))
    sources = sources_of(entry)
    if not sources or not all(isinstance(source, str) and source.strip() for source in sources):
        raise UserError(f'{owner}: source is missing; write source = "who measured or printed it, where"')
    if not isinstance(mark_of(entry), str) or not set(mark_of(entry).split("/")) <= set(MARKS):
        raise UserError(f"{owner}: mark {mark_of(entry)!r}; choose among {', '.join(MARKS)}, joined by /")


def sources_of(entry: Entry) -> tuple[Any, ...]:
    """Where the value of an entry comes from."""
    given = entry.get("sources", entry.get("source", ()))
    return tuple(given) if isinstance(given, (list, tuple)) else (given,)


def mark_of(entry: Entry) -> Any:
    """The mark of an entry, M where it has none."""
    return entry.get("mark", "M")


def number_of(owner: str, entry: Entry, key: str) -> float:
    """A number of at least 0 in an entry. Raises: UserError if it is missing, or another thing."""
    value = entry.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not (math.isfinite(value) and value >= 0):
        said = "is missing" if value is None else f"{value!r}"
        raise UserError(f"{owner}: {key} {said}; write {key} = a number of at least 0, in the unit named")
    return float(value)

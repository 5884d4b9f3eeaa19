"""Front ends that do not learn by name: "v1:channels=32+32,window=4" to what it stands for, and back from files.

Some are part of the encoder (`neuro.front_ends.fixed`), others networks of their own (`neuro.coding.fixed`).
"""

from __future__ import annotations

import copy
import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any

from neuro.base.arrays import Array, NamedArrays
from neuro.base.checks import require_choice
from neuro.base.errors import UserError
from neuro.front_ends.fixed import FixedFront
from neuro.front_ends.fovea import FoveaChoices
from neuro.front_ends.normalisation import DivisiveNormalisation, DnChoices, divisive_normalisation
from neuro.front_ends.sequence import FrontSequence
from neuro.front_ends.v1 import GaborBank, V1Choices, gabor_bank

ARRAY_PREFIX = "encoder.fixed."
CHOICES: dict[str, Callable[..., Any]] = {"v1": V1Choices, "fovea": FoveaChoices, "dn": DnChoices}  # what may be asked
ENCODERS: dict[str, Callable[[Any, tuple[int, ...]], FixedFront]] = {"v1": gabor_bank, "dn": divisive_normalisation}
KINDS: dict[str, type[FixedFront]] = {"v1": GaborBank, "dn": DivisiveNormalisation, "sequence": FrontSequence}


def is_named(text: str) -> bool:
    """Whether a text names a front end that does not learn, and no folder."""
    return name_of(text) in CHOICES


def is_fixed(text: str) -> bool:
    """Whether a text names a front end that is part of the encoder, or several in a row."""
    return all(name_of(part) in ENCODERS for part in parts_of(text))


def name_of(text: str) -> str:
    """The name, without choices; of several in a row the first one's."""
    return parts_of(text)[0].partition(":")[0]


def parts_of(text: str) -> list[str]:
    """The front ends in a row that a text names: "dn:pool=3+v1" names two."""
    return re.split(r"\+(?=[a-z])", text)


def stated(text: str) -> str:
    """A front end as asked for with every choice stated.

    Raises: UserError if a choice is unknown, or out of range.
    """
    return "+".join(str(choices_of(part).text) for part in parts_of(text))


def fixed_front(text: str, image_shape: tuple[int, ...], seed: int = 0) -> FixedFront:
    """The front end that a text asks for, for images of a shape. seed: of what is drawn, unless the text gives one.

    Raises: UserError if a choice is unknown, out of range, or does not fit the images.
    """
    *before, last = parts_of(text)
    if before:
        first = fixed_front("+".join(before), image_shape, seed)
        return FrontSequence.of(first, fixed_front(last, first.shape, seed))
    choices = choices_of(text)
    if getattr(choices, "seed", 0) < 0:
        choices = dataclasses.replace(choices, seed=seed)
    return ENCODERS[name_of(text)](choices, image_shape)


def choices_of(text: str) -> Any:
    """What is asked for. Raises: UserError if the name or a choice is unknown, or out of range."""
    name, _, rest = text.partition(":")
    if len(parts_of(text)) > 1:
        raise UserError(f"front end {text}: only {' and '.join(ENCODERS)} go in a row")
    require_choice("front end", name, CHOICES)
    kind: Any = CHOICES[name]
    fields = {field.name: field.default for field in dataclasses.fields(kind)}
    given: dict[str, Any] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        require_choice(f"front end {name}: choice", key, fields)
        given[key] = _value(f"front end {name}: {key}", value if equals else "", fields[key])
    return kind(**given)


def _value(owner: str, text: str, like: Any) -> Any:
    """A value in the form of its default: a text, a whole number, or two of them."""
    if isinstance(like, str):
        return text
    parts = text.split("+")
    if not all(part.isdigit() for part in parts) or len(parts) != (len(like) if isinstance(like, tuple) else 1):
        example = "+".join(map(str, like)) if isinstance(like, tuple) else like
        raise UserError(f"{owner} {text!r}: give {'whole numbers' if isinstance(like, tuple) else 'a whole number'}, "
                        f"e.g. {example}")  # fmt: skip
    return tuple(map(int, parts)) if isinstance(like, tuple) else int(text)


def front_to_json(front: FixedFront) -> dict[str, Any]:
    """All of a front end but its arrays."""
    return {"kind": front.kind, **front.to_json()}


def front_arrays(front: FixedFront) -> dict[str, Array]:
    """The arrays of a front end, by name in a file."""
    return {ARRAY_PREFIX + name: values for name, values in front.arrays().items()}


def front_from_json(content: Mapping[str, Any], arrays: NamedArrays) -> FixedFront:
    """Rebuild a front end. Raises: UserError of an unknown kind; KeyError, TypeError, ... of what is no front end."""
    fields = copy.deepcopy(dict(content))
    kind = str(fields.pop("kind"))
    require_choice("encoder: front end", kind, KINDS)
    own = {name.removeprefix(ARRAY_PREFIX): a for name, a in arrays.items() if name.startswith(ARRAY_PREFIX)}
    for index, part in enumerate(fields.get("parts", ())):
        mine = {name.removeprefix(f"{index}."): a for name, a in own.items() if name.startswith(f"{index}.")}
        fields["parts"][index] = front_from_json(part, {ARRAY_PREFIX + name: values for name, values in mine.items()})
    return KINDS[kind].from_json(fields, own)

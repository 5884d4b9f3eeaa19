"""Chain <-> plain JSON objects (everything but the arrays) and a dictionary of arrays: those of both networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neuro.artifact.coder import coder_arrays, coder_from_json, graded_to_json, spiking_to_json
from neuro.artifact.sigma_delta import spec_arrays, spec_from_json, spec_to_json
from neuro.base.arrays import Arrays
from neuro.base.errors import UserError
from neuro.coding.chain import Chain

FRONT, BACK = "front", "back"
TO_JSON: dict[str, Any] = {"spiking-coder": spiking_to_json, "graded-coder": graded_to_json}


def chain_to_json(chain: Chain) -> dict[str, Any]:
    """The chain without its arrays as an object that `json` can write."""
    front = TO_JSON[chain.front.kind](chain.front)
    return {"family": chain.family, "code_shift": chain.code_shift, FRONT: front, BACK: spec_to_json(chain.back)}


def chain_arrays(chain: Chain) -> Arrays:
    """The arrays of both."""
    parts = {FRONT: coder_arrays(chain.front), BACK: spec_arrays(chain.back)}
    return {f"{part}.{name}": values for part, arrays in parts.items() for name, values in arrays.items()}


def chain_from_json(content: Mapping[str, Any], arrays: Arrays) -> Chain:
    """Rebuild a chain from `chain_to_json` and `chain_arrays`.

    Raises: UserError if something is missing, of the wrong type, or does not fit together.
    """
    try:
        front = coder_from_json(content[FRONT], _of(FRONT, arrays))
        return Chain(front, spec_from_json(content[BACK], _of(BACK, arrays)), content["code_shift"])
    except (KeyError, TypeError) as error:
        raise UserError(f"spec: not a chain of this version ({type(error).__name__}: {error})") from error


def _of(part: str, arrays: Arrays) -> Arrays:
    prefix = f"{part}."
    return {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}

"""GradedNetwork <-> plain JSON objects and arrays: the sigma-delta network it was made of, and its design."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from neuro.artifact.sigma_delta import spec_arrays, spec_from_json, spec_to_json
from neuro.base.arrays import Array, NamedArrays
from neuro.base.errors import UserError
from neuro.equilibrium.graded_relu import GradedDesign, GradedNetwork

DESIGN = "graded"


def graded_to_json(network: GradedNetwork) -> dict[str, Any]:
    """The network without its arrays as an object that `json` can write."""
    return {**spec_to_json(network.spec), DESIGN: asdict(network.design)}


def graded_arrays(network: GradedNetwork) -> dict[str, Array]:
    """The arrays of the sigma-delta network."""
    return spec_arrays(network.spec)


def graded_from_json(content: Mapping[str, Any], arrays: NamedArrays) -> GradedNetwork:
    """Rebuild a network from `graded_to_json` and `graded_arrays`.

    Raises: UserError if something is missing, of the wrong type, or does not fit together.
    """
    spec = spec_from_json(content, arrays)
    try:
        return GradedNetwork(spec, GradedDesign(**content[DESIGN]))
    except TypeError as error:
        raise UserError(f"spec: not a graded network of this version ({error}); train it again") from error

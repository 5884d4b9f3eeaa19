"""Sparse coders of stock processes <-> plain JSON objects and arrays: the integers that run and the real dictionary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from neuro.artifact.sigma_delta import encoder_arrays, encoder_from_json, encoder_to_json
from neuro.artifact.stock import graph_arrays, graph_from_json, graph_to_json
from neuro.base.arrays import Arrays
from neuro.base.checks import require_integers
from neuro.base.errors import UserError
from neuro.coding.coder import StockCoder
from neuro.coding.graded_relu import GradedCoder
from neuro.coding.lif import SpikingCoder, SpikingDesign
from neuro.coding.problem import SparseProblem

FAMILY = "stock-coder"  # in place of the family, in files
DICTIONARY = "dictionary"
SPIKING, GRADED = "spiking", "graded"


def spiking_to_json(coder: SpikingCoder) -> dict[str, Any]:
    """The coder without its arrays as an object that `json` can write."""
    return _to_json(coder, SPIKING, {"design": asdict(coder.design), "threshold": coder.threshold})


def graded_to_json(coder: GradedCoder) -> dict[str, Any]:
    """The coder without its arrays as an object that `json` can write."""
    return _to_json(coder, GRADED, {"input_bits": coder.input_bits, "state_bits": coder.state_bits})


def _to_json(coder: StockCoder, form: str, settings: dict[str, Any]) -> dict[str, Any]:
    return {
        "family": FAMILY,
        "kind": form,
        "sparsity_threshold": coder.problem.sparsity_threshold,
        "biased": list(coder.graph.biased),
        "settings": settings,
        "encoder": encoder_to_json(coder.encoder),
        "image_shape": list(coder.image_shape),
        "steps": coder.free_steps,
        **graph_to_json(coder.graph),
    }


def coder_arrays(coder: StockCoder) -> Arrays:
    """The weights by projection, the dictionary, and the arrays of the encoder."""
    return {**graph_arrays(coder.graph), DICTIONARY: coder.problem.dictionary, **encoder_arrays(coder.encoder)}


def coder_from_json(content: Mapping[str, Any], arrays: Arrays) -> StockCoder:
    """Rebuild a coder from `spiking_to_json` or `graded_to_json`, and `coder_arrays`.

    Raises: UserError if something is missing, of the wrong type, or does not fit together.
    """
    try:
        if content["family"] != FAMILY:
            raise UserError(f"spec: family {content['family']!r} is no sparse coder of stock processes")
        problem = SparseProblem(np.asarray(arrays[DICTIONARY], dtype=np.float64), content["sparsity_threshold"])
        graph, settings = graph_from_json(content, arrays, tuple(content["biased"])), content["settings"]
        require_integers("spec", **{name: value for name, value in settings.items() if name != "design"})
        shown = _shown(content, arrays)
        if content["kind"] == SPIKING:
            return SpikingCoder(problem, graph, SpikingDesign(**settings["design"]), settings["threshold"], **shown)
        if content["kind"] == GRADED:
            return GradedCoder(problem, graph, settings["input_bits"], settings["state_bits"], **shown)
        raise UserError(f"spec: sparse coder {content['kind']!r} is unknown")
    except UserError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(f"spec: not a sparse coder of this version ({type(error).__name__}: {error})") from error


def _shown(content: Mapping[str, Any], arrays: Arrays) -> dict[str, Any]:
    """How images are shown; absent from files of versions whose coders took signals only."""
    if "encoder" not in content:
        return {}
    return {
        "encoder": encoder_from_json(content["encoder"], arrays),
        "image_shape": tuple(int(n) for n in content["image_shape"]),
        "free_steps": content["steps"],
    }

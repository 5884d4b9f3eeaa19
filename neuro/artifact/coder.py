"""Sparse coders on disk: the folder of `neuro.artifact.run_folder`, with the integers that ran and the real
dictionary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from neuro.artifact.run_folder import CODER_FAMILY, read_run, write_run
from neuro.artifact.stock import graph_arrays, graph_from_json, graph_to_json
from neuro.base.arrays import Arrays
from neuro.base.checks import require_integers
from neuro.base.errors import UserError
from neuro.coding.coder import StockCoder
from neuro.coding.graded_relu import GradedCoder
from neuro.coding.lif import SpikingCoder, SpikingDesign
from neuro.coding.problem import SparseProblem

DICTIONARY = "dictionary"


def coder_to_json(coder: StockCoder) -> dict[str, Any]:
    """Return the coder without its arrays as an object that `json` can write."""
    settings: dict[str, Any] = {}
    if isinstance(coder, SpikingCoder):
        settings = {"design": asdict(coder.design), "threshold": coder.threshold}
    elif isinstance(coder, GradedCoder):
        settings = {"input_bits": coder.input_bits, "state_bits": coder.state_bits}
    return {
        "family": CODER_FAMILY,
        "kind": coder.kind,
        "sparsity_threshold": coder.problem.sparsity_threshold,
        "biased": list(coder.graph.biased),
        "settings": settings,
        **graph_to_json(coder.graph),
    }


def coder_from_json(content: Mapping[str, Any], arrays: Arrays) -> StockCoder:
    """Rebuild a coder from `coder_to_json`, the weights of its graph and its dictionary.

    Raises: UserError if something is missing, of the wrong type, or does not fit together.
    """
    try:
        if content["family"] != CODER_FAMILY:
            raise UserError(f"spec: family {content['family']!r} is no sparse coder; read it with load_artifact")
        problem = SparseProblem(np.asarray(arrays[DICTIONARY], dtype=np.float64), content["sparsity_threshold"])
        graph, settings = graph_from_json(content, arrays, tuple(content["biased"])), content["settings"]
        require_integers("spec", **{name: value for name, value in settings.items() if name != "design"})
        if content["kind"] == SpikingCoder.kind:
            return SpikingCoder(problem, graph, SpikingDesign(**settings["design"]), settings["threshold"])
        if content["kind"] == GradedCoder.kind:
            return GradedCoder(problem, graph, settings["input_bits"], settings["state_bits"])
        raise UserError(f"spec: sparse coder {content['kind']!r} is unknown")
    except UserError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(f"spec: not a sparse coder of this version ({type(error).__name__}: {error})") from error


def save_coder(folder: Path, coder: StockCoder, manifest: Mapping[str, Any]) -> None:
    """Write a coder and how it came to be (seed, data, results, ...); hashes are added.

    Raises: UserError if the folder cannot be written.
    """
    arrays: Arrays = {**graph_arrays(coder.graph), DICTIONARY: coder.problem.dictionary}
    write_run(folder, coder_to_json(coder), arrays, dict(manifest))


def load_coder(folder: Path) -> tuple[StockCoder, dict[str, Any]]:
    """Return a coder and its manifest.

    Raises: UserError if a file is missing, truncated or edited, or the run holds something else.
    """
    fields, arrays, manifest = read_run(folder)
    return coder_from_json(fields, arrays), manifest

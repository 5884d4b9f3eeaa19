"""What a netx file holds, read as data before Lava's loader sees it: a chain of dense CUBA layers, each checked."""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuro.base.arrays import Reals
from neuro.base.checks import Range, require_choice
from neuro.base.errors import UserError
from neuro.base.hdf5 import DAMAGE, require_hdf5

LAYER = "layer"
DENSE = ("dense", "dense_rec")
KINDS = ("input", *DENSE, "conv", "average", "flatten")  # of lava-dl's loader
SIZE, DECAY = Range(1, 2**20), Range(0, 4096)
THRESHOLD = Range(0, 2**23 - 1)
LARGEST_WEIGHT = 2**15
REMEDY = "export it again"


@dataclass(frozen=True, eq=False)
class NetxDense:
    """A layer: weights of shape [M, N], recurrent of shape [M, M] or None; decays of 4096."""

    weights: Reals
    recurrent: Reals | None
    current_decay: int
    voltage_decay: int
    threshold: int


def check_netx(content: bytes, name: str) -> tuple[NetxDense | None, ...]:
    """The layers in the content of a netx file: dense ones read and checked, None for others of lava-dl's loader.

    `name` is named in errors. Raises: UserError if it is damaged, declares more than may be read, or is no chain.
    """
    import h5py

    require_hdf5(content, name)
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            parts = file[LAYER]
            layers = [_layer(parts[str(index)], f"{name}: layer {index}") for index in range(len(parts))]
    except UserError:
        raise
    except DAMAGE as error:
        raise UserError(f"{name}: no netx file ({type(error).__name__}: {error!s:.100}); {REMEDY}") from error
    if not layers:
        raise UserError(f"{name}: holds no layer; {REMEDY}")
    for index, (before, layer) in enumerate(itertools.pairwise(layers), start=1):
        if before and layer and layer.weights.shape[1] != before.weights.shape[0]:
            raise UserError(
                f"{name}: layer {index} takes {layer.weights.shape[1]} inputs, the one before has "
                f"{before.weights.shape[0]} neurons; {REMEDY}"
            )
    return tuple(layers)


def _layer(group: Mapping[str, Any], owner: str) -> NetxDense | None:
    kind = _text(group["type"])
    require_choice(f"{owner}: type", kind, KINDS)
    if kind not in DENSE:
        return None
    neuron = group["neuron"]
    require_choice(f"{owner}: neuron", _text(neuron["type"]), ("CUBA",))
    n_out, n_in = (_whole(group[key], owner, key, SIZE) for key in ("outFeatures", "inFeatures"))
    return NetxDense(
        _weights(group["weight"], owner, (n_out, n_in)),
        _weights(group["weight_rec"], owner, (n_out, n_out)) if kind == "dense_rec" else None,
        _whole(neuron["iDecay"], owner, "iDecay", DECAY),
        _whole(neuron["vDecay"], owner, "vDecay", DECAY),
        _whole(neuron["vThMant"], owner, "vThMant", THRESHOLD),
    )


def _text(dataset: Any) -> str:
    value = np.ravel(dataset[()])[0]
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)[:40]


def _whole(dataset: Any, owner: str, key: str, limit: Range) -> int:
    value = np.asarray(dataset[()])
    if value.size != 1 or value.dtype.kind not in "iu":
        raise UserError(f"{owner}: {key} is {value.dtype} {value.shape}, needs one integer; {REMEDY}")
    number = int(value.ravel()[0])
    limit.require(owner, REMEDY, **{key: number})
    return number


def _weights(dataset: Any, owner: str, shape: tuple[int, int]) -> Reals:
    values = np.asarray(dataset[()])
    if values.shape != shape or values.dtype.kind not in "iuf":
        raise UserError(f"{owner}: weights are {values.dtype} {values.shape}, need numbers {shape}; {REMEDY}")
    weights: Reals = values.astype(np.float64)
    if not np.isfinite(weights).all() or (np.abs(weights) > LARGEST_WEIGHT).any():
        raise UserError(f"{owner}: weights are not finite or beyond {LARGEST_WEIGHT}; {REMEDY}")
    return weights

"""Projection: the synapses from one population to another, in integers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neuro.base.arrays import Array, Int8
from neuro.base.checks import Range, require_integers
from neuro.base.convolution import Convolution
from neuro.base.errors import UserError
from neuro.base.fixed_point import WEIGHT_BITS, weight_limit
from neuro.spec.plasticity import LearningRule

MAX_EXPONENT = 22


@dataclass(frozen=True, eq=False)
class Projection:
    """Synapses from `source` to `target`: a_j += (q_i << shift) * W_ij. All-to-all, or a kernel shared by positions.

    weights:      int8 of shape [N_source, N_target], or a kernel (extent..., channels, features) with a convolution;
                  the real weight is weights * 2**-exponent. None for a transpose.
    weight_bits:  2..8; weights lie, now and while they learn, in -limit..limit with limit = 2**(weight_bits - 1) - 1.
    transpose_of: name of another projection whose transposed weights this one uses, now and while it learns.
    sign:         +1, or -1 for a transpose whose synapses act with the opposite sign of the weights it uses.
    rule:         local learning rule, None for fixed weights. A transpose has none of its own.
    convolution:  geometry of a kernel, pooling included, None for all-to-all. A transpose follows its original.

    A rule of a shared kernel moves each weight by the exact sum of the changes of all synapses that share it, rounded
    once an image, under the random bits of the weight's index in the flat kernel, then saturated.
    """

    name: str
    source: str
    target: str
    exponent: int
    weights: Int8 | None = None
    weight_bits: int = WEIGHT_BITS
    transpose_of: str | None = None
    rule: LearningRule | None = None
    convolution: Convolution | None = None
    sign: int = 1

    def __post_init__(self) -> None:
        require_integers(
            f"projection {self.name}", exponent=self.exponent, weight_bits=self.weight_bits, sign=self.sign
        )
        if self.sign not in (1, -1) or (self.sign == -1 and self.transpose_of is None):
            raise UserError(f"projection {self.name}: sign {self.sign}; +1, or -1 for a transpose")
        if (self.weights is None) == (self.transpose_of is None):
            raise UserError(f"projection {self.name}: give either weights or transpose_of")
        Range(0, MAX_EXPONENT).require(f"projection {self.name}", exponent=self.exponent)
        if self.transpose_of is not None and self.rule is not None:
            raise UserError(f"projection {self.name}: a transpose learns through {self.transpose_of}; drop its rule")
        if self.convolution is not None and self.transpose_of is not None:
            raise UserError(
                f"projection {self.name}: a transpose has the convolution of {self.transpose_of}; drop its own"
            )
        if self.convolution is not None and self.rule is not None and self.rule.uses_state_difference:
            raise UserError(f"projection {self.name}: rule {self.rule.name} learns no shared kernel; use 'event'")
        Range(2, WEIGHT_BITS).require(f"projection {self.name}", weight_bits=self.weight_bits)
        if self.weights is not None:
            n_axes = 2 if self.convolution is None else len(self.convolution.kernel) + 2
            object.__setattr__(self, "weights", _checked_weights(self.name, self.weights, self.limit, n_axes))

    @property
    def limit(self) -> int:
        """Largest |weight|."""
        return weight_limit(self.weight_bits)


def _checked_weights(name: str, weights: Array, limit: int, n_axes: int) -> Int8:
    weights = np.asarray(weights)
    if weights.ndim != n_axes or not np.issubdtype(weights.dtype, np.integer):
        raise UserError(
            f"projection {name}: weights must be a {n_axes}-D integer array, got {weights.dtype} {weights.shape}"
        )
    if weights.size and max(-int(weights.min()), int(weights.max())) > limit:
        raise UserError(f"projection {name}: weights outside -{limit}..{limit}; lower the exponent or clip them")
    frozen = np.array(weights, dtype=np.int8)
    frozen.flags.writeable = False
    return frozen

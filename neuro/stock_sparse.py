"""Sparse coding on stock processes: the locally competitive network as ISTA, graded ReLU and dense synapses alone.

    a(t + 1) = relu(a(t) + e (D^T x - G a(t) - threshold))        G = D^T D,  e = 1 / |G|, a in units of 2**-state_bits

whose fixed point minimises 1/2 |x - D a|^2 + threshold sum a over a >= 0. Codes of both signs: pass [D, -D].
Source: Rozell et al. 2008; Daubechies et al. 2004 (ISTA).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from neuro.errors import UserError, require_integers
from neuro.fixed_point import WEIGHT_BITS, quantize, weight_limit
from neuro.quantize import exponent_for
from neuro.stock import GradedRelu, SpikeInput, StockPopulation, StockProjection, StockSpec
from neuro.stock_graded import MESSAGE_BITS, ROUNDING, check_reach, compensation

CODE, THRESHOLD = "code", "threshold"
LARGEST_WEIGHT = weight_limit(WEIGHT_BITS)
FINEST = 15  # largest right shift of a synapse, less the one of doubled weights

Reals = npt.NDArray[np.float64]


def sparse_coder(
    dictionary: Reals, sparsity_threshold: float, input_bits: int = 7, state_bits: int = 14, reach: float = 4.0
) -> StockSpec:
    """Return the network of the module docstring; what it takes is made by `neuro.stock_graded.present`.

    Args:    dictionary D of shape [N, M], one atom a column; sparsity_threshold (lambda), real, > 0; the input x is
             payloads / 2**input_bits, |x| <= 1; reach, the largest code to expect, real.
    Returns: populations "input", "threshold", "rounding" and "code" (states in units of 2**-state_bits).
    Raises:  UserError if D is no finite matrix, a number is out of range, or codes up to `reach` could overflow.
    """
    require_integers("sparse coder", input_bits=input_bits, state_bits=state_bits)
    if dictionary.ndim != 2 or not np.isfinite(dictionary).all() or not dictionary.any():
        raise UserError(f"dictionary of shape {dictionary.shape}: needs a finite matrix [pixels, atoms], not all zero")
    if not (sparsity_threshold > 0 and 0 <= input_bits <= min(state_bits, 14) and state_bits <= 22):
        raise UserError(
            f"sparse coder: sparsity_threshold {sparsity_threshold}, input_bits {input_bits}, state_bits {state_bits}; "
            "needs a threshold > 0 and 0 <= input_bits <= state_bits, at most 14 and 22"
        )
    size = dictionary.shape[1]
    gram = dictionary.T @ dictionary
    step = 1.0 / float(np.linalg.norm(gram, 2))
    level = np.full((1, size), -step * sparsity_threshold)
    projections = [
        _synapses("input->code", "input", step * dictionary, state_bits - input_bits),
        _synapses("threshold->code", THRESHOLD, level, state_bits),
        _synapses("inhibition", CODE, -step * gram, 0),
        StockProjection("code->code", CODE, CODE, np.eye(size, dtype=np.int16), 0, 8, "excitatory", MESSAGE_BITS),
    ]
    projections.append(compensation(CODE, size, projections))
    stock = StockSpec(
        (
            StockPopulation("input", (len(dictionary),), SpikeInput(1 << input_bits)),
            StockPopulation(THRESHOLD, (1,), SpikeInput()),
            StockPopulation(ROUNDING, (1,), SpikeInput()),
            StockPopulation(CODE, (size,), GradedRelu()),
        ),
        tuple(projections),
    )
    check_reach(stock, 1 << state_bits, reach)
    return stock


def _synapses(name: str, source: str, weights: Reals, shift: int) -> StockProjection:
    """Synapses onto the code nearest to real weights * 2**shift, on the finest grid that holds them."""
    exponent = exponent_for(float(np.abs(weights).max()), LARGEST_WEIGHT, FINEST + shift)
    integers = 2 * quantize(weights, exponent, -LARGEST_WEIGHT, LARGEST_WEIGHT)
    return StockProjection(name, source, CODE, integers, shift - exponent - 1, message_bits=MESSAGE_BITS)

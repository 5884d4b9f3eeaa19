"""Whether the tags of a learning engine are numbers of neurons rather than of synapses."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from neuro.base.arrays import Int64
from neuro.stock.learning_engine import FACTOR_WIDTHS, EngineProduct
from sim.backends.stock.engine_kernels import ACCUMULATOR_MAX, ACCUMULATOR_MIN, TAG_MAX, TAG_MIN

PRE, POST = "pre", "post"
MIRRORED = {"x1": "y1", "x2": "y2", "y1": "x1", "y2": "x2"}
LEVELS = 128  # of a trace
Products = tuple[EngineProduct, ...]


def at_post(products: Products) -> Products:
    """The products with the traces of the two ends exchanged."""
    return tuple(
        replace(p, factors=tuple(replace(f, variable=MIRRORED.get(f.variable, f.variable)) for f in p.factors))
        for p in products
    )


@cache
def tag_end(products: Products, tag: int) -> str | None:
    """The end, "pre" or "post", that tags which all start as `tag` and move by `products` depend on alone.

    None if there is no such end.

    All tags that can be reached are tried with all traces: a sum that is a whole number is the same at all synapses of
    a neuron, where one is not each synapse rounds by itself.
    """
    read = {factor.variable for product in products for factor in product.factors} - {"t"}
    if "w" in read or len(read) > 1 or any(product.dependency != "u" for product in products):
        return None
    known, new = set[int](), {tag}
    while new:
        known |= new
        totals = _totals(products, np.array(sorted(new), dtype=np.int64))
        if (totals & 127).any():
            return None
        new = set(np.clip(totals >> 7, TAG_MIN, TAG_MAX).ravel().tolist()) - known
    return PRE if read & {"x1", "x2"} else POST


def _totals(products: Products, tags: Int64) -> Int64:
    """The accumulator of each of S tags after the products, for each level of the trace they read: [S, levels]."""
    total = np.repeat(tags[:, None] << 7, LEVELS, axis=1)
    for product in products:
        part = np.full_like(total, product.mantissa)
        for factor in product.factors:
            value = (tags[:, None] if factor.variable == "t" else np.arange(LEVELS)[None]) + factor.constant
            reach = 1 << FACTOR_WIDTHS[factor.variable]
            part = part * (np.sign(value) if factor.sign else np.clip(value, -reach, reach - 1))
        added = np.clip((part >> product.shift) << (product.exponent + 7), ACCUMULATOR_MIN, ACCUMULATOR_MAX)
        total = np.clip(total + added, ACCUMULATOR_MIN, ACCUMULATOR_MAX)
    return total

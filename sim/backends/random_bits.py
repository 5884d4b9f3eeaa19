"""Counter-based random bits and stochastic rounding, compiled: neuro.base.fixed_point as it stands."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

from neuro.base import fixed_point
from sim.backends.jit import inlined


def _compile(function: Callable[..., Any], **needs: Any) -> Any:
    """Compile a rule of `neuro.base.fixed_point` as it stands; `needs` are its helpers, compiled before."""
    return inlined(types.FunctionType(function.__code__, {**function.__globals__, **needs}, function.__name__))


mix32 = _compile(fixed_point.mix32)
stream_key = _compile(fixed_point.stream_key, mix32=mix32)
synapse_bits = _compile(fixed_point.synapse_bits, mix32=mix32)
round_shift = _compile(fixed_point.round_shift)

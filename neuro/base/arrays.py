"""Names of array types, each once. Shapes stand in the docstring of whoever takes or returns one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Int8 = npt.NDArray[np.int8]
Int16 = npt.NDArray[np.int16]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
UInt8 = npt.NDArray[np.uint8]
UInt32 = npt.NDArray[np.uint32]
UInt64 = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.integer[Any]]  # of any width
Float32 = npt.NDArray[np.float32]
Reals = npt.NDArray[np.float64]
Floats = npt.NDArray[np.floating[Any]]  # of any width
Array = npt.NDArray[np.generic]  # of any type
AnyArray = npt.NDArray[Any]  # of a type that is not checked
Index = int | np.signedinteger[Any]  # the number of a neuron or weight in compiled code

Arrays = dict[str, Array]  # by name, as files hold them
Spikes = Mapping[str, Int32]  # by population, of shape [B, T, N]
NamedArrays = Mapping[str, Array]  # the same, only read
Payloads = Int16  # of sources, in payload units, of shape [B, N]
Trains = Int8  # spike trains, of shape [B, T, N]
Images = Array  # of shape [n, h, w(, c)] or [n, d]
Labels = Int32  # of shape [n], from 0

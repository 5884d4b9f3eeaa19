"""How kernels are compiled: numba, cached on disk, without reference counting.

numba keys its cache by the file of the compiled function alone, but kernels inline functions of other files; after an
update it would run stale code. The cache therefore lives in a folder named after the content of every file below
`sim/backends`: a new kernel file cannot be forgotten.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba import config, njit

from neuro.base import fixed_point

HERE = Path(__file__).parent
Kernel = TypeVar("Kernel", bound=Callable[..., Any])  # annotations are for the reader: numba ignores them


def _cache_folder() -> Path:
    digest = hashlib.sha256(numba.__version__.encode())
    for path in [*sorted(HERE.rglob("*.py")), Path(fixed_point.__file__)]:
        digest.update(path.read_bytes())
    name = f"kernels-{digest.hexdigest()[:16]}"
    if os.access(HERE, os.W_OK):
        return HERE / "__pycache__" / name
    return Path.home() / ".cache" / "settle" / name  # an installation for many, that its users cannot write to


CACHE_FOLDER = _cache_folder()


def _compiler(**options: Any) -> Callable[[Kernel], Kernel]:
    def compile_lazily(function: Kernel) -> Kernel:
        settings = vars(config)
        before, settings["CACHE_DIR"] = settings["CACHE_DIR"], str(CACHE_FOLDER)  # read by numba while it decorates
        try:
            compiled: Kernel = njit(cache=True, nogil=True, error_model="numpy", **options)(function)
            return compiled
        finally:
            settings["CACHE_DIR"] = before

    return compile_lazily


# Without reference counting ("_nrt") an access to a field of a tuple of arrays costs nothing, ten times faster here;
# such kernels must not allocate. A function that only other kernels call needs no door to Python: unpacking hundreds of
# arrays took half of all compilation.
INSIDE = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
jit = _compiler(_nrt=False)  # called from Python
called = _compiler(_nrt=False, **INSIDE)  # called from kernels
inlined = _compiler(_nrt=False, forceinline=True, **INSIDE)  # part of every kernel that calls it
# Floats: a product and a sum may become one fused operation, which rounds once.
float_jit = _compiler(_nrt=False, fastmath={"contract"})
float_inlined = _compiler(_nrt=False, forceinline=True, fastmath={"contract"}, **INSIDE)

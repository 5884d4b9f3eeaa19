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

# Threads that wait for the slowest of a batch must sleep: spinning, they take the cores that it needs, and on a busy
# machine training in batches becomes a hundred times slower. Read by OpenMP when the first parallel kernel starts.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

HERE = Path(__file__).parent
Kernel = TypeVar("Kernel", bound=Callable[..., Any])  # annotations are for the reader: numba ignores them


def _cache_folder() -> Path:
    digest = hashlib.sha256(numba.__version__.encode())
    for path in [*sorted(HERE.rglob("*.py")), Path(fixed_point.__file__)]:
        digest.update(path.read_bytes())
    return HERE / "__pycache__" / f"kernels-{digest.hexdigest()[:16]}"


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
# such kernels must not allocate.
jit = _compiler(_nrt=False)
inlined = _compiler(_nrt=False, forceinline=True)
parallel_jit = _compiler(parallel=True)
# Floats: a product and a sum may become one fused operation, which rounds once.
float_jit = _compiler(_nrt=False, fastmath={"contract"})
float_inlined = _compiler(_nrt=False, forceinline=True, fastmath={"contract"})

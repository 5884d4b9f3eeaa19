"""Jobs and results on disk, between the backend and its worker."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from neuro.artifact.sigma_delta import spec_arrays, spec_from_json, spec_to_json
from neuro.base.arrays import Integers, UInt32
from neuro.base.files import array_bytes, json_bytes, parse_arrays, parse_json, read_bytes, write_atomically
from neuro.spec.sigma_delta import NetworkSpec

if TYPE_CHECKING:
    from sim.backends.lava.sigma_delta.graph import Job

SPEC, ARRAYS = "spec.json", "arrays.npz"
CURRENT = "job.current."


def save_job(
    folder: Path, spec: NetworkSpec, payloads: Integers, targets: Integers | None, signs: Integers, keys: UInt32,
    currents: Mapping[str, Integers] | None = None,
) -> None:  # fmt: skip
    """Write a job for the worker."""
    arrays = {**spec_arrays(spec), "job.payloads": payloads, "job.signs": signs, "job.keys": keys}
    if targets is not None:
        arrays["job.targets"] = targets
    arrays |= {f"{CURRENT}{name}": values for name, values in (currents or {}).items()}
    write_atomically(folder / SPEC, json_bytes(spec_to_json(spec)))
    write_atomically(folder / ARRAYS, array_bytes(arrays))


def load_job(folder: Path) -> Job:
    """Read what `save_job` wrote."""
    from sim.backends.lava.sigma_delta.graph import Job

    arrays = parse_arrays(read_bytes(folder / ARRAYS), folder / ARRAYS)
    spec = spec_from_json(parse_json(read_bytes(folder / SPEC), folder / SPEC), arrays)
    targets = arrays.get("job.targets")
    return Job(
        spec,
        arrays["job.payloads"].astype(np.int32),
        None if targets is None else targets.astype(np.int32),
        arrays["job.signs"].astype(np.int32),
        arrays["job.keys"].astype(np.uint32),
        {name.removeprefix(CURRENT): v.astype(np.int32) for name, v in arrays.items() if name.startswith(CURRENT)},
    )

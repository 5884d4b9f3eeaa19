"""A sigma-delta network opened in Lava."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from neuro.base.arrays import Int64
from neuro.base.files import parse_arrays, read_bytes
from neuro.base.scratch import scratch
from neuro.spec.neurons import Source
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.lava.sigma_delta.jobs import save_job
from sim.backends.lava.worker.watch import run_worker
from sim.backends.presentation import Presentation, keys_of
from sim.backends.record import Record, record_from_history
from sim.backends.session import SigmaDeltaSession

WORKER = "sim.backends.lava.sigma_delta.worker"


class LavaSession(SigmaDeltaSession):
    """A spec opened on Lava. Every `run` is a worker process of its own; none outlives it."""

    backend, takes_currents = "lava", True
    refusal = "sigma-delta networks learn on the events backend; train there, then evaluate here"

    def __init__(self, spec: NetworkSpec, stall_s: float, on_image: Callable[[int], None]) -> None:
        super().__init__(spec)
        self.stall_s = stall_s
        self.on_image = on_image

    def _present(self, shown: Presentation) -> Record:
        with scratch("lava") as folder:
            signs, keys = self._signs(shown), keys_of(shown)
            save_job(folder, self.spec, shown.payloads, shown.targets, signs, keys, shown.currents)
            run_worker(WORKER, folder, len(shown), "image", self.stall_s, self.on_image)
            return record_from_history(self.spec, self.backend, shown, self._history(folder))

    def _history(self, folder: Path) -> dict[str, dict[str, Int64]]:
        """Spikes and states of shape [B, 1 + steps, N] by population (states only at the ends of phases)."""
        history = {}
        for index, population in enumerate(self.spec.populations):
            path = folder / f"record-{index}.npz"
            arrays = parse_arrays(read_bytes(path), path)
            spikes = arrays["spikes"].astype(np.int64)
            states = np.zeros_like(spikes)
            if isinstance(population.neuron, Source):
                states += np.cumsum(spikes, axis=1)
            else:
                states[:, self.spec.schedule.ends[: arrays["states"].shape[1]]] = arrays["states"]
            history[population.name] = {"spikes": spikes, "states": states}
        return history

"""A sigma-delta network opened in Lava."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from neuro.base.arrays import Int8, Int16, Int64, Integers
from neuro.base.errors import UserError
from neuro.base.files import parse_arrays, read_bytes
from neuro.spec.neurons import Source
from neuro.spec.plasticity import Rate
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.lava.sigma_delta.jobs import save_job
from sim.backends.lava.worker.watch import run_worker
from sim.backends.protocol import SessionBase, check_payloads
from sim.backends.record import LearningOutcome, Record, nudge_signs, record_from_history

WORKER = "sim.backends.lava.sigma_delta.worker"


class LavaSession(SessionBase):
    """A spec opened on Lava. Every `run` is a worker process of its own; none outlives it."""

    def __init__(self, spec: NetworkSpec, stall_s: float, on_image: Callable[[int], None]) -> None:
        self.spec = spec
        self.stall_s = stall_s
        self.on_image = on_image

    def run(
        self,
        payloads: Integers,
        targets: Integers | None = None,
        *,
        seed: int = 0,
        first_image: int = 0,
        keep_states: bool = False,
        keep_spikes: bool = False,
    ) -> Record:
        """See `sim.backends.protocol.Session.run`."""
        check_payloads(self.spec, payloads, targets)
        signs = nudge_signs(self.spec, seed, first_image, len(payloads))
        with tempfile.TemporaryDirectory(prefix="settle-lava-") as name:
            folder = Path(name)
            save_job(folder, self.spec, payloads, targets, signs)
            run_worker(WORKER, folder, len(payloads), "image", self.stall_s, self.on_image)
            history = self._history(folder)
        return record_from_history(self.spec, "lava", seed, history, keep_states, keep_spikes)

    def _history(self, folder: Path) -> dict[str, dict[str, Int64]]:
        """Return spikes and states of shape [B, 1 + steps, N] by population (states only at the ends of phases)."""
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

    def learn(
        self, payloads: Integers, targets: Integers, rates: Mapping[str, Rate], *, seed: int, first_image: int
    ) -> LearningOutcome:
        """Refused: sigma-delta units do not learn inside Lava."""
        raise UserError(
            "backend lava: sigma-delta networks learn on the events backend; train there, then evaluate here"
        )

    def weights(self) -> dict[str, Int8]:
        """See `sim.backends.protocol.Session.weights`."""
        return {p.name: p.weights.copy() for p in self.spec.projections if p.weights is not None}

    def full_weights(self) -> dict[str, Int16]:
        """Refused, like `learn`."""
        raise UserError("backend lava: holds no learning state; train on the events backend")

    def restore(self, full: Mapping[str, Int16]) -> None:
        """Refused, like `learn`."""
        raise UserError("backend lava: holds no learning state; train on the events backend")

"""Where a training computes: which backend, which device, shared with whom. It never changes a result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from neuro.spec.network import Network
from sim.backends.protocol import Workers, get_backend
from sim.backends.session import AnySession


@dataclass(frozen=True)
class Compute:
    """backend: "" for the one of the network's family.  device: of backend torch.  workers: None, or who shares."""

    backend: str = ""
    device: str = "cpu"
    workers: Workers | None = None

    @property
    def leads(self) -> bool:
        """Whether this process speaks for all workers: it alone writes the run and shows progress."""
        return self.workers is None or self.workers.rank == 0

    def open(self, spec: Network, threads: int | None, batch_size: int = 1) -> AnySession:
        """Open `spec`. Graded networks, trained as sigma-delta units, run on the backend of their own family."""
        if not self.backend or spec.trained is not spec:
            return get_backend(spec.native_backend).open(spec, threads=threads, batch_size=batch_size)
        options: dict[str, Any] = {"threads": threads, "batch_size": batch_size}
        if self.backend == "torch":
            options.update(device=self.device, workers=self.workers)
        return get_backend(self.backend).open(spec, **options)

    def describe(self) -> dict[str, Any]:
        """The keys and values that a manifest holds of it."""
        size = self.workers.size if self.workers else 1
        return {"backend": self.backend or "native", "device": self.device, "workers": size}


NATIVE = Compute()

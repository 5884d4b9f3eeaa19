"""The Lava backend: hands a job to the worker process, watches it, and reads the records. Imports no lava itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from neuro.coding.chain import is_chain
from neuro.spec.network import Network
from sim.backends.chain import ChainSession, open_chain
from sim.backends.lava.sigma_delta.session import LavaSession
from sim.backends.lava.worker.watch import STALL_S, check_installed
from sim.backends.protocol import Backend, Capabilities
from sim.families import of_kind

if TYPE_CHECKING:
    from sim.backends.lava.stock.session import LavaStockSession


class LavaBackend(Backend[Network]):
    """A graph of Lava processes on CPU: inference, free and nudged phases."""

    name = "lava"
    capabilities = Capabilities(frozenset({"sigma-delta", "stock"}), learns=False)

    def open(
        self,
        spec: Network,
        *,
        threads: int | None = None,
        batch_size: int = 1,
        stall_s: float = STALL_S,
        on_image: Callable[[int], None] = lambda done: None,
    ) -> LavaSession | LavaStockSession | ChainSession:
        """Open `spec`. stall_s: end a run that finishes no image for so long. on_image is told the images done.

        Raises: UserError if Lava is not installed.
        """
        if is_chain(spec):
            return open_chain(self.name, spec, threads, on_image, stall_s=stall_s)
        network = self.admitted(spec, threads, batch_size)
        check_installed()
        session: LavaSession | LavaStockSession = of_kind("lava session", network)(network, stall_s, on_image)
        return session

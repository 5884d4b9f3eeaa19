"""Stock networks on the Lava backend: the graph a Loihi 2 would run, on CPU. Imports no lava itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from neuro.base.arrays import Integers
from neuro.base.errors import UserError
from neuro.equilibrium.graded_network import AnyStock
from neuro.stock.learning_engine import EngineRule
from sim.backends.lava.stock.run import run_stock_in_lava
from sim.backends.record import LearningOutcome, Record
from sim.backends.stock.record import check_images, make_record
from sim.backends.stock.session import StockSession, stock_inputs


class LavaStockSession(StockSession):
    """A stock network opened on Lava. Every `run` is a worker process of its own; none outlives it."""

    def __init__(self, network: AnyStock, stall_s: float, on_image: Callable[[int], None]) -> None:
        super().__init__(network)
        self.stall_s, self.on_image = stall_s, on_image

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
        """See `sim.backends.stock.backend.ChipSession.run`."""
        check_images(self.spec, payloads, targets)
        graph, inputs = stock_inputs(self.spec, payloads, targets)
        run = run_stock_in_lava(graph, inputs, self.stall_s, self.on_image)
        return make_record(self.spec, "lava", seed, run.record, keep_states, keep_spikes)

    def learn(
        self, payloads: Integers, targets: Integers, rates: Mapping[str, EngineRule], *, seed: int, first_image: int
    ) -> LearningOutcome:
        """Refused: thousands of times slower than the same integers on the chip backend."""
        raise UserError(
            "backend lava: trains a stated number of images only (settle train ep --family stock --backend lava "
            "--images N); train on the chip backend, the integers are the same"
        )

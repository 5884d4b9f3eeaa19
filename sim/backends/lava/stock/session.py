"""Stock networks on the Lava backend: the graph a Loihi 2 would run, on CPU. Imports no lava itself."""

from __future__ import annotations

from collections.abc import Callable

from neuro.stock.family import StockFamily
from sim.backends.lava.stock.run import run_stock_in_lava
from sim.backends.presentation import Presentation
from sim.backends.record import Record
from sim.backends.stock.record import make_record
from sim.backends.stock.session import StockSession, stock_inputs


class LavaStockSession(StockSession):
    """A stock network opened on Lava. Every `run` is a worker process of its own; none outlives it.

    It could learn, thousands of times slower than the same integers on the chip backend.
    """

    backend = "lava"
    refusal = (
        "trains a stated number of images only (settle train ep --family stock --backend lava --images N); train on "
        "the chip backend, the integers are the same"
    )

    def __init__(self, network: StockFamily, stall_s: float, on_image: Callable[[int], None]) -> None:
        super().__init__(network)
        self.stall_s, self.on_image = stall_s, on_image

    def _present(self, shown: Presentation) -> Record:
        graph, inputs, biases = stock_inputs(self.spec, shown.payloads, shown.targets)
        run = run_stock_in_lava(graph, inputs, self.stall_s, self.on_image, biases)
        return make_record(self.spec, self.backend, shown, run.record)

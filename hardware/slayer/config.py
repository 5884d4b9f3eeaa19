"""What a user may choose of a SLAYER training, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from neuro.base.checks import Range, require_integers
from neuro.base.errors import UserError
from neuro.base.options import SEED, check_options, option
from sim.training.config import EPOCHS

if TYPE_CHECKING:
    from neuro.stock.processes import LIF

LOSSES = {
    "rate": "lava-dl's SpikeRate",
    "max": "SpikeMax of shares of the spikes",
    "softmax": "SpikeMax of their softmax",
}


@dataclass(frozen=True, kw_only=True)
class SlayerConfig:
    """How to train. Neurons and slopes are those of lava-dl's examples; loss, learning rate and epochs were chosen on
    validation images (`benchmarks.slayer_choice`). The options, with their limits, stand at the fields.

    learning_rate: None: by trial on the validation split.
    true_rate, false_rate: spikes per step that "rate" wants of the label's output neuron, and of the others.
    threshold, current_decay, voltage_decay: of the neurons, in the chip's units (`neuro.stock.processes.LIF`).
    slope_width, slope_height: of the surrogate derivative (lava-dl: tau_grad, scale_grad).
    """

    seed: int = SEED.default(0)
    hidden: tuple[int, ...] = option((64,), "Hidden layers from input to output, e.g. 256,128.", Range(1))
    steps: int = option(32, "Steps of an inference.", Range(3, 1024))
    epochs: int | None = EPOCHS.default(None)
    learning_rate: float | None = option(
        None,
        "Of Adam, with cosine decay.",
        Range(0.0, 1.0, open_below=True, open_above=True),
        "by short trials, on validation images",
        called="learning rate",
    )
    loss: str = option("rate", "What is minimised", choices=LOSSES, flags=())
    true_rate: float = 0.4
    false_rate: float = 0.02
    spacing: int = 2
    threshold: int = 80
    current_decay: int = 1023
    voltage_decay: int = 123
    slope_width: float = 0.03
    slope_height: float = 3.0

    def __post_init__(self) -> None:
        check_options(self, "slayer")
        require_integers("slayer", spacing=self.spacing)
        if not self.hidden:
            raise UserError("slayer: no hidden layers; give sizes of at least 1, e.g. 64 or 128,64")
        if not 0 <= self.false_rate < self.true_rate <= 1:
            raise UserError(f"slayer: rates {self.false_rate} and {self.true_rate}; give 0 <= false < true <= 1")
        if self.steps < len(self.hidden) + 2:
            raise UserError(f"slayer: {self.steps} steps; give {len(self.hidden) + 2}..1024")
        _ = self.neuron  # checks itself

    @property
    def neuron(self) -> LIF:
        """The neuron of all layers."""
        from neuro.stock.processes import LIF

        return LIF(self.current_decay, self.voltage_decay, self.threshold)

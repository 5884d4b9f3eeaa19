"""What a user may choose of a training, checked."""

from __future__ import annotations

from dataclasses import dataclass

from neuro.base.errors import UserError
from neuro.equilibrium.lif import StockDesign
from neuro.equilibrium.sigma_delta import EquilibriumDesign
from neuro.spec.layers import Layer, parse_layers
from neuro.spec.plasticity import learning_rule
from neuro.stock.rules import stock_rule
from sim.backends.protocol import MAX_BATCH

GRADED = "graded"  # the rule that trains GradedRelu networks, by the sigma-delta rule with open boxes

MAX_EPOCHS = 10_000
FAMILIES = ("sigma-delta", "stock")


@dataclass(frozen=True)
class TrainConfig:
    """What the user asks for. `None` means: choose it from the data; the choice is recorded in the manifest.

    seed:                draws the initial weights, the order of images, all rounding, and the splits.
    hidden, rule, shadow_bits, weight_bits: the network (`neuro.equilibrium.sigma_delta.EquilibriumDesign`).
    layers:              hidden layers as text, convolutions among them (`neuro.spec.layers`), in place of `hidden`,
    then ().
    epochs, batch_size:  passes over the training set; images that learn from the same weights (1: online).
    threads:             cores to use, None for all; never changes a result.
    family:              "sigma-delta" or "stock".
    noise, weight_lsb:   of the learning engine (`neuro.stock.processes.StockProjection`); stock only.
    learning_rate, output_share, centred, exponent_offset: `sim.training.trainer.Choices`, tuned where None.
    refit:               train once more on all training images, validation included, with the same choices.
    front_end, code_bits: SHA-256 of the manifest of the coder in front ("": none), payload bits of its codes
                         (`behind`).
    shift:               pixels by which training images are moved at random, at most (`sim.training.shift`).
    """

    seed: int = 0
    hidden: tuple[int, ...] = (256,)
    rule: str = "event"
    shadow_bits: int = 8
    weight_bits: int = 8
    epochs: int | None = None
    batch_size: int = 1
    threads: int | None = None
    family: str = "sigma-delta"
    noise: str = "per-synapse"
    weight_lsb: int = 1
    learning_rate: float | None = None
    output_share: float | None = None
    centred: bool | None = None
    exponent_offset: int | None = None
    refit: bool | None = None
    front_end: str = ""
    code_bits: int = 0
    layers: str = ""
    shift: int = 0

    def __post_init__(self) -> None:
        self._check_layers()
        if self.shift and (self.front_end or self.family != "sigma-delta"):
            raise UserError(f"shift {self.shift}: images are shifted for the sigma-delta family without a front end")
        if self.front_end and (self.family != "sigma-delta" or self.centred):
            raise UserError("front end: networks behind it are of the sigma-delta family and take codes uncentred")
        if not 0 <= self.seed < 2**63:
            raise UserError(f"seed {self.seed} outside 0..2**63 - 1")
        if self.epochs is not None and not 1 <= self.epochs <= MAX_EPOCHS:
            raise UserError(f"epochs {self.epochs} outside 1..{MAX_EPOCHS}")
        if not 1 <= self.batch_size <= MAX_BATCH:
            raise UserError(f"batch_size {self.batch_size} outside 1..{MAX_BATCH}")
        if self.threads is not None and self.threads < 1:
            raise UserError(f"threads {self.threads}: give at least 1")
        if self.family not in FAMILIES:
            raise UserError(f"family {self.family!r} is unknown; choose one of {', '.join(FAMILIES)}")
        if learns_on_chip(self):
            check_stock_config(self)
        else:
            learning_rule(self.sigma_delta_rule, self.shadow_bits)  # refuses what is none
            EquilibriumDesign((1,), 2, self.hidden_layers, weight_bits=self.weight_bits)
        for name in ("learning_rate", "output_share"):
            value = getattr(self, name)
            if value is not None and not 0 < value < 1e3:
                raise UserError(f"{name} {value} outside (0, 1000)")

    def _check_layers(self) -> None:
        if not self.layers:
            return
        if self.hidden:
            raise UserError(f"layers {self.layers!r}: already say what is hidden; give layers or hidden, not both")
        if self.family != "sigma-delta":
            raise UserError(f"layers {self.layers!r}: of the sigma-delta family only; give hidden sizes for stock")
        if self.front_end and any(not isinstance(layer, int) for layer in self.hidden_layers):
            raise UserError(f"layers {self.layers!r}: behind a front end there are all-to-all layers only")

    @property
    def hidden_layers(self) -> tuple[Layer, ...]:
        """The hidden layers from input to output."""
        return parse_layers(self.layers) if self.layers else self.hidden

    @property
    def convolutional(self) -> bool:
        """Whether a layer shares kernels."""
        return any(not isinstance(layer, int) for layer in self.hidden_layers)

    @property
    def graded(self) -> bool:
        """Whether the network is trained as sigma-delta units and deployed as graded stock processes."""
        return self.family == "stock" and self.rule == GRADED

    @property
    def sigma_delta_rule(self) -> str:
        """The rule of sigma-delta units that trains the network."""
        return "event" if self.graded else self.rule


def learns_on_chip(config: TrainConfig) -> bool:
    """Return whether the network learns in the chip's learning engine."""
    return config.family == "stock" and not config.graded


def check_stock_config(config: TrainConfig) -> None:
    """Raise UserError unless the configuration makes sense for a stock network."""
    stock_rule(config.rule)
    StockDesign((1,), 2, config.hidden, config.rule)
    if config.batch_size != 1:
        raise UserError(f"batch_size {config.batch_size}: the learning engine takes one image at a time; give 1")
    if config.centred:
        raise UserError("centred: spikes have no sign, stock networks take images as they are; drop --centred")
    if config.weight_bits != 8:
        raise UserError(f"weight_bits {config.weight_bits}: the learning engine has 8; drop --weight-bits")

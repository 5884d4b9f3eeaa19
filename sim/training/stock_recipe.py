"""From a data set and a configuration to a stock network ready to train on the chip's integers."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from neuro.base.arrays import Int32, Int64
from neuro.data.sets import Dataset, Split
from neuro.equilibrium.lif import StockDesign, build_stock_network
from neuro.front_ends.pixels import PixelEncoder, gain_bits_for
from neuro.stock.learning_engine import EngineRule
from neuro.stock.network import StockNetwork
from neuro.stock.rules import FEEDBACK, FORWARD, engine_rule, stock_rule
from sim.backends.session import Rates
from sim.training.checkpoint import require_like
from sim.training.rates import squared_length
from sim.training.trainer import Choices, Trainer, Weights

if TYPE_CHECKING:
    from sim.training.config import TrainConfig

UPPER = 8.0  # of the opened boxes: never reached
UNIT_LENGTH = 4.0  # |x| at which learning rates are meant: that of digits
SUM, COUNT = "sum of ", "number of readings"  # in a checkpoint
STOCK_FINAL_RATE = 0.5  # of the first; lower, what products lose by rounding down outweighs what they say
STOCK_CHUNK = 128  # samples between two looks at the clock
IMAGES_TO_SEE = 220_000
FEWEST_EPOCHS, MOST_EPOCHS = 3, 20
# Learning rate and output share by rule, chosen on validation splits (benchmarks.stock_tries). With a share of 1 the
# output layer learns so much faster that hidden weights hardly move; deferred networks then fall silent at 0.006.
DEFAULTS = {
    "R1": (0.003, 0.25),
    "R2": (0.003, 0.25),
    "R3": (0.003, 0.25),
    "R4": (0.003, 0.25),
    "R5": (0.006, 0.25),
    "R7": (0.01, 0.22),
    "deferred": (0.006, 0.25),
}


def stock_epochs(n_images: int) -> int:
    """The default number of epochs."""
    return min(max(round(IMAGES_TO_SEE / n_images), FEWEST_EPOCHS), MOST_EPOCHS)


def stock_choices(config: TrainConfig) -> Choices:
    """The hyper-parameters for a rule: the user's, else the defaults."""
    rate, share = DEFAULTS[stock_rule(config.rule).name]
    return Choices(config.learning_rate or rate, config.output_share or share, centred=False, exponent_offset=0)


def build_stock(dataset: Dataset, config: TrainConfig, split: Split) -> StockNetwork:
    """The untrained network, its rules those of the first epoch; brightness and length of the images come from
    split.train.

    Raises: UserError if the learning engine cannot hold the rates.
    """
    images = dataset.x_train[split.train]
    encoder = PixelEncoder(gain_bits=gain_bits_for(images))
    design = StockDesign(
        dataset.image_shape,
        dataset.n_classes,
        config.hidden,
        config.rule,
        squared_length=squared_length(encoder, encoder.encode(images[:: max(1, len(images) // 4096)])),
        noise=config.draws,
        lsb=config.weight_lsb,
        encoder=encoder,
    )
    network = build_stock_network(design, config.seed)
    rules = stock_rules_at(network, stock_choices(config), 1.0, math.sqrt(design.squared_length))
    projections = tuple(replace(p, rule=rules.get(p.name)) for p in network.projections)
    return replace(network, graph=replace(network.graph, projections=projections))


class StockTrainer(Trainer):
    """A training whose rates are rules of the learning engine, switched after every epoch.

    A host reads the weights after every chunk; what is validated and deployed is their mean over the epoch, because
    single weights do a random walk: their steps are the rounding of much smaller changes. The chip goes on from its
    own. What the mean is worth: benchmarks.stock_tries.
    """

    chunk_images = STOCK_CHUNK
    final_rate = STOCK_FINAL_RATE
    _sums: Weights | None = None
    _n_read = 0

    def _learn(self, chosen: Int64, rates: Rates) -> None:
        super()._learn(chosen, rates)
        weights: dict[str, Int32] = {name: values.astype(np.int32) for name, values in self.session.weights().items()}
        if self._sums is None or self.progress.position <= len(chosen):  # the first chunk of an epoch
            self._sums, self._n_read = weights, 1
        else:
            self._sums = {name: values + weights[name] for name, values in self._sums.items()}
            self._n_read += 1

    def deployable(self) -> Weights:
        """The mean weights of the epoch so far, to the nearest even number: as they transmit."""
        if self._sums is None:
            return self.session.weights()
        means = {name: np.rint(values / (2 * self._n_read)) * 2 for name, values in self._sums.items()}
        return {name: np.clip(values, -256, 254).astype(np.int16) for name, values in means.items()}

    def validation_accuracy(self) -> tuple[float | None, float | None]:
        """The accuracy and the spikes per inference on the validation images, if any, with the `deployable` weights."""
        own = self.session.weights()
        self.session.restore(self.deployable())
        result = super().validation_accuracy()
        self.session.restore(own)
        return result

    def full_weights(self) -> Weights:
        """The weights, and the sums of the epoch so far."""
        sums = {SUM + name: values for name, values in (self._sums or {}).items()}
        return {**super().full_weights(), **sums, COUNT: np.array([self._n_read], dtype=np.int32)}

    def synapses_in(self, full: Weights) -> Weights:
        """Of what `full_weights` returned, what is always there: sums are not, at the start of an epoch."""
        return {name: values for name, values in full.items() if not name.startswith(SUM)}

    def restore(self, full: Weights) -> None:
        """Set what `full_weights` returned. Raises: UserError if its sums are not those of its weights."""
        own = {name: values for name, values in self.synapses_in(full).items() if name != COUNT}
        sums = {name[len(SUM) :]: values for name, values in full.items() if name.startswith(SUM)}
        self._n_read = int(full[COUNT][0])
        if self._n_read:
            require_like(sums, self.session.weights(), "sum of weights")
        self._sums = sums if self._n_read else None
        super().restore(own)

    def rates(self, epoch: int) -> dict[str, EngineRule]:
        """The rule of every plastic projection in this epoch."""
        decay = self.final_rate ** (epoch / max(1, self.n_epochs - 1))
        network = self.session.spec
        assert isinstance(network, StockNetwork)  # what `build_stock` makes
        return stock_rules_at(network, self.choices, decay, math.sqrt(self.scale))


def stock_rules_at(network: StockNetwork, choices: Choices, decay: float, length: float) -> dict[str, EngineRule]:
    """The rule of every plastic projection.

    length: mean |x| of the images. The threshold of hidden neurons grows with it (`StockDesign`), so the rate of the
    first layer falls with it. Where the decay would end below what the engine holds, its smallest step stays.
    """
    form, rules = stock_rule(network.rule), {}
    order = [population.name for population in network.populations]
    for projection in network.plastic:
        ends = (projection.source, projection.target)
        from_input, at_output, rate = network.input in ends, network.output in ends, choices.learning_rate * decay
        if from_input:
            rate *= UNIT_LENGTH / length
        elif at_output:
            rate *= choices.output_share
        direction = FEEDBACK if order.index(ends[0]) > order.index(ends[1]) else FORWARD
        rules[projection.name] = engine_rule(form, direction, rate, from_input=from_input, at_output=at_output)
    return rules

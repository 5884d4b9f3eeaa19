"""What a user may choose of a training, checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from neuro.base.checks import Range, require_choice
from neuro.base.errors import UserError
from neuro.base.options import SEED, THREADS, Option, check_options, fill, option
from neuro.spec.schedule import CONSTANT, EVEN_ODD, PARALLEL, RELAXING

if TYPE_CHECKING:
    from neuro.spec.layers import Layer

FEATURE_BITS = 7  # of a payload, the unit in which a feature of a table is presented; pixels have 5
RECORDED, NO_CONTROL = "recorded", "none"  # what guides: the recordings, or, to compare with, nothing
GRADED = "graded"  # the rule that trains GradedRelu networks, by the sigma-delta rule with open boxes

HIDDEN = (256,)
RULES = {"sigma-delta": "event", "stock": "R7"}  # of each family, unless another is asked for
EPOCHS = Option("Passes over the training set.", Range(1, 10_000), "from its size")
SHADOW_BITS = Option("Accumulator bits below the weight while learning.", Range(0, 8))
GUIDED = {"guide_loss": "cka", "guide_weight": 1.0, "guide_layer": "hidden1", "guide_control": RECORDED}
BATCHED, FEWEST = ("cka", "pairs"), 8  # losses over a batch, and its smallest size
AS_EVER = {"schedule": PARALLEL, "output_force": RELAXING, "until_silent": False}
TUNED = "chosen on a validation split"
SETTLING = "as suits the network"
SHIFTED_FROM = 16  # pixels along an axis: in smaller images one pixel is much
FIXED, FIXED_THREE = {"free_steps": 20, "nudged_steps": 8}, {"free_steps": 30, "nudged_steps": 10}
RATE = Range(0.0, 1e3, open_below=True, open_above=True)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """What the user asks for. `None` means: choose it from the data; the choice is recorded in the manifest.

    The options, with their limits, stand at the fields. Of them, hidden (() behind `layers`), rule, shadow_bits and
    weight_bits are of `neuro.equilibrium.design.EquilibriumDesign`; layers: text as `neuro.spec.layers` reads it;
    draws (its noise), weight_lsb: of `neuro.stock.processes.StockProjection`; learning_rate, output_share, centred and
    exponent_offset: of `sim.training.trainer.Choices`, tuned where None; shift, flip: see `sim.training.shift`; noise:
    `sim.training.noise`; schedule, output_force: order and force of `neuro.spec.schedule.Schedule`; guide and what
    begins like it: `sim.training.guided`; guide_sha256: of the content of its file.

    front_end, code_bits: SHA-256 of the manifest of the coder in front ("": none), payload bits of its codes
                          (`sim.training.front_end.behind`); without it, of features that are no pixels (0: pixels).
    fixed_front:          a front end that does not learn, as `neuro.front_ends.named` reads it ("": none).
    """

    seed: int = SEED.default(0)
    hidden: tuple[int, ...] = option(None, "Hidden layers from input to output, e.g. 256,128.", unset="256")
    rule: str = option(
        None,
        "Local rule: event (STDP), end-point, y3; stock: R1..R5, R7, deferred, graded.",
        unset="event; stock: R7",
    )
    shadow_bits: int = SHADOW_BITS.default(8)
    weight_bits: int = option(8, "Bits of a weight.", Range(2, 8))
    epochs: int | None = EPOCHS.default(None)
    batch_size: int = option(1, "Images that learn from the same weights; > 1 uses all cores.", Range(1, 4096))
    threads: int | None = THREADS.default(None)
    family: str = option(
        "sigma-delta",
        "Kind of network",
        choices={"sigma-delta": "", "stock": "processes that Lava ships, rules of the chip's learning engine"},
    )
    draws: str = option(
        "per-synapse", "Stock: random numbers", choices={"per-synapse": "as on a chip", "shared": "as in Lava"}
    )
    weight_lsb: int = option(1, "Stock: step of a learned weight, 1 (Lava) or 2.")
    learning_rate: float | None = option(None, "Learning rate.", RATE, TUNED)
    output_share: float | None = option(None, "Output layer's share of the learning rate.", RATE, TUNED)
    centred: bool | None = option(
        None, "Subtract the mean image.", unset="from the data", flags=("--centred/--not-centred",)
    )
    exponent_offset: int | None = None
    refit: bool | None = option(
        None, "Train again on all training images.", unset="if they are few", flags=("--refit/--no-refit",)
    )
    front_end: str = ""
    code_bits: int = 0
    fixed_front: str = ""
    layers: str = option("", "In place of --hidden, with kernels (features x extent): conv:32x5,pool:2,dense:128.")
    shift: int | None = option(
        None, "Shift training images at random by up to so many pixels each time they are learned.",
        unset="1 with several layers of kernels on large images, else 0",
    )  # fmt: skip
    flip: bool = option(
        False, "Mirror half of the training images, drawn anew each time they are learned.", flags=("--flip/--no-flip",)
    )
    schedule: str | None = option(
        None, "Who updates when", unset=SETTLING,
        choices={"even-odd": "layers in turn, until they are silent", "parallel": "all at every step"},
    )  # fmt: skip
    output_force: str | None = option(
        None, "Force of the nudges", unset=SETTLING,
        choices={"constant": "the error of the free phase", "relaxing": "that of the moment"},
    )  # fmt: skip
    until_silent: bool | None = option(
        None, "Let a phase last as long as the slowest image needs, or a fixed number of steps.", unset=SETTLING,
        flags=("--until-silent/--fixed-steps",),
    )  # fmt: skip
    noise: float = option(
        0.0, "Gaussian noise on training images, fresh each time: its deviation, of pixels in 0..1.", Range(0.0, 10.0)
    )
    guide: str = option("", "Recordings that guide a hidden layer: FILE.npz with responses, and stimuli.")
    guide_loss: str | None = option(
        None, "What the layer is guided by", unset="cka",
        choices={
            "cka": "alignment over a batch", "pairs": "how alike two images are", "readout": "what is read out of it",
            "head": "one more output, nudged to them",
        },
    )  # fmt: skip
    guide_weight: float | None = option(None, "Weight of the guide beside the task.", Range(0.0, 1e3), unset="1")
    guide_layer: str | None = option(None, "Layer that is guided.", unset="hidden1")
    guide_control: str | None = option(
        None, "Guide by", unset=RECORDED,
        choices={
            RECORDED: "what was", "shuffled": "the same, of other images", "random": "noise", NO_CONTROL: "nothing"
        },
    )  # fmt: skip
    guide_sha256: str = ""

    def __post_init__(self) -> None:
        fill(self, hidden=() if self.layers else HIDDEN, rule=RULES.get(self.family, "event"))
        check_options(self)
        self._check_layers()
        self._check_guide()
        self._check_settling()
        self._check_fixed_front()
        if self.shift and (self.front_end or self.family != "sigma-delta"):
            raise UserError(f"shift {self.shift}: images are shifted for the sigma-delta family without a front end")
        if self.flip and (self.front_end or self.family != "sigma-delta" or self.code_bits):
            raise UserError("flip: images are mirrored for the sigma-delta family without a front end; leave it out")
        if self.noise and (self.front_end or self.shift or self.flip):
            moved = "shift" if self.shift else "flip"
            what = "a front end: it codes every image once" if self.front_end else f"{moved}: give one of them"
            raise UserError(f"noise {self.noise:g}: not together with {what}")
        if self.front_end and (self.family != "sigma-delta" or self.centred):
            raise UserError("front end: networks behind it are of the sigma-delta family and take codes uncentred")
        if learns_on_chip(self):
            check_stock_config(self)
        else:
            _check_design(self)

    def _check_guide(self) -> None:
        """Raise UserError where recordings cannot guide the training as asked for."""
        asked = [name for name in GUIDED if getattr(self, name) is not None]
        if not self.guide:
            if asked:
                raise UserError(f"{asked[0]}: nothing guides the training; give guide, a file of recordings, too")
            return
        fill(self, **GUIDED)
        if self.family != "sigma-delta":
            raise UserError("guide: of the sigma-delta family only; leave it out for stock networks")
        require_choice("guide_layer", self.guide_layer, [f"hidden{i + 1}" for i in range(len(self.hidden_layers))])
        if self.guide_loss in BATCHED and self.batch_size < FEWEST:
            raise UserError(
                f"guide_loss {self.guide_loss}: compares the images of a batch, and of {self.batch_size} there is "
                f"little to compare; give batch_size 32, or at least {FEWEST}"
            )

    def _check_fixed_front(self) -> None:
        """State every choice of a fixed front end. Raises: UserError if it does not go with the rest."""
        if not self.fixed_front:
            return
        from neuro.front_ends.named import stated

        object.__setattr__(self, "fixed_front", stated(self.fixed_front))
        object.__setattr__(self, "centred", self.centred or False)
        name = self.fixed_front.partition(":")[0]
        asked = {"a second front end": self.front_end, "centred": self.centred, "shift": self.shift, "flip": self.flip,
                 "code_bits": self.code_bits}  # fmt: skip
        given = [word for word, value in asked.items() if value]
        if given:
            raise UserError(f"front end {name}: not together with {given[0]}; drop one of them")
        if self.family != "sigma-delta":
            raise UserError(f"front end {name}: feeds networks of the sigma-delta family; drop --family {self.family}")

    def _check_settling(self) -> None:
        """Raise UserError where the network cannot settle as asked for."""
        asked = [name for name, usual in AS_EVER.items() if getattr(self, name) not in (None, usual)]
        if asked and self.family != "sigma-delta":
            raise UserError(f"{asked[0]}: a choice of the sigma-delta family; leave it out for stock networks")
        if self.until_silent and (not self.in_turn or self.output_force == RELAXING):
            raise UserError(
                "until_silent: only layers in turn under a constant force fall silent; drop --schedule parallel and "
                "--output-force relaxing, or --until-silent"
            )

    @property
    def in_turn(self) -> bool:
        """Whether layers update in turn; unless asked otherwise, those of networks with several hidden layers.

        Behind a front end and of noisy images it is not measured; of features of tables it was no better.
        """
        if self.schedule is not None:
            return self.schedule == EVEN_ODD
        plain = self.family == "sigma-delta" and not (
            self.front_end or self.code_bits or self.noise or self.fixed_front
        )
        return plain and len(self.hidden_layers) > 1

    def settled(self, shape: tuple[int, ...]) -> TrainConfig:
        """The configuration for images of `shape` with who updates when, and by how much they are shifted, stated.

        So that a run that was begun by a version with other choices is not gone on with by these.
        """
        held = self.in_turn and self.output_force != RELAXING
        return replace(
            self,
            schedule=EVEN_ODD if self.in_turn else PARALLEL,
            output_force=self.output_force or (CONSTANT if self.in_turn else RELAXING),
            until_silent=held if self.until_silent is None else self.until_silent,
            shift=self.pixels_shifted(shape),
        )

    @property
    def settling(self) -> dict[str, Any]:
        """What `neuro.equilibrium.design.design_for` is told of it."""
        choices: dict[str, Any] = {"order": EVEN_ODD} if self.in_turn else {}
        if self.output_force is not None:
            choices["force"] = self.output_force
        if self.in_turn and (self.until_silent is False or self.output_force == RELAXING):
            choices |= FIXED_THREE if len(self.hidden_layers) > 2 else FIXED
        return choices

    def pixels_shifted(self, shape: tuple[int, ...]) -> int:
        """By how many pixels training images of `shape` are shifted at most."""
        if self.shift is not None:
            return self.shift
        large = len(shape) > 1 and min(shape[:2]) >= SHIFTED_FROM
        return int(large and self.convolutional and self.in_turn and not (self.noise or self.fixed_front))

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
        from neuro.spec.layers import parse_layers

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
    """Whether the network learns in the chip's learning engine."""
    return config.family == "stock" and not config.graded


def _check_design(config: TrainConfig) -> None:
    """Raise UserError unless a network can be made as configured."""
    from neuro.equilibrium.design import EquilibriumDesign
    from neuro.spec.plasticity import learning_rule

    learning_rule(config.sigma_delta_rule, config.shadow_bits)  # refuses what is none
    EquilibriumDesign((1,), 2, config.hidden_layers, weight_bits=config.weight_bits)


def check_stock_config(config: TrainConfig) -> None:
    """Raise UserError unless the configuration makes sense for a stock network."""
    from neuro.equilibrium.lif import StockDesign
    from neuro.stock.rules import stock_rule

    stock_rule(config.rule)
    StockDesign((1,), 2, config.hidden, config.rule)
    if config.batch_size != 1:
        raise UserError(f"batch_size {config.batch_size}: the learning engine takes one image at a time; give 1")
    if config.centred:
        raise UserError("centred: spikes have no sign, stock networks take images as they are; drop --centred")
    if config.weight_bits != 8:
        raise UserError(f"weight_bits {config.weight_bits}: the learning engine has 8; drop --weight-bits")

"""Schedule: the phases of one image, who updates at which step, and the force on the output."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

from neuro.base.checks import MOST_STEPS, Range, require_choice, require_integers, require_ranges
from neuro.base.errors import UserError

PARALLEL, EVEN_ODD = "parallel", "even-odd"
ORDERS = (PARALLEL, EVEN_ODD)
RELAXING, CONSTANT = "relaxing", "constant"
FORCES = (RELAXING, CONSTANT)


@dataclass(frozen=True)
class Phase:
    """A stretch of `steps` steps. nudge is the sign of the output force: 0 in the free phase, else +1 or -1."""

    name: str
    steps: int
    nudge: int = 0

    def __post_init__(self) -> None:
        require_integers(f"phase {self.name}", steps=self.steps, nudge=self.nudge)
        if self.steps < 1:
            raise UserError(f"phase {self.name}: {self.steps} steps; a phase lasts at least one step")
        Range(1, MOST_STEPS).require(f"phase {self.name}", steps=self.steps)
        if self.nudge not in (-1, 0, 1):
            raise UserError(f"phase {self.name}: nudge {self.nudge} must be -1, 0 or +1")


@dataclass(frozen=True)
class Schedule:
    """The phases of one image. The prediction is read after the first phase, which is free.

    nudge_multiplier, nudge_shift: nudge strength nudge_multiplier / 2**nudge_shift.
    random_sign: draw per image, from the counter-based generator, which of the two nudges comes first.
    order: "parallel", every population updates at every step; or "even-odd": those that settle together with the output
        update at every other step, neighbours in turn (`neuro.spec.parity`).
    force: of the nudge on the output, sign * ((target - u) * nudge_multiplier >> nudge_shift): "relaxing", with u of
        now; or "constant", with u at the end of the free phase, held through both nudges.

    In even-odd order with a constant force, a network of symmetric couplings falls silent after finitely many steps
    (`neuro.spec.parity`). From then on nothing changes until the next phase, so phases are as long as the slowest image
    needs, and a simulator skips what is left of a silent one without changing a spike or a state.
    """

    phases: tuple[Phase, ...]
    nudge_multiplier: int = 1
    nudge_shift: int = 1
    random_sign: bool = True
    order: str = PARALLEL
    force: str = RELAXING

    def __post_init__(self) -> None:
        require_integers("schedule", nudge_multiplier=self.nudge_multiplier, nudge_shift=self.nudge_shift)
        if not self.phases or self.phases[0].nudge != 0:
            raise UserError("schedule: the first phase must be free (nudge 0); the prediction is read after it")
        require_choice("schedule: order", self.order, ORDERS)
        require_choice("schedule: force", self.force, FORCES)
        require_ranges("schedule", vars(self), nudge_multiplier=Range(1, 255), nudge_shift=Range(0, 8))

    @property
    def nudge(self) -> float:
        """Nudge strength (beta of the papers), dimensionless."""
        return self.nudge_multiplier / 2.0**self.nudge_shift

    @property
    def last_step(self) -> int:
        """Index of the last step; an image takes last_step + 1 steps, the presentation included."""
        return sum(phase.steps for phase in self.phases)

    @property
    def ends(self) -> tuple[int, ...]:
        """Index of the last step of each phase."""
        return tuple(accumulate(phase.steps for phase in self.phases))

    def phase_of_step(self) -> tuple[int, ...]:
        """Phase index of each step 1..last_step, with -1 for step 0, the presentation."""
        return (-1, *(index for index, phase in enumerate(self.phases) for _ in range(phase.steps)))

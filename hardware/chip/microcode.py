"""What a sigma-delta or LCA unit takes as microcode: one step of `neuro.spec.neurons.SigmaDelta` as micro-operations.

The assembler of the chip's neuron microcode is not public, so this is the program in words, each an integer operation
that the brief of Loihi 2 grants its neurons (add, multiply, shift, compare, minimum, maximum); `execute` runs it, and a
test holds it against the neuron, bit for bit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from neuro.base.arrays import Int64
from neuro.spec.neurons import SigmaDelta

Operand = str | int
STATE = ("a", "u", "s_hat")  # kept from step to step; all zero at the presentation of an image
TURN, PUSH = "turn", "push"  # kept, too, where neurons take turns, and where the force of a nudge is held

ACTIONS: dict[str, Callable[..., Int64]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "shl": np.left_shift,
    "shr": np.right_shift,  # arithmetic, towards minus infinity
    "min": np.minimum,
    "max": np.maximum,
    "sign": lambda x, _: np.sign(x),
    "send_if_not_zero": lambda x, _: x,
}


@dataclass(frozen=True)
class MicroOperation:
    """result <- action(left, right); operands are registers by name, or constants."""

    action: str
    result: str
    left: Operand
    right: Operand = 0

    def __str__(self) -> str:
        operands = f"{self.left}" if self.action in ("sign", "send_if_not_zero") else f"{self.left}, {self.right}"
        return f"{self.result} <- {self.action} {operands}"


class Nudge(NamedTuple):
    """The force on an output that is nudged. held: it is that of the end of the free phase."""

    multiplier: int
    shift: int
    held: bool = False


def program(neuron: SigmaDelta, nudge: Nudge | None = None, in_turn: bool = False) -> tuple[MicroOperation, ...]:
    """The operations of one step of a neuron.

    nudge: of the output of a network that is nudged; it reads the registers `target` and `force` (-1, 0 or 1: the sign
    of the output force in this step), and, where the force is held, `hold` (1 at the end of the free phase, else 0).
    in_turn: the neuron moves at every other step; `turn` starts at 1 - parity and flips with every step.
    Reads `arriving`, the sum of weighted spikes; leaves the payload to send in `q`.
    """
    step = [MicroOperation("add", "a", "a", "arriving")]
    drive = "a"
    if nudge is not None:
        step += _nudge(nudge)
        drive = "total"
    step.append(MicroOperation("sub", "moved", drive, "u"))
    if neuron.step_multiplier != 1:
        step.append(MicroOperation("mul", "moved", "moved", neuron.step_multiplier))
    if neuron.step_shift:
        step.append(MicroOperation("shr", "moved", "moved", neuron.step_shift))
    if in_turn:  # a neuron that does not move has nothing to send
        step += [MicroOperation("sub", TURN, 1, TURN), MicroOperation("mul", "moved", "moved", TURN)]
    step += [
        MicroOperation("add", "u", "u", "moved"),
        MicroOperation("max", "u", "u", neuron.lower),
        MicroOperation("min", "u", "u", neuron.upper),
    ]
    if nudge is not None and nudge.held:
        step += _hold(nudge)
    beyond = "u"
    if neuron.threshold:
        step += _shrink(neuron)
        beyond = "beyond"
    return (*step, *_send(neuron, beyond))


def _nudge(nudge: Nudge) -> list[MicroOperation]:
    """Put into total: a + force * ((target - u) * multiplier >> shift), or the force that is held."""
    return [
        *([] if nudge.held else _pull(nudge, PUSH)),
        MicroOperation("mul", "pushed", PUSH, "force"),
        MicroOperation("add", "total", "a", "pushed"),
    ]


def _pull(nudge: Nudge, result: str) -> list[MicroOperation]:
    """Put into result: (target - u) * multiplier >> shift."""
    return [
        MicroOperation("sub", result, "target", "u"),
        *([MicroOperation("mul", result, result, nudge.multiplier)] if nudge.multiplier != 1 else []),
        *([MicroOperation("shr", result, result, nudge.shift)] if nudge.shift else []),
    ]


def _hold(nudge: Nudge) -> list[MicroOperation]:
    """Take the force of now into push where hold is 1; else push stays."""
    return [
        *_pull(nudge, "fresh"),
        MicroOperation("sub", "fresh", "fresh", PUSH),
        MicroOperation("mul", "fresh", "fresh", "hold"),
        MicroOperation("add", PUSH, PUSH, "fresh"),
    ]


def _shrink(neuron: SigmaDelta) -> list[MicroOperation]:
    """Put into beyond: u - clip(u, -threshold, threshold), and for a hard threshold + sign(beyond) * threshold."""
    soft = [
        MicroOperation("max", "inner", "u", -neuron.threshold),
        MicroOperation("min", "inner", "inner", neuron.threshold),
        MicroOperation("sub", "beyond", "u", "inner"),
    ]
    hard = [
        MicroOperation("sign", "side", "beyond"),
        MicroOperation("mul", "side", "side", neuron.threshold),
        MicroOperation("add", "beyond", "beyond", "side"),
    ]
    return [*soft, *(hard if neuron.hard else [])]


def _send(neuron: SigmaDelta, beyond: str) -> list[MicroOperation]:
    """Put into q: ((beyond + half) >> send_shift) - s_hat, sent if not zero."""
    rounded = beyond
    step = []
    if neuron.send_shift:
        half = (1 << neuron.send_shift) >> 1
        step = [MicroOperation("add", "rounded", beyond, half)]
        step.append(MicroOperation("shr", "rounded", "rounded", neuron.send_shift))
        rounded = "rounded"
    return [
        *step,
        MicroOperation("sub", "q", rounded, "s_hat"),
        MicroOperation("add", "s_hat", "s_hat", "q"),
        MicroOperation("send_if_not_zero", "q", "q"),
    ]


def execute(steps: tuple[MicroOperation, ...], registers: Mapping[str, Int64]) -> dict[str, Int64]:
    """Run a program on registers of any one shape; returns all registers after it."""
    held = {name: np.asarray(values, dtype=np.int64) for name, values in registers.items()}
    for step in steps:
        left, right = (held[part] if isinstance(part, str) else np.int64(part) for part in (step.left, step.right))
        held[step.result] = np.asarray(ACTIONS[step.action](left, right), dtype=np.int64)
    return held


def tally(steps: tuple[MicroOperation, ...]) -> dict[str, int]:
    """The number of micro-operations of each kind that a neuron takes per step."""
    return dict(sorted(Counter(step.action for step in steps).items()))

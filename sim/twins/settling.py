"""Phases of sigma-delta units as one operation: `SigmaDeltaGraph.step` again and again, and backward through all of it.

Networks that are attacked are small, so that a step by autograd costs little arithmetic and a hundred small operations
of torch. Here a step is a dozen, in place, and the backward pass is written out. Values and gradients are the same:
with s' the slope of what is sent and c that of the clipped step (by surrogates), for every unit that updated

    dL/du(t) += s' dL/ds(t),   dL/da(t) += step c dL/du(t),   dL/du(t - 1) = (1 - step) c dL/du(t)
    dL/ddrive += dL/da(t),     dL/ds(t - 1) += dL/da(t) W^T
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from neuro.spec.neurons import SigmaDelta
from sim.twins.sigma_delta_graph import SigmaDeltaGraph, activation
from sim.twins.units import Relaxation, State, box_slopes, limited

KINDS = "uas"  # of a population: state, last input, payload


class Turn(NamedTuple):
    """What the backward pass needs of one update of a population: the slopes of its clip and of what it sends.

    clipped: slopes of shape [B, N]. sent: 2**-shift where no threshold is.
    """

    name: str
    clipped: Tensor
    sent: Tensor | float


Tape = list[tuple[int, list[Turn]]]  # of every step: its number, those that updated


def advance(
    graph: SigmaDeltaGraph, state: State, drive: State, times: Iterable[int], force: Tensor | None = None,
    rests: bool = False, tape: Tape | None = None,
) -> State:  # fmt: skip
    """The state after the steps `times`, as `SigmaDeltaGraph.step` makes them; no autograd.

    force: see there; rests: see `units.unroll`; tape: is filled for the backward pass.
    """
    parity, output, quiet = graph.spec.parity, graph.spec.output, 0
    with torch.no_grad():
        for time in times:
            before, state, turns, still = state, dict(state), list[Turn](), True
            for name, unit in graph.units.items():
                if parity[name] == time % 2:
                    continue
                total = _total(graph, name, before, drive, time)
                pushed = total if force is None or name != output else total + force
                held = before[f"u {name}"]
                moved = _moved(pushed, held, graph.relaxations[name])
                if tape is None:
                    u = moved.clamp_(unit.lower, unit.upper)
                else:
                    u = moved.clamp(unit.lower, unit.upper)
                    turns.append(_turn(graph, name, moved, u))
                state |= {f"u {name}": u, f"a {name}": total, f"s {name}": _payload(graph, u, unit)}
                still = still and rests and torch.equal(u, held) and torch.equal(total, before[f"a {name}"])
            if tape is not None:
                tape.append((time, turns))
            quiet = quiet + 1 if still and rests else 0
            if quiet == 2:
                break
    return state


def _total(graph: SigmaDeltaGraph, name: str, state: State, drive: State, time: int) -> Tensor:
    """The input a of a population; at step 0 only the sources have sent."""
    incoming = [(index, source) for index, source, target in graph.recurrent if target == name] if time else []
    total = drive[name] if incoming else drive[name].clone()
    for index, source in incoming:
        total = graph.synapses[index].added(total, state[f"s {source}"])
    return total


def _moved(total: Tensor, state: Tensor, unit: Relaxation) -> Tensor:
    """The next state before it is clipped, see `units.relax`."""
    change = total - state
    if unit.rounds:
        change = change.clamp_(-unit.reach, unit.reach).mul_(unit.step).floor_()
    else:
        change = change.mul_(unit.step)
    return change.add_(state)


def _payload(graph: SigmaDeltaGraph, u: Tensor, unit: SigmaDelta) -> Tensor:
    """The s of a population in state u."""
    payload = activation(u, unit, graph.firing.surrogate) * 2.0**-unit.send_shift
    return payload.add_(0.5).floor_() if graph.rounds else payload


def _turn(graph: SigmaDeltaGraph, name: str, moved: Tensor, u: Tensor) -> Turn:
    unit, chosen = graph.units[name], graph.relaxations[name]
    if limited(chosen.band):
        clipped = box_slopes(moved, chosen.lower, chosen.upper, chosen.outside, chosen.band * chosen.step)
    else:
        clipped = torch.eq(moved, u, out=torch.empty_like(u))  # as floats: a product with truth values is slow
        if chosen.outside:
            clipped.clamp_(min=chosen.outside)
    return Turn(name, clipped, graph.send_slope(u, unit) if unit.threshold else 2.0**-unit.send_shift)


def settled(graph: SigmaDeltaGraph, drive: State, steps: int, rests: bool) -> State:
    """The state after `steps` free steps from rest, differentiable with respect to the drive.

    Only for surrogates that differentiate rounding as a straight line (`Firing.straight`), or without gradients.
    """
    if not (torch.is_grad_enabled() and any(part.requires_grad for part in drive.values())):
        return advance(graph, graph.rest(drive), drive, range(steps), rests=rests)
    found: tuple[Tensor, ...] = _Settled.apply(graph, steps, rests, *drive.values())
    return dict(zip((f"{kind} {name}" for kind in KINDS for name in drive), found, strict=True))


class _Settled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, graph: SigmaDeltaGraph, steps: int, rests: bool, *drives: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        drive, tape = dict(zip(graph.units, drives, strict=True)), Tape()
        rest = {key: part.clone() for key, part in graph.rest(drive).items()}  # outputs of autograd share nothing
        state = advance(graph, rest, drive, range(steps), rests=rests, tape=tape)
        ctx.graph, ctx.tape = graph, tape
        return tuple(state[f"{kind} {name}"] for kind in KINDS for name in graph.units)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        graph: SigmaDeltaGraph = ctx.graph
        keys = ((kind, name) for kind in KINDS for name in graph.units)
        back = _Backward(graph, dict(zip(keys, gradients, strict=True)))
        for time, turns in reversed(ctx.tape):
            back.step(time, turns)
        return None, None, None, *(back.drive.get(name) for name in graph.units)


class _Backward:
    """Gradients with respect to the present state, "u", "a" and "s" by population, None for zero; and to the drive."""

    def __init__(self, graph: SigmaDeltaGraph, gradients: dict[tuple[str, str], Tensor | None]) -> None:
        self.graph, self.gradients = graph, gradients
        self.drive: dict[str, Tensor | None] = {}

    def step(self, time: int, turns: list[Turn]) -> None:
        """Go back by a step."""
        inputs = {turn.name: self._to_input(turn) for turn in turns}
        for name, to_input in inputs.items():
            self.drive[name] = _sum(self.drive.get(name), to_input)
        for index, source, target in self.graph.recurrent if time else ():
            given = inputs.get(target)
            if given is not None:
                sent = self.graph.synapses[index].back(given)
                self.gradients["s", source] = _sum(self.gradients["s", source], sent)

    def _to_input(self, turn: Turn) -> Tensor | None:
        """The gradient with respect to the input of one population at this step."""
        name, unit = turn.name, self.graph.relaxations[turn.name]
        to_payload, to_state, to_input = (self.gradients[kind, name] for kind in "sua")
        self.gradients |= dict.fromkeys(((kind, name) for kind in KINDS), None)
        if to_payload is not None:
            to_state = _sum(to_state, to_payload * turn.sent)
        if to_state is None:
            return to_input
        passed = to_state * turn.clipped
        if unit.step != 1.0:
            self.gradients["u", name] = passed * (1.0 - unit.step)
            passed = passed * unit.step
        return _sum(to_input, passed)


def _sum(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    if first is None or second is None:
        return second if first is None else first
    return first + second

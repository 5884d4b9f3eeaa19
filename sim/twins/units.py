"""The few operations of which twins are made: exact integers in the forward pass, a chosen slope in the backward one.

Tensors are floats that hold integers: float32 holds every integer below 2**24, float64 below 2**53.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from neuro.spec.neurons import SigmaDelta
from neuro.stock.processes import DECAY_UNITY, LIF, STATE_LIMIT

FLOAT32_INTEGERS = 2**24  # float32 holds every integer up to here
LARGEST_GRADIENT = 1e12
State = dict[str, Tensor]
Band = float | Tensor  # a distance, one for all or of a shape that fits


class _Straight(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, smooth: Tensor, exact: Tensor) -> Tensor:
        return exact.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


def straight(smooth: Tensor, exact: Tensor) -> Tensor:
    """The values of `exact` with the gradient of `smooth`; both of the same shape."""
    result: Tensor = _Straight.apply(smooth, exact)
    return result


class _Bound(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.clamp(-LARGEST_GRADIENT, LARGEST_GRADIENT)


def bound_gradient(x: Tensor) -> Tensor:
    """Pass x on; its gradient is clipped at +-LARGEST_GRADIENT, so that one that explodes in time stays finite."""
    result: Tensor = _Bound.apply(x)
    return result


class _Clip(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, lower: float, upper: float, outside: float, band: Band) -> Tensor:
        ctx.save_for_backward(x if limited(band) else (x >= lower) & (x <= upper))
        ctx.choice = lower, upper, outside, band
        return x.clamp(lower, upper)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        (saved,) = ctx.saved_tensors
        lower, upper, outside, band = ctx.choice
        if limited(band):
            return gradient * box_slopes(saved, lower, upper, outside, band), None, None, None, None
        return torch.where(saved, gradient, outside * gradient), None, None, None, None


def limited(band: Band) -> bool:
    """Whether a slope outside the box ends somewhere."""
    return isinstance(band, Tensor) or band < math.inf


def box_slopes(x: Tensor, lower: float, upper: float, outside: float, band: Band = math.inf) -> Tensor:
    """The slopes of `clip`, of the shape of x: 1 inside; `outside` at the box, falling to 0 at the distance `band`."""
    beyond = torch.maximum(lower - x, x - upper)
    falling = (1.0 - beyond / band).clamp(0.0, 1.0) * outside
    return torch.where(beyond > 0, falling, torch.ones_like(x))


def clip(x: Tensor, lower: float, upper: float, outside: float = 0.0, band: Band = math.inf) -> Tensor:
    """Clip x to the box; slope 1 inside and on its edge, beyond it that of `box_slopes`."""
    result: Tensor = _Clip.apply(x, lower, upper, outside, band)
    return result


class _Shrink(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, u: Tensor, threshold: float, hard: bool, slope: float, band: float) -> Tensor:
        ctx.save_for_backward(u)
        ctx.choice = threshold, hard, slope, band
        return u * (u.abs() > threshold) if hard else u - u.clamp(-threshold, threshold)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        (u,) = ctx.saved_tensors
        return gradient * threshold_slopes(u, *ctx.choice), None, None, None, None


def threshold_slopes(u: Tensor, threshold: float, hard: bool, slope: float, band: float) -> Tensor:
    """The slopes of `shrink`, of the shape of u."""
    above = (u.abs() > threshold).to(u.dtype)
    if not slope:
        return above
    near = (1.0 - (u.abs() - threshold).abs() / (band * threshold)).clamp_(min=0.0)
    return above + near * (slope / band) if hard else torch.maximum(above, near * slope)


def shrink(u: Tensor, threshold: float, hard: bool, slope: float = 0.0, band: float = 1.0) -> Tensor:
    """The value that a sparsity threshold above 0 leaves of u: soft, u drawn to 0 by it; hard, u or nothing.

    slope, band: of the backward pass near the threshold, see `sim.twins.surrogates`; slope 0 is the derivative.
    """
    result: Tensor = _Shrink.apply(u, threshold, hard, slope, band)
    return result


class Relaxation(NamedTuple):
    """One step of a sigma-delta unit: state + step (total - state), clipped to the box, all in state units.

    rounds:  whether the change is rounded towards minus infinity, as in integers.
    reach:   a change of that much leaves the box from anywhere; clipping the difference there changes no state and
             keeps products within the integers a float holds.
    outside: backward slope outside the box; band: how far from it, in inputs, that slope has fallen to 0.
    """

    step: float
    lower: float
    upper: float
    reach: float
    rounds: bool
    outside: float
    band: float = math.inf

    @staticmethod
    def of(neuron: SigmaDelta, rounds: bool, outside: float, band: float = math.inf) -> Relaxation:
        """The step of `neuron`; band: in widths of its box."""
        reach = ((neuron.upper - neuron.lower) << neuron.step_shift) // neuron.step_multiplier + 2
        step = neuron.step_multiplier / 2**neuron.step_shift
        width = neuron.upper - neuron.lower
        return Relaxation(step, neuron.lower, neuron.upper, reach, rounds, outside, band * width)


class _Relax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, total: Tensor, state: Tensor, unit: Relaxation) -> Tensor:
        change = total - state
        if unit.rounds:
            change = change.clamp_(-unit.reach, unit.reach).mul_(unit.step).floor_()
        else:
            change = change.mul_(unit.step)
        moved = change.add_(state)
        ends = limited(unit.band)
        ctx.save_for_backward(moved.clone() if ends else (moved >= unit.lower) & (moved <= unit.upper))
        ctx.unit = unit
        return moved.clamp_(unit.lower, unit.upper)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        (saved,) = ctx.saved_tensors
        unit = ctx.unit
        if limited(unit.band):
            passed = gradient * box_slopes(saved, unit.lower, unit.upper, unit.outside, unit.band * unit.step)
        else:
            passed = torch.where(saved, gradient, unit.outside * gradient)
        return passed * unit.step, passed * (1.0 - unit.step), None


def relax(total: Tensor, state: Tensor, unit: Relaxation) -> Tensor:
    """The next state: u + ((total - u) * multiplier >> shift), clipped; of shape [B, N]."""
    result: Tensor = _Relax.apply(total, state, unit)
    return result


def wrap32(x: Tensor) -> Tensor:
    """Whole numbers as a 32-bit register holds them, in -2**31..2**31 - 1."""
    return torch.remainder(x + 2.0**31, 2.0**32) - 2.0**31


class Integration(NamedTuple):
    """One step of LIF neurons before they fire, see `integrate`.

    keep_u, keep_v:   shares of current and voltage kept, whole multiples of 1 / 4096.
    wraps24, wraps32: whether the current could leave 24 bits, a sum 32 bits; where it cannot, wrapping is left out.
    """

    keep_u: float
    keep_v: float
    bias: float
    wraps24: bool
    wraps32: bool

    @staticmethod
    def of(neuron: LIF, reach: float) -> Integration:
        """The step of `neuron`, whose input is at most `reach` in size."""
        keep_u = (DECAY_UNITY - 1 - neuron.current_decay) / DECAY_UNITY
        keep_v = (DECAY_UNITY - neuron.voltage_decay) / DECAY_UNITY
        largest = 64.0 * reach / (1.0 - keep_u)  # keep_u < 1; without wrapping
        wraps32 = 64.0 * reach > 2 * STATE_LIMIT  # below it, a current wrapped once is within 24 bits again
        return Integration(keep_u, keep_v, neuron.bias, largest > STATE_LIMIT, wraps32)


class _Integrate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, drive: Tensor, u: Tensor, v: Tensor, unit: Integration) -> tuple[Tensor, Tensor]:
        if unit.wraps32:
            current = wrap32((u * unit.keep_u).trunc_() + wrap32(drive * 64.0))
        else:
            current = (u * unit.keep_u).trunc_().add_(drive, alpha=64.0)
        if unit.wraps24:
            over, under = current > STATE_LIMIT, current <= -STATE_LIMIT
            current = current + 2.0 * STATE_LIMIT * (under.to(current.dtype) - over.to(current.dtype))
        voltage = (v * unit.keep_v).trunc_().add_(current)
        if unit.wraps32:
            voltage = wrap32(voltage)
        if unit.bias:
            voltage = wrap32(voltage + unit.bias) if unit.wraps32 else voltage.add_(unit.bias)
        ctx.save_for_backward(voltage.abs() < STATE_LIMIT)
        ctx.unit = unit
        return current, voltage.clamp_(1 - STATE_LIMIT, STATE_LIMIT - 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_current: Tensor, to_voltage: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        (inside,) = ctx.saved_tensors
        passed = to_voltage * inside
        current = to_current + passed
        return current * 64.0, current * ctx.unit.keep_u, passed * ctx.unit.keep_v, None


def integrate(drive: Tensor, u: Tensor, v: Tensor, unit: Integration) -> tuple[Tensor, Tensor]:
    """The current and voltage of LIF neurons after one step, before they fire, as `neuro.stock.processes.LIF` has them.

    Args: drive a, u, v of shape [B, N], float64.
    Gradients pass truncation and wrapping straight, and stop where the voltage saturates.
    """
    current, voltage = _Integrate.apply(drive, u, v, unit)
    return current, voltage


def floor_shift(x: Tensor, shift: int) -> Tensor:
    """The value x * 2**shift, rounded towards minus infinity (shift < 0), gradients straight through."""
    scaled = x * 2.0**shift
    return scaled if shift >= 0 else straight(scaled, torch.floor(scaled.detach()))


Step = Callable[[State, int], State]


def unroll(step: Step, state: State, steps: int, every: int, rests: bool = False) -> State:
    """The state after `step(state, t)` for t in 0..steps-1.

    every: steps between two states kept for the backward pass, which computes those between anew; 0 keeps all.
    rests: nothing changes any more after two steps that changed nothing; what is left of them is not computed then.
    """

    def segment(state: State, first: int, last: int) -> State:
        quiet = 0
        for t in range(first, last):
            before, state = state, step(state, t)
            if rests:
                quiet = quiet + 1 if _same(before, state) else 0
                if quiet == 2:
                    break
        return state

    if not every or not torch.is_grad_enabled():
        return segment(state, 0, steps)
    for first in range(0, steps, every):
        last = min(first + every, steps)
        before = state
        state = checkpoint(segment, state, first, last, use_reentrant=False, preserve_rng_state=False)
        if rests and last - first > 1 and _same(before, state):
            break
    return state


def _same(first: State, second: State) -> bool:
    return all(torch.equal(first[name], value) for name, value in second.items())

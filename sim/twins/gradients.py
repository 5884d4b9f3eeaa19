"""Input gradients of sigma-delta networks without a backward pass through time: local, and at the fixed point."""

from __future__ import annotations

import torch
from torch import Tensor

from neuro.base.errors import UserError
from sim.oracles.equilibrium import RateNetwork
from sim.twins.adjoint import adjoint
from sim.twins.base import Twin, margin_direction
from sim.twins.settling import advance
from sim.twins.sigma_delta import SigmaDeltaTwin
from sim.twins.units import State, box_slopes


def local_gradient(twin: Twin, images: Tensor, labels: Tensor, nudge: float, steps: int | None = None) -> Tensor:
    """The equilibrium-propagation gradient of s_rival - s_label, of the shape of the images.

    From the free state, two phases with the constant output force +-nudge (e_rival - e_label); then
    dC/dx = W_0 (h+ - h-) / (2 nudge), h the states of what the input feeds. No neuron is asked for a derivative, so
    that saturation does not hide it; tends to the gradient of the state at the fixed point as nudge -> 0 (relaxed).

    Args:   images of shape [B, ...]; labels of shape [B]; nudge (beta), real units, usually 1 to 2; steps of each
            nudged phase, by default those of the free phase.
    Raises: UserError if the network is not symmetric, or nudge is not above 0.
    Source: Scellier & Bengio 2017; the force is that of a cost linear in the output.
    """
    twin, images = _settling(twin, "local"), twin.checked(images)
    if not nudge > 0:
        raise UserError(f"local gradient: nudge {nudge} must be above 0")
    RateNetwork(twin.spec)  # raises unless it is symmetric
    graph, output = twin.graph, twin.spec.output
    with torch.no_grad():
        drive = graph.drive(twin.payloads(images))
        free = twin.settle(drive, twin.steps)
        strength = max(round(nudge * twin.unit), 1) if twin.rounds else nudge * twin.unit
        push = margin_direction(free[f"a {output}"], labels) * strength
        times = range(twin.steps, twin.steps + (twin.steps if steps is None else steps))
        ends = [advance(graph, free, drive, times, force) for force in (push, -push)]
        names = {target for _, _, target in graph.feeding}
        scale = 2.0 * strength / twin.unit
        moved = {n: (ends[0][f"u {n}"] - ends[1][f"u {n}"]) / (scale * graph.units[n].one ** 2) for n in names}
    return _to_images(twin, images, moved)


def implicit_gradient(twin: Twin, images: Tensor, labels: Tensor, steps: int | None = None) -> Tensor:
    """The gradient of a_rival - a_label through the fixed point (`adjoint.adjoint`), of the shape of the images.

    Args:   images of shape [B, ...]; labels of shape [B]; steps of the free phase, by default the twin's.
    Raises: UserError if the twin is not one of sigma-delta units.
    """
    twin, images = _settling(twin, "implicit"), twin.checked(images)
    graph, output = twin.graph, twin.spec.output
    steps = twin.steps if steps is None else steps
    with torch.no_grad():
        state = twin.settle(graph.drive(twin.payloads(images)), steps)
        cost = {name: torch.zeros_like(state[f"a {name}"]) for name in graph.units}
        cost[output] = margin_direction(state[f"a {output}"], labels) / twin.unit
        found = adjoint(graph, slopes_of(twin, state), cost)
    return _to_images(twin, images, found)


def slopes_of(twin: SigmaDeltaTwin, state: State) -> State:
    """The slopes ds/da at a fixed point, of shape [B, N] by population, payload units per state unit."""
    slopes = {}
    for name, neuron in twin.graph.units.items():
        total = state[f"a {name}"]
        band = twin.surrogate.reach * (neuron.upper - neuron.lower)
        passed = box_slopes(total, neuron.lower, neuron.upper, twin.surrogate.box_slope, band)
        slopes[name] = passed * twin.graph.send_slope(state[f"u {name}"], neuron)
    return slopes


def _settling(twin: Twin, kind: str) -> SigmaDeltaTwin:
    if not isinstance(twin, SigmaDeltaTwin):
        raise UserError(f"{kind} gradient: needs a sigma-delta network; use the gradient by autograd")
    return twin


def _to_images(twin: SigmaDeltaTwin, images: Tensor, to_input: State) -> Tensor:
    """The gradient with respect to images, given that with respect to the input of each population."""
    with torch.enable_grad():
        pixels = images.detach().clone().requires_grad_(True)
        payloads = twin.payloads(pixels)
        given = twin.graph.drive(payloads)
        names = [name for name in to_input if given[name].requires_grad]
        (gradient,) = torch.autograd.grad([given[n] for n in names], pixels, [to_input[n] for n in names])
    return gradient

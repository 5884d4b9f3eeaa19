"""NIR files of other tools as layers: a chain of Linear or Affine nodes, each before spiking neurons, and nothing else.

Neurons are LIF, CubaLIF or IF nodes, read in steps of dt as snnTorch, Norse and `neuro.artifact.nir_graph` do,

    I <- (1 - dt / tau_syn) I + (dt / tau_syn) w_in x,   v <- (1 - dt / tau_mem) v + (dt / tau_mem) r I; v = 0 at spikes

so that factors before weights go into the threshold. What a population of the chip cannot hold is refused: parameters
that differ between the neurons of a layer, leaks and resets to another value than 0, feedback, any other node.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from neuro.base.arrays import Reals
from neuro.base.checks import Range
from neuro.base.errors import UserError

if TYPE_CHECKING:
    import nir

CHAIN = "give a chain of Linear or Affine nodes, each before LIF, CubaLIF or IF neurons"
PASSED = ("Input", "Output", "Flatten")
NEURONS = ("LIF", "CubaLIF", "IF")
SYNAPSES = ("Linear", "Affine")


@dataclass(frozen=True, eq=False)
class NirLayer:
    """Synapses and the neurons behind them. weights of shape [N, M], bias of shape [M], in the threshold's unit.

    forgets_current, forgets_voltage: share that is lost each step, 0..1; threshold: what v must pass, with all factors.
    """

    name: str
    weights: Reals
    bias: Reals
    forgets_current: float
    forgets_voltage: float
    threshold: float


def layers_of(graph: nir.NIRGraph, dt: float) -> list[NirLayer]:
    """The layers of a graph from input to output, in steps of dt seconds.

    Raises: UserError naming the node, what is wrong with it, and what to give.
    """
    layers, waiting = list[NirLayer](), None
    for name, node in _chain(graph):
        kind, owner = type(node).__name__, f"node {name!r}"
        if kind in PASSED:
            continue
        if kind in SYNAPSES:
            if waiting is not None:
                raise UserError(f"{owner}: {kind} behind {waiting[0]!r}, no neurons between; {CHAIN}")
            waiting = name, _weights(owner, node, layers), _bias(owner, node)
        elif kind in NEURONS:
            if waiting is None:
                raise UserError(f"{owner}: {kind} without synapses before it; {CHAIN}")
            layers.append(_layer(owner, name, node, kind, waiting[1:], dt))
            waiting = None
        else:
            raise UserError(f"{owner}: {kind} cannot run on the chip's stock neurons; {CHAIN}")
    if waiting is not None or not layers:
        raise UserError(f"node {waiting[0] if waiting else 'output'!r}: no spiking neurons before the output; {CHAIN}")
    return layers


def _chain(graph: nir.NIRGraph) -> list[tuple[str, Any]]:
    """The nodes in their order, each with one successor. Raises: UserError at the first that has others."""
    name = next(name for name, node in graph.nodes.items() if type(node).__name__ == "Input")
    found = [(name, graph.nodes[name])]
    while type(found[-1][1]).__name__ != "Output":
        targets = sorted({target for source, target in graph.edges if source == name})
        if len(targets) != 1:
            raise UserError(f"node {name!r} leads to {', '.join(targets) or 'nothing'}: feedback or branches; {CHAIN}")
        name = targets[0]
        if any(name == before for before, _ in found):
            raise UserError(f"node {name!r} is reached again: feedback; {CHAIN}")
        found.append((name, graph.nodes[name]))
    return found


def _weights(owner: str, node: Any, layers: list[NirLayer]) -> Reals:
    weights = np.asarray(node.weight, dtype=np.float64)
    if weights.ndim != 2 or not np.isfinite(weights).all() or not weights.any():
        raise UserError(f"{owner}: weights of shape {weights.shape}; give a matrix of finite numbers, not all 0")
    if layers and weights.shape[1] != len(layers[-1].bias):
        raise UserError(f"{owner}: weights of shape {weights.shape} behind {len(layers[-1].bias)} neurons of "
                        f"{layers[-1].name!r}; give {len(layers[-1].bias)} columns")  # fmt: skip
    return weights.T


def _bias(owner: str, node: Any) -> Reals:
    given = getattr(node, "bias", None)
    bias = np.zeros(len(node.weight)) if given is None else np.asarray(given, dtype=np.float64).ravel()
    if bias.shape != (len(node.weight),) or not np.isfinite(bias).all():
        raise UserError(f"{owner}: bias of shape {bias.shape}; give one finite number a row of the weights")
    return bias


def _layer(owner: str, name: str, node: Any, kind: str, before: tuple[Reals, Reals], dt: float) -> NirLayer:
    weights, bias = before
    for key in ("v_leak", "v_reset"):
        if _one(owner, node, key, 0.0):
            raise UserError(f"{owner}: {key} is not 0, neurons of the chip leak and reset to 0; give 0")
    if kind == "IF":
        current = voltage = gain = 1.0
        voltage, gain = 0.0, _one(owner, node, "r", 1.0)
    else:
        voltage = _share(owner, "tau_mem" if kind == "CubaLIF" else "tau", node, dt)
        gain = voltage * _one(owner, node, "r", 1.0)
        current = 1.0
    if kind == "CubaLIF":
        current = _share(owner, "tau_syn", node, dt)
        gain *= current * _one(owner, node, "w_in", 1.0)
    threshold = _one(owner, node, "v_threshold", 1.0)
    if gain <= 0 or threshold <= 0:
        raise UserError(f"{owner}: threshold {threshold:g}, r and w_in times dt / tau {gain:g}; give more than 0")
    return NirLayer(name, weights, bias, current, voltage, _written(threshold / gain))


def _one(owner: str, node: Any, key: str, default: float) -> float:
    """The value of a parameter, the same for all neurons."""
    values = np.unique(np.asarray(getattr(node, key, None) if getattr(node, key, None) is not None else default))
    if len(values) != 1 or not np.isfinite(values).all():
        raise UserError(f"{owner}: {key} differs between neurons, a population of the chip has one; give one value")
    return float(values[0])


def _share(owner: str, key: str, node: Any, dt: float) -> float:
    """What is lost in a step, of a time constant."""
    tau = _one(owner, node, key, 0.0)
    remedy = f"it must be at least a step of {dt:g} s; give --dt"
    if tau <= 0:
        raise UserError(f"{owner}: {key} {tau:g} s; {remedy}")
    Range(0.0, 1.0 + 1e-9, open_below=True).require(owner, remedy, **{f"dt / {key}": dt / tau})
    return min(_written(dt / tau), 1.0)


def _written(value: float) -> float:
    """A number to six digits: files hold 32-bit floats, whose quotients miss 1 or 1/16 by a bit."""
    return float(f"{value:.6g}")

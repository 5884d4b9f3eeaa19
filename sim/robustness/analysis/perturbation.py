"""How large a change of the image is in every layer: perturbation-to-signal ratios of the deployed integers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from neuro.base.arrays import Float32, Floats, Integers, Reals
from neuro.coding.chain import Chain, joined
from neuro.spec.network import Network
from neuro.spec.sigma_delta import NetworkSpec
from neuro.stock.family import StockFamily
from sim.backends.protocol import get_backend
from sim.backends.stock.emulator import emulate
from sim.backends.stock.session import stock_inputs
from sim.families import of_kind

Signals = dict[str, Reals]
PAYLOADS = "input"


@dataclass(frozen=True)
class Ratio:
    """|s(x') - s(x)| / |s(x)| in the Euclidean norm: mean, 10th and 90th percentile over n images, dimensionless.

    n counts the images whose signal s(x) is not zero; without any, mean, low and high are None.
    """

    mean: float | None
    low: float | None
    high: float | None
    n: int


def signals(network: Network, images: Float32) -> Signals:
    """The signals that each layer holds at the end of the free phase, of shape [B, N] by name, for images [B, *shape].

    "input": payloads. The others in the integers of the backend that the family is native to: sigma-delta populations,
    their state u; graded ones, the activation they send in the last step; LIF ones, their spikes over the free phase.
    """
    payloads = network.encoder.encode(images)
    found: Signals = {PAYLOADS: payloads.astype(np.float64)}
    layers: Signals = of_kind("signals", network)(network, payloads)
    return found | layers


def sigma_delta_signals(network: NetworkSpec, payloads: Integers) -> Signals:
    """The states at the end of the free phase, of shape [B, N] by moving population."""
    with get_backend(network.native_backend).open(network) as session:
        states = session.run(payloads, keep_states=True).states
    assert states is not None  # asked for
    return {p.name: states[p.name][:, 0].astype(np.float64) for p in network.moving}


def stock_signals(network: StockFamily, payloads: Integers) -> Signals:
    """What the moving populations said, of shape [B, N] by name."""
    graph, inputs, biases = stock_inputs(network, payloads, None)
    return network.signals(emulate(graph, inputs, None, biases).spikes)


def chain_signals(network: Chain, payloads: Integers) -> Signals:
    """The codes of the coder in scores, and the states of the network behind it."""
    with get_backend(network.front.native_backend).open(network.front) as session:
        scores = session.run(payloads).output_states
    found = {network.front.output: scores.astype(np.float64)}
    return joined(found, sigma_delta_signals(network.back, network.codes(scores)))


def ratio_of(clean: Floats, changed: Floats) -> Ratio:
    """The ratio of one layer; both signals of shape [B, N]."""
    size = np.linalg.norm(clean, axis=1)
    present = size > 0
    if not present.any():
        return Ratio(None, None, None, 0)
    ratios = np.linalg.norm(changed - clean, axis=1)[present] / size[present]
    low, high = np.percentile(ratios, [10, 90])
    return Ratio(float(ratios.mean()), float(low), float(high), int(present.sum()))


def perturbation_ratios(
    network: Network, clean: Float32, changed: Mapping[str, Float32]
) -> dict[str, dict[str, Ratio]]:
    """The perturbation ratios by name of a change and by layer; all images of shape [B, *shape]."""
    signal = signals(network, clean)
    ratios = {}
    for name, images in changed.items():
        moved = signals(network, images)
        ratios[name] = {layer: ratio_of(values, moved[layer]) for layer, values in signal.items()}
    return ratios

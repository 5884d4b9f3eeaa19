"""The usual route to the chip, as a competitor: a feed-forward network of CUBA neurons trained by backpropagation.

lava-dl's SLAYER (Shrestha & Orchard 2018) runs the neuron of Loihi 2 in integers, with 8-bit weights in steps of 2, and
learns real weights below them through surrogate slopes, unrolled over all steps. What it learned is the same network as
a `neuro.stock.feed_forward.FeedForwardNetwork`: every backend runs it.

A bias unit that always spikes takes the place of biases. Images are the spike trains of `FeedForwardNetwork`.
Checked: tests/hardware/slayer/test_network.py, spikes equal to SLAYER's own forward pass.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import itertools
import platform
import warnings
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from hardware.slayer.config import SlayerConfig
from neuro.base.arrays import Int16, Int32, Integers
from neuro.base.errors import UserError
from neuro.front_ends.pixels import PixelEncoder
from neuro.stock.feed_forward import FeedForwardNetwork, feed_forward_graph
from neuro.stock.processes import DECAY_UNITY, LIF, StockPopulation, StockProjection

SCALE = 64  # a SLAYER weight of 1 is 64 of the chip's
RULE = "slayer"
CHUNK = 500


def check_lava_dl() -> None:
    """Raise UserError if lava-dl is not installed."""
    if importlib.util.find_spec("lava") is None or importlib.util.find_spec("lava.lib.dl") is None:
        raise UserError(
            f"lava-dl is not installed in this Python {platform.python_version()}; it needs Python 3.10 (make demo "
            "sets it up)"
        )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the library from printing advertisements and warnings of its own dependencies."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield


def slayer_blocks() -> Any:
    """The module of CUBA blocks of lava-dl. Raises: UserError if lava-dl is not installed."""
    check_lava_dl()
    with quiet():
        from lava.lib.dl.slayer.block import cuba
    return cuba


def neuron_settings(neuron: LIF, slope_width: float = 1.0, slope_height: float = 1.0) -> dict[str, Any]:
    """A neuron as SLAYER wants it: in real numbers that become the same integers again."""
    return {
        "threshold": neuron.threshold / SCALE,
        "current_decay": (neuron.current_decay + 1) / DECAY_UNITY,
        "voltage_decay": neuron.voltage_decay / DECAY_UNITY,
        "tau_grad": slope_width,
        "scale_grad": slope_height,
    }


def slayer_block(projection: StockProjection, target: StockPopulation, recurrent: Integers | None = None) -> nn.Module:
    """The SLAYER block of a layer: its synapses, of shape [N, M] of even weights, and its neurons.

    recurrent: of shape [M, M], weights within the layer; None for none.
    """
    neuron, cuba = target.neuron, slayer_blocks()
    assert isinstance(neuron, LIF)  # by the caller
    with quiet():
        kind = cuba.Dense if recurrent is None else cuba.Recurrent
        block = kind(neuron_settings(neuron), projection.weights.shape[0], target.size)
    block.neuron.shape = torch.Size([target.size])
    matrices = {"synapse": projection.effective} if recurrent is None else {
        "input_synapse": projection.effective, "recurrent_synapse": recurrent
    }  # fmt: skip
    for name, weights in matrices.items():
        synapse = getattr(block, name)
        values = torch.tensor(weights.T / SCALE, dtype=torch.float32)
        synapse.weight.data = values.reshape(synapse.weight.shape)
    made: nn.Module = block
    return made


def slayer_loss(config: SlayerConfig) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss of lava-dl for a configuration: output spikes [B, K, T] and labels [B] -> sum over the batch."""
    check_lava_dl()
    with quiet():
        from lava.lib.dl.slayer import loss
    if config.loss == "rate":
        made = loss.SpikeRate(config.true_rate, config.false_rate, reduction="sum")
    else:
        made = loss.SpikeMax(mode="probability" if config.loss == "max" else "softmax", reduction="sum")
    return cast("Callable[[Tensor, Tensor], Tensor]", made)


class SlayerModel(nn.Module):
    """The SLAYER network of a configuration. sizes: of all layers, the bias unit counted with the input."""

    def __init__(self, config: SlayerConfig, sizes: tuple[int, ...]) -> None:
        super().__init__()
        cuba, settings = slayer_blocks(), neuron_settings(config.neuron, config.slope_width, config.slope_height)
        with quiet(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.blocks = nn.ModuleList([cuba.Dense(dict(settings), *pair) for pair in itertools.pairwise(sizes)])

    def forward(self, trains: Tensor) -> Tensor:
        """The spikes of the output, of shape [B, K, T], for trains of shape [B, N, T]; one step late a layer."""
        for block in self.blocks:
            trains = block(trains)
        return trains

    def weights(self) -> list[Int16]:
        """The integer weights, of shape [N_l, N_l+1] each."""
        with torch.no_grad():
            matrices = [block.synapse.pre_hook_fx(block.synapse.weight, descale=True) for block in self.blocks]
        return [np.rint(m.reshape(m.shape[:2]).numpy()).astype(np.int16).T for m in matrices]


def slayer_spikes(network: FeedForwardNetwork, payloads: Integers) -> Int32:
    """The output spikes of SLAYER's own quantised forward pass, of shape [B, T, K], for payloads [B, N]."""
    blocks = [
        slayer_block(projection, population)
        for projection, population in zip(network.projections, network.moving, strict=True)
    ]
    trains = []
    with torch.no_grad():
        for first in range(0, len(payloads), CHUNK):
            signal = spike_trains(network, payloads[first : first + CHUNK])
            for block in blocks:
                signal = block(signal)
            trains.append(signal.permute(0, 2, 1).numpy() != 0)
    spikes: Int32 = np.concatenate(trains).astype(np.int32)
    return spikes


def spike_trains(network: FeedForwardNetwork, payloads: Integers) -> Tensor:
    """The spike trains of payloads [B, N] as SLAYER takes them: [B, N + 1, T], a presynaptic step early."""
    return torch.tensor(network.free_inputs(payloads).astype(np.float32)).permute(0, 2, 1).contiguous()


def network_of(
    model: SlayerModel, config: SlayerConfig, encoder: PixelEncoder, pixels: tuple[int, ...]
) -> FeedForwardNetwork:
    """The integer network that `model` is at this moment."""
    graph = feed_forward_graph(model.weights(), config.neuron)
    return FeedForwardNetwork(graph, config.steps, encoder, RULE, config.spacing, pixels)

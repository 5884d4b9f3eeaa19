"""A spiking network of snnTorch, trained directly with surrogate gradients: the usual competitor."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations inside the library
    import snntorch
    from snntorch import surrogate


class DirectSpiking(nn.Module):
    """Leaky integrate-and-fire layers on a constant current; scores: mean potential of a last layer that never fires.

        v <- decay v + W s_in + b ;   spike where v > 1, which then subtracts 1

    sizes: of all layers. steps; decay of the potential a step; slope of the arctan surrogate.
    Source: Eshraghian et al. 2023 (snnTorch), `snntorch.Leaky`.
    """

    def __init__(self, sizes: tuple[int, ...], steps: int = 15, decay: float = 0.9, slope: float = 2.0) -> None:
        super().__init__()
        self.steps = steps
        self.synapses = nn.ModuleList([nn.Linear(pre, post) for pre, post in itertools.pairwise(sizes)])
        gradient: Callable[..., Tensor] = surrogate.atan(alpha=slope)
        self.neurons = nn.ModuleList([snntorch.Leaky(beta=decay, spike_grad=gradient) for _ in sizes[1:-1]])
        self.decay = decay

    def forward(self, images: Tensor) -> Tensor:
        """The scores [B, K]."""
        current = self.synapses[0](images.flatten(1))  # the same in every step
        potentials = [torch.zeros(len(images), synapse.out_features).to(images) for synapse in self.synapses]
        total = torch.zeros_like(potentials[-1])
        for _ in range(self.steps):
            signal = current
            for layer, neuron in enumerate(self.neurons):
                spikes, potentials[layer] = neuron(signal, potentials[layer])
                signal = self.synapses[layer + 1](spikes)
            potentials[-1] = self.decay * potentials[-1] + signal
            total = total + potentials[-1]
        return total / self.steps

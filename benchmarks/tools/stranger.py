"""A feed-forward network trained in snnTorch alone, as a NIR file: what a stranger brings."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch

STEPS = 16


def trains_of(images: np.ndarray) -> torch.Tensor:
    """Regular spike trains [T, B, N] of images in 0..1, as `settle import --spacing 1` sends them."""
    from neuro.front_ends.pixels import PixelEncoder
    from neuro.front_ends.trains import pixel_trains

    encoder = PixelEncoder()
    trains = pixel_trains(encoder.encode(images), STEPS, 1, 1 << encoder.activation_bits)
    return torch.tensor(np.moveaxis(trains[:, :, :-1], 1, 0).astype(np.float32))


def snntorch_network(n_inputs: int, n_classes: int, seed: int = 0) -> torch.nn.Sequential:
    """Two layers of Leaky neurons that reset to zero, as snnTorch reads them back."""
    import snntorch as snn

    torch.manual_seed(seed)
    options = {"reset_mechanism": "zero", "reset_delay": False, "init_hidden": True}

    def leaky(size: int, **more: bool) -> torch.nn.Module:
        return snn.Leaky(beta=torch.full((size,), 0.9375), threshold=torch.ones(size), **options, **more)

    return torch.nn.Sequential(
        torch.nn.Linear(n_inputs, 32, bias=False), leaky(32),
        torch.nn.Linear(32, n_classes, bias=False), leaky(n_classes, output=True),
    )  # fmt: skip


def counts(network: torch.nn.Sequential, trains: torch.Tensor) -> torch.Tensor:
    """Output spikes of each class, [B, K]."""
    for module in network:
        if hasattr(module, "reset_mem"):
            module.reset_mem()
    return sum(network(step)[0] for step in trains)


def trained(images: np.ndarray, labels: np.ndarray, n_classes: int, epochs: int, seed: int = 0) -> torch.nn.Sequential:
    """A network trained by backpropagation through time in snnTorch."""
    flat = images.reshape(len(images), -1)
    network = snntorch_network(flat.shape[1], n_classes, seed)
    trains, targets = trains_of(images), torch.tensor(labels.astype(np.int64))
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(epochs):
        for batch in torch.randperm(len(flat)).split(128):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(counts(network, trains[:, batch]), targets[batch])
            loss.backward()
            optimizer.step()
    return network


def write_nir(network: torch.nn.Sequential, n_inputs: int, path: Path) -> None:
    """The file that snnTorch's own export writes."""
    import nir
    from snntorch.export_nir import export_to_nir

    for module in network:
        if hasattr(module, "reset_mem"):
            module.reset_mem()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it calls what nirtorch is about to drop
        nir.write(str(path), export_to_nir(network, torch.zeros(n_inputs)))

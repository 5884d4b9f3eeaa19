"""A program of its own that runs a NIR file in another's reader: `python nir_readers_worker.py READER FILE IN OUT`.

It shares no code with Settle and needs the reader, nir and numpy only. IN holds `inputs` of shape [B, T, N], OUT gets
`spikes` of shape [B, T, K], both .npz. READER: snntorch, norse, rockpool or sinabs, each by its own `from_nir`.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any

import nir
import numpy as np
import torch

DT = 1e-4


def snntorch(graph: Any, inputs: torch.Tensor) -> torch.Tensor:
    """In snnTorch: one step at a time, its neurons hold their states."""
    from snntorch import import_nir

    return stepwise(import_nir.import_from_nir(graph), inputs)


def norse(graph: Any, inputs: torch.Tensor) -> torch.Tensor:
    """Norse takes one step at a time, states beside it."""
    from norse.torch import from_nir

    return stepwise(from_nir(graph, dt=DT), inputs)


def stepwise(module: Any, inputs: torch.Tensor) -> torch.Tensor:
    """Run a module step by step, with the state it returns."""
    state, sent = None, []
    for step in range(inputs.shape[1]):
        spikes, state = module(inputs[:, step], state)
        sent.append(spikes)
    return torch.stack(sent, dim=1)


def rockpool(graph: Any, inputs: torch.Tensor) -> torch.Tensor:
    """Rockpool takes whole sequences."""
    from rockpool.nn.modules.torch.nir import from_nir

    return first_of(from_nir(graph)(inputs))


def sinabs(graph: Any, inputs: torch.Tensor) -> torch.Tensor:
    """Sinabs takes all steps of all sequences, one after another."""
    from sinabs.nir import from_nir

    batch, steps, n_inputs = inputs.shape
    sent = first_of(from_nir(graph, batch_size=batch)(inputs.reshape(batch * steps, n_inputs)))
    return sent.reshape(batch, steps, -1)


def first_of(found: Any) -> torch.Tensor:
    """The spikes of what a module returns, with or without a state."""
    return found[0] if isinstance(found, tuple) else found


READERS: dict[str, Callable[[Any, torch.Tensor], torch.Tensor]] = {
    "snntorch": snntorch, "norse": norse, "rockpool": rockpool, "sinabs": sinabs,
}  # fmt: skip


def main() -> None:
    """Run the file, write the spikes."""
    reader, file, given, answer = sys.argv[1:5]
    warnings.simplefilter("ignore")
    with np.load(given) as arrays:
        inputs = torch.tensor(arrays["inputs"].astype(np.float32))
    with torch.no_grad():
        spikes = READERS[reader](nir.read(file), inputs)
    np.savez(answer, spikes=spikes.numpy())


if __name__ == "__main__":
    main()

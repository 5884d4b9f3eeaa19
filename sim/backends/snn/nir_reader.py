"""NIR files in the tools of others: nirtorch wires the graph, snnTorch's neurons run it. What an export is proved by.

A graph without cycles goes through `snntorch.import_nir` as it is. That cannot run cycles (1.0.0: its recurrent neurons
fail in their first step, and Delay is unknown), so for those nirtorch is given snnTorch's conversion of every node, and
a Delay of ours.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from neuro.artifact.nir_graph import DT, INSTALL, check_nir
from neuro.base.arrays import Array, Int32
from neuro.base.errors import UserError

if TYPE_CHECKING:
    import nir


READERS_RAISE = (AssertionError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError)


class Delay(nn.Module):
    """y(t) = x(t - steps), of zeros before. The NIR node in steps of DT."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps, self.waiting = steps, list[Tensor]()

    def forward(self, x: Tensor) -> Tensor:
        """The x of so many steps ago."""
        self.waiting.append(x)
        return self.waiting.pop(0) if len(self.waiting) > self.steps else torch.zeros_like(x)


class NirNetwork:
    """A NIR graph, opened in torch. Deterministic; 32-bit floats, as its readers have them.

    Raises: UserError if nirtorch is missing, or the readers cannot take the graph.
    """

    def __init__(self, graph: nir.NIRGraph) -> None:
        check_nir()
        if importlib.util.find_spec("nirtorch") is None:
            raise UserError(f"nirtorch is not installed; {INSTALL}")
        try:
            with _quiet():
                self.module = _opened(graph)
        except READERS_RAISE as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split()):.200}"
            raise UserError(f"nir: its readers cannot take the graph ({reason})") from error

    def run(self, inputs: Array) -> Int32:
        """The spikes at the output, of shape [B, T, K], for inputs of shape [B, T, N], from zero state."""
        self._clear()
        state: Any = None
        steps, sent = torch.tensor(inputs.astype(np.float32)), []
        with torch.no_grad():
            for time in range(inputs.shape[1]):
                spikes, state = self.module(steps[:, time], state)
                sent.append(spikes.numpy().astype(np.int32))
        return np.stack(sent, axis=1)

    def _clear(self) -> None:
        for module in self.module.modules():
            if isinstance(module, Delay):
                module.waiting.clear()
            elif hasattr(module, "reset_mem"):
                module.reset_mem()


def _opened(graph: nir.NIRGraph) -> nn.Module:
    import nir
    import nirtorch
    from snntorch import import_nir

    if not _has_cycle(graph) and not any(isinstance(node, nir.Delay) for node in graph.nodes.values()):
        feed_forward: nn.Module = import_nir.import_from_nir(graph)
        return feed_forward

    def converted(node: nir.NIRNode) -> nn.Module:
        module: nn.Module = import_nir._nir_to_snntorch_module(node, init_hidden=True)
        return module

    def delayed(node: nir.Delay) -> nn.Module:
        return Delay(round(float(node.delay[0]) / DT))

    kinds: dict[Any, Any] = {kind: converted for kind in (nir.Linear, nir.Affine, nir.LIF, nir.CubaLIF)}
    cyclic: nn.Module = nirtorch.nir_to_torch(graph, {**kinds, nir.Delay: delayed})
    return cyclic


def _has_cycle(graph: nir.NIRGraph) -> bool:
    """Whether nodes remain after all that nothing leads to were taken away, again and again."""
    left = set(graph.nodes)
    while left:
        free = left - {target for source, target in graph.edges if source in left}
        if not free:
            return True
        left -= free
    return False


@contextlib.contextmanager
def _quiet() -> Any:
    """Keep the readers' own prints and warnings from the user."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield

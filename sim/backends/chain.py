"""A chain opened on a backend: the coder runs, then the network behind it is shown the codes; one record of both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from neuro.base.arrays import Int32, Int64, Integers
from neuro.coding.chain import Chain, joined
from sim.backends.checks import check_payloads
from sim.backends.presentation import Presentation
from sim.backends.protocol import get_backend
from sim.backends.record import Record, SpikeTable
from sim.backends.session import AnySession, Session

FRONTS = {"events": "chip", "chip": "chip", "reference": "chip", "lava": "lava"}  # what runs the coder, by backend
BACKS = {"chip": "events"}  # what runs the network behind it, else the backend itself


class ChainSession(Session[Chain]):
    """A coder and the network behind it, each in a session of its own."""

    backend = "chain"
    refusal = "a chain does not learn; train a network behind its coder (settle train ep --front-end)"

    def __init__(self, chain: Chain, backend: str, front: AnySession, back: AnySession) -> None:
        super().__init__(chain)
        self.name, self.front, self.back = backend, front, back

    def _check(self, shown: Presentation) -> None:
        """See `Session._check`; the coder checks its payloads before it runs."""
        nothing = np.zeros((len(shown), self.spec.back.n_inputs), dtype=np.int16)
        check_payloads(self.spec.back, nothing, shown.targets)

    def _present(self, shown: Presentation) -> Record:
        numbered: dict[str, Any] = {"seed": shown.seed, "first_image": shown.first_image}
        kept: dict[str, Any] = {"keep_states": shown.keep_states, "keep_spikes": shown.keep_spikes}
        front = self.front.run(shown.payloads, **numbered, **kept)
        back = self.back.run(self.spec.codes(front.output_states), shown.targets, **numbered, **kept)
        return join(self.spec, self.name, front, back)

    def weights(self) -> dict[str, Integers]:
        """The weights of both, by projection of the chain."""
        own = {p.name: p.weights for p in self.spec.front.projections}
        return {name: values.copy() for name, values in joined(own, self.back.weights()).items()}

    def close(self) -> None:
        """Close both."""
        self.front.close()
        self.back.close()


def open_chain(
    backend: str, chain: Chain, threads: int | None, on_image: Callable[[int], None] | None = None, **options: Any
) -> ChainSession:
    """Open both parts of a chain; on_image is told the images that the network behind has done.

    Raises: UserError as `Backend.open` does.
    """
    front = get_backend(FRONTS[backend]).open(chain.front, threads=threads, **options)
    if on_image is not None:
        options["on_image"] = on_image
    back = get_backend(BACKS.get(backend, backend)).open(chain.back, threads=threads, **options)
    return ChainSession(chain, backend, front, back)


def join(chain: Chain, backend: str, front: Record, back: Record) -> Record:
    """One record of what both parts of a chain did; steps and populations are those of the chain."""
    phases = next(iter(back.spike_counts.values())).shape[1]
    states = None if front.states is None or back.states is None else joined(front.states, back.states)
    return Record(
        backend=backend,
        seed=back.seed,
        predictions=back.predictions,
        output_states=back.output_states,
        spike_counts=joined({n: _wider(counts, phases) for n, counts in front.spike_counts.items()}, back.spike_counts),
        settled=front.settled & back.settled,
        states=states,
        spikes=_spikes(chain, front.spikes, back.spikes),
    )


def _wider(counts: Int64, phases: int) -> Int64:
    """Counts of shape [B, phases]: the coder has sent all of its spikes when the first nudge begins."""
    return np.pad(counts, ((0, 0), (0, phases - counts.shape[1])))


def _spikes(chain: Chain, front: SpikeTable | None, back: SpikeTable | None) -> SpikeTable | None:
    if front is None or back is None:
        return None
    later: Int32 = back.rows()
    later[:, 1] += chain.front.free_steps + 1
    later[:, 2] += len(chain.front.populations)
    return SpikeTable.from_rows(np.concatenate([front.rows(), later]))

"""Chains: a sparse coder of stock processes, and a sigma-delta network that its codes are shown to, as one network.

The two are of different processes and cannot be one graph (`neuro.spec.stack` joins sigma-delta networks). The coder
runs the steps of its inference; then a host reads its scores and presents them, as payloads, to the network behind it,
which settles in turn. Steps are counted through: those of the coder, the presentation, those of the network behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeGuard

import numpy as np

from neuro.base.arrays import Int16, Int64, Integers
from neuro.base.checks import Range, require_integers
from neuro.base.errors import UserError
from neuro.base.fixed_point import round_shift
from neuro.coding.coder import StockCoder
from neuro.spec.graph import Connection, NeuronGroup
from neuro.spec.network import Network
from neuro.spec.sigma_delta import NetworkSpec

PREFIX = "front."  # of the names of all that belongs to the coder
LARGEST_SHIFT = 30


@dataclass(frozen=True, eq=False)
class Chain(Network):
    """A coder and the network behind it.

    code_shift: a code of c scores is shown as the payload c / 2**code_shift, rounded, at most what `back` takes.
    Raises: UserError if `back` does not take as many inputs as `front` has codes, or encodes them.
    """

    front: StockCoder
    back: NetworkSpec
    code_shift: int = 0
    kind: ClassVar[str] = "chain"
    title: ClassVar[str] = "chain of a stock coder and a classifier"
    native_backend: ClassVar[str] = "events"
    first_step: ClassVar[int] = 1
    family = "chain"

    def __post_init__(self) -> None:
        require_integers("chain", code_shift=self.code_shift)
        Range(0, LARGEST_SHIFT).require("chain", code_shift=self.code_shift)
        front, back = self.front, self.back
        if back.n_inputs != front.n_classes:
            raise UserError(f"chain: the coder has {front.n_classes} codes, the network behind takes {back.n_inputs}")
        if back.encoder.offset is not None or back.encoder.transform is not None or back.encoder.gain_bits:
            raise UserError(
                "chain: the network behind centres, brightens or whitens its input, codes are shown as they are; "
                "train it on the codes as they are"
            )
        ahead = [replace(p, name=PREFIX + p.name) for p in front.populations]
        links = [
            replace(p, name=PREFIX + p.name, source=PREFIX + p.source, target=PREFIX + p.target)
            for p in front.projections
        ]
        object.__setattr__(self, "populations", (*ahead, *back.populations))
        object.__setattr__(self, "projections", (*links, *back.projections))
        object.__setattr__(self, "input", PREFIX + front.input)
        object.__setattr__(self, "output", back.output)
        object.__setattr__(self, "encoder", front.encoder)

    def codes(self, scores: Integers) -> Int16:
        """The payloads, of shape [B, K], that `back` is shown for scores of `front`."""
        return shown(scores, self.code_shift, self.back.encoder.payload_limit)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape of an image."""
        return self.front.image_shape

    @property
    def free_steps(self) -> int:
        """Steps of an inference: of the coder, the presentation of the codes, of the network behind."""
        return self.front.free_steps + 1 + self.back.free_steps

    @property
    def moving(self) -> tuple[NeuronGroup, ...]:
        """See `Network.moving`: of both."""
        names = {p.name for p in self.back.moving} | {PREFIX + p.name for p in self.front.moving}
        return tuple(p for p in self.populations if p.name in names)

    @property
    def plastic(self) -> tuple[Connection, ...]:
        """None: the network behind learned before it was deployed here."""
        return ()

    @property
    def one(self) -> int:
        """The real value 1 in state units of the output."""
        return self.back.one

    @property
    def trained(self) -> NetworkSpec:
        """The network behind."""
        return self.back

    def population(self, name: str) -> NeuronGroup:
        """See `Network.population`."""
        return {population.name: population for population in self.populations}[name]

    def phases(self) -> Int64:
        """See `Network.phases`."""
        return np.concatenate([self.front.phases(), self.back.phases()])

    def fan_out(self, projection: Any) -> Int64:
        """See `Network.fan_out`."""
        if not projection.name.startswith(PREFIX):
            return self.back.fan_out(projection)
        return self.front.fan_out(_within(projection))

    def _with_projections(self, projections: tuple[Any, ...]) -> Chain:
        ahead = tuple(_within(p) for p in projections if p.name.startswith(PREFIX))
        behind = tuple(p for p in projections if not p.name.startswith(PREFIX))
        return replace(self, front=self.front._with_projections(ahead), back=replace(self.back, projections=behind))


def shown(scores: Integers, code_shift: int, limit: int) -> Int16:
    """Scores / 2**code_shift, rounded, 0..limit, of the same shape: what is shown of them as payloads."""
    payloads = round_shift(np.asarray(scores, dtype=np.int64), code_shift)
    return np.asarray(np.clip(payloads, 0, limit), dtype=np.int16)


def is_chain(network: object) -> TypeGuard[Chain]:
    """Whether a network is a chain."""
    return getattr(network, "kind", "") == Chain.kind


def joined(front: Mapping[str, Any], back: Mapping[str, Any]) -> dict[str, Any]:
    """What was measured of both by name, under the names of the chain."""
    return {**{PREFIX + name: value for name, value in front.items()}, **back}


def _within(projection: Any) -> Any:
    """A projection of the coder as the coder knows it."""
    name, source, target = (
        part.removeprefix(PREFIX) for part in (projection.name, projection.source, projection.target)
    )
    return replace(projection, name=name, source=source, target=target)

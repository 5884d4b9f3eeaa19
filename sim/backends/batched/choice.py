"""Whether a network runs on the Triton kernels here; else torch runs it, with the same integers, and says why."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib import metadata, util
from typing import Protocol

import torch
from torch import Tensor

from neuro.base.arrays import Integers, UInt32
from neuro.base.late import named
from neuro.spec.plasticity import Rate
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.batched.plasticity import Learner
from sim.backends.batched.record import Outcome

OLDEST = (3, 6)  # Triton whose functions take tuples as these kernels use them
OLDEST_CARD = (8, 0)  # int8 tensor cores as Triton uses them
KERNELS = {  # networks, the faster first, and who says whether they run a spec
    "sim.backends.batched.fused.dense:DenseNetwork": "sim.backends.batched.fused.dense_plan",
    "sim.backends.batched.fused.maps:MapsNetwork": "sim.backends.batched.fused.maps_plan",
}
SWITCH = "SETTLE_TRITON"


def interpreted() -> bool:
    """Whether Triton runs its kernels on the CPU, one program after the other: slow, for tests."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def reason(spec: NetworkSpec, device: torch.device, shared: bool) -> str:
    """Why the kernels do not run `spec` on `device`; "" if they do. shared: whether workers share its batches."""
    if device.type != "cuda" and not interpreted():
        return "the device is a CPU"
    if os.environ.get(SWITCH) == "0":
        return f"{SWITCH}=0"
    found = version()
    if found < OLDEST:
        return (
            f"{'Triton ' + '.'.join(map(str, found)) if found else 'no Triton'} here; it takes {OLDEST[0]}.{OLDEST[1]}"
        )
    if device.type == "cuda" and torch.cuda.get_device_capability(device) < OLDEST_CARD:
        return "this card has no int8 tensor cores that Triton uses"
    return "workers share its batches" if shared else _kernels(spec)[1]


def _kernels(spec: NetworkSpec) -> tuple[str, str]:
    """The network class that runs `spec`, and why none does; "" if one does."""
    if spec.window:
        return "", f"population {spec.input} generates spikes"
    for name, plan in KERNELS.items():
        why_not: str = named(f"{plan}:refusal")(spec)
        if not why_not:
            return name, ""
    return "", why_not


def version() -> tuple[int, ...]:
    """The version of Triton, () if it is not installed."""
    if util.find_spec("triton") is None:
        return ()
    return tuple(int(part) for part in metadata.version("triton").split(".")[:2])


class FusedNetwork(Protocol):
    """A network on Triton kernels: `sim.backends.batched.fused.resident`."""

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Set the weights of the named projections, integers on its device."""
        ...

    def run(
        self, inputs: Integers, targets: Integers | None, signs: Integers, keys: UInt32, n_phases: int, at_once: int
    ) -> Outcome:
        """Run `n_phases` phases of all images, `at_once` in flight."""
        ...

    def learn(
        self, inputs: Integers, targets: Integers, signs: Integers, keys: UInt32, rates: Mapping[str, Rate], batch: int
    ) -> Outcome:
        """Learn the images in order, a batch from the same weights."""
        ...


def fused_network(
    spec: NetworkSpec, learners: Sequence[Learner], device: torch.device, batch_size: int
) -> FusedNetwork:
    """`spec` on Triton kernels, which are imported only now. They move the weights that `learners` hold."""
    network: FusedNetwork = named(_kernels(spec)[0])(spec, learners, device, batch_size)
    return network

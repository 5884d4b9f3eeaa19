"""Stands in for `hardware.board.door`, at this boundary only: Lava's public simulator in place of Intel's closed
extension.

Host and chip are joined directly, the run configuration is the simulator's, and the profiler is a made-up one with the
attributes that public scripts read from the real one.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

FLUSH_STEPS = 1
SECONDS_PER_STEP, JOULES_PER_STEP = 2e-6, 3e-6


def run_configuration() -> Any:
    from lava.magma.core.run_configs import Loihi2SimCfg

    return Loihi2SimCfg(select_tag="fixed_pt")


def to_chip(port: Any, size: int, message_bits: int) -> Any:
    return port


def from_chip(port: Any, size: int, message_bits: int) -> Any:
    return Joint(port)


class Joint:
    """A port of the chip that hosts connect to."""

    def __init__(self, port: Any) -> None:
        self.port = port

    def connect(self, target: Any) -> None:
        self.port.connect(target)


class Profiler:
    """As `Loihi2HWProfiler`, as far as it is known."""

    def __init__(self, steps: int) -> None:
        self.execution_time = np.full(steps, SECONDS_PER_STEP)
        self.energy = JOULES_PER_STEP * steps


def profiler(configuration: Any, steps: int) -> Profiler:
    return Profiler(steps)


def clear(processes: dict[str, Any], synapses: dict[str, Any]) -> None:
    for process in processes.values():
        for name in ("u", "v"):
            if hasattr(process, name):
                getattr(process, name).set(np.zeros(process.s_out.shape, dtype=np.int32))
    for synapse in synapses.values():
        synapse.a_buff.set(np.zeros(synapse.a_buff.shape, dtype=np.int32))


def hang() -> None:
    time.sleep(3600)

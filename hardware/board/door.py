"""The door to the chip: every call into Intel's closed extension, and nothing else. Thin on purpose.

Nobody of this project could open it: the calls are those that public scripts make (NeuroBench's and lava-dl's Loihi 2
benchmarks). A door is a module with these four functions; tests put another module in its place, at this boundary only.
"""

from __future__ import annotations

from typing import Any

FLUSH_STEPS = 2  # silent steps between images, in which what is still under way arrives before states are set to zero


def run_configuration() -> Any:
    """The run configuration of Lava for the chip; processes without a model for it (host I/O) run on the host."""
    from lava.magma.core.run_configs import Loihi2HwCfg

    return Loihi2HwCfg(select_tag="fixed_pt")


def to_chip(port: Any, size: int, message_bits: int) -> Any:
    """The port of the chip at which spikes arrive that a host process sends from `port`."""
    from lava.proc.embedded_io.spike import PyToNxAdapter

    adapter = PyToNxAdapter(shape=(size,), num_message_bits=message_bits)
    port.connect(adapter.inp)
    return adapter.out


def from_chip(port: Any, size: int, message_bits: int) -> Any:
    """The port of the host at which spikes arrive that neurons of the chip send from `port`."""
    from lava.proc.embedded_io.spike import NxToPyAdapter

    adapter = NxToPyAdapter(shape=(size,), num_message_bits=message_bits)
    port.connect(adapter.inp)
    return adapter.out


def profiler(configuration: Any, steps: int) -> Any:
    """Lava's profiler, its probes set for one run of so many steps. It serves a single run."""
    from lava.utils.profiler import Profiler

    made = Profiler.init(configuration)
    made.execution_time_probe(num_steps=steps)
    made.energy_probe(num_steps=steps)
    return made


def clear(processes: dict[str, Any], synapses: dict[str, Any]) -> None:
    """Set the state of all neurons to zero, between two runs. (synapses: what is under way was flushed.)"""
    del synapses
    for process in processes.values():
        for name in ("u", "v"):
            state = getattr(process, name, None)
            if state is not None:
                state.set(0 * state.get())

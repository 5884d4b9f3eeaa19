"""Energy counters of this machine, each by its name and what it covers, or the reason why there is none.

CPU: RAPL, all packages, with DRAM where it has a counter of its own. GPU: NVML's energy counter of the whole board.
Systems on a chip have rails instead: on a Jetson the sensors of the module, on Apple silicon the cores and DRAM.
All through the public counters of zeus (`zeus.device.get_cpus`, `get_gpus`, `get_soc`, millijoules); its ZeusMonitor
is left alone, since it replaces a counter that cannot be read by none, without the reason.

Source: zeus 0.16, device/cpu/rapl.py, device/gpu/nvidia.py, device/soc/jetson.py and device/soc/apple.py.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from neuro.base.quantities import NotMeasurable

INSTALL = "install zeus (pip install 'settle[energy]')"
MODULE = (("total_energy_mj",), "whole module, host and memory included")  # of a Jetson
RAILS = {  # of systems on a chip, by device: which fields of zeus's measurement are added up, and what they cover
    "cpu": (
        MODULE,
        (("cpu_total_mj", "dram_mj"), "CPU and DRAM"),  # Apple silicon
        (("cpu_total_mj",), "CPU, no DRAM"),
        (("cpu_energy_mj",), "CPU, no memory"),
    ),
    "cuda": (MODULE, (("gpu_energy_mj",), "GPU, no memory, without the host")),
}


class Counter(Protocol):
    """An energy counter that only rises. name: which instrument, and what it covers."""

    name: str

    def read(self) -> float:
        """Joules since some fixed moment."""
        ...


class CpuCounter:
    """RAPL, by `zeus.device.cpu.common.CPUs`."""

    def __init__(self, cpus: Any) -> None:
        self._cpus, self._all = cpus, range(len(cpus))
        dram = all(cpus.supports_get_dram_energy_consumption(index) for index in self._all)
        self.name = f"RAPL, {len(cpus)} CPU package(s){' and DRAM' if dram else ', no DRAM'}"

    def read(self) -> float:
        """See `Counter.read`."""
        found = [self._cpus.get_total_energy_consumption(index) for index in self._all]
        return float(sum(part.cpu_mj + (part.dram_mj or 0.0) for part in found)) / 1000


class GpuCounter:
    """NVML's energy counter of one GPU, by `zeus.device.gpu.common.GPUs`."""

    def __init__(self, gpus: Any, index: int) -> None:
        self._gpus, self._index = gpus, index
        self.name = f"NVML, board of {gpus.get_name(index)}, without the host"

    def read(self) -> float:
        """See `Counter.read`."""
        return float(self._gpus.get_total_energy_consumption(self._index)) / 1000


class SocCounter:
    """Rails of a system on a chip, by `zeus.device.soc.common.SoC`. rails: the fields that are added up."""

    def __init__(self, soc: Any, name: str, rails: Sequence[str]) -> None:
        self._soc, self._rails, self.name = soc, tuple(rails), name

    def read(self) -> float:
        """See `Counter.read`."""
        found = self._soc.get_total_energy_consumption()
        return sum(float(getattr(found, rail)) for rail in self._rails) / 1000


def open_counter(device: str, index: int = 0) -> Counter | NotMeasurable:
    """The counter of a device, "cpu" or "cuda", or why there is none. Never raises for want of a counter.

    Where neither RAPL nor NVML counts energy, the rails of a system on a chip do, if it has some.
    index: of the GPU, as torch counts them (zeus heeds CUDA_VISIBLE_DEVICES likewise).
    """
    try:
        from zeus import device as zeus_device
        from zeus.exception import ZeusBaseError
    except ImportError as error:
        return NotMeasurable(f"no energy counter: zeus cannot be imported ({error}); {INSTALL}")
    failures = (ZeusBaseError, OSError, ValueError, RuntimeError, ImportError, queue.Empty)

    def opened(make: Callable[[], Counter | NotMeasurable]) -> Counter | NotMeasurable:
        try:
            counter = make()
            if not isinstance(counter, NotMeasurable):
                counter.read()
        except failures as error:
            said = " ".join(str(error).split()) or type(error).__name__
            return NotMeasurable(f"no energy counter of the {device}: {said}")
        return counter

    usual = opened(lambda: _cpu(zeus_device.get_cpus()) if device == "cpu" else _gpu(zeus_device.get_gpus(), index))
    if not isinstance(usual, NotMeasurable):
        return usual
    rails = opened(lambda: _soc(zeus_device.get_soc(), device))
    return usual if isinstance(rails, NotMeasurable) else rails


def _cpu(cpus: Any) -> CpuCounter | NotMeasurable:
    if len(cpus) == 0:
        return NotMeasurable("no energy counter of the cpu: RAPL is there, but lists no package")
    return CpuCounter(cpus)


def _gpu(gpus: Any, index: int) -> GpuCounter | NotMeasurable:
    if not index < len(gpus):
        return NotMeasurable(f"no energy counter of GPU {index}: NVML lists {len(gpus)}")
    if not gpus.supports_get_total_energy_consumption(index):
        return NotMeasurable("no energy counter of the GPU: NVML has one from Volta on")
    return GpuCounter(gpus, index)


def _soc(soc: Any, device: str) -> SocCounter | NotMeasurable:
    there = soc.get_available_metrics()
    for rails, covers in RAILS[device]:
        if there.issuperset(rails):
            return SocCounter(soc, f"rails of the system on a chip, {covers}", rails)
    return NotMeasurable(f"no energy counter of the {device}: the system on a chip has no rail for it")


class NvmlCounter:
    """NVML's energy counter of one GPU, by pynvml itself, where zeus is not. nvml: the module, initialised."""

    def __init__(self, nvml: Any, index: int) -> None:
        self._nvml, self._handle = nvml, nvml.nvmlDeviceGetHandleByIndex(index)
        self.name = f"NVML, board of {_text(nvml.nvmlDeviceGetName(self._handle))}, without the host"

    def read(self) -> float:
        """See `Counter.read`."""
        return float(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)) / 1000


def open_nvml(index: int = 0) -> NvmlCounter | NotMeasurable:
    """The counter of a GPU, as NVML counts them, or why there is none."""
    try:
        import pynvml
    except ImportError as error:
        return NotMeasurable(f"no energy counter: neither zeus nor pynvml can be imported ({error}); {INSTALL}")
    try:
        pynvml.nvmlInit()
        counter = NvmlCounter(pynvml, index)
        counter.read()
    except pynvml.NVMLError as error:
        return NotMeasurable(f"no energy counter of the GPU: {error}")
    return counter


def driver_version() -> str:
    """The version of NVIDIA's driver, "" where NVML does not tell."""
    try:
        import pynvml
    except ImportError:
        return ""
    try:
        pynvml.nvmlInit()
        return _text(pynvml.nvmlSystemGetDriverVersion())
    except pynvml.NVMLError:
        return ""


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value

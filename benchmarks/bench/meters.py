"""Measured energy: what this machine's own counters read over a window of several seconds, or why there is no number.

CPU: RAPL, all packages, with DRAM where it has a counter of its own. GPU: NVML's energy counter of the whole board.
Both through the public counters of zeus (`zeus.device.get_cpus`, `get_gpus`, millijoules); its ZeusMonitor is left
alone, since it replaces a counter that cannot be read by none, without the reason. Whatever else runs on the machine
is in the reading, so idle power is measured, too, shown, and subtracted. On some GPUs (A100, H100) the sensor behind
the counter sees a quarter of the time only: hence long windows of steady work.

Source: zeus 0.16, device/cpu/rapl.py and device/gpu/nvidia.py; Yang et al. 2024, "Part-time power measurements"
(arXiv 2312.02741) on what NVIDIA's sensor misses.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from neuro.base.quantities import Measured, NotMeasurable

FEWEST_UPDATES = 20  # of the counter in a window: its ends are known to one update each, so to 10 %
READ_EVERY_S = 0.05  # between two looks at the counter while work goes on
INSTALL = "install zeus (pip install 'settle[energy]')"
Clock = Callable[[], float]


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


def open_counter(device: str, index: int = 0) -> Counter | NotMeasurable:
    """The counter of a device, "cpu" or "cuda", or why there is none. Never raises for want of a counter.

    index: of the GPU, as torch counts them (zeus heeds CUDA_VISIBLE_DEVICES likewise).
    """
    try:
        from zeus import device as zeus_device
        from zeus.exception import ZeusBaseError
    except ImportError as error:
        return NotMeasurable(f"no energy counter: zeus cannot be imported ({error}); {INSTALL}")
    try:
        counter = _cpu(zeus_device.get_cpus()) if device == "cpu" else _gpu(zeus_device.get_gpus(), index)
        if not isinstance(counter, NotMeasurable):
            counter.read()
    except (ZeusBaseError, OSError, ValueError, RuntimeError, ImportError) as error:
        return NotMeasurable(f"no energy counter of the {device}: {' '.join(str(error).split())}")
    return counter


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


@dataclass(frozen=True)
class Reading:
    """What a counter rose by over a window. updates: rises seen, so at least so many updates of the counter.

    longest_gap_s: longest time between two rises seen, looks at the counter included: what either end is uncertain by.
    """

    counter: str
    gross_j: float
    window_s: float
    updates: int
    longest_gap_s: float

    @property
    def power_w(self) -> float:
        """Mean power over the window."""
        return self.gross_j / self.window_s

    def to_json(self) -> dict[str, Any]:
        """All fields, as an object that `json` can write."""
        return asdict(self)


class Tally:
    """Reads a counter now and then while work goes on: call `look` between two pieces of work, `finish` after them."""

    def __init__(self, counter: Counter, clock: Clock = time.perf_counter) -> None:
        self._counter, self._clock = counter, clock
        self._first = self._last = counter.read()
        self._start = self._looked = self._rose = clock()
        self._updates, self._gap = 0, 0.0

    def look(self) -> None:
        """Read the counter, if the last time is long enough ago to matter little."""
        if self._clock() - self._looked >= READ_EVERY_S:
            self._read()

    def _read(self) -> None:
        value, now = self._counter.read(), self._clock()
        self._looked = now
        if value > self._last:
            self._updates += 1
            self._gap = max(self._gap, now - self._rose)
            self._last, self._rose = value, now

    def finish(self) -> Reading | NotMeasurable:
        """The reading, or why it says too little."""
        self._read()
        elapsed = self._looked - self._start
        if self._updates < FEWEST_UPDATES:
            return NotMeasurable(
                f"{self._counter.name}: rose {self._updates} times in {elapsed:.1f} s, {FEWEST_UPDATES} are needed; "
                "give longer windows (--seconds)"
            )
        gap = max(self._gap, self._looked - self._rose)
        return Reading(self._counter.name, self._last - self._first, elapsed, self._updates, gap)


def measure_idle(
    counter: Counter, seconds: float, clock: Clock = time.perf_counter, sleep: Callable[[float], None] = time.sleep
) -> Reading | NotMeasurable:
    """The power of the machine while this process sleeps."""
    tally, end = Tally(counter, clock), clock() + seconds
    while clock() < end:
        sleep(READ_EVERY_S)
        tally.look()
    return tally.finish()


def net_energy(work: Reading | NotMeasurable, idle: Reading | NotMeasurable, n_images: int) -> Measured | NotMeasurable:
    """The energy of one image above idle, J, from a window in which n_images were processed."""
    if isinstance(work, NotMeasurable):
        return work
    if isinstance(idle, NotMeasurable):
        return NotMeasurable(f"idle power: {idle.reason}")
    net = work.gross_j - idle.power_w * work.window_s
    meter = (
        f"{work.counter}; {work.window_s:.1f} s, at least {work.updates} counter updates, ends known to "
        f"{200 * work.longest_gap_s / work.window_s:.1f} %; {work.power_w:.3g} W, idle {idle.power_w:.3g} W subtracted"
    )
    if net <= 2 * work.longest_gap_s * work.power_w:
        return NotMeasurable(f"work draws no more than idle, within what the counter resolves ({meter})")
    return Measured(net / n_images, "J", meter, n_images)


def gross_energy(work: Reading | NotMeasurable, n_images: int) -> Measured | NotMeasurable:
    """The energy of one image, idle power included, J."""
    if isinstance(work, NotMeasurable):
        return work
    return Measured(work.gross_j / n_images, "J", f"{work.counter}; {work.window_s:.1f} s, idle included", n_images)

"""Energy counters that are not there: stand-ins at the public boundary of zeus, and a clock that tests move."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


class Clock:
    """Time that passes only when told to, or by a fixed step at every look."""

    def __init__(self, step: float = 0.0) -> None:
        self.now, self.step = 0.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Steady:
    """A counter of a machine that takes constant power; its value moves every `period` seconds."""

    name = "stand-in"

    def __init__(self, clock: Clock, power_w: float, period: float) -> None:
        self.clock, self.power_w, self.period = clock, power_w, period

    def read(self) -> float:
        return self.power_w * self.period * (self.clock.now // self.period)


class Cpus:
    """As `zeus.device.cpu.common.CPUs`: millijoules by package."""

    def __init__(self, packages: int = 2, dram: bool = True) -> None:
        self.packages, self.dram, self.mj = packages, dram, 1000.0

    def __len__(self) -> int:
        return self.packages

    def supports_get_dram_energy_consumption(self, index: int) -> bool:
        return self.dram

    def get_total_energy_consumption(self, index: int) -> Any:
        assert 0 <= index < self.packages
        return SimpleNamespace(cpu_mj=self.mj, dram_mj=self.mj / 10 if self.dram else None)


class Gpus:
    """As `zeus.device.gpu.common.GPUs`: millijoules by GPU."""

    def __init__(self, count: int = 1, volta: bool = True) -> None:
        self.count, self.volta = count, volta

    def __len__(self) -> int:
        return self.count

    def get_name(self, index: int) -> str:
        return "GPU of a test"

    def supports_get_total_energy_consumption(self, index: int) -> bool:
        return self.volta

    def get_total_energy_consumption(self, index: int) -> int:
        return 5000


class Soc:
    """As `zeus.device.soc.common.SoC`: millijoules by rail; those that a chip lacks are None."""

    def __init__(self, rails: dict[str, Any]) -> None:
        self.rails = rails

    def get_available_metrics(self) -> set[str]:
        return set(self.rails)

    def get_total_energy_consumption(self) -> Any:
        return SimpleNamespace(**self.rails)


class ZeusBaseError(Exception):
    """As `zeus.exception.ZeusBaseError`."""


def install(monkeypatch: pytest.MonkeyPatch, cpus: Any, gpus: Any, soc: Any = None) -> None:
    """Put a package in the place of zeus that hands out these, or raises them."""

    def give(what: Any) -> Any:
        if isinstance(what, Exception):
            raise what
        return what

    zeus, device, exception = (ModuleType(name) for name in ("zeus", "zeus.device", "zeus.exception"))
    device.get_cpus, device.get_gpus = lambda: give(cpus), lambda: give(gpus)
    device.get_soc = lambda: give(soc or ZeusBaseError("No observable SoC was found"))
    exception.ZeusBaseError = ZeusBaseError
    zeus.device, zeus.exception = device, exception
    for name, module in (("zeus", zeus), ("zeus.device", device), ("zeus.exception", exception)):
        monkeypatch.setitem(sys.modules, name, module)

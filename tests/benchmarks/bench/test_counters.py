"""Counters are named, or their want has a reason. They stand in at zeus's own boundary."""

import queue
import sys

import pytest
from shared_meters import Cpus, Gpus, Soc, ZeusBaseError, install

from benchmarks.bench.counters import open_counter
from neuro.base.quantities import NotMeasurable


def test_cpu_energy_is_the_sum_of_packages_and_dram_in_joules(monkeypatch):
    install(monkeypatch, Cpus(packages=2), Gpus())
    counter = open_counter("cpu")
    assert counter.read() == pytest.approx(2 * (1.0 + 0.1))
    assert "2 CPU package(s) and DRAM" in counter.name


def test_without_a_counter_of_dram_it_says_so(monkeypatch):
    install(monkeypatch, Cpus(packages=1, dram=False), Gpus())
    counter = open_counter("cpu")
    assert counter.read() == pytest.approx(1.0)
    assert "no DRAM" in counter.name


def test_gpu_energy_is_that_of_the_board_in_joules(monkeypatch):
    install(monkeypatch, Cpus(), Gpus())
    counter = open_counter("cuda")
    assert counter.read() == 5.0
    assert "GPU of a test" in counter.name
    assert "without the host" in counter.name


@pytest.mark.parametrize(
    ("device", "cpus", "gpus", "said"),
    [
        ("cpu", ZeusBaseError("RAPL is\nnot here"), None, "cpu: RAPL is not here"),
        ("cpu", PermissionError("root only"), None, "root only"),
        ("cpu", Cpus(packages=0), None, "lists no package"),
        ("cuda", None, ZeusBaseError("NVML unavailable"), "cuda: NVML unavailable"),
        ("cuda", None, Gpus(count=0), "GPU 0: NVML lists 0"),
        ("cuda", None, Gpus(volta=False), "from Volta on"),
    ],
)
def test_a_missing_counter_is_a_reason_never_a_number(monkeypatch, device, cpus, gpus, said):
    install(monkeypatch, cpus, gpus)
    found = open_counter(device)
    assert isinstance(found, NotMeasurable)
    assert said in found.reason
    assert found.to_json()["value"] is None


def test_without_zeus_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "zeus", None)
    found = open_counter("cpu")
    assert "settle[energy]" in found.reason


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_this_machine_gives_a_counter_or_a_reason(device):
    found = open_counter(device)
    if isinstance(found, NotMeasurable):
        assert found.reason
    else:
        assert found.read() <= found.read()


NONE = ZeusBaseError("none here")
JETSON = {"cpu_energy_mj": 2000.0, "gpu_energy_mj": 3000.0, "total_energy_mj": 7000.0}
APPLE = {"cpu_total_mj": 400, "dram_mj": 100, "gpu_mj": 50, "efficiency_cores_mj": [1, 2]}


@pytest.mark.parametrize(
    ("device", "rails", "joules", "covers"),
    [
        ("cpu", JETSON, 7.0, "whole module"),
        ("cuda", JETSON, 7.0, "whole module"),
        ("cpu", {"cpu_energy_mj": 2000.0, "gpu_energy_mj": 3000.0}, 2.0, "CPU, no memory"),
        ("cuda", {"cpu_energy_mj": 2000.0, "gpu_energy_mj": 3000.0}, 3.0, "GPU, no memory"),
        ("cpu", APPLE, 0.5, "CPU and DRAM"),
        ("cpu", {"cpu_total_mj": 400}, 0.4, "CPU, no DRAM"),
    ],
)
def test_a_system_on_a_chip_is_read_by_its_rails(monkeypatch, device, rails, joules, covers):
    install(monkeypatch, NONE, NONE, Soc(rails))
    counter = open_counter(device)
    assert counter.read() == pytest.approx(joules)
    assert covers in counter.name


def test_rails_are_read_only_where_neither_rapl_nor_nvml_counts(monkeypatch):
    install(monkeypatch, Cpus(), Gpus(), Soc(JETSON))
    assert "RAPL" in open_counter("cpu").name
    assert "NVML" in open_counter("cuda").name
    install(monkeypatch, NONE, Gpus(volta=False), Soc(JETSON))  # the GPU of a Jetson is listed, but has no counter
    assert "whole module" in open_counter("cuda").name


@pytest.mark.parametrize("soc", [NONE, queue.Empty(), Soc({}), Soc({"gpu_mj": 50})])
def test_without_rails_the_first_reason_stands(monkeypatch, soc):
    install(monkeypatch, ZeusBaseError("RAPL is not here"), NONE, soc)
    assert open_counter("cpu") == NotMeasurable("no energy counter of the cpu: RAPL is not here")

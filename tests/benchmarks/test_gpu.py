"""The benchmark of a card, as far as it goes without one."""

from __future__ import annotations

import sys
import types

import pytest
import torch

from benchmarks import gpu, gpu_resident
from benchmarks.bench.counters import NvmlCounter, driver_version, open_nvml
from benchmarks.bench.meters import Reading
from benchmarks.gpu_resident import Perceptron, batches, energy_window, epochs, seconds_a_batch
from neuro.base.quantities import NotMeasurable
from neuro.spec.plasticity import Rate
from sim.contract.sigma_delta import random_spec

CPU = torch.device("cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
def test_without_a_card_it_says_so_and_ends(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["benchmark", "--out", str(tmp_path / "gpu.json")])
    with pytest.raises(SystemExit) as ended:
        gpu.main()
    assert ended.value.code == gpu.NO_CARD
    assert capsys.readouterr().err == (
        "benchmarks.gpu: torch finds no CUDA device here; run it on a machine with one\n"
    )
    assert not (tmp_path / "gpu.json").exists()


def test_integers_that_differ_are_counted(monkeypatch):
    spec = random_spec(4)
    differing, compared = gpu.different(spec, 4, device="cpu")
    assert differing == 0
    assert compared > 1000
    names, rates = [projection.name for projection in spec.plastic], iter([Rate(0, 0), Rate(7, 3)])
    monkeypatch.setattr(gpu, "random_rates", lambda spec, seed: dict.fromkeys(names, next(rates)))
    assert 0 < gpu.different(spec, 4, device="cpu")[0] < compared


@pytest.fixture
def learner():
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(3, (96,), generator=generator)
    images = torch.nn.functional.one_hot(labels, 3).float().repeat(1, 4)
    return Perceptron((12, 8, 3), images, labels)


def test_the_perceptron_learns_batch_after_batch(learner):
    epochs(learner, learner.learn(32), 32, 60, CPU)
    learner.rewind()
    infer = learner.infer(32)
    for _ in range(3):
        infer()
    assert torch.equal(learner._classes, learner._labels)


def test_a_pass_has_whole_batches_and_an_end(learner, monkeypatch):
    assert [batches(learner, batch) for batch in (1, 32, 50, 96)] == [96, 3, 1, 1]
    monkeypatch.setattr(gpu_resident, "LONGEST", 10)
    assert batches(learner, 1) == 10
    calls = []
    assert seconds_a_batch(learner, lambda: calls.append(1), 32, CPU, 0.0) > 0
    assert len(calls) == 3 + 21  # one pass to see how long it takes, then at least 20 calls in whole passes


def test_energy_is_read_while_work_goes_on(learner):
    class Rising:
        name, value = "rising", 0.0

        def read(self) -> float:
            self.value += 1.0
            return self.value

    reading, n = energy_window(learner, lambda: None, 32, CPU, 1.3, Rising())
    assert isinstance(reading, Reading)
    assert reading.gross_j >= 20
    assert n > 0
    assert n % 96 == 0


class NvmlError(Exception):
    pass


def fake_nvml(energy_mj: int | None) -> types.ModuleType:
    module = types.ModuleType("pynvml")

    def energy(handle: object) -> int:
        if energy_mj is None:
            raise NvmlError("Not Supported")
        return energy_mj

    module.NVMLError, module.nvmlInit = NvmlError, lambda: None
    module.nvmlDeviceGetHandleByIndex, module.nvmlDeviceGetName = lambda index: index, lambda handle: b"Card"
    module.nvmlSystemGetDriverVersion = lambda: "580.1"
    module.nvmlDeviceGetTotalEnergyConsumption = energy
    return module


def test_nvml_is_asked_itself(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml(2500))
    counter = open_nvml()
    assert isinstance(counter, NvmlCounter)
    assert (counter.name, counter.read()) == ("NVML, board of Card, without the host", 2.5)
    assert driver_version() == "580.1"
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml(None))
    assert open_nvml() == NotMeasurable("no energy counter of the GPU: Not Supported")
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert isinstance(open_nvml(), NotMeasurable)
    assert driver_version() == ""

"""`settle bench`: who is compared, what every cell says of itself, and what stays behind."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from shared_meters import Steady

from benchmarks.bench import chip, contestants, meters, run
from benchmarks.bench.config import BenchConfig
from benchmarks.bench.job import Job
from benchmarks.bench.rows import CELLS, COUNTS, INFERENCE, TRAINING, energy_delay
from benchmarks.bench.run import Meter, bench_run
from hardware.energy.constants import CONSTANTS
from neuro.artifact.run_folder import load_artifact
from neuro.base.errors import UserError
from neuro.base.quantities import Measured, Modelled, NotMeasurable
from sim.backends.events.backend import EventsBackend
from sim.backends.protocol import REGISTRY

KINDS = {"measured", "counted", "modelled", "not measurable"}
BRIEF = BenchConfig(seconds=0.02, threads=1, slayer="none")
pytestmark = pytest.mark.usefixtures("hurry")


def job_of(folder, blob_data, **options):
    return Job(load_artifact(folder), blob_data, **options)


def cells(row):
    return {name: getattr(row, name) for name in (*CELLS, *COUNTS, "gross")}


def test_every_cell_says_what_it_is(bench):
    assert {row.work for row in bench.rows} == {INFERENCE, TRAINING}
    names = {(row.name, row.device) for row in bench.rows}
    assert {("settle, events", "cpu"), ("settle, torch", "cpu"), ("backprop, float32", "cpu"),
            ("backprop, int8", "cpu"), ("settle, torch", "cuda"), ("settle, Loihi 2", "loihi2")} <= names  # fmt: skip
    for row in bench.rows:
        for name, cell in cells(row).items():
            found = cell.to_json()
            assert found["kind"] in KINDS
            if found["kind"] == "not measurable":
                assert found["value"] is None
                assert found["reason"]
            if row.device == "loihi2" and name != "accuracy":
                assert found["kind"] != "measured"
            if row.device == "cpu":
                assert found["kind"] != "modelled"
            if name in COUNTS:
                assert found["kind"] in ("counted", "not measurable")
            if name in ("energy", "gross", "energy_delay") and row.device == "cpu":
                assert isinstance(cell, NotMeasurable)
    json.dumps(bench.content, allow_nan=False)
    assert bench.content["config_sha256"]
    assert bench.content["machine"]["versions"]["torch"]
    assert bench.content["date"].endswith("+00:00")


def test_torch_the_run_and_the_chip_are_right_on_the_same_images(finished):
    rows = [row for row in bench_run(finished, replace(BRIEF, train=False, images=60)).rows if row.batch == 1]
    assert {row.work for row in rows} == {INFERENCE}
    ours = [row.accuracy for row in rows if row.name.startswith("settle") and row.device != "cuda"]
    assert len(ours) == 3
    assert len({(accuracy.value, accuracy.n) for accuracy in ours}) == 1
    assert ours[0].n == 60
    assert all(row.accuracy.value > 0.8 for row in rows if isinstance(row.accuracy, Measured))  # chance is a third


def test_a_counter_gives_energy_above_idle_and_the_product_with_the_delay(finished, monkeypatch):
    class Rising:
        name = "stand-in"
        value = 0.0

        def read(self):
            Rising.value += 1.0
            return Rising.value

    idle = meters.Reading("stand-in", 1e-9, 1.0, 30, 0.0)
    monkeypatch.setattr(meters, "READ_EVERY_S", 0.0)
    monkeypatch.setattr(Meter, "of", staticmethod(lambda device: Meter(Rising())))
    monkeypatch.setattr(Meter, "idle", lambda self, seconds: idle)
    bench = bench_run(finished, replace(BRIEF, seconds=0.1, devices=("cpu",), train=False))
    row = next(row for row in bench.rows if row.name == "settle, events" and row.batch == 1)
    calls = row.latency.n
    assert row.energy.value == pytest.approx((calls + 1) / calls, rel=0.01)  # a joule each look, one look a call
    assert row.energy_delay.value == pytest.approx(row.energy.value * row.latency.value)
    assert row.gross.value >= row.energy.value
    assert row.to_json()["counter"]["updates"] >= meters.FEWEST_UPDATES


def test_modelled_energy_is_a_band_from_the_counts_of_the_run(finished, blob_data):
    job = job_of(finished, blob_data, priced=20)
    found = chip.on_chip(job, NotMeasurable("none"))
    inference, training = found.rows
    assert found.profile.inference.n_images == 20
    assert 0 < inference.energy.low < inference.energy.high
    assert inference.energy == found.profile.inference.energy
    assert training.energy.high > inference.energy.high
    assert inference.throughput.high == pytest.approx(1 / inference.latency.low)
    assert inference.energy_delay.low == pytest.approx(inference.energy.low * inference.latency.low)
    assert set(inference.energy.sources) == {s for band in CONSTANTS.values() for s in band.sources}


def test_constants_of_a_file_are_checked_at_once():
    with pytest.raises(UserError, match=r"cannot read none\.toml"):
        replace(BRIEF, constants="none.toml")
    with pytest.raises(UserError, match=r"constants set 'mine' is unknown; choose one of loihi2, or a file FILE\.toml"):
        replace(BRIEF, constants="mine")


def test_no_product_mixes_kinds():
    measured, band = Measured(2.0, "J", "a meter"), Modelled(1.0, 3.0, "s")
    assert isinstance(energy_delay(measured, band), NotMeasurable)
    assert energy_delay(band, Modelled(2.0, 4.0, "s")) == Modelled(2.0, 12.0, "J s")
    assert energy_delay(NotMeasurable("x"), band).reason == "x"


def test_a_build_without_integer_kernels_leaves_the_row_empty(finished, blob_data, monkeypatch):
    class Engines:
        supported_engines = ("none",)
        engine = "none"

    monkeypatch.setattr(torch.backends, "quantized", Engines)
    (found,) = contestants.int8_perceptron(job_of(finished, blob_data))
    assert isinstance(found, contestants.Missing)
    assert "no quantised kernels" in found.reason


def test_with_a_gpu_every_torch_row_is_there_twice(finished, blob_data, monkeypatch):
    """CUDA's place is taken by the CPU: which rows there are, and that results come back to the host."""
    asked = []

    def twin(spec, device):
        asked.append(device)
        return make_twin(spec)

    make_twin = contestants.make_twin
    monkeypatch.delitem(REGISTRY, "torch", raising=False)
    for module in (contestants, run):
        monkeypatch.setattr(module, "has_cuda", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "GPU of a test")
    monkeypatch.setattr(contestants, "make_twin", twin)
    monkeypatch.setattr(contestants, "place_of", lambda name: asked.append(name) or torch.device("cpu"))
    found = bench_run(finished, replace(BRIEF, devices=("cpu", "cuda")))
    assert asked.count("cuda") == 3  # the twin, and perceptrons that infer and learn
    for name in ("settle, torch", "backprop, float32"):
        there = {row.device: row.kind for row in found.rows if row.name == name and row.work == INFERENCE}
        assert there == {"cpu": "measured", "cuda": "measured"}
    assert found.content["machine"]["gpus"] == ["GPU of a test"]


def test_the_torch_backend_takes_the_place_of_the_twin_and_learns(finished, blob_data, monkeypatch):
    opened = []

    class Torch(EventsBackend):
        def open(self, spec, *, threads=None, batch_size=1, device="cpu"):
            opened.append((batch_size, device))
            return super().open(spec, threads=threads)  # kernels of batches take long to compile

    monkeypatch.setitem(REGISTRY, "torch", "a.module:Torch")
    ours = contestants.get_backend
    monkeypatch.setattr(contestants, "get_backend", lambda name: Torch() if name == "torch" else ours(name))
    found = next(contestants.in_torch(job_of(finished, blob_data)))
    images, labels = blob_data.x_test, blob_data.y_test
    assert np.mean(found.infer(images) == labels) > 0.8
    found.learn(images[:5], labels[:5])
    found.learn(images[:5], labels[:5])
    assert sorted(opened) == [(1, "cpu"), (2, "cpu"), (5, "cpu")]


def test_the_run_learns_what_it_is_shown_and_stays_what_it_was(finished, blob_data):
    job = job_of(finished, blob_data)
    (found,) = contestants.settling(job)
    before = found.infer(blob_data.x_test)
    for _ in range(20):
        found.learn(blob_data.x_train[:50], (blob_data.y_train[:50] + 1) % 3)  # wrong on purpose
    np.testing.assert_array_equal(found.infer(blob_data.x_test), before)


def test_stock_runs_are_benched_on_the_chip_backend(finished_stock):
    bench = bench_run(finished_stock, replace(BRIEF, images=8, devices=("cpu", "loihi2")))
    rows = {(row.name, row.work): row for row in bench.rows}
    assert isinstance(rows["settle, chip", INFERENCE].latency, Measured)
    assert isinstance(rows["settle, chip", TRAINING].latency, Measured)
    assert isinstance(rows["settle, Loihi 2", TRAINING].energy, Modelled)


def test_behind_a_front_end_learning_is_not_timed(coders):
    bench = bench_run(coders["stack"], replace(BRIEF, images=8, devices=("cpu",)))
    row = next(row for row in bench.rows if row.name == "settle, events" and row.work == TRAINING)
    assert "front end" in row.latency.reason


def test_a_board_measures_where_there_is_one(finished_stock, blob_data, monkeypatch):
    class Session:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            return None

        def measure(self, payloads):
            read = Measured(1e-5, "s", "a profiler", len(payloads))
            return type("Read", (), {"latency": read, "energy": None, "static_energy": None})

    monkeypatch.setattr(chip, "detect", lambda: type("Board", (), {"extension": True}))
    monkeypatch.setattr(chip.BoardBackend, "open", lambda self, spec: Session())
    inference, training = chip.on_chip(job_of(finished_stock, blob_data, priced=5), NotMeasurable("none")).rows
    assert inference.latency.value == 1e-5
    assert inference.kind == "measured"
    assert isinstance(inference.energy, NotMeasurable)  # no probe: not the model in its place
    assert training.kind == "modelled"


def test_everybody_gets_the_same_threads_and_torch_its_own_back():
    before = torch.get_num_threads()
    seen = []

    def interrupted():
        with run.torch_threads(3):
            seen.append(torch.get_num_threads())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert seen == [3]
    assert torch.get_num_threads() == before


def test_coders_have_a_sweep_of_their_own(coders):
    with pytest.raises(UserError, match="no classes"):
        bench_run(coders["dense"], BRIEF)


def test_stand_ins_of_counters_rise(monkeypatch):
    from shared_meters import Clock

    clock = Clock()
    counter = Steady(clock, 2.0, 0.5)
    clock.sleep(3.2)
    assert counter.read() == 6.0

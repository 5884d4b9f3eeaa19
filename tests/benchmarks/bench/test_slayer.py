"""SLAYER in the bench table: trained there or a finished run, every cell with its kind, never another task's."""

import importlib.util
import io
import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from shared_export import feed_forward
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.bench import contestants, run, slayer, timing
from benchmarks.bench.config import BenchConfig
from benchmarks.bench.job import Job
from benchmarks.bench.page import write_bench_page
from benchmarks.bench.rows import INFERENCE, TRAINING
from benchmarks.bench.run import bench_run
from benchmarks.bench.screen import bench_tables
from benchmarks.bench.slayer import slayer_job
from benchmarks.tools.learning_cost import dense_backprop
from hardware.slayer import trainer as slayer_trainer
from hardware.slayer.config import SlayerConfig
from hardware.slayer.training import train_slayer_run
from neuro.artifact.run_folder import load_artifact, save_artifact
from neuro.base.errors import UserError
from neuro.base.quantities import Counted, Measured, Modelled, NotMeasurable
from sim.robustness.defences.baselines import perceptron
from sim.training.equilibrium import infer

BRIEF = BenchConfig(seconds=0.01, threads=1, devices=("cpu", "loihi2"), images=30)
HAS_LAVA = importlib.util.find_spec("lava") is not None


def needs_lava(test):
    """Mark a test that trains with lava-dl."""
    return pytest.mark.lava(pytest.mark.skipif(not HAS_LAVA, reason="needs lava-dl (Python 3.10)")(test))


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    """Tiny windows, no competitors but SLAYER, no energy counters."""
    for name in ("SWEEP_S", "SWEEP_WARM_UP_S", "WARM_UP_S"):
        monkeypatch.setattr(timing, name, 0.0)
    monkeypatch.setattr(run, "BATCHES", {"cpu": (1, 4)})
    monkeypatch.setattr(run, "open_counter", lambda device: NotMeasurable("no counter in a test"))
    monkeypatch.setattr(contestants, "CPU_AND_GPU", (contestants.settling, contestants.usual_route))


@pytest.fixture(scope="module")
def rival(tmp_path_factory, blob_data):
    """A finished run of SLAYER's on the data of `finished`, of the same shape and seed."""
    folder = tmp_path_factory.mktemp("slayer") / "run"
    config = SlayerConfig(seed=3, hidden=(8,), epochs=2, steps=16, learning_rate=0.003)
    train_slayer_run(blob_data, config, folder)
    return folder


def rows_of(bench, name):
    return {(row.name, row.work): row for row in bench.rows if row.name.startswith(name) and row.batch == 1}


@needs_lava
def test_a_finished_run_is_measured_counted_and_modelled(finished, rival, blob_data, tmp_path):
    bench = bench_run(finished, replace(BRIEF, slayer=str(rival)))
    rows, network = rows_of(bench, "slayer"), load_artifact(rival).spec
    here, learned = rows["slayer, chip", INFERENCE], rows["slayer, chip", TRAINING]
    record = infer(network, blob_data.x_test[:30])
    assert here.accuracy.value == np.mean(record.predictions == blob_data.y_test[:30])
    assert here.spikes.value == pytest.approx(record.spikes_per_inference(network))
    assert here.spikes.n == 30
    reached = sum(counts.sum() for counts in record.synaptic_operations(network).values()) / 30
    assert here.operations.value == pytest.approx(reached)
    assert learned.operations.value == 16 * (2 * (17 * 8 + 8 * 3) + 8 * 3)
    assert "float32" in learned.operations.unit
    assert isinstance(here.latency, Measured)
    assert isinstance(learned.latency, Measured)  # a gradient step of lava-dl
    chip = rows["slayer, Loihi 2", INFERENCE]
    assert isinstance(chip.energy, Modelled)
    assert (chip.accuracy.value, chip.spikes) == (here.accuracy.value, here.spikes)
    there = rows["slayer, Loihi 2", TRAINING]
    assert "does not learn on the chip" in there.latency.reason
    assert isinstance(there.operations, NotMeasurable)  # what lava-dl does elsewhere is no work of the chip
    assert rows_of(bench, "settle")["settle, Loihi 2", INFERENCE].energy != chip.energy
    console = Console(width=120, file=io.StringIO())
    console.print(bench_tables(bench))
    page = write_bench_page(bench, tmp_path / "b.html").read_text()
    for text in (console.file.getvalue(), page):
        for word in ("slayer, chip", "slayer, Loihi 2", "spikes", "operations", "counted", "multiply-adds"):
            assert word in text
    summary = {(row["name"], row["work"]): row for row in bench.summary()["rows"]}
    assert summary["slayer, chip", INFERENCE]["spikes"] == here.spikes.value


@needs_lava
def test_a_step_of_lava_dl_changes_its_weights_and_nothing_of_the_run(rival, blob_data):
    job = Job(load_artifact(rival), blob_data)
    learner = slayer.learner_of(job)
    before = learner.model.weights()
    assert learner.encoder.gain_bits == job.spec.encoder.gain_bits
    for _ in range(3):
        learner.learn(blob_data.x_train[:20], blob_data.y_train[:20])
    assert any((a != b).any() for a, b in zip(before, learner.model.weights(), strict=True))


@needs_lava
def test_small_data_is_trained_on_there_and_then(finished, monkeypatch):
    for name in ("FEWEST_EPOCHS", "MOST_EPOCHS"):
        monkeypatch.setattr(slayer_trainer, name, 1)
    bench = bench_run(finished, replace(BRIEF, train=False))
    rows = rows_of(bench, "slayer")
    assert set(rows) == {("slayer, chip", INFERENCE), ("slayer, Loihi 2", INFERENCE)}
    assert "270 presentations" in rows["slayer, chip", INFERENCE].note
    assert bench.content["slayer"]["epochs"] == 1
    assert bench.content["slayer"]["val"]["n"] == 30


@needs_lava
def test_a_run_of_slayers_own_is_benched_alone(rival):
    bench = bench_run(rival, replace(BRIEF, images=10))
    assert {row.name for row in bench.rows} == {"slayer, chip", "slayer, Loihi 2"}
    assert isinstance(rows_of(bench, "slayer")["slayer, chip", TRAINING].latency, Measured)


@needs_lava
def test_without_lava_dl_a_finished_run_is_run_but_not_taught(finished, rival, monkeypatch):
    monkeypatch.setattr("hardware.slayer.network.importlib.util.find_spec", lambda name: None)
    rows = rows_of(bench_run(finished, replace(BRIEF, slayer=str(rival))), "slayer")
    assert isinstance(rows["slayer, chip", INFERENCE].latency, Measured)
    assert "lava-dl is not installed" in rows["slayer, chip", TRAINING].latency.reason
    assert isinstance(rows["slayer, chip", TRAINING].operations, Counted)


@needs_lava
def test_a_run_of_another_task_is_refused(finished, rival, blob_data, tmp_path, edit_manifest):
    job = Job(load_artifact(finished), blob_data, run="runs/ep")
    with pytest.raises(UserError, match=r"kind 'ep'.*train slayer"):
        slayer_job(job, str(finished))
    with pytest.raises(UserError, match=r"no manifest"):
        slayer_job(job, str(tmp_path))
    for key, change, said in (
        ("config", {"hidden": [9]}, r"hidden layers \(9,\), but \(8,\) in run runs/ep"),
        ("data", {"sha256": "0" * 64}, "data 000000000000, but"),
    ):
        copy, artifact = tmp_path / key, load_artifact(rival)
        save_artifact(copy, artifact)
        edit_manifest(copy, lambda manifest, key=key, change=change: manifest[key].update(change))
        with pytest.raises(UserError, match=said):
            slayer_job(job, str(copy))


def test_large_data_asks_for_a_finished_run(finished, monkeypatch):
    monkeypatch.setattr(slayer, "SMALL", 100)
    bench = bench_run(finished, BRIEF)
    reason = rows_of(bench, "slayer")["slayer", INFERENCE].latency.reason
    assert "300 training images" in reason
    assert "--hidden 8" in reason
    assert "--slayer RUN" in reason
    assert set(rows_of(bench, "slayer")) == {
        ("slayer", INFERENCE), ("slayer", TRAINING), ("slayer, Loihi 2", INFERENCE)
    }  # fmt: skip
    assert rows_of(bench, "slayer")["slayer, Loihi 2", INFERENCE].latency.reason == reason


def test_without_lava_dl_the_row_says_so(finished, monkeypatch):
    monkeypatch.setattr("hardware.slayer.network.importlib.util.find_spec", lambda name: None)
    row = rows_of(bench_run(finished, BRIEF), "slayer")["slayer", INFERENCE]
    assert "lava-dl is not installed in this Python" in row.latency.reason
    assert all(isinstance(cell, NotMeasurable) for cell in (row.accuracy, row.energy, row.spikes))


@pytest.mark.parametrize("change", [{"slayer": "none"}, {"devices": ("cuda",)}])
def test_nobody_who_did_not_ask_is_shown_slayer(finished, change, monkeypatch):
    monkeypatch.setattr(run, "slayer_job", lambda *_: pytest.fail("SLAYER was trained"))
    assert rows_of(bench_run(finished, replace(BRIEF, **change)), "slayer") == {}


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 12), min_size=3, max_size=5), st.integers(1, 7))
def test_operations_of_backpropagation_are_those_that_torch_counts(sizes, batch):
    model = perceptron((sizes[0],), tuple(sizes[1:-1]), sizes[-1])
    with FlopCounterMode(display=False) as forward:
        scores = model(torch.rand(batch, sizes[0]))
    with FlopCounterMode(display=False) as backward:
        scores.sum().backward()
    ours = dense_backprop([pre * post for pre, post in itertools.pairwise(sizes)])
    assert ours == (forward.get_total_flops() / 2 / batch, backward.get_total_flops() / 2 / batch)
    assert dense_backprop([4, 6], steps=5) == tuple(5 * value for value in dense_backprop([4, 6]))


def test_effort_of_a_network_that_has_no_place_on_a_chip_is_not_counted(blob_data):
    found = NotMeasurable("does not fit: too large")
    job = Job(type("Artifact", (), {"spec": feed_forward(0), "manifest": {"kind": "ep"}}), blob_data)
    job.__dict__["profile"] = found
    assert job.effort.spikes == job.effort.learning == found

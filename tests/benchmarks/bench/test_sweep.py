"""The sweep of a sparse coder: rising thresholds, fewer units, the same problem for everybody."""

import io
import json

import numpy as np
import pytest
import torch
from rich.console import Console
from shared_pages import Page

from benchmarks import lca_energy
from benchmarks.bench import run, sweep, timing
from benchmarks.bench.config import BenchConfig
from benchmarks.bench.sweep import coders as coders_of
from benchmarks.bench.sweep import sweep_run, with_threshold
from benchmarks.bench.sweep_page import sweep_tables, write_sweep_page
from neuro.artifact.run_folder import load_artifact
from neuro.base.errors import UserError
from neuro.base.quantities import Measured, Modelled, NotMeasurable
from sim.coding.measure import threshold_of

BRIEF = BenchConfig(seconds=0.01, threads=1)


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(timing, "SWEEP_S", 0.002)
    monkeypatch.setattr(timing, "SWEEP_WARM_UP_S", 0.0)
    monkeypatch.setattr(timing, "WARM_UP_S", 0.0)
    monkeypatch.setattr(run, "BATCHES", {"cpu": (1, 4), "cuda": (1, 4)})
    monkeypatch.setattr(run, "open_counter", lambda device: NotMeasurable("no counter in a test"))


@pytest.mark.parametrize("name", ["dense", pytest.param("kernels", marks=pytest.mark.slow)])
def test_higher_thresholds_are_sparser_and_never_dearer_on_the_chip(coders, name):
    found = sweep_run(coders[name], BRIEF, (0.05, 0.2, 0.8))
    assert [point.threshold for point in found.points] == pytest.approx([0.05, 0.2, 0.8], rel=1e-3)
    for lower, higher in zip(found.points, found.points[1:], strict=False):
        assert higher.active < lower.active
        assert higher.spikes < lower.spikes
        assert higher.error > lower.error
        assert higher.dynamic.low < lower.dynamic.low
        assert higher.dynamic.high < lower.dynamic.high
    for point in found.points:
        kinds = {row.name: type(row.latency) for row in point.rows if row.device != "cuda"}
        assert kinds == {"settle, events": Measured, "LCA, compiled": Measured, "LCA, torch": Measured,
                         "settle, Loihi 2": Modelled}  # fmt: skip
        chip = next(row for row in point.rows if row.device == "loihi2")
        assert point.dynamic.high < chip.energy.high
    json.dumps(found.content, allow_nan=False)


@pytest.mark.parametrize("name", ["dense", "kernels"])
def test_all_coders_find_the_same_codes(coders, blob_data, name):
    spec = load_artifact(coders[name]).spec
    images = blob_data.x_test[:20]
    found = {f"{who}, {device}": work(images) for who, device, _, work in coders_of(spec, 1) if work is not None}
    integers = found["settle, events, cpu"]
    scale = np.abs(integers).max()
    for codes in found.values():
        assert codes.shape == integers.shape
        assert np.abs(codes - integers).mean() < 0.05 * scale
    np.testing.assert_allclose(found["LCA, compiled, cpu"], found["LCA, torch, cpu"], atol=1e-3 * scale)


def test_on_a_gpu_codes_come_back_to_the_host(coders, blob_data):
    """The place of CUDA is taken by the CPU; the operator and the signals must both be moved."""
    spec = load_artifact(coders["dense"]).spec
    codes = sweep.torch_coder(spec, torch.device("cpu"))(blob_data.x_test[:3])
    assert isinstance(codes, np.ndarray)
    meta = sweep.float_operator(spec, torch.device("meta"))
    assert meta.dictionary.device.type == "meta"
    kernels = sweep.float_operator(load_artifact(coders["kernels"]).spec, torch.device("meta"))
    assert kernels.weight.device.type == "meta"


def test_only_the_threshold_changes(coders):
    spec = load_artifact(coders["dense"]).spec
    other = with_threshold(spec, 0.3)
    assert threshold_of(other) == pytest.approx(0.3, rel=1e-3)
    assert with_threshold(other, threshold_of(spec)).populations == spec.populations


def test_tables_and_page(coders, tmp_path):
    found = sweep_run(coders["dense"], BRIEF, (0.1, 0.4))
    for width in (80, 120):
        console = Console(width=width, file=io.StringIO(), highlight=False)
        console.print(sweep_tables(found))
        text = console.file.getvalue()
        assert max(map(len, text.splitlines())) <= width
        assert "…" not in text
        assert {"measured", "modelled"} <= set(text.split())
    page = Page(write_sweep_page(found, tmp_path / "s.html"))
    assert page.tags.count("svg") == 5
    assert all(reference.startswith(("#", "data:")) for reference in page.references)
    assert "modelled" in page.text


def test_the_command_sweeps_a_coder(coders, command, tmp_path):
    out = tmp_path / "s.json"
    words = ("--seconds", 0.01, "--images", 20, "--thresholds", "0.1,0.5", "--out", out, "--json")
    answer = command("bench", coders["dense"], *words)
    assert sorted({row["threshold"] for row in answer.json["rows"]}) == pytest.approx([0.1, 0.5], rel=1e-3)
    assert len(json.loads(out.read_text())["points"]) == 2
    assert out.with_suffix(".html").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--thresholds", "0"), "positive"),
        (("--thresholds", "nan"), "positive"),
        (("--thresholds", "a"), "--thresholds"),
        (("--thresholds", "1000"), "threshold"),
        (("--slayer", "a-run"), "sparse coder"),
        (("--images", "0"), "images 0"),
    ],
)
def test_mistakes_are_told_in_one_line(coders, command, words, said, monkeypatch):
    monkeypatch.setattr("benchmarks.bench.screen.BenchScreen.__enter__", lambda self: self)
    command("bench", coders["dense"], *words).refused(said)


def test_a_classifier_has_no_threshold(finished):
    with pytest.raises(UserError, match="no sparse coder"):
        sweep_run(finished, BRIEF)


def test_the_benchmark_trains_and_sweeps(tmp_path, monkeypatch):
    monkeypatch.setattr(sweep, "FACTORS", (1.0, 4.0))
    monkeypatch.setattr(sweep, "TIMED", 8)
    words = ["x", "--data", "digits", "--epochs", "1", "--seconds", "0.01", "--out", str(tmp_path / "l.json")]
    monkeypatch.setattr("sys.argv", words)
    lca_energy.main()
    content = json.loads((tmp_path / "l.json").read_text())
    assert content["points"][0]["active"] > content["points"][1]["active"]
    assert content["run"].startswith("digits")

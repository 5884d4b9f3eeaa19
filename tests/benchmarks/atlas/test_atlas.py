"""The atlas: intervals by closed forms, cells that are kept and derived again, rows of the user's, refusals, files."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from shared_keys import ATLAS_ENTRY_KEYS, ATLAS_KEYS
from shared_pages import Page
from torch import nn

import settle
from benchmarks.atlas import attacked as attacks
from benchmarks.atlas import backprop
from benchmarks.atlas import config as configs
from benchmarks.atlas.attacked import not_attackable
from benchmarks.atlas.cells import Cell, cell_of, empty, packed, share_of, unpacked
from benchmarks.atlas.config import AtlasConfig, Scale
from benchmarks.atlas.mechanisms import MECHANISMS, Mechanism, _equilibrium
from benchmarks.atlas.run import AtlasRun, do_request
from benchmarks.atlas.samples import Exact, Share, corruption_error, difference, interval_over
from benchmarks.atlas.subject import Subject, Training, at_most
from benchmarks.atlas.summary import Entry, _marked, atlas_of
from neuro.base.errors import UserError
from neuro.data.sets import Dataset, load_dataset
from sim.robustness.judging.verdict import Verdict

TINY = Scale(120, 50, 100, 3, 60, 12, (5,), spikes=5, per_class=5)
OWN = """
from torch import nn

class Linear(nn.Module):
    def __init__(self, shape, n_classes):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1], n_classes))
    def forward(self, images):
        return self.layers(images)

def hard(dataset, seed, folder):
    class Hard(Linear):
        def forward(self, images):
            return self.layers((images > 0.5).float().detach()).detach()
    return Hard(dataset.image_shape, dataset.n_classes)

def broken(dataset, seed, folder):
    raise ValueError("no such network")

def nothing(dataset, seed, folder):
    return 3
"""


@pytest.fixture
def place(tmp_path: Path, blobs: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with data and rows of the user's; little is measured."""
    np.savez(tmp_path / "blobs.npz", **blobs((8, 8), 3, 150, 100))
    (tmp_path / "ownrows.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(configs, "QUICK", TINY)
    monkeypatch.setattr(backprop, "FEW", (5, 50))
    for row in ("ep", "ep-noise"):
        given = {"noise": 0.25} if row == "ep-noise" else {}
        short = partial(_equilibrium, epochs=2, learning_rate=1.4, output_share=0.125, refit=False, **given)
        monkeypatch.setitem(MECHANISMS, row, Mechanism(row, short))
    return tmp_path


def asked(**options: Any) -> AtlasConfig:
    return AtlasConfig(**{"data": "blobs.npz", "quick": True, "hidden": 8, "seeds": 1, **options})


def done(job: AtlasRun) -> AtlasRun:
    for shard in job.missing():
        job.do(shard)
    return job


def test_cells_are_measured_once_and_whatever_is_missing_again(place: Path) -> None:
    config = asked(rows=("ep",), columns=("clean", "mce", "few", "parameters"), seeds=2)
    job = done(AtlasRun(config, place / "out"))
    assert (list(job.rows), job.n_shards, job.missing()) == (["perceptron", "ep"], 4, [])
    before = {path: path.read_bytes() for path in (place / "out" / "cells").rglob("*.json")}
    assert len(before) == 16
    gone = job.path("ep", 1, "mce")
    gone.unlink()
    again = AtlasRun(config, place / "out")
    assert again.missing() == [4]
    told: list[str] = []
    again.do(4, told.append)
    assert told == ["ep, seed 1: training", "ep, seed 1: mce"]
    assert {path: path.read_bytes() for path in before} == before
    apart = AtlasRun(config, place / "apart")
    do_request(json.loads(json.dumps(apart.request(3))))
    assert (apart.missing(), apart.path("perceptron", 1, "few").read_bytes()) == (
        [1, 2, 4], job.path("perceptron", 1, "few").read_bytes(),
    )  # fmt: skip
    entries = atlas_of(job).entries
    assert entries["perceptron", "mce"].value == pytest.approx(1.0)
    assert entries["ep", "clean"].n == 50
    assert entries["ep", "few"].interval is not None
    assert entries["ep", "parameters"].value == 64 * 8 + 8 * 3 + 8 + 3 + 64


def test_rows_of_the_users_are_measured_and_what_cannot_be_attacked_is_empty(place: Path) -> None:
    own = ("linear=ownrows:Linear", "hard=ownrows:hard", "broken=ownrows:broken", "nothing=ownrows:nothing")
    config = asked(rows=("perceptron",), columns=("clean", "attacked", "certified", "spikes"))
    job = done(AtlasRun(config, place / "out", own))
    entries = atlas_of(job, own).entries
    linear, hard = entries["linear", "attacked"], entries["hard", "attacked"]
    assert entries["linear", "clean"].value is not None
    assert entries["linear", "clean"].value > 0.9
    assert linear.verdict in ("TRUSTED (quick)", "NOT TRUSTED")
    assert (linear.value is None) == (linear.verdict == "NOT TRUSTED") == bool(linear.reason)
    assert (hard.value, hard.reason) == (None, "cannot be attacked: its scores have no gradient")
    assert entries["hard", "certified"].value is not None
    assert entries["broken", "clean"].reason == "not trained: no such network"
    assert "returned int; return a torch module" in entries["nothing", "clean"].reason
    assert entries["linear", "spikes"].reason.startswith("no spikes")
    assert entries["linear", "clean"].command == (
        "settle atlas --data blobs.npz --quick --seeds 1 --rows perceptron --columns clean --hidden 8 "
        "--row linear=ownrows:Linear --out DIR"
    )


def test_a_verdict_that_is_not_trusted_leaves_the_cell_empty(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attacks, "SUITE", "fgsm")
    monkeypatch.setattr(attacks, "judge", lambda table, suite: Verdict(False, ["masked"], []))
    dataset = load_dataset("blobs.npz")
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    cell = attacks.attacked(Subject(module=model), Training(dataset, 0, place, asked()), 100)
    assert (cell.value, cell.right, cell.reason, cell.n) == (None, "", "NOT TRUSTED: masked", 100)


def test_the_command_writes_all_files_and_a_cell_is_derived_by_what_is_printed_under_it(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "atlas --data blobs.npz --quick --hidden 8 --seeds 2 --rows ep,ep-noise --columns clean,spikes,energy"
    settle.command_line()([*words.split(), "--out", "out", "--workers", "1", "--json"], standalone_mode=False)
    content = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(content) == ATLAS_KEYS
    assert all(list(row) == ATLAS_ENTRY_KEYS for row in content["rows"])
    assert [row["mechanism"] for row in content["rows"][::3]] == ["perceptron", "ep", "ep-noise"]
    (cell,) = [row for row in content["rows"] if (row["mechanism"], row["measure"]) == ("ep", "clean")]
    again = shlex.split(cell["command"].replace("DIR", "again"))[1:]
    settle.command_line()([*again, "--workers", "1", "--json"], standalone_mode=False)
    derived = json.loads(capsys.readouterr().out.splitlines()[-1])["rows"]
    assert [row for row in derived if row["mechanism"] == "ep"] == [cell]
    assert (cell["n"], cell["seeds"], cell["kind"]) == (50, 2, "measured")
    kept = json.loads((place / "out" / "atlas.json").read_text())
    assert kept["rows"] == content["rows"]
    assert {"date", "machine", "command", "about", "titles"} <= set(kept)
    lines = list(csv.DictReader(io.StringIO((place / "out" / "atlas.csv").read_text())))
    assert [line["mechanism"] for line in lines] == [row["mechanism"] for row in content["rows"]]
    latex = (place / "out" / "atlas.tex").read_text()
    assert re.search(r"perceptron & .* & -- & -- \\\\", latex)
    page = Page(place / "out" / "atlas.html")
    assert "Mechanism against measure" in page.headings
    assert cell["command"] in page.text
    text = (place / "out" / "atlas.html").read_text()
    assert text.count("<script>") == 1
    assert "src=" not in text


def test_what_cannot_be_asked_for_is_named(place: Path) -> None:
    for wrong, message in (
        ({"rows": ("epp",)}, "row 'epp' is unknown; did you mean ep"), ({"columns": ("cleen",)}, "did you mean clean"),
        ({"rows": ("ep", "ep")}, "give one or more different names"), ({"seeds": 0}, r"seeds 0 outside 1\.\.100"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=message):
            AtlasRun(asked(**wrong), place / "out")
    for own, message in (
        ("ep=ownrows:Linear", "with a NAME that no row has"), ("x=ownrows", "NAME=module:object"),
        ("x=nowhere:Linear", "importable from here"), ("x=ownrows:gone", "importable from here"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=message):
            AtlasRun(asked(), place / "out", (own,))
    AtlasRun(asked(), place / "other")
    with pytest.raises(UserError, match="an atlas of another question"):
        AtlasRun(asked(hidden=16), place / "other")
    with pytest.raises(UserError, match=r"answers of .* are not there"):
        cell_of({"kind": "measured", "value": 0.5, "right": "ff", "shape": [100]}, "cell.json")
    with pytest.raises(UserError, match="delete it and give the command again"):
        cell_of({"value": 0.5}, "cell.json")


def test_few_images_are_so_many_of_every_class_and_the_others_keep_their_shares(blob_data: Dataset) -> None:
    training = Training(blob_data, 4, Path("x"), AtlasConfig())
    few = training.few(7).dataset
    assert np.bincount(few.y_train).tolist() == [7, 7, 7]
    assert few.source == ""
    assert not np.array_equal(few.x_train, replace(training, seed=5).few(7).dataset.x_train)
    assert at_most(blob_data, 1000, 0) is blob_data
    assert np.bincount(at_most(blob_data, 60, 0).y_train).tolist() == [20, 20, 20]


def test_gradients_are_looked_for() -> None:
    class Rounds(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.flatten(1).round()

    class Fails(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("never")

    images = torch.rand(2, 4, 4)
    assert not_attackable(nn.Flatten(), images) == ""
    assert "gradient of its scores is zero" in not_attackable(Rounds(), images)
    assert "RuntimeError: never" in not_attackable(Fails(), images)


def test_intervals_are_those_of_their_closed_forms() -> None:
    right = np.arange(100) < 80
    share = Share(right)
    assert (share.value, share.error) == (0.8, pytest.approx(0.04))
    assert interval_over([0.8], [0.04]) == pytest.approx((0.8 - 1.96 * 0.04, 0.8 + 1.96 * 0.04), abs=1e-4)
    low, high = interval_over([0.8, 0.9, 0.7], [0.0, 0.0, 0.0])
    assert (low, high) == pytest.approx((0.8 - 4.30265 * 0.1 / math.sqrt(3), 0.8 + 4.30265 * 0.1 / math.sqrt(3)))
    other = Share(np.arange(100) < 75)
    apart, ends = difference([share], [other])
    assert apart == pytest.approx(0.05)
    assert ends == pytest.approx(
        (0.05 - 1.96 * math.sqrt(0.05 * 0.95 / 100), 0.05 + 1.96 * math.sqrt(0.0475 / 100)), abs=1e-3
    )
    assert difference([share, share], [share, share])[1] == (0.0, 0.0)
    assert Exact(5.0).less(Exact(3.0)) == (2.0, 0.0)


def test_mce_is_the_mean_of_ratios_of_errors() -> None:
    order = np.arange(100)
    right = np.array([[order < 80, order < 60], [order < 90, order < 90], [order < 50, order < 50]])
    reference = np.array([[order < 90, order < 80], [order < 80, order < 80], [order < 100, order < 100]])
    assert corruption_error(right, reference).value == pytest.approx((0.6 / 0.3 + 0.2 / 0.4) / 2)
    same = corruption_error(reference, reference)
    assert (same.value, same.error) == (pytest.approx(1.0), pytest.approx(0.0))


def test_best_and_worst_are_marked_only_where_all_intervals_say_so() -> None:
    order = np.arange(400)

    def marks(*values: float) -> dict[str, str]:
        samples = {f"r{k}": [Share(order < 400 * value)] * 2 for k, value in enumerate(values)}
        entries = {
            (row, "clean"): Entry(row, "clean", "measured", 2, 400, found[0].value) for row, found in samples.items()
        }
        return {row: entry.mark for (row, _), entry in _marked("clean", entries, samples).items()}

    assert marks(0.9, 0.8, 0.7) == {"r0": "best", "r2": "worst"}
    assert marks(0.9, 0.9, 0.7) == {"r2": "worst"}
    assert marks(0.9, 0.7) == {}
    counts = {f"r{k}": [Exact(float(k))] for k in range(3)}
    entries = {(row, "spikes"): Entry(row, "spikes", "counted", 1, 5, found[0].value) for row, found in counts.items()}
    assert _marked("spikes", entries, counts) == {}
    more = {row: found * 2 for row, found in counts.items()}
    assert _marked("spikes", entries, more)["r0", "spikes"].mark == "best"


def test_answers_are_packed_and_cells_read_again() -> None:
    right = np.random.default_rng(0).random((3, 2, 7)) < 0.5
    assert np.array_equal(unpacked(packed(right), right.shape), right)
    cell = share_of(right[0, 0], "TRUSTED (quick)")
    assert cell_of(json.loads(cell.to_bytes()), "cell.json") == cell
    assert empty("two\nlines") == Cell("measured", reason="two lines")
    assert set(MECHANISMS) >= {"perceptron", "ep", "lca-ep", "lca-control", "ep-adversarial"}

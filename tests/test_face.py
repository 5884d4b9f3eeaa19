"""What `import settle` gives a notebook: the same results as the commands, objects that show themselves, one error."""

from __future__ import annotations

import doctest
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import settle
from neuro.base.shown import Shown
from neuro.data.sets import KEYS

QUICK = {"hidden": (8,), "epochs": 2, "seed": 3, "learning_rate": 1.4, "output_share": 0.125, "progress": False}
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def run(blobs) -> settle.Run:
    """A network trained on arrays, in memory."""
    return settle.train(blobs(), **QUICK)


def test_a_training_in_memory_equals_the_one_in_a_folder_and_the_command(run, blobs, tmp_path, capsys, monkeypatch):
    file = tmp_path / "data.npz"
    np.savez(file, **blobs())
    folder = settle.train(file, out=tmp_path / "run", **QUICK)
    words = ["settle", "train", "ep", "--data", str(file), "--out", str(tmp_path / "command"), "--hidden", "8"]
    words += ["--epochs", "2", "--seed", "3", "--learning-rate", "1.4", "--output-share", "0.125", "--json"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit, match="0"):
        settle.main()
    command = settle.load(tmp_path / "command")
    for other in (folder, command):
        for projection, own in zip(other.spec.projections, run.spec.projections, strict=True):
            assert np.array_equal(projection.weights, own.weights) or own.weights is None
    assert run.accuracy == folder.accuracy == command.accuracy
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["test_accuracy"] == run.accuracy.value
    assert run.folder is None
    assert folder.folder == tmp_path / "run"
    assert len(run.history) == 2


def test_a_run_in_memory_is_evaluated_and_checked(run):
    evaluation = run.evaluate(images=20, check="reference", progress=False)
    assert (evaluation.n, evaluation.differences.total, evaluation.run) == (20, 0, "in memory")
    assert run.evaluate(progress=False).accuracy == run.accuracy


def test_it_is_attacked_and_judged(run):
    result = run.attack("fgsm,pgd-10", eps=(0.1, 0.4), images=30, workers=1, progress=False)
    assert set(result.robust) == set(result.intervals) == {0.1, 0.4}
    assert 0 <= result.robust[0.4] <= result.robust[0.1] <= result.clean
    low, high = result.intervals[0.1]
    assert low <= result.robust[0.1] <= high
    assert str(result.verdict) in str(result)
    again = run.attack("fgsm,pgd-10", eps=(0.1, 0.4), images=30, workers=1, progress=False)
    assert again.robust == result.robust
    assert run.attack("fgsm", eps=0.4, images=30, workers=1, progress=False).robust.keys() == {0.4}


def test_it_is_placed_on_a_chip_exported_and_reported(run, finished_stock, tmp_path):
    deployment = run.compile()
    assert deployment.placement.n_chips == 1
    assert run.report(tmp_path / "page.html").read_text().startswith("<!doctype html>")
    with pytest.raises(settle.UserError, match="sigma-delta"):
        run.export("nir", tmp_path / "network.nir", progress=False)
    assert not (tmp_path / "network.nir").exists()


def test_what_has_no_folder_says_where_it_could_go(run):
    with pytest.raises(settle.UserError, match=r"nowhere to write report\.html; give a file, or save"):
        run.report()


def test_a_saved_run_opens_with_its_own_data_wherever_it_is_moved(blobs, tmp_path):
    run = settle.train(blobs(), **QUICK)
    assert run.save(tmp_path / "run") == run.folder
    (tmp_path / "run").rename(tmp_path / "moved")
    opened = settle.load(tmp_path / "moved")
    assert opened.accuracy == run.accuracy
    assert opened.evaluate(images=10, progress=False).accuracy == run.evaluate(images=10, progress=False).accuracy
    with pytest.raises(settle.UserError, match="already finished"):
        run.save(tmp_path / "moved")


def test_coders_are_trained_in_memory_and_stand_before_a_network(blobs):
    data = blobs(n=400)
    coder = settle.train_coder(data, atoms=6, epochs=1, progress=False)
    assert coder.is_coder
    assert coder.results.spikes_per_image > 0
    with pytest.raises(settle.UserError, match="no classes"):
        coder.accuracy  # noqa: B018
    behind = settle.train(data, front_end=coder, **{**QUICK, "seed": 0})
    assert {"code", "output"} <= set(behind.spec.population_index)


def test_a_stock_coder_in_memory_is_a_run_like_any(blobs):
    coder = settle.train_coder(blobs(n=400), atoms=6, epochs=1, family="stock", form="graded", progress=False)
    assert coder.spec.kind == "graded-coder"
    assert coder.evaluate(images=5, check="chip", progress=False).differences.total == 0
    assert coder.compile().stock
    with pytest.raises(settle.UserError, match="no classes"):
        coder.attack(images=5)


def test_options_are_those_of_the_configuration(blobs):
    data = tuple(blobs()[key] for key in KEYS)
    with pytest.raises(settle.UserError, match="option 'epoch' is unknown; did you mean epochs"):
        settle.train(data, epoch=3)
    with pytest.raises(settle.UserError, match="unknown; choose"):
        settle.train_coder(data, no_such_thing_at_all=3)
    assert settle.train(data, **{**QUICK, "hidden": 8}).spec.population("hidden1").size == 8


def test_objects_show_themselves_as_text_and_html(run):
    for shown in (run, run.results, run.evaluate(images=5, progress=False), run.compile()):
        assert isinstance(shown, Shown)
        lines = shown.lines()
        assert repr(shown) == str(shown)
        assert len(str(shown).splitlines()) == len(lines) >= 4
        page = shown._repr_html_()
        assert page.count("<tr>") == len(lines)


def test_html_of_names_is_escaped():
    class Odd(Shown):
        def lines(self):
            return [("<script>", "a & b")]

    assert "&lt;script&gt;" in Odd()._repr_html_()
    assert "a &amp; b" in Odd()._repr_html_()


def test_importing_settle_loads_nothing_heavy():
    code = (
        "import settle, sys; print([n for n in ('torch', 'numba', 'numpy', 'typer', 'rich', 'sklearn', 'matplotlib') "
        "if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_is_imported_late_is_there():
    assert {"plot", "EPClassifier", "SparseCoder"} <= set(dir(settle))
    assert callable(settle.plot.raster)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        settle.nothing  # noqa: B018


def test_the_examples_of_its_docstrings_hold():
    found = doctest.testmod(settle, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert found.attempted >= 6
    assert found.failed == 0

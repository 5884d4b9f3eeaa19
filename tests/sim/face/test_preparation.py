"""Data in units and with labels of one's own, from training to prediction."""

from __future__ import annotations

import json

import numpy as np
import pytest

import settle
from neuro.base.errors import UserError
from neuro.data.sets import OWN_DATA
from sim.reports.panels import class_names

QUICK = {"hidden": (16,), "epochs": 4, "learning_rate": 1.4, "output_share": 0.125, "progress": False}
GENERATOR = np.random.default_rng(7)
CENTRES = np.array([[1000.0, -3.0, 0.001, 5.0], [1600.0, 1.0, 0.001, 9.0], [1000.0, 1.0, 0.004, 1.0]])
NUMBERS = np.arange(180) % 3
TABLE = CENTRES[NUMBERS] + GENERATOR.normal(size=(180, 4)) * [60.0, 0.3, 0.0003, 0.4]
NAMES = np.array(["rye", "wheat", "barley"])[NUMBERS]


@pytest.fixture(scope="module")
def run():
    return settle.train((TABLE, NAMES), seed=1, **QUICK)


def test_a_table_in_units_of_its_own_is_learned_and_its_classes_called_by_name(run):
    assert run.accuracy.value > 0.9
    assert (run.predict(TABLE) == NAMES).mean() > 0.9
    assert run.preparation.classes.names == ("barley", "rye", "wheat")


def test_a_saved_run_prepares_later_data_in_the_same_way(run, tmp_path):
    settle.Run(run.artifact, dataset=run.dataset).save(tmp_path / "run")
    loaded = settle.load(tmp_path / "run")
    assert (tmp_path / "run" / OWN_DATA).is_file()
    assert loaded.dataset.sha256() == run.dataset.sha256()
    assert loaded.predict(TABLE).tolist() == run.predict(TABLE).tolist()
    fresh = CENTRES.repeat(8, 0), np.array(["rye", "wheat", "barley"]).repeat(8)
    arrays = {"x_train": TABLE, "y_train": NAMES, "x_test": fresh[0], "y_test": fresh[1]}
    assert loaded.evaluate(data=arrays, progress=False).accuracy.value == 1.0
    with pytest.raises(UserError, match="y_test holds label 'oats'"):
        loaded.evaluate(data={**arrays, "y_test": np.full(24, "oats")}, progress=False)


def test_the_manifest_of_a_file_says_what_was_done_and_finds_it_again(tmp_path):
    path = tmp_path / "mine.npz"
    np.savez(path, x_train=TABLE[:150], y_train=NAMES[:150], x_test=TABLE[150:], y_test=NAMES[150:])
    run = settle.train(path, out=tmp_path / "run", rescale="standard", **QUICK)
    stated = json.loads((tmp_path / "run" / "manifest.json").read_text())["data"]["preparation"]
    assert stated["classes"] == ["barley", "rye", "wheat"]
    assert np.allclose(stated["rescaling"]["low"], TABLE[:150].mean(0) - 3 * TABLE[:150].std(0))
    assert settle.load(tmp_path / "run").evaluate(progress=False).accuracy.value == run.accuracy.value
    with pytest.raises(UserError, match=r"rescale 'min' is unknown; did you mean minmax\?"):
        settle.train(path, rescale="min", **QUICK)


def test_plain_data_are_said_nothing_of(blob_data, capsys):
    run = settle.train(blob_data, **{**QUICK, "progress": True})
    assert "preparation" not in run.manifest["data"]
    assert run.predict(blob_data.x_test[:5]).dtype.kind == "i"
    assert "data:" not in capsys.readouterr().err


def test_what_was_done_is_said_once_on_stderr(capsys):
    settle.train((TABLE, NAMES), **{**QUICK, "progress": True})
    told = capsys.readouterr()
    lines = [line for line in told.err.splitlines() if line.startswith("data:")]
    assert len(lines) == len(set(lines)) >= 3
    assert "data: labels text 'barley', 'rye', 'wheat' mapped to 0..2" in lines
    assert told.out == ""


def test_predictions_take_what_fits_alone(run):
    with pytest.raises(UserError, match=r"images: images of shape \(5,\), needed \(4,\)"):
        run.predict(np.zeros((2, 5)))


@pytest.fixture
def file(tmp_path):
    np.savez(tmp_path / "mine.npz", X=TABLE, y=NAMES)
    return tmp_path / "mine.npz"


@pytest.mark.parametrize("kind", ["ep", "lca", pytest.param("slayer", marks=pytest.mark.lava)])
def test_every_training_takes_the_options(command, file, kind):
    command("train", kind, "--data", file, "--rescale", "none").refused("data mine: x_train spans", "--rescale minmax")
    command("train", kind, "--data", file, "--channels", "first").refused("have no channels that come first")
    command("train", kind, "--data", file, "--rescale", "maximum").refused("rescale 'maximum' is unknown", "minmax")


def test_the_command_says_what_it_did_and_the_manifest_too(command, file, tmp_path):
    words = ["train", "ep", "--data", file, "--hidden", 8, "--epochs", 2, "--learning-rate", 1, "--output-share", 0.2]
    answer = command(*words, "--out", tmp_path / "run", "--json")
    assert answer.code == 0
    assert "data: labels text 'barley', 'rye', 'wheat' mapped to 0..2" in answer.err
    assert "data: no test part; 20% of every class drawn by seed 0: 36 images" in answer.err
    assert settle.load(tmp_path / "run").preparation.test_share == 0.2
    assert settle.load(tmp_path / "run").manifest["config"]["code_bits"] == 7


def test_pages_call_classes_by_name(run, tmp_path):
    assert class_names(run, 3) == ["barley", "rye", "wheat"]
    page = run.report(tmp_path / "page.html").read_text()
    assert any(f"true class {name}" in page for name in ("barley", "rye", "wheat"))

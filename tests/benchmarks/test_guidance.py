"""The benchmark of recordings as teachers: it runs, goes on where it stopped, and compares seed by seed."""

import json

import pytest
from scipy import stats

from benchmarks import guidance


def left(artifact, dataset):
    return {"clean": 1.0, "robust": {"0.1": 0.5}, "verdict": "TRUSTED"}


def test_rows_are_made_once_and_paired_with_no_guide(tmp_path, monkeypatch):
    for name, value in {"EPOCHS": 1, "TEACHER_EPOCHS": 1, "attacked": left}.items():
        monkeypatch.setattr(guidance, name, value)
    monkeypatch.setattr(guidance, "ROWS", {name: guidance.ROWS[name] for name in ("none", "cka")})
    path = tmp_path / "g.json"
    monkeypatch.setattr("sys.argv", ["benchmark", "--out", str(path), "--seeds", "2", "--hidden", "16"])
    guidance.main()
    first = json.loads(path.read_text())
    assert {name: set(rows) for name, rows in first["rows"].items()} == {"none": {"0", "1"}, "cka": {"0", "1"}}
    for row in first["rows"]["cka"].values():
        assert 0 < row["cka"] < 1
        assert set(row["robust"]) == {"0.1"}
    assert first["paired"]["cka"]["cka"]["seeds"] == 2
    monkeypatch.setattr(guidance, "row_of", None)  # nothing is left to do
    guidance.main()
    assert json.loads(path.read_text())["rows"] == first["rows"]


def test_pairs_are_of_the_same_seed_with_an_interval_of_student():
    def row(cka, robust):
        return {"test": {"n_correct": 9, "n": 10}, "cka": cka, "robust": {"0.1": robust}}

    rows = {
        "none": {"0": row(0.5, 0.3), "1": row(0.6, 0.4), "2": row(0.7, 0.5)},
        "cka": {"1": row(0.7, 0.5), "2": row(0.9, 0.4)},
    }
    found = guidance.paired(rows)["cka"]
    reach = stats.t.ppf(0.975, 1) * 0.05
    assert found["cka"]["mean"] == pytest.approx(0.15)
    assert (found["cka"]["low"], found["cka"]["high"]) == pytest.approx((0.15 - reach, 0.15 + reach))
    assert found["robust 0.1"]["mean"] == pytest.approx(0)
    assert found["accuracy"] == {"mean": 0, "low": 0, "high": 0, "seeds": 2}

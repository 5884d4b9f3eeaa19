"""The model of Loihi 2 against published tables: the benchmark runs and says which figures are whose."""

import json

import pytest

from benchmarks import loihi_model


def test_published_tables_bars_and_bands(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["benchmark", "--out", str(tmp_path / "m.json"), "--seeds", "1", "--epochs", "1"])
    monkeypatch.setattr(loihi_model, "IMAGES", 10)
    config = loihi_model.TrainConfig
    rates = {"sigma-delta": {"learning_rate": 1.4, "output_share": 0.125}, "stock": {"learning_rate": 0.0015}}
    monkeypatch.setattr(loihi_model, "TrainConfig", lambda **given: config(**given, **rates[given["family"]]))
    loihi_model.main()
    content = json.loads((tmp_path / "m.json").read_text())
    dense = [row for row in content["resources"] if row["layer"].startswith("dense")]
    assert [row["error"] for row in dense[:4]] == [0.0] * 4
    assert abs(dense[4]["error"]) < 0.05
    assert all(0 <= row["error"] < 0.7 for row in content["resources"] if row["layer"].startswith("kernel"))
    assert {row["measured"]["kind"] for row in content["published"]} == {"reported"}
    totals = [row for row in content["published"] if row["reading"] == "total energy"]
    assert len(totals) == 3
    assert sum(row["inside"] for row in totals) >= 2
    assert any(row["held_out"] for row in content["published"])
    assert all(row["compile_s"] < 10 and row["ratio"] >= 1 for row in content["compile"])
    assert [row["family"] for row in content["digits"]] == ["sigma-delta", "stock"]
    for row in content["digits"]:
        assert row["inference"]["energy"]["kind"] == "modelled"
        assert row["learning"]["energy"]["high"] > row["inference"]["energy"]["high"]
        assert row["inference"]["energy"]["high"] <= 20 * row["inference"]["energy"]["low"]


@pytest.mark.parametrize("row", loihi_model.resource_rows(), ids=lambda row: row["layer"])
def test_no_table_is_undercut_by_more_than_a_twentieth(row):
    assert row["error"] > -0.05

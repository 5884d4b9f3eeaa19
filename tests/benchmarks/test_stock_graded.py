import json

from benchmarks import stock_graded


def test_a_graded_network_is_converted_and_learns(tmp_path, monkeypatch):
    path = tmp_path / "s.json"
    options = ["--data", "digits", "--seeds", "1", "--epochs", "3", "--lava", "0", "--out", str(path)]
    monkeypatch.setattr("sys.argv", ["benchmark", *options])
    stock_graded.main()
    (row,) = json.loads(path.read_text())["digits"]["rows"]
    assert row["graded"] > 0.9
    assert row["learned_on_chip"] > 0.9
    assert row["agreement"] > 0.98
    assert min(row["cosine"].values()) > 0.9

import json

from benchmarks import stock_lca


def test_coders_come_close_to_lasso(tmp_path, monkeypatch):
    path = tmp_path / "s.json"
    options = ["--data", "digits", "--seeds", "1", "--patches", "400", "--steps", "64,256", "--out", str(path)]
    monkeypatch.setattr("sys.argv", ["benchmark", *options])
    stock_lca.main()
    coders = json.loads(path.read_text())["digits"]["coders"]
    rows = {name: {row["steps"]: row for row in of} for name, of in coders.items()}
    spiking, graded = rows["spiking A4 tau8 (default)"], rows["graded, momentum 7/8 (default)"]
    assert 0 < spiking[256]["gap_mean"] <= 0.015 < spiking[64]["gap_mean"]
    assert 0 < graded[256]["gap_mean"] <= 0.005
    assert spiking[256]["messages"] < 80 < graded[256]["messages"]
    assert rows["graded ISTA"][256]["gap_mean"] > graded[64]["gap_mean"]
    assert 0.5 < spiking[256]["overlap"] < graded[256]["overlap"] <= 1

"""Figures are derived in order, resumably, and compared with the committed ones."""

import json
import sys

import pytest

from benchmarks.figures import derive
from benchmarks.figures.derive import Derivation, chosen, main, run, words_of
from benchmarks.figures.recipes import Recipe
from neuro.base.errors import UserError

WRITE = "python -c \"import json, sys; json.dump(dict(value={value}, x_s=2.0), open(sys.argv[1], 'w'))\" {{out}}"


@pytest.fixture
def committed(tmp_path, monkeypatch):
    """A folder of committed results with one file; derive.RESULTS is it."""
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "thing.json").write_text(json.dumps({"value": 1, "x_s": 1.0}))
    monkeypatch.setattr(derive, "RESULTS", folder)
    return folder


def thing(*values, short=()):
    return Recipe("thing", 3, tuple(WRITE.format(value=value) for value in values), short)


def test_an_equal_figure_does_not_differ(committed, tmp_path, capfd):
    assert run(Derivation(tmp_path / "out"), [thing(1)]) == 0
    assert "1 figures, 0 differ; 1 timings, median ratio 2.00" in capfd.readouterr().out


def test_a_figure_that_differs_is_printed(committed, tmp_path, capfd):
    assert run(Derivation(tmp_path / "out"), [thing(2)]) == 1
    assert "value: 1 -> 2 (1e+02 %)" in capfd.readouterr().out


def test_what_was_done_is_not_done_again(committed, tmp_path, monkeypatch, capfd):
    first = Derivation(tmp_path / "out")
    assert first.minutes(thing(1)) == 3
    run(first, [thing(1)])
    again = Derivation(tmp_path / "out")
    assert again.is_done(thing(1))
    assert again.minutes(thing(1)) == 0
    monkeypatch.setattr(derive.subprocess, "run", lambda *words, **options: pytest.fail("ran again"))
    assert run(again, [thing(1)]) == 0


def test_a_command_that_fails_is_named_and_can_be_given_again(committed, tmp_path):
    broken = Recipe("thing", 1, (*thing(1).commands, 'python -c "raise SystemExit(3)" {out}'))
    with pytest.raises(UserError, match="exit code 3 of: python -c"):
        run(Derivation(tmp_path / "out"), [broken])
    again = Derivation(tmp_path / "out")
    assert not again.is_done(broken)
    assert again.minutes(broken) == 0.5


def test_the_check_compares_what_the_short_form_holds(committed, tmp_path):
    recipe = thing(7, short=thing(1).commands)
    assert run(Derivation(tmp_path / "out", check=True), [recipe]) == 0
    assert run(Derivation(tmp_path / "out"), [recipe]) == 1


def test_a_training_goes_on_where_it_was_interrupted():
    assert words_of("settle train ep --out x") == [
        sys.executable,
        "-m",
        "settle",
        "train",
        "ep",
        "--out",
        "x",
        "--resume",
    ]
    assert words_of("settle bench x") == [sys.executable, "-m", "settle", "bench", "x"]
    assert words_of("python -m benchmarks.slayer") == [sys.executable, "-m", "benchmarks.slayer"]


def test_an_unknown_file_is_refused():
    with pytest.raises(UserError, match="no file nothing; there are"):
        chosen("nothing", check=False)
    assert [recipe.name for recipe in chosen("slayer, scaling", check=False)] == ["slayer", "scaling"]
    assert 0 < len(chosen("", check=True)) < len(chosen("", check=False))


def test_a_list_says_what_is_left(committed, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["figures", "--list", "--folder", str(tmp_path), "--only", "slayer"])
    main()
    assert capsys.readouterr().out.split()[:3] == ["slayer", "about", "40"]


def test_what_was_derived_is_adopted(committed, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(derive, "RECIPES", (thing(5),))
    run(Derivation(tmp_path / "out"), [thing(5)])
    monkeypatch.setattr("sys.argv", ["figures", "--adopt", "--folder", str(tmp_path / "out")])
    main()
    assert json.loads((committed / "thing.json").read_text())["value"] == 5

"""Figures are derived in order, resumably, and compared with the committed ones."""

import json
import sys

import pytest

from benchmarks.figures import derive
from benchmarks.figures.derive import Derivation, chosen, code_name, main, run, words_of
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


@pytest.mark.parametrize("there", [True, False])
def test_what_needs_a_card_is_derived_by_default_where_there_is_one(there: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(derive, "has_card", lambda: there)
    assert ("gpu" in [recipe.name for recipe in chosen("", check=False)]) == there
    assert [recipe.name for recipe in chosen("gpu", check=False)] == ["gpu"]


def test_a_file_without_a_short_form_cannot_be_checked():
    with pytest.raises(UserError, match=r"nothing to compare: scaling has no short form; .*accuracy-digits"):
        chosen("scaling", check=True)


def test_a_check_that_shares_no_figure_is_refused(committed, tmp_path):
    (committed / "thing.json").write_text(json.dumps({"other": 1}))
    with pytest.raises(UserError, match=r"nothing to compare: .*thing\.json shares no figure"):
        run(Derivation(tmp_path / "out", check=True), [thing(7, short=thing(1).commands)])


@pytest.mark.parametrize("words", [["--only", "nothing"], ["--check", "--only", "scaling"], ["--what"]])
def test_a_mistake_ends_with_2(words, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("sys.argv", ["figures", "--folder", str(tmp_path), *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("figures: ") == 1


def test_what_other_code_derived_is_not_trusted(committed, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(derive, "RECIPES", (thing(5),))
    monkeypatch.setattr(derive, "ROOT", tmp_path)
    (tmp_path / "neuro").mkdir()
    states = []
    for text in ("x = 1", "x = 2"):
        (tmp_path / "neuro" / "x.py").write_text(text)
        for words in ([], ["--list"]):
            monkeypatch.setattr("sys.argv", ["figures", "--folder", str(tmp_path / "out"), *words])
            if words:
                main()
                continue
            with pytest.raises(SystemExit):
                main()
        states.append(capfd.readouterr().out.count("$ python"))
    assert states == [1, 1]


def test_a_list_says_what_is_left(committed, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["figures", "--list", "--folder", str(tmp_path), "--only", "slayer"])
    main()
    assert capsys.readouterr().out.split()[:3] == ["slayer", "about", "40"]


def test_what_was_derived_is_adopted(committed, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(derive, "RECIPES", (thing(5),))
    run(Derivation(tmp_path / "out" / code_name()), [thing(5)])
    monkeypatch.setattr("sys.argv", ["figures", "--adopt", "--folder", str(tmp_path / "out")])
    main()
    assert json.loads((committed / "thing.json").read_text())["value"] == 5

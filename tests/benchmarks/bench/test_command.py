"""`settle bench` as it is seen: the table, the page, the command and its mistakes."""

import io
import json
import sys

import pytest
from rich.console import Console
from shared_pages import Page

from benchmarks.bench.page import write_bench_page
from benchmarks.bench.rows import INFERENCE
from benchmarks.bench.screen import bench_tables

KINDS = {"measured", "counted", "modelled", "not measurable"}
TYPES = {"measured": float, "modelled": list, "not measurable": type(None)}
pytestmark = pytest.mark.usefixtures("hurry")


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits_the_terminal(bench, width):
    console = Console(width=width, file=io.StringIO(), highlight=False)
    console.print(bench_tables(bench))
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "…" not in text
    for word in ("accuracy", "latency", "p99", "images/s", "energy", "measured", "modelled", "note 1: not measurable"):
        assert word in text


def test_the_page_holds_every_kind_and_nothing_from_elsewhere(bench, tmp_path):
    page = Page(write_bench_page(bench, tmp_path / "bench.html"))
    assert page.tags.count("svg") == 8
    assert {"script", "link", "iframe"}.isdisjoint(page.tags)
    assert all(reference.startswith(("#", "data:")) for reference in page.references)
    for word in ("Cores by load", "Spikes per step", "measured", "modelled", "not measurable", "config_sha256"):
        assert word in page.text
    for row in bench.rows:
        assert row.name in page.text


def test_the_command_answers_in_json_and_leaves_two_files(finished, command, tmp_path):
    out = tmp_path / "found" / "b.json"
    words = ("--seconds", 0.02, "--no-train", "--images", 30, "--slayer", "none", "--threads", 1)
    answer = command("bench", finished, *words, "--out", out, "--json")
    assert answer.code == 0
    for row in answer.json["rows"]:
        assert row["kind"] in KINDS
        assert {"device", "work", "batch", "latency_s", "energy_j"} <= set(row)
        assert row["work"] == INFERENCE
        assert isinstance(row["latency_s"], TYPES[row["kind"]])
    assert sorted(path.name for path in out.parent.iterdir()) == ["b.html", "b.json"]
    assert json.loads(out.read_text())["config"]["images"] == 30


@pytest.mark.parametrize("when", ["write_bench_page", "bench_run"])
def test_an_interruption_leaves_nothing(finished, command, tmp_path, monkeypatch, when):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    place = "benchmarks.bench.page" if when == "write_bench_page" else "benchmarks.bench.run"
    monkeypatch.setattr(sys.modules[place], when, interrupt)
    words = ("--seconds", 0.02, "--no-train", "--images", 9, "--devices", "cpu", "--slayer", "none", "--threads", 1)
    answer = command("bench", finished, *words, "--out", tmp_path / "o" / "b.json")
    assert answer.code == 130
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--devices", "tpu"), ("tpu", "cpu, cuda, loihi2")),
        (("--devices", ","), ("cpu, cuda, loihi2",)),
        (("--seconds", "0"), ("seconds 0", "0.01..3600")),
        (("--images", "0"), ("images 0", "1..90")),
        (("--images", "91"), ("images 91", "1..90")),
        (("--constants", "loihi9"), ("loihi9", "choose one of loihi2")),
        (("--threads", "0"), ("threads 0",)),
        (("--thresholds", "0.1"), ("no sparse coder",)),
        (("--out", "b.html"), (".json",)),
        (("--slayer", "nowhere"), ("nowhere", "no manifest.json")),
    ],
)
def test_mistakes_are_told_in_one_line(finished, command, words, said, monkeypatch):
    monkeypatch.setattr("benchmarks.bench.screen.BenchScreen.__enter__", lambda self: self)
    command("bench", finished, *words).refused(*said)


def test_a_run_that_is_none_is_refused(command, tmp_path):
    command("bench", tmp_path).refused("no manifest.json")

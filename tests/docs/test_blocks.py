"""Every command and every block of Python in README and the guides runs, short where it would take minutes."""

from __future__ import annotations

import contextlib
import re
import sys
import types
from pathlib import Path

import matplotlib.pyplot
import numpy as np
import pytest
from shared_pages_of_docs import ROOT, blocks, exempt, short, short_python

from sim.robustness.attacks.suites import ATTACKS
from sim.robustness.defences import same_shape

PAGES = [ROOT / "README.md", ROOT / "docs" / "start.md", *sorted((ROOT / "docs" / "guides").glob("*.md"))]
CONTRIBUTORS = sorted((ROOT / "docs" / "contributors").glob("*.md"))
RUN = ("sh", "python")
WRITTEN = {"toml": "ours.toml", "csv": "rows.csv"}  # what commands of the same page read


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture
def known_attacks(monkeypatch):
    """The attacks of this process, which a page may add to, are those of before afterwards."""
    before = dict(ATTACKS)
    yield
    ATTACKS.clear()
    ATTACKS.update(before)


@pytest.fixture
def page_module(monkeypatch):
    """A module in which the blocks of a page run one after the other."""
    module = types.ModuleType("page_of_docs")
    monkeypatch.setitem(sys.modules, "page_of_docs", module)
    monkeypatch.setattr(same_shape, "RATES", same_shape.RATES_IF_LARGE)  # a perceptron to compare with, in a moment
    yield module
    matplotlib.pyplot.close("all")


def run_blocks(page, command, module, blobs):
    """Run the blocks of a page in order; the commands that ran, in their short forms."""
    np.savez("small.npz", **blobs((8, 8), 4, 120, 30))
    done = []
    for block in blocks(page):
        if block.language in WRITTEN:
            Path(WRITTEN[block.language]).write_text(block.text)
        if block.language == "python":
            with contextlib.redirect_stdout(sys.stderr):
                exec(compile(short_python(block.text), name_of(page), "exec"), module.__dict__)
        if block.language == "sh":
            for line in block.commands():
                if exempt(line):
                    continue
                assert line.startswith("settle "), f"{name_of(page)}: no test runs: {line}"
                answer = command(*short(line))
                assert answer.code == 0, f"{name_of(page)}: {line}\n{short(line)}\n{answer.err[-2000:]}"
                done.append(line)
    return done


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_a_guide_says_runs(page, command, page_module, blobs, known_attacks):
    done = run_blocks(page, command, page_module, blobs)
    shown = re.findall(r"^settle .*$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(done) == sum(not exempt(line) for line in shown)


@pytest.mark.parametrize("page", [p for p in CONTRIBUTORS if "```python" in p.read_text(encoding="utf-8")], ids=name_of)
def test_what_a_contributor_is_shown_runs(page, command, page_module, blobs, known_attacks):
    assert run_blocks(page, command, page_module, blobs) == []


def test_every_block_is_of_a_language_that_is_run_or_shown():
    for page in [*PAGES, *CONTRIBUTORS]:
        found = blocks(page)
        assert {block.language for block in found} <= {*RUN, *WRITTEN, "text", "json"}, name_of(page)
        assert page.read_text(encoding="utf-8").count("```") == 2 * len(found), f"{name_of(page)}: a block is not seen"


def test_every_exempted_command_names_a_test_or_what_it_needs():
    shown = [block for page in PAGES for block in blocks(page) if block.language == "sh"]
    for line in (line for block in shown for line in block.commands()):
        if reason := exempt(line):
            for path in re.findall(r"tests/\S+?(?=[,;]|$)", reason):
                assert (ROOT / path).exists(), path


def test_short_forms_keep_what_is_asked_for():
    words = short("settle train ep --data mnist --hidden 256 --epochs 12 --out runs/mnist")
    assert words[:2] == ["train", "ep"]
    assert words[words.index("--out") + 1] == "runs/mnist"
    assert words.count("--epochs") == 1
    assert words[words.index("--epochs") + 1] == "1"
    assert "--no-refit" in words

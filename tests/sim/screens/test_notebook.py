"""Bars in a notebook: what Jupyter would be handed, with a stand-in for IPython's display."""

from __future__ import annotations

import sys
import types

import pytest

from sim.screens import notebook
from sim.screens.notebook import NotebookProgress, in_notebook
from sim.screens.training import bar, shown


@pytest.fixture
def shown_html(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the kernel displays, in order."""
    pages: list[str] = []
    handle = types.SimpleNamespace(update=lambda page: pages.append(page))

    def display(page: str, display_id: bool) -> object:
        assert display_id
        pages.append(page)
        return handle

    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    inner = types.ModuleType("IPython.display")
    inner.HTML, inner.display = str, display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", inner)
    return pages


def test_a_terminal_is_no_notebook():
    assert not in_notebook()
    assert not isinstance(bar(), NotebookProgress)


def test_bars_are_updated_in_place_and_their_last_state_stays(shown_html, monkeypatch):
    monkeypatch.setattr(notebook, "EVERY_S", 0.0)
    assert in_notebook()
    progress = bar()
    assert isinstance(progress, NotebookProgress)
    progress.start()
    task = progress.add_task("training <b>", total=10, note="")
    progress.update(task, completed=4, note="validation .9 & more")
    assert '<progress max="10" value="4"></progress> 40 % validation .9 &amp; more' in shown_html[-1]
    assert "training &lt;b&gt;" in shown_html[-1]
    progress.update(task, completed=10)
    progress.stop()
    assert 'value="10"' in shown_html[-1]
    assert "100 %" in shown_html[-1]


def test_changes_in_quick_succession_are_shown_once(shown_html, monkeypatch):
    monkeypatch.setattr(notebook, "EVERY_S", 1e9)
    progress = NotebookProgress()
    progress._shown_at = notebook.time.monotonic()
    progress.start()
    task = progress.add_task("work", total=100, note="")
    for done in range(100):
        progress.update(task, completed=done)
    assert len(shown_html) == 1
    progress.stop()
    assert 'value="99"' in shown_html[-1]


def test_nothing_is_shown_where_nothing_is_wanted(shown_html, capsys):
    with shown(False):
        progress = bar()
        with progress:
            progress.update(progress.add_task("work", total=1, note=""), completed=1)
    assert shown_html == []
    assert capsys.readouterr().err == ""
    assert isinstance(bar(), NotebookProgress)

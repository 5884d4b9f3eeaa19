"""The notebooks run from the first cell to the last, and hold what they showed; with nbclient in Jupyter, too."""

from __future__ import annotations

import ast
import importlib.util
import json
import sys
import types
from pathlib import Path
from typing import Any

import matplotlib.pyplot
import pytest
from shared_pages_of_docs import ROOT

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
RUN = [
    pytest.param(path, marks=[pytest.mark.slow] if path.stem == "attack" else [], id=path.stem) for path in NOTEBOOKS
]


def cells(path: Path) -> list[dict[str, Any]]:
    """The cells of code."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return [cell for cell in content["cells"] if cell["cell_type"] == "code"]


def show(code: str, module: types.ModuleType) -> None:
    """Run a cell; its last expression is shown as Jupyter would."""
    body = ast.parse(code).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "cell", "exec"), module.__dict__)
    if last is not None:
        value = eval(compile(ast.Expression(last.value), "cell", "eval"), module.__dict__)
        shown = getattr(value, "_repr_html_", lambda: repr(value))()
        assert shown
        assert " object at 0x" not in shown, f"nobody can read {shown}"


@pytest.mark.parametrize("path", RUN)
def test_a_notebook_runs(path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    module = types.ModuleType("notebook_of_docs")
    monkeypatch.setitem(sys.modules, "notebook_of_docs", module)
    for cell in cells(path):
        show("".join(cell["source"]), module)
    matplotlib.pyplot.close("all")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_holds_what_it_showed_and_no_error(path):
    shown = [output for cell in cells(path) for output in cell["outputs"]]
    assert any("image/png" in output.get("data", {}) for output in shown)
    assert all(output["output_type"] != "error" for output in shown)
    assert "/tmp/" not in path.read_text(encoding="utf-8").replace("/tmp/settle-run-...", "")  # a name of one day
    assert path.stat().st_size < 400_000


@pytest.mark.skipif(importlib.util.find_spec("nbclient") is None, reason="nbclient is not installed (extra notebooks)")
@pytest.mark.parametrize("path", RUN)
def test_a_notebook_runs_in_jupyter(path, tmp_path):
    import nbclient
    import nbformat

    notebook = nbformat.read(path, 4)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()

"""Habits of the code, read from it: nothing unpickled, short files, kinds that are no special cases, placed legends."""

from __future__ import annotations

import ast

import pytest
from shared_code import ROOT, SOURCES, name_of, tree

MAX_LINES = 300


def unsafe_loading(module: ast.Module) -> list[int]:
    """Lines that could run code from a data file: torch.load of more than weights, allow_pickle other than False."""
    lines = []
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            owner = getattr(getattr(node.func, "value", None), "id", "")
            pickled = [k for k in node.keywords if k.arg == "allow_pickle" and getattr(k.value, "value", True)]
            weights = any(k.arg == "weights_only" and getattr(k.value, "value", False) is True for k in node.keywords)
            loads = (owner, name_of(node.func)) in (("torch", "load"), ("torch", "save")) and not weights
            if loads or pickled:
                lines.append(node.lineno)
    return lines


def test_no_file_is_ever_unpickled():
    assert [source for source in SOURCES if unsafe_loading(tree(source))] == []


def test_files_are_short():
    lengths = {source: len((ROOT / source).read_text(encoding="utf-8").splitlines()) for source in SOURCES}
    assert {source: length for source, length in lengths.items() if length > MAX_LINES} == {}


def test_every_module_of_neuro_says_what_it_is_for():
    assert [s for s in SOURCES if s.startswith("neuro/") and not ast.get_docstring(tree(s))] == []


@pytest.mark.parametrize(
    ("code", "unsafe"),
    [
        ("torch.load(path)", True),
        ("torch.load(path, weights_only=flag)", True),
        ("torch.load(path, weights_only=True)", False),
        ("np.load(path, allow_pickle=True)", True),
        ("np.load(path, allow_pickle=flag)", True),
        ("np.load(path, allow_pickle=False)", False),
        ("json.load(file)", False),
    ],
)
def test_unsafe_loading_is_recognised(code, unsafe):
    assert bool(unsafe_loading(ast.parse(code))) == unsafe


def derived_from(root: str) -> set[str]:
    """Names of a class of ours and of all that derive from it."""
    classes = [node for source in SOURCES for node in ast.walk(tree(source)) if isinstance(node, ast.ClassDef)]
    names, before = {root}, 0
    while len(names) > before:
        before = len(names)
        names |= {c.name for c in classes if names & {name_of(base) for base in c.bases}}
    return names


NETWORKS = derived_from("Network")
MOST_INSTANCE_CHECKS = 8


def network_checks(module: ast.Module) -> list[int]:
    """Lines that ask of which class a network is: isinstance or issubclass, whose second argument names one."""
    return [
        node.lineno
        for node in ast.walk(module)
        if isinstance(node, ast.Call) and name_of(node.func) in ("isinstance", "issubclass") and len(node.args) == 2
        and NETWORKS & {name_of(part) for part in ast.walk(node.args[1]) if isinstance(part, (ast.Name, ast.Attribute))}
    ]  # fmt: skip


def test_what_differs_by_kind_is_a_method_or_stands_in_a_table():
    found = [f"{source}:{line}" for source in SOURCES for line in network_checks(tree(source))]
    assert len(found) <= MOST_INSTANCE_CHECKS, found


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("isinstance(x, NetworkSpec)", [1]),
        ("y = 1\nisinstance(x, (int, stock.GradedNetwork))", [2]),
        ("isinstance(x, NetworkSpec | StockNetwork)", [1]),
        ("isinstance(x, SigmaDelta)\nnetwork(NetworkSpec)", []),
    ],
)
def test_instance_checks_are_found(code, lines):
    assert network_checks(ast.parse(code)) == lines


def test_network_classes_are_found():
    assert {"Network", "NetworkSpec", "StockNetwork", "FeedForwardNetwork", "GradedNetwork"} <= NETWORKS
    assert "SigmaDelta" not in NETWORKS


def test_every_legend_says_where_it_stands():
    """matplotlib warns of a place it chose by itself wherever that takes a second: on a loaded machine, anywhere."""
    unplaced = [
        f"{source}:{node.lineno}"
        for source in SOURCES
        for node in ast.walk(tree(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "legend"
        and "loc" not in {keyword.arg for keyword in node.keywords}
    ]
    assert not unplaced

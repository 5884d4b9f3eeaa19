"""Who may import whom, read from the imports themselves; what the command line loads at start."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator

import pytest
from shared_code import FOLDERS, ROOT, SOURCES, name_of, tree

LAYERS = (*FOLDERS, "settle", "tests")  # each may import those before it only

HOMES = {
    "lava": ("sim/backends/lava/", "hardware/"),
    "numba": ("sim/backends/",),
    "triton": ("sim/backends/batched/fused/",),
    "snntorch": (
        "sim/twins/",
        "sim/backends/snn/",
        "sim/robustness/defences/perceptron.py",
        "benchmarks/tools/nir_readers_worker.py",
        "benchmarks/tools/stranger.py",
    ),
    "foolbox": ("sim/robustness/attacks/",),
    "pyautoattack": ("sim/robustness/attacks/",),
    "submitit": ("sim/training/parallel/cluster.py",),
    "nir": (
        "neuro/artifact/nir_",
        "sim/backends/snn/nir_reader.py",
        "benchmarks/tools/nir_readers_worker.py",
        "benchmarks/tools/stranger.py",
    ),
    "norse": ("benchmarks/tools/nir_readers_worker.py",),  # a program of its own, in an environment of its own
    "rockpool": ("benchmarks/tools/nir_readers_worker.py",),
    "sinabs": ("benchmarks/tools/nir_readers_worker.py",),
    "nirtorch": ("sim/backends/snn/nir_reader.py",),
    "h5py": (
        "neuro/base/hdf5.py",
        "neuro/data/readers/hdf5.py",
        "hardware/export/",
        "benchmarks/tools/hdf5_mutations.py",
    ),
    "msgspec": ("neuro/base/schema.py",),
    "zeus": ("benchmarks/bench/counters.py",),
    "sanafe": ("benchmarks/tools/sanafe_worker.py",),  # a program of its own: GPL-3
    "pynvml": ("benchmarks/bench/counters.py",),
    "torchvision": ("neuro/data/download.py", "neuro/data/readers/torchvision_sets.py"),
    "pyarrow": ("neuro/data/readers/parquet.py",),
    "tonic": ("neuro/data/readers/tonic_sets.py",),
    "datasets": (),
    "pandas": (),
    "polars": (),
    "pickle": (),
    "cloudpickle": (),
    "dill": (),
    "joblib": (),
    "tests": (),
}
HEAVY = ("torch", "numba", "triton", "matplotlib", "lava", "snntorch", "sklearn", "torchvision", "PIL", "jinja2", "nir",
         "h5py", "msgspec")  # fmt: skip


def imports(source: str, module: ast.Module) -> Iterator[str]:
    """Full names of what a module imports, at any depth; also by importlib.import_module("...")."""
    package = source.removesuffix(".py").split("/")[:-1]
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*start, *filter(None, [node.module])])
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and name_of(node.func) in ("import_module", "__import__"):
            yield from (str(ast.literal_eval(a)) for a in node.args if isinstance(a, ast.Constant))


def packages(source: str, module: ast.Module) -> set[str]:
    return {name.split(".")[0] for name in imports(source, module)}


def forbidden_layers(source: str) -> set[str]:
    layer = source.split("/")[0].removesuffix(".py")
    return set(LAYERS[LAYERS.index(layer) + 1 :])


def targets(source: str, module: ast.Module) -> set[str]:
    """Files of ours that a module imports, at any depth."""
    files = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            files |= {file_of(alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            files |= {file_of(f"{node.module}.{alias.name}") or file_of(node.module) for alias in node.names}
    return {file for file in files if file and file != source}


def file_of(name: str) -> str:
    """The file of ours that holds a module or package, "" if none does."""
    path = name.replace(".", "/")
    return next((file for file in (f"{path}.py", f"{path}/__init__.py") if file in SOURCES), "")


def circles(arrows: dict[str, set[str]]) -> list[tuple[str, ...]]:
    """Groups of nodes that reach each other, of two or more; empty if the arrows run one way."""
    reach: dict[str, set[str]] = {}
    for start in arrows:
        seen, waiting = set(), [start]
        while waiting:
            waiting += (new := arrows.get(waiting.pop(), set()) - seen)
            seen |= new
        reach[start] = seen
    groups = {tuple(sorted(b for b in reach[a] if a in reach.get(b, ()))) for a in arrows if a in reach[a]}
    return sorted(groups)


ARROWS = {source: targets(source, tree(source)) for source in SOURCES}


def folder_of(source: str) -> str:
    return source.rpartition("/")[0]


def test_no_two_files_import_each_other():
    assert circles(ARROWS) == []


def test_no_folder_imports_one_that_imports_it():
    folders: dict[str, set[str]] = {}
    for source, files in ARROWS.items():
        folders.setdefault(folder_of(source), set()).update(map(folder_of, files))
    assert circles({folder: others - {folder} for folder, others in folders.items()}) == []


@pytest.mark.parametrize(
    ("arrows", "found"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"b"}, "b": {"a"}}, [("a", "b")]),
        ({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}, [("a", "b", "c")]),
        ({"a": {"b", "c"}, "b": {"d"}, "c": {"d"}, "d": set()}, []),
    ],
)
def test_circles_are_found(arrows, found):
    assert circles(arrows) == found


def test_imports_lead_to_files():
    code = "from sim.twins import base\nfrom neuro.base.errors import UserError\nimport sim.backends.jit, numpy"
    expected = {"sim/twins/base.py", "neuro/base/errors.py", "sim/backends/jit.py"}
    assert targets("sim/a.py", ast.parse(code)) == expected


def test_lava_finds_only_processes_and_models_beside_our_units():
    units = {source.split("/")[-1] for source in SOURCES if folder_of(source) == "sim/backends/lava/units"}
    assert units == {"__init__.py", "processes.py", "models.py"}


def test_every_folder_is_looked_at():
    assert {source.split("/")[0] for source in SOURCES} == {*FOLDERS, "settle.py"}


def test_folders_import_only_those_below_them():
    found = {source: packages(source, tree(source)) & forbidden_layers(source) for source in SOURCES}
    assert {source: names for source, names in found.items() if names} == {}


def test_packages_are_imported_only_in_their_homes():
    used = {source: packages(source, tree(source)) for source in SOURCES}
    strays = [
        (s, name) for s in SOURCES for name, homes in HOMES.items() if name in used[s] and not s.startswith(homes)
    ]
    assert strays == []


@pytest.mark.parametrize(
    ("source", "code", "expected"),
    [
        ("neuro/a.py", "import sim.training.equilibrium", {"sim"}),
        ("neuro/a.py", "def f():\n    from sim import train", {"sim"}),
        ("neuro/a.py", "from . import spec", {"neuro"}),
        ("sim/backends/a.py", "from .. import rate", {"sim"}),
        ("sim/a.py", "from importlib import import_module\nimport_module('lava.proc')", {"importlib", "lava"}),
        ("sim/a.py", "import torch.nn as nn, numpy", {"torch", "numpy"}),
    ],
)
def test_imports_are_found_wherever_they_stand(source, code, expected):
    assert packages(source, ast.parse(code)) == expected


def test_layers_forbid_what_lies_above():
    assert forbidden_layers("neuro/spec/sigma_delta.py") == {"sim", "hardware", "benchmarks", "settle", "tests"}
    assert forbidden_layers("hardware/a.py") == {"benchmarks", "settle", "tests"}
    assert forbidden_layers("settle.py") == {"tests"}


def test_the_command_line_loads_nothing_heavy_at_start():
    code = f"import settle, sys; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

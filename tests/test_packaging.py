"""What a wheel holds, and that what is said about the package is said once."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("neuro", "sim", "hardware", "benchmarks")
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
VERSION = re.search(r'^version = "(.+)"$', PYPROJECT, re.MULTILINE)[1]
SKIPPED = shutil.ignore_patterns("__pycache__", "results")
BUILD = "import sys, setuptools.build_meta as back_end; back_end.build_wheel(sys.argv[1])"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel built from a copy of the source, so that nothing is written into this one."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=SKIPPED)
    shutil.copytree(ROOT / "tests", source / "tests", ignore=SKIPPED)
    shutil.copytree(ROOT / "settle-stubs", source / "settle-stubs", symlinks=True)
    for name in ("settle.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    subprocess.run([sys.executable, "-c", BUILD, str(out)], cwd=source, check=True, capture_output=True)
    (path,) = out.iterdir()
    assert path.name == f"settle-{VERSION}-py3-none-any.whl"
    return zipfile.ZipFile(path)


def test_a_wheel_holds_every_module_and_no_test(wheel):
    held = {name for name in wheel.namelist() if name.endswith(".py")}
    wanted = {p.relative_to(ROOT).as_posix() for name in PACKAGES for p in (ROOT / name).rglob("*.py")}
    assert held == wanted | {"settle.py"}


def test_a_wheel_holds_templates_and_marks_every_package_as_typed(wheel):
    others = {name for name in wheel.namelist() if not name.endswith(".py") and ".dist-info/" not in name}
    marks = {f"{name}/py.typed" for name in PACKAGES}
    data = {p.relative_to(ROOT).as_posix() for p in (ROOT / "hardware" / "energy" / "published").iterdir()}
    assert others == marks | data | {"settle-stubs/__init__.pyi", "sim/templates/page.html"}
    assert wheel.read("settle-stubs/__init__.pyi") == wheel.read("settle.py")


def test_a_wheel_names_the_command(wheel):
    (entry,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    assert wheel.read(entry).decode().split() == ["[console_scripts]", "settle", "=", "settle:main"]


def test_the_version_is_that_of_the_installed_package(command):
    answer = command("--version")
    assert (answer.code, answer.out) == (0, f"settle {metadata.version('settle')}\n")


def test_verbose_names_what_decides_a_result(command):
    lines = dict(line.split(" ", 1) for line in command("--version", "--verbose").out.splitlines())
    assert lines["numba"] == metadata.version("numba")
    assert lines["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {"settle", "numpy", "torch"} <= set(lines)


def test_the_citation_and_the_changelog_are_of_this_version():
    assert f"\nversion: {VERSION}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## {VERSION}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

"""Pages: every figure is there, none is typed, links lead somewhere, README is short, JSON keys are as printed."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from urllib.parse import urldefrag

import pytest
from shared_keys import (
    ATLAS_KEYS,
    ATTACK_KEYS,
    CERTIFY_KEYS,
    CODER_KEYS,
    COMPARE_KEYS,
    EVALUATE_KEYS,
    PERTURB_KEYS,
    TRAIN_KEYS,
)
from shared_pages_of_docs import ROOT

from benchmarks.figures.shown import render
from neuro.artifact.run_folder import load_artifact

DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if path.name != "commands.md")
LINK = re.compile(r"\]\(([^)\s]+)\)")


def ident(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def script(name: str):
    """A script of docs/ as a module."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=ident)
def test_every_figure_of_a_page_is_there(page):
    text = render(page.read_text(encoding="utf-8"))
    assert "{{" not in text
    assert text.lstrip().startswith(("#", "---"))


@pytest.mark.parametrize("page", sorted((DOCS / "figures").glob("*.md")), ids=ident)
def test_no_result_is_typed_by_hand(page):
    text = re.sub(r"\{[{%].*?[}%]\}", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    typed = [number for number in re.findall(r"(?<![\w.])0\.\d{3,}", text)]
    assert (typed == []) == (page.name != "seen-once.md")


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES], ids=ident)
def test_links_lead_to_files(page):
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        file, _ = urldefrag(link)
        generated = file.endswith("commands.md") or (page.parent.name == "figures" and file.endswith(".png"))
        if file and not generated and not re.match(r"https?:|\{", file):
            assert (page.parent / file).is_file(), link


def test_readme_is_short():
    assert len((ROOT / "README.md").read_bytes()) < 6 * 1024


def test_every_page_is_in_the_navigation():
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = set(re.findall(r": (\S+\.(?:md|ipynb))$", text, re.MULTILINE))
    there = {path.relative_to(DOCS).as_posix() for path in [*PAGES, *DOCS.rglob("*.ipynb")]}
    assert there <= named


def test_the_page_of_commands_has_every_option(tmp_path):
    import typer

    import settle

    text = script("commands").page(typer.main.get_command(settle.command_line()))
    for words in (
        "## settle train ep",
        "## settle demo",
        "`--learning-rate`",
        "`--centred`, `--not-centred`",
        "| `RUN` |",
    ):
        assert words in text


def test_json_keys_are_those_of_the_commands():
    rows = (DOCS / "reference" / "json.md").read_text(encoding="utf-8").splitlines()
    for command, keys in (
        ("`train ep`", TRAIN_KEYS), ("`train lca`", CODER_KEYS), ("`evaluate`", EVALUATE_KEYS),
        ("`attack`", ATTACK_KEYS),
        ("`certify`", CERTIFY_KEYS),
        ("`perturb`", PERTURB_KEYS),
        ("`compare`", COMPARE_KEYS),
        ("`atlas`", ATLAS_KEYS),
    ):  # fmt: skip
        (row,) = [line for line in rows if line.startswith(f"| {command}")]
        found = re.sub(r"\([^)]*\)", "", row.split("|")[2])
        assert re.findall(r"`(\w+)`", found) == keys


def conforms(schema, value, place="spec"):
    """Assert that `value` is what the part of JSON Schema that our schema uses says."""
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}
    if "const" in schema or "enum" in schema:
        assert value in schema.get("enum", [schema.get("const")]), place
        return
    names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    assert any(type(value) is kinds[name] for name in names), (place, value)
    if isinstance(value, dict):
        assert set(schema.get("required", [])) <= set(value), place
        known = schema.get("properties", {})
        assert schema.get("additionalProperties", True) or set(value) <= set(known), place
        for key in set(value) & set(known):
            conforms(known[key], value[key], f"{place}.{key}")
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            conforms(schema["items"], item, f"{place}.{index}")


def test_the_schema_is_that_of_networks(finished, coders):
    schema = json.loads((DOCS / "reference" / "spec.schema.json").read_text(encoding="utf-8"))
    for folder in (finished, coders["dense"], coders["kernels"], coders["stack"]):
        conforms(schema, json.loads((folder / "spec.json").read_text(encoding="utf-8")))
    with pytest.raises(AssertionError):
        conforms(schema, {"family": "sigma-delta"})


def test_the_keys_of_a_manifest_are_those_of_the_page(finished):
    text = (DOCS / "reference" / "artifact.md").read_text(encoding="utf-8")
    for key in load_artifact(finished).manifest:
        assert f"`{key}`" in text, key


def test_the_check_of_the_site_finds_dead_links_and_what_is_loaded(tmp_path):
    checks = script("check_site")
    (tmp_path / "a.html").write_text(
        '<a href="b.html#x">b</a><a href="gone.html">c</a><p id="y"></p><a href="#y">d</a>'
    )
    (tmp_path / "b.html").write_text(
        '<script src="https://elsewhere.example/s.js"></script><a href="https://x.example">e</a>'
    )
    (tmp_path / "c.css").write_text("@import 'https://fonts.example/f.css';")
    wrong, within, without = checks.check(tmp_path)
    assert wrong == [
        "a.html: no anchor b.html#x", "a.html: dead link gone.html", "b.html: loads https://elsewhere.example/s.js",
        "c.css: loads https://fonts.example/f.css",
    ]  # fmt: skip
    assert (within, without) == (3, 1)


def test_the_site_is_built_with_the_extra_docs():
    found = script("requirements").requirements((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert any(entry.startswith("mkdocs-material") for entry in found)
    assert all(re.match(r"^[a-z]", entry) for entry in found)

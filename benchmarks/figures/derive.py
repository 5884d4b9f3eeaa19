"""Derive every committed figure again, in order, and say which differ from the committed ones and by how much.

    python -m benchmarks.figures                 all: hours; go on after an interruption by giving it again
    python -m benchmarks.figures --list          what there is, and how long it takes
    python -m benchmarks.figures --only slayer   one file
    python -m benchmarks.figures --check         short forms of a few, each with committed figures it must equal
    python -m benchmarks.figures --adopt         copy what was derived to benchmarks/results

Everything goes to a folder of runs/figures named after the content of the sources, so that nothing is taken for the
figure of today which other code derived: a file for each committed one, trained networks below runs/, and what has been
done in done.json, with the seconds it took.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.figures.difference import Comparison, compare
from benchmarks.figures.recipes import RECIPES, SETTLE, Recipe
from benchmarks.tools.places import RESULTS, ROOT
from neuro.base.errors import UserError
from neuro.base.files import json_bytes, parse_json, read_bytes, sha256, write_atomically

FOLDER = Path("runs/figures")
SOURCES = ("neuro", "sim", "hardware", "benchmarks")
MISTAKE = 2  # exit code


class Derivation:
    """What was derived in `folder`, command by command. check: short forms, compared with a part of the file."""

    def __init__(self, folder: Path, check: bool = False) -> None:
        self.folder, self.check = folder, check
        self._log = folder / ("done-check.json" if check else "done.json")
        self.done: dict[str, float] = {} if check else self._read()  # a check is made anew

    def _read(self) -> dict[str, float]:
        return parse_json(read_bytes(self._log), self._log) if self._log.is_file() else {}

    def commands(self, recipe: Recipe) -> list[str]:
        """The commands of a recipe in full."""
        out, runs = self.path(recipe), self.folder / "runs"
        words = recipe.short if self.check else recipe.commands
        return [command.format(out=out, runs=runs) for command in words]

    def path(self, recipe: Recipe) -> Path:
        """The file that they write."""
        return self.folder / ("check" if self.check else "") / f"{recipe.name}.json"

    def is_done(self, recipe: Recipe) -> bool:
        """Whether all commands ended well, and the file is still there."""
        return self.path(recipe).is_file() and all(command in self.done for command in self.commands(recipe))

    def minutes(self, recipe: Recipe) -> float:
        """What is left to do, estimated: a guess of the whole, by the share of the commands that are left."""
        commands = self.commands(recipe)
        left = [command for command in commands if command not in self.done]
        return recipe.minutes * len(left) / max(len(commands), 1)

    def derive(self, recipe: Recipe) -> None:
        """Run what has not been run yet. Raises: UserError naming the command that failed."""
        self.path(recipe).parent.mkdir(parents=True, exist_ok=True)
        for command in self.commands(recipe):
            if command in self.done and self.path(recipe).is_file():
                continue
            print(f"$ {command}", flush=True)
            begin = time.monotonic()
            if code := subprocess.run(words_of(command), check=False).returncode:
                raise UserError(f"figures: exit code {code} of: {command}; mend it and give the same again")
            self.done[command] = time.monotonic() - begin
            write_atomically(self._log, json_bytes(self.done))

    def comparison(self, recipe: Recipe) -> Comparison:
        """What was derived beside what is committed."""
        before, now = content_of(RESULTS / f"{recipe.name}.json"), content_of(self.path(recipe))
        return compare(before, now, self.check, recipe.means if self.check else "")


def code_name() -> str:
    """A name for the sources that figures depend on: another one when any of them changes."""
    found = sorted(path for folder in SOURCES for path in (ROOT / folder).rglob("*.py") if path.is_file())
    names = (f"{path.relative_to(ROOT)} {sha256(path.read_bytes())}" for path in found)
    return sha256("\n".join(names).encode())[:12]


def words_of(command: str) -> list[str]:
    """A command as words for this Python, whatever is on the path; a training goes on where it was interrupted."""
    words = shlex.split(command)
    if command.startswith(SETTLE):
        resumed = ["--resume"] if words[1] == "train" else []
        return [sys.executable, "-m", "settle", *words[1:], *resumed]
    return [sys.executable, *words[1:]]


def content_of(path: Path) -> Any:
    """The content of a JSON file."""
    return parse_json(read_bytes(path), path)


def has_card() -> bool:
    """Whether there is a CUDA device."""
    return torch.cuda.is_available()


def chosen(names: str, check: bool) -> list[Recipe]:
    """The recipes called so, by default all for which this machine has what they need.

    Raises: UserError if there is none of a name.
    """
    everything = {recipe.name: recipe for recipe in RECIPES}
    known = [name for name, recipe in everything.items() if recipe.short or not check]
    usual = [name for name in known if not everything[name].needs_card or has_card()]
    wanted = [name.strip() for name in names.split(",") if name.strip()] or usual
    for name in wanted:
        if name not in everything:
            raise UserError(f"figures: no file {name}; there are {', '.join(known)}")
        if name not in known:
            raise UserError(f"figures: nothing to compare: {name} has no short form; {', '.join(known)} have one")
    return [everything[name] for name in wanted]


def table(derivation: Derivation, recipes: list[Recipe]) -> None:
    """Print what there is to do."""
    for recipe in recipes:
        state = "done" if derivation.is_done(recipe) else f"about {derivation.minutes(recipe):.0f} min"
        print(f"{recipe.name:24s} {state:14s} {len(derivation.commands(recipe))} commands")


def run(derivation: Derivation, recipes: list[Recipe]) -> int:
    """Derive and compare; the number of figures that differ."""
    differing = 0
    for number, recipe in enumerate(recipes, 1):
        left = sum(derivation.minutes(later) for later in recipes[number - 1 :])
        guess = "" if derivation.check else f", about {left:.0f} min left"
        print(f"[{number}/{len(recipes)}] {recipe.name}{guess}", flush=True)
        derivation.derive(recipe)
        found = derivation.comparison(recipe)
        if derivation.check and not found.figures:
            raise UserError(
                f"figures: nothing to compare: {derivation.path(recipe)} shares no figure with the committed file"
            )
        differing += len(found.differences)
        print("\n".join(f"  {line}" for line in found.lines()), flush=True)
        if recipe.left and not derivation.check:
            print(f"  left as it is: {recipe.left}", flush=True)
    return differing


def adopt(path: Path) -> None:
    """Copy a derived file, and the picture beside it if there is one, to the committed ones."""
    for found in (path, path.with_suffix(".png")):
        if found.is_file():
            shutil.copy(found, RESULTS)
            print(f"adopted: {found.name}")


def main() -> None:
    """Entry point: exit code 1 if a figure of the check differs, 2 for a mistake."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="files, without .json, separated by commas")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--adopt", action="store_true")
    options = parser.parse_args()
    derivation = Derivation(options.folder / code_name(), options.check)
    try:
        recipes = chosen(options.only, options.check)
        if options.list:
            table(derivation, recipes)
            return
        if options.adopt:
            for recipe in recipes:
                if derivation.is_done(recipe):
                    adopt(derivation.path(recipe))
            return
        differing = run(derivation, recipes)
    except UserError as error:
        print(f"figures: {str(error).removeprefix('figures: ')}", file=sys.stderr)
        sys.exit(MISTAKE)
    print(f"{differing} figures differ from the committed ones")
    sys.exit(1 if options.check and differing else 0)

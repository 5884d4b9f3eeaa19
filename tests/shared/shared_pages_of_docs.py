"""Fenced blocks of the documentation, and short forms of its commands: what takes minutes there takes a second here."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)

# What no test can run in a second, with the reason; settle commands among them have tests of their own.
EXEMPT = {
    r"^make ": "installs, or runs the whole suite",
    r"^pip |^conda |^docker ": "installs",
    r"^torchrun ": "tests/sim/training/parallel",
    r"^settle demo": "tests/test_demo.py",
    r"--device cuda": "needs a GPU; tests/contract/test_torch.py",
    r"--slurm ": "needs a cluster; tests/sim/training/parallel, tests/sim/robustness",
    r"^settle train slayer": "tests/hardware/slayer",
    r"^settle train ep .*--backend lava": "tests/test_stock_command_line.py",
    r"^settle export": "tests/hardware/export",
    r"^settle bench": "tests/benchmarks/bench",
    r"^settle atlas": "tests/benchmarks/atlas",
    r" --guide ": "needs recordings; tests/sim/training/test_guided.py",
    r" --recordings ": "needs recordings; tests/sim/brain/test_comparison.py",
}
SHORTER = (
    (r"--data (digits|mnist|fashion-mnist|cifar10)", "--data small.npz"),
    (r"--epochs \d+", "--epochs 1"),
    (r"--hidden [1-9]\d*,\d+", "--hidden 8,8"),
    (r"--hidden [1-9]\d*(?!\d|,)", "--hidden 8"),
    (r"--layers \S+", "--layers conv:4x3:valid,pool:2"),
    (r"--atoms \d+", "--atoms 16"),
    (r"--images \d+", "--images 5"),
    (r"--samples \d+", "--samples 100"),
    (r"--seeds \d+", "--seeds 2"),
    (r"--attacks \S+", "--attacks fgsm"),
    (r"--report", "--report --images 5"),
    (r"--backend lava(?= .*--check events)", "--backend reference"),
    (r"--backend lava(?= .*--check chip)", "--backend snntorch"),
)
GIVEN = {  # what is else chosen by short trainings
    "settle train ep": "--epochs 1 --learning-rate 1.4 --output-share 0.125 --not-centred --no-refit",
    "settle train ep --family stock": "--epochs 1 --learning-rate 0.01 --no-refit",
    "settle train lca": "--epochs 1 --atoms 16 --threshold 0.3",
    "settle attack": "--eps 0.1 --workers 1",
    "settle certify": "--samples 100 --images 5 --workers 1",
    "settle perturb": "--kinds fog,contrast --severities 5 --images 5 --workers 1",
    "settle perturb runs/mnist --set mnist-c": "--images 5 --workers 1",
}
SHORTER_PYTHON = (
    (
        r'"digits", hidden=\(\d+,\)(, epochs=\d+)?(, learning_rate=[\d.]+, output_share=[\d.]+)?',
        '"digits", hidden=(8,), epochs=1, learning_rate=1.4, output_share=0.2',
    ),
    (r"images=\d+\)", "images=5)"),
    (r'attack\("fgsm,pgd-10", eps=\([^)]*\), images', 'attack("fgsm", eps=(0.1,), images'),
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language and its text."""

    language: str
    text: str

    def commands(self) -> list[str]:
        """The lines of a block of commands, comments taken off."""
        return [line.split("  #")[0].strip() for line in self.text.splitlines() if line.strip()]


def blocks(path: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return [Block(*found) for found in BLOCK.findall(path.read_text(encoding="utf-8"))]


def exempt(command: str) -> str:
    """Why a command is not run here; "" if it is."""
    return next((reason for pattern, reason in EXEMPT.items() if re.search(pattern, command)), "")


def short(command: str) -> list[str]:
    """The words of the short form of a command, after `settle`."""
    for pattern, shorter in SHORTER:
        command = re.sub(pattern, shorter, command)
    start = max((name for name in GIVEN if command.startswith(name)), key=len, default="")
    given = shlex.split(GIVEN.get(start, ""))
    for option in (part for part in given if part.startswith("--")):
        if re.search(rf"{option}\b", command) is None:
            index = given.index(option)
            value = given[index + 1 : index + 2]
            command += f" {option}" + (f" {value[0]}" if value and not value[0].startswith("--") else "")
    return shlex.split(command)[1:]


def short_python(code: str) -> str:
    """A block of Python with short trainings."""
    for pattern, shorter in SHORTER_PYTHON:
        code = re.sub(pattern, shorter, code)
    return code

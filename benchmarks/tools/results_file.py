"""Where a benchmark leaves its answer."""

from __future__ import annotations

import argparse
import io
import os
import platform
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.tools.places import RESULTS
from neuro.artifact.run_folder import installed_versions
from neuro.base.checks import Range
from neuro.base.files import json_bytes, parse_json, read_bytes, write_atomically
from neuro.base.options import DATA, add_arguments, option
from sim.training.config import TrainConfig


def machine() -> dict[str, Any]:
    """The facts that a timing is judged by: processor, cores, versions."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {"processor": model, "cores": os.cpu_count(), "versions": installed_versions()}


@dataclass(frozen=True, kw_only=True)
class Question:
    """What several benchmarks are asked beside the options of a training. width: of the only hidden layer."""

    data: str = DATA.default("digits")
    seeds: int = option(3, "How many seeds, from 0 on.", Range(1))
    width: int = option(64, "Neurons of the hidden layer.", Range(1), flags=("--hidden",))


def parser(description: str, name: str, **defaults: Any) -> argparse.ArgumentParser:
    """An argument parser with the common option --out (default benchmarks/results/NAME.json).

    defaults: options of `Question` or `TrainConfig` that the benchmark takes, too, each with its default.
    """
    arguments = argparse.ArgumentParser(description=description)
    add_arguments(arguments, TrainConfig, Question, **defaults)
    arguments.add_argument("--out", type=Path, default=RESULTS / f"{name}.json", help="JSON file to write")
    return arguments


def of_data(out: Path, name: str, data: str) -> Path:
    """The file to write: NAME-DATA.json among the results unless the user chose another than the default."""
    return RESULTS / f"{name}-{Path(data).stem}.json" if out == RESULTS / f"{name}.json" else out


def earlier(path: Path, question: dict[str, Any], key: str) -> dict[str, Any]:
    """The content of the file at `path` under `key`, if it answers the same question; else nothing."""
    if not path.is_file():
        return {}
    content = parse_json(read_bytes(path), path)
    same = all(content.get(name) == value for name, value in question.items())
    return dict(content.get(key, {})) if same else {}


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as a picture; the kind is that of the file's name."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=path.suffix[1:], dpi=110)
    write_atomically(path, buffer.getvalue())
    print(f"written: {path}")


def merge(path: Path, part: dict[str, Any]) -> None:
    """Write a part of an answer into the file at `path`; what else is there stays, the machine is this one."""
    save(path, {**(parse_json(read_bytes(path), path) if path.is_file() else {}), **part})


def save(path: Path, content: dict[str, Any]) -> None:
    """Write the answer with the date, and the machine it was measured on."""
    date = datetime.now(timezone.utc).isoformat(timespec="seconds")
    write_atomically(path, json_bytes({**content, "date": date, "machine": machine()}))
    print(f"written: {path}")

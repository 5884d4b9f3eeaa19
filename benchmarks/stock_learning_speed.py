"""How fast do networks learn in the chip's engine here, against another commit and against step by step?

    git worktree add /tmp/parent COMMIT
    python -m benchmarks.stock_learning_speed --against /tmp/parent

MNIST, 784-128-10, one thread, CPU time, in turns on one machine: R5 here and in the other checkout, R7 here and step by
step, which is what the other checkout's engine would do for it. Every number is the median of three stretches in each
of `--turns` processes; ratios are of medians. Compile both checkouts' kernels before: the first process of each does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.tools.places import ROOT
from benchmarks.tools.results_file import parser, save
from neuro.base.errors import UserError

SCRIPT = ROOT / "benchmarks" / "tools" / "learning_pace.py"
HIDDEN = "128"


def pace(checkout: Path, rule: str, images: int, *more: str) -> float:
    """Images per CPU second of one process. Raises: UserError if it fails."""
    asked = [sys.executable, str(SCRIPT), rule, HIDDEN, str(images), *more]
    done = subprocess.run(
        asked,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise UserError(f"pace of {rule} in {checkout}: {done.stderr.strip().splitlines()[-1]}")
    return float(json.loads(done.stdout.splitlines()[-1])["median"])


def commit_of(checkout: Path) -> str:
    """The commit of a checkout, or "unknown"."""
    asked = ["git", "-C", str(checkout), "rev-parse", "--short=12", "HEAD"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


def main() -> None:
    """Entry point."""
    arguments = parser(__doc__ or "", "stock_learning_speed")
    arguments.add_argument("--against", type=Path, default=None, help="a checkout of another commit")
    arguments.add_argument("--images", type=int, default=500, help="images a stretch; a tenth of it step by step")
    arguments.add_argument("--turns", type=int, default=3, help="processes of each kind")
    options = arguments.parse_args()
    few, many = max(options.images // 10, 1), options.images
    asked: dict[str, tuple[Path, str, int, tuple[str, ...]]] = {
        "R7": (ROOT, "R7", many, ()),
        "R7, step by step": (ROOT, "R7", few, ("steps",)),
        "R5": (ROOT, "R5", many, ()),
    }
    if options.against is not None:
        asked["R5, other commit"] = (options.against.resolve(), "R5", few, ())
    found: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(options.turns):
        for name, (checkout, rule, images, more) in asked.items():
            found[name].append(pace(checkout, rule, images, *more))
            print(f"{name}: {found[name][-1]:,.0f} images per CPU second", flush=True)
    medians = {name: median(values) for name, values in found.items()}
    ratios: dict[str, float] = {"R7 to step by step": medians["R7"] / medians["R7, step by step"]}
    if options.against is not None:
        ratios["R5 to the other commit"] = medians["R5"] / medians["R5, other commit"]
    content: dict[str, Any] = {
        "kind": "measured", "network": f"784-{HIDDEN}-10", "images_per_cpu_s": found, "medians": medians,
        "ratios": ratios, "other_commit": None if options.against is None else commit_of(options.against),
    }  # fmt: skip
    for name, value in ratios.items():
        print(f"{name}: {value:.1f}")
    save(options.out, content)


if __name__ == "__main__":
    main()

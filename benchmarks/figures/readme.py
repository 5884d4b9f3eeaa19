"""The table of README, from the results: no number is typed by hand there either.

python -m benchmarks.figures.readme     writes it anew
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.figures.shown import column, result, spread
from benchmarks.tools.places import ROOT
from neuro.base.files import write_atomically

README = ROOT / "README.md"
BEGIN = "<!-- figures: from benchmarks/results by python -m benchmarks.figures.readme -->\n"
END = "<!-- end of figures -->\n"


def table() -> str:
    """Four figures, each with the command that derives it."""
    mnist, digits, speed = result("accuracy-mnist"), result("accuracy-digits"), result("train_speed")
    local, networks = "8 shadow bits", result("lava_equality")["networks"]
    trained = [spread(column(found["local"][local], "test_accuracy")) for found in (mnist, digits)]
    backprop = [spread(column(found["backprop"], "test_accuracy")) for found in (mnist, digits)]
    attacked = result("robustness-mnist")["rows"]
    ep, perceptron = (spread(column(attacked[name], "robust", "0.1", "accuracy"), 3) for name in ("ep", "perceptron"))
    rows = [
        ("figure", "value", "command: `python -m benchmarks.`"),
        ("---", "---", "---"),
        (
            "test accuracy, MNIST 784-256-10 / digits 64-64-10, int8 with 8 shadow bits while learning",
            f"{' / '.join(trained)} (backpropagation {' / '.join(backprop)})",
            "`accuracy`",
        ),
        (
            "learning speed, one thread, 784-512-10",
            f"{speed['rows'][0]['images_per_s']:,.0f} images/s, {speed['ratios']['a/b']:.0f} times autograd of EP",
            "`train_speed`",
        ),
        (
            "differences from Lava, random stock networks",
            f"{sum(networks['differences'].values())} in {networks['spikes compared']:,} spikes and all states",
            "`lava_equality`",
        ),
        (
            "accuracy left at eps 0.1, all attacks, MNIST",
            f"EP {ep}, perceptron {perceptron}: settling does not make robust",
            "`robustness`",
        ),
    ]
    return "".join(f"| {' | '.join(row)} |\n".replace("| --- | --- | --- |", "|---|---|---|") for row in rows)


def with_table(text: str) -> str:
    """README with the table of now between its two marks."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


def main(path: Path = README) -> None:
    """Write README anew."""
    write_atomically(path, with_table(path.read_text(encoding="utf-8")).encode())


if __name__ == "__main__":
    main()

"""What a user may choose of a comparison. Light: the command line reads it at its start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from neuro.base.checks import Range
from neuro.base.options import SEED, THREADS, check_options, option

MEASURES: Mapping[str, str] = {
    "cka": "debiased alignment", "rsa": "dissimilarities, ranked", "ridge": "predicted by ridge regression",
    "pls": "by 25 components of partial least squares",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """What the user may choose of a comparison."""

    measures: tuple[str, ...] = option(
        ("cka", "rsa", "ridge"), "What is measured, separated by commas.", choices=MEASURES
    )
    step: int | None = option(
        None, "What receivers know after so many steps, in place of the settled states.", Range(1), "settled"
    )
    seed: int = SEED.default(0)
    threads: int | None = THREADS.default(None)

    def __post_init__(self) -> None:
        check_options(self)

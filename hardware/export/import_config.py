"""What a user may choose of an import, checked. Light: the command line reads it at its start."""

from __future__ import annotations

from dataclasses import dataclass

from neuro.base.checks import Range
from neuro.base.options import SEED, check_options, option


@dataclass(frozen=True, kw_only=True)
class ImportConfig:
    """How to read a file, and how images become spikes. The options, with their limits, stand at the fields."""

    seed: int = SEED.default(0)
    steps: int = option(32, "Steps of an inference.", Range(3, 1024))
    spacing: int = option(1, "Steps between two spikes of a pixel of value 1.", Range(1, 1024))
    dt: float = option(1e-4, "Seconds a step, as the tool that wrote the file has it.", Range(1e-9, 1.0))

    def __post_init__(self) -> None:
        check_options(self, "import")

"""What a user may choose of a benchmark, checked."""

from __future__ import annotations

from dataclasses import dataclass

from hardware.energy.constants import DEFAULT_SET, SETS, constants_of
from neuro.base.checks import Range
from neuro.base.errors import UserError
from neuro.base.options import THREADS, check_options, option

CPU, CUDA, LOIHI = "cpu", "cuda", "loihi2"
DEVICES = (CPU, CUDA, LOIHI)
AUTO, OFF = "auto", "none"
IMAGES = 1000  # test images, at most, that accuracies are of


@dataclass(frozen=True, kw_only=True)
class BenchConfig:
    """What is asked for. The options, with their limits, stand at the fields.

    images: None: all, IMAGES at most; train: learning, too; threads: of everybody, None for one a core; slayer: a
    finished run of SLAYER's to compare with, AUTO to train one where that is quick, or OFF.
    """

    devices: tuple[str, ...] = option(
        DEVICES, "Among cpu, cuda, loihi2, separated by commas.", flags=("--devices", "--device")
    )
    images: int | None = option(None, "Test images, from the first.", unset=f"{IMAGES} at most")
    seconds: float = option(3.0, "Length of a measurement; energy needs several.", Range(0.01, 3600))
    train: bool = option(True, "Inference only.", flags=("--no-train",), sets=False)
    constants: str = option(DEFAULT_SET, f"Energy constants of the chip: {', '.join(SETS)}, or a file FILE.toml.")
    threads: int | None = THREADS.default(None)
    slayer: str = option(AUTO, "Compare with a finished run of train slayer; auto: trains one on small data; or none.")

    def __post_init__(self) -> None:
        check_options(self)
        constants_of(self.constants)
        unknown = [name for name in self.devices if name not in DEVICES]
        if unknown or not self.devices:
            raise UserError(f"device {', '.join(unknown) or 'none'}: choose among {', '.join(DEVICES)}")

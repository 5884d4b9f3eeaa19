"""A calibration as a file of constants that `--constants` reads: every limit and every band, each with its source."""

from __future__ import annotations

import json
from pathlib import Path

from hardware.chip.limits import limits_of
from hardware.energy.calibration import Calibration
from neuro.base.files import write_atomically

FILE = "calibrated.toml"


def write_calibrated(calibration: Calibration, limits: str, folder: Path) -> Path:
    """Write the bands of a calibration and the limits of a set, or of a file, into a folder; return the file."""
    lines = [f"title = {json.dumps(f'fitted to {calibration.source}')}"]
    for name, constant in limits_of(limits).table():
        lines += ["", f"[limits.{name}]", f"value = {constant.value}", f"unit = {json.dumps(constant.unit)}",
                  f"mark = {json.dumps(constant.mark)}", f"source = {json.dumps(constant.source)}"]  # fmt: skip
    for name, band in calibration.bands.items():
        lines += ["", f"[energies.{name}]", f"low = {band.low!r}", f"high = {band.high!r}",
                  f"unit = {json.dumps(band.unit)}", f"mark = {json.dumps(band.marks)}",
                  f"sources = {json.dumps(list(band.sources))}"]  # fmt: skip
    write_atomically(folder / FILE, ("\n".join(lines) + "\n").encode())
    return folder / FILE

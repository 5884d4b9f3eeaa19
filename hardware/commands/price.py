"""Price the test images of a placed run: what `settle compile --report` and `settle demo` show and leave behind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hardware.commands.screen import profile_table
from hardware.energy.constants import DEFAULT_SET
from hardware.energy.profile import IMAGES, profile, write_prices
from hardware.reports.page import REPORT, write_compile_report

if TYPE_CHECKING:
    from rich.console import Console

    from hardware.compile.deployment import Deployment
    from neuro.artifact.run_folder import Artifact


def price(
    artifact: Artifact, deployment: Deployment, folder: Path, screen: Console, n_images: int = IMAGES,
    constants: str = DEFAULT_SET,
) -> Path:  # fmt: skip
    """Show what test images cost, and write energy.json and compile.html into the run's folder; returns the page.

    Raises: UserError if the test set has fewer images, or the constants cannot price the deployment.
    """
    profiled = profile(artifact, deployment, n_images, constants)
    screen.print(profile_table(profiled))
    write_prices(profiled, artifact, folder)
    return write_compile_report(profiled, folder / REPORT)

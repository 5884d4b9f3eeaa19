"""A finished run in the hand, with what one does with it on the chip's side: compile it, write it for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sim.face.run import Run

if TYPE_CHECKING:
    from hardware.compile.deployment import Deployment
    from hardware.energy.calibration import Calibration
    from hardware.export.run import Export


class DeployableRun(Run):
    """A run that can be placed on a chip and exported."""

    def compile(
        self,
        target: str = "loihi2",
        *,
        chips: int | None = None,
        constants: str = "loihi2-lava",
        inference_only: bool = False,
        dry_run: bool = True,
    ) -> Deployment:
        """The network on the cores of a Loihi 2, modelled by public limits: what is stock, what needs microcode.

        Args:   chips: those there are, None for as many as it takes; constants: limits of a core, by name or in a file
                FILE.toml; inference_only: leave out what learning needs; dry_run: leave Lava's chip compiler alone,
                even if there.
        Raises: UserError if it does not fit (population, resource, by how much, remedy), or a name is unknown.
        Writes: deployment.json into the folder of the run.
        """
        from hardware.compile.compiler import compile_run

        return compile_run(
            self.on_disk(), dry_run=dry_run, target=target, constants=constants, n_chips=chips,
            learns=not inference_only,
        )  # fmt: skip

    def calibrate(self, rows: str | Path, constants: str = "loihi2-lava") -> tuple[Calibration, str]:
        """Energy and time constants fitted to rows of a CSV file (`hardware.energy.calibration`), and their file.

        Args:   constants: what the rows leave open stays as it is there, a name of limits or a file FILE.toml.
        Raises: UserError if the rows are no such file, or determine nothing.
        Writes: calibrated.toml into the folder of the run, to be given as constants.
        """
        from hardware.energy.calibration import calibrate
        from hardware.energy.calibration_file import write_calibrated

        calibration = calibrate(Path(rows), constants)
        return calibration, str(write_calibrated(calibration, constants, self.on_disk()))

    def export(
        self,
        form: str,
        out: str | Path | None = None,
        *,
        images: int | None = None,
        forward_only: bool = False,
        feedback: str = "delay",
        stall_s: float = 120.0,
        progress: bool = True,
    ) -> Export:
        """Write the network for other tools, after reading it back and running it there.

        Args:   form: netx (lava-dl, HDF5) or nir; out: the file, default network.net or network.nir in the folder;
                images: test images that prove it; forward_only: leave feedback out, which makes another network;
                feedback: in nir as delay (Delay nodes) or recurrent (one recurrent layer, which more readers know);
                stall_s: seconds after which Lava is given up.
        Raises: UserError if the format cannot hold the network, a reader is missing, or the file does not hold up.
        """
        from hardware.export.run import IMAGES, NETX, SUFFIXES, export_run
        from sim.screens.training import ImageProgress, shown

        path = self.file(f"network{SUFFIXES.get(form, '')}", out)
        words = "running the netx file in lava" if form == NETX else form
        with shown(progress), ImageProgress(words, images or IMAGES) as bar:
            return export_run(
                self.on_disk(), form, path, images, forward_only=forward_only, stall_s=stall_s, on_image=bar.on_image,
                feedback=feedback,
            )  # fmt: skip

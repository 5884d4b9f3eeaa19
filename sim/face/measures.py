"""What one measures of a finished run in the hand: attacks, certificates, perturbations. Every call imports late."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuro.base.shown import Shown

if TYPE_CHECKING:
    from sim.perturbation.result import PerturbResult
    from sim.robustness.bridge.result import AttackResult
    from sim.robustness.certified.result import CertifyResult


class Measures(Shown):
    """What needs no more of a run than its folder; `sim.face.run.Run` is one."""

    def on_disk(self) -> Path:
        """The folder of the run."""
        raise NotImplementedError

    @staticmethod
    def folder_of(run: str | Path | Measures) -> Path:
        """The folder of a run, given it or its folder."""
        return run.on_disk() if isinstance(run, Measures) else Path(run)

    def attack(
        self,
        attacks: str = "quick",
        *,
        eps: Sequence[float] | float | None = None,
        norm: str = "linf",
        images: int | None = None,
        workers: int | None = None,
        against: Sequence[str | Path | Measures] = (),
        progress: bool = True,
        **options: Any,
    ) -> AttackResult:
        """Robust accuracy, measured on the deployed integers, and whether it can be trusted.

        Args:   attacks: quick, standard, or names separated by commas; eps: sizes, None for the usual ones of the norm;
                images: test images, from the first; workers: processes, None for one a core; against: other runs on the
                same data, for the transfer matrix; options: further ones of `AttackConfig` (score, seed, device,
                passes).
        Raises: UserError if an option is out of range, or the run has no classes.
        Writes: shards and a page below the folder of the run; a later call with the same options finds them.
        """
        from neuro.base.options import configured
        from sim.face.attack import conclude, do
        from sim.robustness.bridge.config import AttackConfig
        from sim.robustness.bridge.run import AttackRun

        given = {"attacks": attacks, "norm": norm, "eps": eps, "images": images, **options}
        job = AttackRun(self.on_disk(), configured(AttackConfig, given), [self.folder_of(other) for other in against])
        do(job, None, workers, progress)
        return conclude(job)[0]

    def certify(
        self, sigma: Sequence[float] | float | None = None, *, workers: int | None = None, progress: bool = True,
        **options: Any,
    ) -> CertifyResult:  # fmt: skip
        """Certified accuracy, by randomised smoothing of the deployed integers: bounds of the smoothed classifier.

        Args:   sigma: deviation of the noise in pixels of 0..1, None for that of the training; workers: processes, None
                for one a core; options: norm, samples, images, radii, alpha, ...: those of `CertifyConfig`.
        Raises: UserError if an option is out of range, or the run has no classes.
        Writes: votes below the folder of the run; a later call finds them.
        """
        from neuro.base.options import configured
        from sim.face.certify import conclude, do
        from sim.robustness.certified.config import CertifyConfig
        from sim.robustness.certified.run import CertifyRun

        job = CertifyRun(self.on_disk(), configured(CertifyConfig, {"sigma": sigma, **options}))
        do(job, None, workers, progress)
        return conclude(job)

    def perturb(
        self, kinds: Sequence[str] | None = None, *, against: str | Path | Measures | None = None,
        workers: int | None = None, progress: bool = True, **options: Any,
    ) -> PerturbResult:  # fmt: skip
        """Accuracy on corrupted images, by kind and severity, and mCE beside a perceptron of the same shape.

        Args:   kinds: of the set, None for all; against: another run on the same data to compare with, in place of the
                perceptron; workers: processes, None for one a core; options: severities, images, table, frost, seed,
                ...: those of `PerturbConfig`.
        Raises: UserError if an option is unknown, the images are no pictures, or the run has no classes.
        Writes: answers below the folder of the run; a later call finds them.
        """
        from neuro.base.options import configured
        from sim.face.perturb import do
        from sim.perturbation.config import PerturbConfig
        from sim.perturbation.run import PerturbRun

        other = None if against is None else self.folder_of(against)
        job = PerturbRun(self.on_disk(), configured(PerturbConfig, {"kinds": kinds, **options}), other)
        do(job, None, workers, progress)
        return job.result()

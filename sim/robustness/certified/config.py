"""What a user may choose of a certificate, checked."""

from __future__ import annotations

import math
from dataclasses import dataclass

from neuro.base.checks import Range
from neuro.base.errors import UserError
from neuro.base.options import SEED, check_options, option

IMAGES, SIGMAS, STEP = 100, (0.25,), 0.25  # STEP: between radii, in l2
NORMS = {"l2": "Euclidean", "linf": "largest change of a pixel, by the inequality of norms"}
SIGMA = Range(0.0, 10.0, open_below=True)
ALPHA = Range(0.0, 0.5, open_below=True, open_above=True)


@dataclass(frozen=True, kw_only=True)
class CertifyConfig:
    """What the user asks for. The options, with their limits, stand at the fields; None is settled with the run.

    sigma and radii in pixels: 0..1 is the whole range (`sim.robustness.certified.run.settled`).
    """

    sigma: tuple[float, ...] = option(
        None, "Deviation of the noise in pixels of 0..1; several separated by commas.", SIGMA,
        "that of the training, else 0.25",
    )  # fmt: skip
    norm: str = option("l2", "Size of a change", choices=NORMS)
    samples: int = option(10_000, "Noisy copies of an image that are counted.", Range(1, 100_000_000))
    selection: int = option(100, "Further copies that choose the class first.", Range(1, 1_000_000))
    alpha: float = option(0.001, "Probability that the certificate of an image is wrong.", ALPHA)
    images: int | None = option(None, "Test images, from the first.", Range(1), f"{IMAGES}, or as many as there are")
    radii: tuple[float, ...] = option(
        None, "Sizes at which accuracy is told.", Range(0.0), "steps of .25 in l2, as far as the samples reach"
    )
    backend: str = option("", "Backend that classifies: events or chip, reference, torch, lava.")
    seed: int = SEED.default(0)

    def __post_init__(self) -> None:
        check_options(self)
        for name in ("sigma", "radii"):
            values = getattr(self, name)
            if values is not None and (not values or len(set(values)) != len(values)):
                raise UserError(f"{name} {values}: give one or more different values")
        if self.backend:
            from sim.backends.protocol import get_backend

            get_backend(self.backend)
        self.reach(1.0)
        if self.norm == "l2":
            self.check_radii(1)

    def check_radii(self, n_pixels: int) -> None:
        """Raise UserError if a radius is larger than the samples could certify for any sigma."""
        if not (self.sigma and self.radii):
            return
        sigma = max(self.sigma)
        reach = self.reach(sigma, n_pixels)
        if max(self.radii) > reach:
            told = math.floor(reach * 1000) / 1000
            raise UserError(
                f"radii {max(self.radii):g}: {self.samples:,} samples certify at most radius {told:g} ({self.norm}) "
                f"at sigma {sigma:g} and alpha {self.alpha:g}; give smaller radii, more --samples or a larger --sigma"
            )

    def reach(self, sigma: float, n_pixels: int = 1) -> float:
        """The radius that the samples can certify at most, in the norm of images of so many pixels.

        Raises: UserError if it is none.
        """
        from sim.robustness.certified.bounds import in_norm, largest_radius

        return in_norm(largest_radius(self.samples, sigma, self.alpha), self.norm, n_pixels)

"""What a certificate says, and of what: lower bounds of the smoothed classifier, never of the plain network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from neuro.base.metrics import Accuracy
from neuro.base.quantities import Modelled
from neuro.base.shown import Lines, Shown
from sim.robustness.certified.bounds import in_norm, radius_of
from sim.robustness.certified.config import CertifyConfig

SMOOTHED = (
    "lower bounds of the smoothed classifier (sampler and network: the class that most noisy copies of an image get), "
    "not of the plain network"
)
BY_INEQUALITY = "linf by the inequality of norms only: the l2 radius / sqrt({n})"


@dataclass(frozen=True)
class ImageVotes:
    """Votes of one image. selection, votes: of the copies that chose the class, and of those counted after, [K]."""

    image: int
    label: int
    selection: tuple[int, ...]
    votes: tuple[int, ...]

    @property
    def selected(self) -> int:
        """The class whose votes are counted: that of most copies of the selection, the lowest of equals."""
        return self.selection.index(max(self.selection))

    @property
    def predicted(self) -> int:
        """The answer of the smoothed classifier: the class of most copies of both kinds, the lowest of equals.

        An image with a certified radius has it for its selected class: more than half of the later copies, and the
        most of the first.
        """
        totals = [a + b for a, b in zip(self.selection, self.votes, strict=True)]
        return totals.index(max(totals))


@dataclass(frozen=True)
class Certificate:
    """The certificate of the first n test images under noise of one size.

    radii: at which accuracy is told, in the norm of the config, from 0. n_pixels: of an image.
    """

    sigma: float
    config: CertifyConfig
    rows: Sequence[ImageVotes]
    radii: tuple[float, ...]
    n_pixels: int

    @property
    def n(self) -> int:
        """Images."""
        return len(self.rows)

    @property
    def smoothed(self) -> Accuracy:
        """Accuracy of the smoothed classifier without any change of the images, nothing abstained."""
        return Accuracy(sum(row.predicted == row.label for row in self.rows), self.n)

    @cached_property
    def image_radii(self) -> list[float | None]:
        """The certified radius of every image, in the norm of the config; None where the votes certify nothing."""
        samples, alpha = self.config.samples, self.config.alpha
        found = [radius_of(row.votes[row.selected], samples, self.sigma, alpha) for row in self.rows]
        return [None if radius is None else in_norm(radius, self.config.norm, self.n_pixels) for radius in found]

    @property
    def abstained(self) -> int:
        """Images of which nothing is certified, whatever their label."""
        return sum(radius is None for radius in self.image_radii)

    @property
    def right_radii(self) -> list[float]:
        """The certified radii of the images whose class is right, ascending."""
        pairs = zip(self.rows, self.image_radii, strict=True)
        return sorted(radius for row, radius in pairs if radius is not None and row.selected == row.label)

    @property
    def largest(self) -> float:
        """The radius that so many samples can certify at most."""
        return self.config.reach(self.sigma, self.n_pixels)

    @property
    def certified(self) -> dict[float, Accuracy]:
        """By radius: images whose class is right and stays so under any change below the radius."""
        radii = self.right_radii
        return {at: Accuracy(sum(radius >= at for radius in radii), self.n) for at in self.radii}

    def to_json(self) -> dict[str, Any]:
        """The keys of one sigma."""
        return {
            "n": self.n,
            "sigma": self.sigma,
            "norm": self.config.norm,
            "samples": self.config.samples,
            "smoothed_accuracy": self.smoothed.value,
            "abstained": self.abstained,
            "certified": {f"{radius:g}": found.value for radius, found in self.certified.items()},
            "certified_interval": {f"{radius:g}": list(found.interval) for radius, found in self.certified.items()},
            "largest_radius": self.largest,
            "selection": self.config.selection,
            "alpha": self.config.alpha,
            "seed": self.config.seed,
        }

    def lines(self) -> Lines:
        """The rows of a table about it."""
        head = f"sigma {self.sigma:g}"
        rows = [
            (f"smoothed accuracy, {head}", self.smoothed.describe()),
            (f"abstained, {head}", f"{self.abstained} of {self.n}: their votes certify no radius"),
        ]
        for radius, found in self.certified.items():
            rows.append((f"certified, {self.config.norm} {radius:.3g}", found.describe()))
        reach = f"{self.largest:.3g}: all that {self.config.samples:,} votes can show at alpha {self.config.alpha:g}"
        return [*rows, ("largest radius", reach)]


@dataclass(frozen=True)
class Constancy:
    """The exact part, of the plain network: images whose payloads no change up to eps in linf can alter.

    unit: distance of the encoder's steps in pixels. shares: by eps, right images that are constant; None where the
    encoder mixes pixels, then `skipped` says so.
    """

    clean: Accuracy
    unit: float
    shares: dict[float, Accuracy] | None
    skipped: str = ""

    def to_json(self) -> dict[str, Any]:
        """The same as plain objects."""
        shares = None if self.shares is None else {f"{eps:.4g}": found.value for eps, found in self.shares.items()}
        return {"clean": self.clean.value, "payload_unit": self.unit, "constant": shares, "skipped": self.skipped}


@dataclass(frozen=True)
class Cost:
    """What certifying one image takes on a chip. energy: of them all, modelled; None for a run that was not priced."""

    inferences: int
    steps: int
    energy: Modelled | None = None

    def __str__(self) -> str:
        counted = f"{self.inferences:,} inferences of {self.steps} steps an image and sigma"
        if self.energy is None:
            return f"{counted}; their energy: settle compile RUN --report models that of one inference"
        return f"{counted}: {self.energy}"

    def to_json(self) -> dict[str, Any]:
        """The same as plain objects."""
        return {"inferences": self.inferences, "steps_per_inference": self.steps,
                "energy": None if self.energy is None else self.energy.to_json()}  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class CertifyResult(Shown):
    """What `settle certify` found. certificates: one a sigma; notes: warnings, and sizes in the units of the data."""

    run: str
    config: CertifyConfig
    certificates: Sequence[Certificate]
    constancy: Constancy
    cost: Cost
    trained_noise: float
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def certified(self) -> dict[float, float]:
        """Certified accuracy by radius, under the first sigma."""
        return {radius: found.value for radius, found in self.certificates[0].certified.items()}

    @property
    def smoothed_accuracy(self) -> float:
        """Accuracy of the smoothed classifier under the first sigma."""
        return self.certificates[0].smoothed.value

    def lines(self) -> Lines:
        """See `Shown`."""
        rows = [("run", self.run), ("certified is", SMOOTHED)]
        if self.config.norm == "linf":
            rows.append(("", BY_INEQUALITY.format(n=self.certificates[0].n_pixels)))
        for certificate in self.certificates:
            rows += certificate.lines()
        constant = self.constancy
        rows.append(("plain network, clean", constant.clean.describe()))
        if constant.shares is None:
            rows.append(("constant payloads", constant.skipped))
        else:
            told = ", ".join(f"{found.value:.4f} at {eps:.3g}" for eps, found in constant.shares.items())
            rows.append(
                ("right and constant, linf", f"{told}: exact, of the plain network; payload unit {constant.unit:.3g}")
            )
        return [*rows, ("on a chip", str(self.cost)), *(("note", note) for note in self.notes)]

    def to_json(self) -> dict[str, Any]:
        """The object that `settle certify --json` prints: the keys of the first sigma, and all by sigma."""
        return {
            "run": self.run,
            **self.certificates[0].to_json(),
            "by_sigma": {f"{found.sigma:g}": found.to_json() for found in self.certificates},
            "plain": self.constancy.to_json(),
            "cost": self.cost.to_json(),
            "trained_noise": self.trained_noise,
            "classifier": SMOOTHED,
            "notes": list(self.notes),
        }

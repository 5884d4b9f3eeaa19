"""What a user may choose of a sparse coder, checked."""

from __future__ import annotations

from dataclasses import dataclass

from neuro.base.checks import Range
from neuro.base.errors import UserError
from neuro.base.options import SEED, THREADS, check_options, fill, option
from sim.training.config import EPOCHS, SHADOW_BITS

EXTENT = Range(1, 1024)
KINDS = {"soft": "", "hard": ""}
FAMILIES = {"sigma-delta": "", "stock": "learns as sigma-delta, deployed as processes that Lava ships"}
SPIKING, GRADED = "spiking", "graded"
LCA, FISTA = "lca", "fista"
SOLVERS = {LCA: "the coder itself, as deployed", FISTA: "the solution of the problem, in floats, by a host"}
FORMS = {SPIKING: "LIF neurons", GRADED: "graded ReLU neurons"}
LAYOUTS = {"inhibition": "default for whole images", "residual": "default for patches"}


@dataclass(frozen=True, kw_only=True)
class LcaConfig:
    """What the user asks for. `None` means: choose it from the data; the choice is recorded in the manifest.

    The options, with their limits, stand at the fields. Of them, sparsity_threshold, signed, threshold_kind, layout and
    activation_bits are of `neuro.coding.sigma_delta.CoderDesign`; without normalise the decay of atoms alone keeps them
    near length 1; whiten, normalise_contrast: see `neuro.front_ends.whitening`.

    front_end: SHA-256 of the manifest of the coder in front, "" for none.
    """

    seed: int = SEED.default(0)
    atoms: int | None = option(None, "Atoms.", Range(1, 65_536), "256; of patches: 64")
    patch: int | None = option(None, "Extent of convolutional atoms.", EXTENT, "whole images")
    stride: int | None = option(None, "Stride of convolutional atoms.", EXTENT, "half their extent")
    same: bool = option(False, "Pad images so that any stride tiles them.")
    sparsity_threshold: float | None = option(
        None,
        "Sparsity threshold (lambda).",
        Range(0.0, open_below=True),
        "from the data",
        flags=("--threshold",),
    )
    signed: bool = option(False, "Codes of both signs.")
    threshold_kind: str = option(
        "soft", "Hard threshold in place of the soft one.", choices=KINDS, flags=("--hard",), sets="hard"
    )
    layout: str | None = option(None, "How codes compete", choices=LAYOUTS)
    activation_bits: int | None = option(None, "Payload unit of codes 2**-bits.", Range(0, 16), "from the threshold")
    epochs: int | None = EPOCHS.default(None)
    shadow_bits: int = SHADOW_BITS.default(8)
    normalise: bool = option(
        True, "Whether a host gives atoms unit norm now and then.", flags=("--normalise/--chip-alone",)
    )
    threads: int | None = THREADS.default(None)
    front_end: str = ""
    whiten: bool = option(False, "Whiten images (ZCA learned from training images).")
    normalise_contrast: bool = option(False, "Divide each image by its contrast (divisive normalisation).")
    family: str = option("sigma-delta", "Kind of network", choices=FAMILIES)
    form: str | None = option(None, "Stock: what codes", choices=FORMS, unset=SPIKING)
    solver: str = option(LCA, "Whose codes teach the dictionary", choices=SOLVERS)

    def __post_init__(self) -> None:
        check_options(self)
        if self.stride is not None and self.patch is None:
            raise UserError(f"stride {self.stride}: kernels have a stride, whole images none; give --patch too")
        if self.front_end and (self.whiten or self.normalise_contrast):
            raise UserError("whitening and contrast are of images; codes of a front end stay as they are: train it so")
        if self.solver == FISTA and self.threshold_kind == "hard":
            raise UserError("solver fista: it solves the problem of the soft threshold; drop --hard, or the solver")
        if self.stock:
            fill(self, form=SPIKING)
            self._check_stock()
        elif self.form is not None:
            raise UserError(f"form {self.form}: of the stock family; give --family stock too")

    @property
    def stock(self) -> bool:
        """Whether the coder is deployed as stock processes."""
        return self.family == "stock"

    def _check_stock(self) -> None:
        """Raise UserError unless stock processes can code so."""
        refused = {
            "--patch": self.patch is not None,
            "--signed": self.signed,
            "--hard": self.threshold_kind == "hard",
            "--layout residual": self.layout == "residual",
            "--whiten": self.whiten,
            "--normalise-contrast": self.normalise_contrast,
            "--front-end": bool(self.front_end),
        }
        given = ", ".join(flag for flag, asked in refused.items() if asked)
        if given:
            raise UserError(
                "family stock: its coders take whole images as they are, codes are >= 0, thresholds soft, atoms "
                f"inhibit each other; drop {given}, or --family stock"
            )

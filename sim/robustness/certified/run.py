"""Certificates of a finished run: votes counted image by image, kept in its folder, and what they certify.

The images are cut into blocks, which several processes or machines can share (`settle certify RUN --shard i/n`). Votes
are kept every few seconds: an interruption loses those. A later call with more images, another norm, other radii or
another alpha counts only what is missing. Votes are a function of weights, sigma, seed, image and copy alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from neuro.artifact.run_folder import Artifact
from neuro.base.arrays import Array, Bools
from neuro.base.errors import UserError
from neuro.base.files import json_bytes, parse_json, read_bytes, sha256, shown, write_atomically
from neuro.base.metrics import Accuracy, accuracy
from neuro.base.quantities import Modelled
from neuro.base.schema import parsed
from neuro.data.sets import Dataset, require_test_images
from sim.backends.protocol import get_backend
from sim.backends.session import AnySession
from sim.evaluate import data_of, is_coder, load_run
from sim.robustness.attacks.threats import Threat
from sim.robustness.bridge.units import own_units
from sim.robustness.certified.config import IMAGES, SIGMAS, STEP, CertifyConfig
from sim.robustness.certified.result import Certificate, CertifyResult, Constancy, Cost, ImageVotes
from sim.robustness.certified.votes import Noise, count_votes
from sim.robustness.judging.constancy import constancy_radii, payload_unit

BLOCK = 20  # images
CERTIFICATES, RESULT = "certificates", "certificate.json"
PREVIEWED = 20  # images that say what to expect
KEEP_EVERY_S = 2.0
LEVELS = (1 / 255, 2 / 255, 4 / 255, 8 / 255, 16 / 255)  # in linf
REMEDY = "delete the file and certify again"


class CertifyRun:
    """One certificate of one run: its folders, one a sigma, its blocks of images."""

    verb, work, on_gpu = "certify", f"{__name__}:do_request", False

    def __init__(self, run: Path, config: CertifyConfig) -> None:
        self.run = run
        self.artifact = load_run(run)
        if is_coder(self.artifact):
            raise UserError(f"run {run}: a sparse coder has no classes; certify a classifier behind it")
        self.dataset = data_of(self.artifact)
        self.config = settled(config, self.artifact, self.dataset)
        self.n_images = self.config.images or 0

    @property
    def folder(self) -> Path:
        """Where certificates of the run lie."""
        return self.run / CERTIFICATES

    @property
    def backend(self) -> str:
        """The backend that classifies."""
        return self.config.backend or self.artifact.spec.native_backend

    @property
    def n_blocks(self) -> int:
        """Blocks of BLOCK images, the last one smaller."""
        return -(-self.n_images // BLOCK)

    @property
    def n_shards(self) -> int:
        """Blocks of all sigmas, each a file of its own."""
        return self.n_blocks * len(self.config.sigma)

    def folder_of(self, sigma: float) -> Path:
        """The folder of all certificates with such noise: a function of what decides a vote."""
        asked = {
            "sigma": sigma, "samples": self.config.samples, "selection": self.config.selection,
            "seed": self.config.seed, "backend": self.backend,
            "weights": self.artifact.manifest["files"]["weights.npz"],
        }  # fmt: skip
        return self.folder / f"sigma{sigma:g}-{sha256(json_bytes(asked, sort_keys=True))[:10]}"

    def _place(self, shard: int) -> tuple[float, range]:
        """The sigma and the images of a shard, counted from 1."""
        if not 1 <= shard <= self.n_shards:
            raise UserError(f"shard {shard} of {self.n_shards}: {self.n_images} images make {self.n_shards} shards")
        which, block = divmod(shard - 1, self.n_blocks)
        return self.config.sigma[which], range(block * BLOCK, min((block + 1) * BLOCK, self.n_images))

    def path(self, shard: int) -> Path:
        """File of a shard: its name does not depend on how many images there are in all."""
        sigma, images = self._place(shard)
        return self.folder_of(sigma) / f"images-{images.start:05d}.json"

    def rows(self, shard: int) -> list[ImageVotes]:
        """The votes that a shard has so far. Raises: UserError if its file is damaged."""
        path, (_, images) = self.path(shard), self._place(shard)
        if not path.is_file():
            return []
        content = parsed(parse_json(read_bytes(path), path), dict[str, list[ImageVotes]], shown(path), REMEDY)
        rows = content.get("rows", [])
        if [row.image for row in rows] != list(range(images.start, images.start + len(rows))) or not all(
            self._fits(row) for row in rows
        ):
            raise UserError(f"{shown(path)}: holds votes of other images or samples; {REMEDY}")
        return rows

    def _fits(self, row: ImageVotes) -> bool:
        counts, config = (row.selection, row.votes), self.config
        return (
            all(len(votes) == self.artifact.spec.n_classes and min(votes) >= 0 for votes in counts)
            and (sum(row.selection), sum(row.votes)) == (config.selection, config.samples)
            and row.label == self.dataset.y_test[row.image]
        )

    def missing(self) -> list[int]:
        """The shards, counted from 1, with images still to do."""
        shards = range(1, self.n_shards + 1)
        return [shard for shard in shards if len(self.rows(shard)) < len(self._place(shard)[1])]

    def prepare(self) -> None:
        """Nothing: shards share nothing."""

    def request(self, shard: int) -> dict[str, Any]:
        """What `do_request` needs to do a shard elsewhere."""
        return {"run": str(self.run.resolve()), "config": asdict(self.config), "shard": shard}

    def do(self, shard: int, progress: Callable[[str], None] | None = None) -> None:
        """Count the votes of the images of a shard that are missing."""
        (sigma, images), rows = self._place(shard), self.rows(shard)
        kept_at = time.monotonic()
        with get_backend(self.backend).open(self.artifact.spec, threads=1) as session:
            for image in images[len(rows) :]:
                if progress:
                    progress(f"sigma {sigma:g}, image {image + 1} of {self.n_images}")
                rows.append(self._votes(session, image, sigma))
                if time.monotonic() - kept_at >= KEEP_EVERY_S:
                    self._keep(shard, rows)
                    kept_at = time.monotonic()
        self._keep(shard, rows)

    def _keep(self, shard: int, rows: list[ImageVotes]) -> None:
        write_atomically(self.path(shard), json_bytes({"rows": [asdict(row) for row in rows]}))

    def _votes(self, session: AnySession, image: int, sigma: float) -> ImageVotes:
        pixels, noise, config = self.dataset.x_test[image], Noise(sigma, self.config.seed), self.config
        selection = count_votes(session, pixels, noise, image, 0, config.selection)
        votes = count_votes(session, pixels, noise, image, config.selection, config.samples)
        label = int(self.dataset.y_test[image])
        return ImageVotes(image, label, tuple(selection.tolist()), tuple(votes.tolist()))

    def warnings(self) -> list[str]:
        """What to expect of a run that was trained without noise, measured on a few copies of a few images."""
        if trained_noise(self.artifact):
            return []
        count, found = min(PREVIEWED, self.n_images), []
        with get_backend(self.backend).open(self.artifact.spec, threads=1) as session:
            for sigma in self.config.sigma:
                noise, right = Noise(sigma, self.config.seed), 0
                for image in range(count):
                    votes = count_votes(session, self.dataset.x_test[image], noise, image, 0, self.config.selection)
                    right += int(votes.argmax() == self.dataset.y_test[image])
                found.append(
                    f"trained without noise: under sigma {sigma:g}, {right} of the first {count} images get their "
                    f"class from most of {self.config.selection} copies, so expect a smoothed accuracy of about "
                    f"{right / count:.2f}; settle train ep --noise {sigma:g} trains for it"
                )
        return found

    def result(self, energy: Modelled | None = None, notes: tuple[str, ...] = ()) -> CertifyResult:
        """What all votes together certify. energy: of an inference on a chip, if the run was priced.

        Raises: UserError if some are missing.  Writes: a file beside the votes of each sigma.
        """
        if self.missing():
            raise UserError(f"certify {self.folder}: shards {self.missing()} are missing; run them first")
        per_image = self.config.samples + self.config.selection
        cost = Cost(per_image, self.artifact.spec.free_steps, None if energy is None else energy.times(per_image))
        result = CertifyResult(
            str(self.run), self.config, [self._certificate(which) for which in range(len(self.config.sigma))],
            self._constancy(), cost, trained_noise(self.artifact), (*notes, *self._units()),
        )  # fmt: skip
        for found in result.certificates:
            content = {
                **result.to_json(), **found.to_json(), "right_radii": found.right_radii,
                "weights_sha256": self.artifact.manifest["files"]["weights.npz"],
            }  # fmt: skip
            write_atomically(self.folder_of(found.sigma) / f"{self.config.norm}-{RESULT}", json_bytes(content))
        return result

    def _certificate(self, which: int) -> Certificate:
        shards = range(which * self.n_blocks + 1, (which + 1) * self.n_blocks + 1)
        rows = [row for shard in shards for row in self.rows(shard)][: self.n_images]
        sigma, n_pixels = self.config.sigma[which], self.artifact.spec.n_inputs
        return Certificate(sigma, self.config, rows, radii_for(self.config, sigma, n_pixels), n_pixels)

    def _constancy(self) -> Constancy:
        images, labels, spec = self.dataset.x_test[: self.n_images], self.dataset.y_test, self.artifact.spec
        with get_backend(self.backend).open(spec, threads=1) as session:
            predictions = session.run(spec.encoder.encode(images)).predictions
        right: Bools = predictions == labels[: self.n_images]
        return constancy_of(self.artifact, images, right, accuracy(predictions, labels[: self.n_images]))

    def _units(self) -> tuple[str, ...]:
        """What a radius of 1 (0.1 in linf) is in the units of the data; nothing where these are pixels in 0..1."""
        threat = Threat(self.config.norm, 0.1 if self.config.norm == "linf" else 1.0)
        words = own_units(threat, self.dataset)
        return (f"sizes are of pixels in 0..1: {threat.eps:g} is {words}",) if words else ()


def constancy_of(artifact: Artifact, images: Array, right: Bools, clean: Accuracy) -> Constancy:
    """How many of the right images no change up to LEVELS can move."""
    encoder = artifact.spec.encoder
    try:
        radii = constancy_radii(encoder, images)
    except UserError as error:
        return Constancy(clean, payload_unit(encoder), None, str(error))
    shares = {eps: Accuracy(int(np.count_nonzero(right & (radii > eps))), len(images)) for eps in LEVELS}
    return Constancy(clean, payload_unit(encoder), shares)


def trained_noise(artifact: Artifact) -> float:
    """The noise that a run was trained with; 0 for none, and for runs of before."""
    told = artifact.manifest["config"].get("noise", 0.0)
    return 0.0 if isinstance(told, str) else float(told)


def settled(config: CertifyConfig, artifact: Artifact, dataset: Dataset) -> CertifyConfig:
    """The configuration with all that follows from the run. Raises: UserError if it does not suit it."""
    trained = trained_noise(artifact)
    sigma = config.sigma or ((trained,) if trained else SIGMAS)
    images = min(IMAGES, len(dataset.y_test)) if config.images is None else config.images
    require_test_images(dataset, images)
    config = replace(config, sigma=sigma, images=images)
    config.check_radii(artifact.spec.n_inputs)
    return config


def radii_for(config: CertifyConfig, sigma: float, n_pixels: int) -> tuple[float, ...]:
    """The radii at which accuracy is told: 0 and those asked for, else as many as the samples can reach."""
    reach = config.reach(sigma, n_pixels)
    usual = LEVELS if config.norm == "linf" else tuple(STEP * step for step in range(1, int(reach / STEP) + 1))
    radii = config.radii or tuple(radius for radius in usual if radius <= reach)
    return tuple(sorted({0.0, *radii}))


def do_request(request: Mapping[str, Any]) -> None:
    """Do one shard, in another process or on another machine that sees the same files."""
    CertifyRun(Path(request["run"]), CertifyConfig(**request["config"])).do(request["shard"])

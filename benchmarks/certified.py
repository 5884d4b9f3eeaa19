"""Lower bounds: what randomised smoothing certifies of EP networks' integers, trained with noise and without.

    python -m benchmarks.certified --part run --run RUN       certify a run that `settle train ep` has finished
    python -m benchmarks.certified --part perceptron          a float perceptron, trained with the same noise
    python -m benchmarks.certified --part attack --run RUN    attack the smoothed classifier, below the radii and above
    python -m benchmarks.certified --part choices             what was compared on validation images, one pass of trials

Certified accuracy is a lower bound of the smoothed classifier (the class that most noisy copies of an image get), never
of the plain network. Noise of the training, epochs and rates were chosen on validation images (part choices), the test
set is read once a network. The attack: projected gradients in l2 on the mean of the softmax of noisy copies, through
the twin (`sim.robustness.certified.smoothed_attack`), judged by votes of the deployed integers. Below its certified
radius no image may change its class; at fixed sizes the accuracy under it bounds the smoothed classifier from above.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.tools.noisy_perceptron import train_noisy, votes_of
from benchmarks.tools.results_file import machine, merge, parser
from neuro.base.arrays import Float32
from neuro.base.files import parse_json, read_bytes
from neuro.data.sets import Dataset, Split, load_dataset, split_validation
from neuro.front_ends.noise import noisy_payloads
from sim.backends.protocol import get_backend
from sim.backends.session import AnySession
from sim.robustness.certified.config import CertifyConfig
from sim.robustness.certified.result import Certificate, ImageVotes
from sim.robustness.certified.run import CertifyRun, radii_for, trained_noise
from sim.robustness.certified.smoothed_attack import COPIES, STEPS, smoothed_pgd
from sim.robustness.certified.votes import Noise, count_votes, leading
from sim.robustness.defences.baselines import real_images
from sim.training.config import TrainConfig
from sim.training.parallel.shards import do_shards
from sim.training.recipe import make_trainer
from sim.training.trainer import Choices
from sim.twins.make import make_twin

HIDDEN, EPOCHS, IMAGES = (256,), 20, 1000
ATTACKED, JUDGED, BELOW = 200, 1_000, 0.999  # images; copies that judge an attacked one; share of the radius
SIZES = (0.5, 1.0, 2.0)
OTHER_STREAMS = 1 << 40  # of noise that judges attacked images: none that certified them
# Trials: sigma of the training, learning rate, share of the output layer, centred.
TRIALS = (
    (0.5, 6.0, 0.25, True), (0.5, 3.0, 0.25, True), (0.5, 12.0, 0.25, True), (0.5, 6.0, 0.5, True),
    (0.5, 6.0, 0.125, True), (0.5, 6.0, 0.25, False), (0.6, 6.0, 0.25, True),
)  # fmt: skip
TRIAL_EPOCHS, TRIAL_IMAGES, TRIAL_COPIES = 6, 2_000, 64


class Quiet:
    """Says which shard is done."""

    def on_attack(self, shard: int, text: str) -> None:
        """Nothing."""

    def on_shard(self, shard: int, error: str) -> None:
        """One line."""
        print(f"shard {shard} {error or 'done'}", flush=True)


def row_of(certificate: Certificate, cpu_s: float | None = None) -> dict[str, Any]:
    """The figures of a certificate; radii to be drawn, rounded."""
    radii = [round(radius, 4) for radius in certificate.right_radii]
    return {**certificate.to_json(), "right_radii": radii, "cpu_s": cpu_s}


def certified_run(folder: Path, config: CertifyConfig, workers: int) -> dict[str, Any]:
    """Certify a run in its folder; votes that are there are kept."""
    job = CertifyRun(folder, config)
    fresh = len(job.missing()) == job.n_shards and workers == 1
    begin = time.process_time()
    do_shards(job, range(1, job.n_shards + 1), workers, Quiet())
    spent = time.process_time() - begin if fresh else None
    result = job.result()
    results, asked = job.artifact.manifest["results"], job.artifact.manifest["config"]
    return {
        **row_of(result.certificates[0], spent),
        "trained_noise": result.trained_noise,
        "epochs": job.artifact.manifest["chosen"]["epochs"],
        "learning_rate": asked["learning_rate"],
        "noisy_val_accuracy": results["val"]["n_correct"] / results["val"]["n"],
        "plain": result.constancy.to_json(),
    }


def certified_perceptron(dataset: Dataset, config: CertifyConfig, seed: int) -> dict[str, Any]:
    """Train a float perceptron with the noise that it is certified with, and certify it on the same copies."""
    (sigma,), count, n_classes = config.sigma, config.images or 0, dataset.n_classes
    model, begin = train_noisy(dataset, HIDDEN, sigma, EPOCHS, seed), time.process_time()
    rows = []
    for image in range(count):
        halves = [
            votes_of(model, dataset.x_test[image], sigma, n_classes, seed=config.seed, stream=image, first=a, count=b)
            for a, b in ((0, config.selection), (config.selection, config.samples))
        ]
        selection, votes = (tuple(half.tolist()) for half in halves)
        rows.append(ImageVotes(image, int(dataset.y_test[image]), selection, votes))
    n_pixels = int(np.prod(dataset.image_shape))
    certificate = Certificate(sigma, config, rows, radii_for(config, sigma, n_pixels), n_pixels)
    return {**row_of(certificate, time.process_time() - begin), "trained_noise": sigma, "epochs": EPOCHS}


def attacked(folder: Path, config: CertifyConfig) -> dict[str, Any]:
    """Attack the first images of a certified run, each just below its radius, and all at fixed sizes."""
    job = CertifyRun(folder, config)
    certificate = job.result().certificates[0]
    rows, radii = certificate.rows[:ATTACKED], certificate.image_radii[:ATTACKED]
    pixels, twin = real_images(job.dataset.x_test[: len(rows)]), make_twin(job.artifact.spec)
    known = [index for index, radius in enumerate(radii) if radius is not None]
    wanted = torch.tensor([rows[i].selected for i in known])
    reach = BELOW * torch.tensor([radii[i] or 0.0 for i in known])
    labels = torch.tensor([row.label for row in rows])
    moved = _moved(twin, pixels[known], wanted, reach, certificate.sigma)
    with get_backend(job.backend).open(job.artifact.spec, threads=1) as session:
        answers = _answers(session, moved.numpy(), certificate.sigma, known)
        accuracies = {}
        for size in SIZES:
            far = _moved(twin, pixels, labels, torch.full((len(rows),), size), certificate.sigma)
            found = _answers(session, far.numpy(), certificate.sigma, range(len(rows)))
            accuracies[f"{size:g}"] = float(np.mean(found == labels.numpy()))
            print(f"l2 {size:g}: {accuracies[f'{size:g}']:.3f}", flush=True)
    return {
        "n": len(rows), "certified_images": len(known), "changed_below_radius": int((answers != wanted.numpy()).sum()),
        "share_of_radius": BELOW, "steps": STEPS, "copies": COPIES, "judged_by": JUDGED,
        "smoothed_accuracy": float(np.mean([row.predicted == row.label for row in rows])), "accuracy": accuracies,
    }  # fmt: skip


def _moved(
    twin: Any, images: torch.Tensor, labels: torch.Tensor, radii: torch.Tensor, sigma: float, at_once: int = 50
) -> torch.Tensor:
    parts = [
        smoothed_pgd(twin, images[i : i + at_once], labels[i : i + at_once], radii[i : i + at_once], sigma, seed=i)
        for i in range(0, len(images), at_once)
    ]
    return torch.cat(parts)


def _answers(session: AnySession, images: Float32, sigma: float, indices: Any) -> Any:
    """The smoothed classes by JUDGED copies each, of shape [B]."""
    noise = Noise(sigma, 0)
    found = [
        leading(count_votes(session, image, noise, OTHER_STREAMS + index, 0, JUDGED))
        for index, image in zip(indices, images, strict=True)
    ]
    return np.array(found)


def tried(dataset: Dataset, sigma: float, rate: float, share: float, centred: bool) -> dict[str, Any]:
    """One trial: trained shortly, judged by votes on validation images under noise of 0.5."""
    split = split_validation(dataset.y_train, 0)
    held_out = split.validation[:TRIAL_IMAGES]
    config = TrainConfig(noise=sigma, threads=1, hidden=HIDDEN)
    choices = Choices(rate, share, centred, 0)
    trainer = make_trainer(dataset, config, choices, Split(split.train, held_out), TRIAL_EPOCHS)
    with trainer.session as session:
        trainer.run()
        shown, labels = dataset.x_train[held_out], dataset.y_train[held_out]
        votes = np.zeros((len(held_out), dataset.n_classes), dtype=np.int64)
        for copy in range(TRIAL_COPIES):
            payloads = noisy_payloads(
                session.spec.encoder, shown, 0.5, seed=1, stream=copy, first=0, count=len(shown)
            )  # fmt: skip
            votes[np.arange(len(shown)), session.run(payloads).predictions] += 1
    right = votes[np.arange(len(shown)), labels] / TRIAL_COPIES
    return {
        "noise": sigma, "learning_rate": rate, "output_share": share, "centred": centred,
        "one_copy": float(right.mean()), "smoothed": float(np.mean(votes.argmax(1) == labels)),
        "share_of_votes_above_0.933": float(np.mean(right > 0.933)),
    }  # fmt: skip


def main() -> None:
    """Entry point."""
    arguments = parser(__doc__ or "", "certified", data="mnist", seed=0)
    arguments.formatter_class = argparse.RawDescriptionHelpFormatter
    arguments.add_argument("--part", choices=("run", "perceptron", "attack", "choices"), default="run")
    arguments.add_argument("--run", type=Path, help="A finished run, of the parts run and attack.")
    arguments.add_argument("--images", type=int, default=IMAGES)
    arguments.add_argument("--samples", type=int, default=10_000)
    arguments.add_argument("--sigma", type=float, default=0.5)
    arguments.add_argument("--workers", type=int, default=1)
    options = arguments.parse_args()
    torch.set_num_threads(1)
    config = CertifyConfig(sigma=(options.sigma,), samples=options.samples, images=options.images)
    before = parse_json(read_bytes(options.out), options.out) if options.out.is_file() else {}
    if options.part == "choices":
        dataset = load_dataset(options.data, 0)
        merge(options.out, {"choices": [tried(dataset, *trial) for trial in TRIALS]})
        return
    if options.part == "perceptron":
        name, key = "perceptron", str(options.seed)
        found = certified_perceptron(load_dataset(options.data, options.seed), config, options.seed)
    else:
        job = CertifyRun(options.run, config)
        name, key = "ep" if trained_noise(job.artifact) else "ep without noise", str(job.artifact.manifest["seed"])
        found = (certified_run(options.run, config, options.workers) if options.part == "run"
                 else attacked(options.run, config))  # fmt: skip
    if options.images != IMAGES:
        name += f", first {options.images}"
    table = "attack" if options.part == "attack" else "rows"
    rows = before.get(table, {})
    content = {**rows, name: {**rows.get(name, {}), key: {**found, "machine": machine()["processor"]}}}
    merge(options.out, {"hidden": list(HIDDEN), "data": options.data, table: content})


if __name__ == "__main__":
    main()

"""A run on its placement: what test images do on every core, measured, and what they would cost, modelled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hardware.compile.compiler import compile_network
from hardware.compile.deployment import Deployment
from hardware.energy.constants import DEFAULT_SET, Band, constants_of
from hardware.energy.counts import Counts, count, phases_of_steps
from hardware.energy.estimate import Estimate, Sensitivity, estimate, sensitivity
from hardware.energy.learning_counts import count_learning
from neuro.artifact.run_folder import Artifact
from neuro.base.arrays import Reals
from neuro.base.files import json_bytes, write_atomically
from neuro.data.sets import require_test_images
from neuro.spec.network import Network
from sim.backends.protocol import get_backend, one_hot_targets
from sim.backends.record import Record
from sim.evaluate import data_of, is_coder
from sim.reports.priced import PRICES

IMAGES = 100


@dataclass(frozen=True, eq=False)
class Profile:
    """What test images do and cost on the chip.

    spikes_per_step: by population, of shape [T], mean per image, in an inference.
    learning:        of an image that is learned on the chip; None where the chip does not learn.
    bands:           the constants that priced it.
    """

    deployment: Deployment
    inference: Estimate
    sensitivity: list[Sensitivity]
    learning: Estimate | None
    learning_sensitivity: list[Sensitivity]
    spikes_per_step: dict[str, Reals]
    bands: Mapping[str, Band]


def profile(
    artifact: Artifact, deployment: Deployment, n_images: int = IMAGES, constants: str = DEFAULT_SET
) -> Profile:
    """Run the first test images of a run on its native backend and price them on the placement of an inference; and, if
    the deployment learns, those of a learned image on its own.

    Args:   constants: a name in `hardware.energy.constants.SETS`, or a file FILE.toml.
    Raises: UserError if the data cannot be found, or holds fewer images, or the constants are unknown.
    """
    bands = constants_of(constants)
    network, dataset = artifact.spec, data_of(artifact)
    require_test_images(dataset, n_images)
    payloads, labels = network.encoder.encode(dataset.x_test[:n_images]), dataset.y_test[:n_images]
    learns = deployment.learns and not is_coder(artifact)
    with get_backend(network.native_backend).open(network) as session:
        record = session.run(payloads, keep_spikes=True)
        taught = session.run(payloads, one_hot_targets(network, labels), keep_spikes=True) if learns else None
    limits, chips = deployment.target, deployment.placement.n_chips
    still = deployment
    if deployment.learns:
        still = compile_network(network, run=deployment.run, constants=limits, n_chips=chips, learns=False)
    counts = count(network, record, still.placement)
    lesson: Counts | None = None
    if taught is not None:
        lesson = count_learning(network, taught, deployment.placement)
    return Profile(
        deployment,
        estimate(counts, constants),
        sensitivity(counts, constants),
        None if lesson is None else estimate(lesson, constants),
        [] if lesson is None else sensitivity(lesson, constants),
        spikes_per_step(network, record),
        bands,
    )


def write_prices(profile: Profile, artifact: Artifact, folder: Path) -> Path:
    """Write what an image costs into the folder of its run, where its report finds it; returns the file."""
    learning = None if profile.learning is None else profile.learning.to_json()
    content = {
        "weights_sha256": artifact.manifest["files"]["weights.npz"],
        "target": profile.deployment.target,
        "inference": profile.inference.to_json(),
        "learning": learning,
    }
    write_atomically(folder / PRICES, json_bytes(content))
    return folder / PRICES


def spikes_per_step(network: Network, record: Record) -> dict[str, Reals]:
    """Mean spikes per image at each step, by population; the record holds every spike."""
    table = record.spikes
    if table is None:
        raise ValueError("spikes_per_step: the record needs spikes; ask for them in run()")
    steps = len(phases_of_steps(network, next(iter(record.spike_counts.values())).shape[1] - 1))
    means = {}
    for index, population in enumerate(network.populations):
        if population.name in record.spike_counts:
            at = table.step[table.population == index] - network.first_step
            means[population.name] = np.bincount(at, minlength=steps) / max(record.n_images, 1)
    return means

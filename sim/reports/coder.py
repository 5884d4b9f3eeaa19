"""The section of a report about a sparse coder, alone or behind others."""

from __future__ import annotations

import numpy as np

from neuro.artifact.run_folder import Artifact
from neuro.coding.sigma_delta import CODE
from neuro.data.sets import Dataset
from neuro.spec.sigma_delta import NetworkSpec
from sim.evaluate import Evaluation
from sim.reports.figures import coder as figures_lca
from sim.reports.figures import network as figures
from sim.reports.probes.coder import (
    DESCENT_IMAGES,
    SWEEP_IMAGES,
    LoneCoder,
    atom_pictures,
    lone_coder,
    show_examples,
    sweep_thresholds,
    use_of_atoms,
    watch_descent,
)
from sim.reports.probes.sigma_delta import Activity, watch_activity
from sim.reports.section import Panel, Section, provenance, speed_fact
from sim.reports.sigma_delta import network_tables

INTRO = (
    "A sparse coder: units compete by inhibition until each image is a sum of few atoms of a dictionary, which was "
    "learned by a local rule, residual times activity. "
)
STACKED = "It codes the codes of the coder in front of it; the atoms are drawn as what they add to an image. "


def coder_section(
    name: str, artifact: Artifact, spec: NetworkSpec, dataset: Dataset, evaluations: list[tuple[Evaluation, str]]
) -> Section:
    """Measure a coder and return its section."""
    coder = lone_coder(spec)
    activity = watch_activity(spec, dataset, artifact.manifest["seed"], classes=False)
    return Section(
        name=name,
        intro=INTRO + (STACKED if coder.front else ""),
        facts=_facts(artifact, coder),
        panels=[*_code_panels(artifact, coder, spec, dataset), *_time_panels(artifact, coder, spec, dataset, activity)],
        tables=network_tables(spec, activity),
        evaluations=evaluations,
        provenance=provenance(artifact),
        check="events",
    )


def _facts(artifact: Artifact, coder: LoneCoder) -> list[tuple[str, str]]:
    results, chosen = artifact.manifest["results"], artifact.manifest["chosen"]
    lasso, size = results["lasso"], coder.spec.population(CODE).size
    facts = [
        (f"{results['readout_accuracy']:.4f}", f"test accuracy of a linear readout of the codes, measured, "
         f"n = {results['n_test']}; it learned from {results['n_readout']} training images"),
        (f"{results['spikes_per_image']:.1f}", "spikes of the code per test image, measured"),
        (f"{results['active']:.1f}", f"of {size:,} units active, mean of validation images, measured"),
        (f"{100 * results['converged']:.1f} %", "of validation images converged: twice the steps would lower the "
         "objective by less than 1 %"),
        (f"{chosen['sparsity_threshold']:g}", "sparsity threshold"),
        speed_fact(artifact),
    ]  # fmt: skip
    if lasso is not None:
        meaning = (
            f"objective above the LASSO solution (scikit-learn, same integer dictionary), median of {lasso['n']} "
            f"validation images, measured; {100 * lasso['support_overlap']:.0f} % of the atoms in use are the same"
        )
        facts.insert(0, (f"{100 * lasso['gap']:.2f} %", meaning))
    return facts


def _code_panels(artifact: Artifact, coder: LoneCoder, spec: NetworkSpec, dataset: Dataset) -> list[Panel]:
    """What the atoms are and what they are worth."""
    signals = coder.signals(dataset.x_test[:SWEEP_IMAGES])
    pictures = atom_pictures(coder, spec.image_shape)
    kind = "kernels" if coder.spec.population(CODE).shape[1:] else "atoms"
    shown = min(len(pictures), figures_lca.ATOMS_SHOWN)
    sweep = sweep_thresholds(coder, signals)
    return [
        Panel(
            "Dictionary",
            figures_lca.atoms(pictures, use_of_atoms(coder, signals)),
            f"{shown} of {len(pictures)} {kind}, those most used first (over {len(signals)} test images); "
            "red positive, blue negative, each on its own scale.",
            wide=True,
        ),
        Panel(
            "Images from their codes",
            figures_lca.examples(show_examples(coder, spec, dataset)),
            "The first test images and the sum of their active atoms, measured; left: share of the squared length "
            "of the signal that the code does not explain.",
            wide=True,
        ),
        Panel(
            "Learning",
            figures_lca.coder_learning(artifact.manifest["history"]),
            "Training images, mean over each epoch, before each update.",
        ),
        Panel(
            "Sparsity and reconstruction",
            figures_lca.threshold_sweep(sweep),
            f"The same dictionary at other thresholds; measured on {sweep.n} test images. Dotted: the threshold it "
            "learned with and is deployed at.",
        ),
    ]  # fmt: skip


def _time_panels(
    artifact: Artifact, coder: LoneCoder, spec: NetworkSpec, dataset: Dataset, activity: Activity
) -> list[Panel]:
    """How codes come about."""
    steps = artifact.manifest["chosen"].get("steps", spec.schedule.last_step)
    found = watch_descent(coder, coder.signals(dataset.x_test[:DESCENT_IMAGES]), steps)
    solution = "Reconstruction error: a hard threshold has no LASSO solution to compare with. "
    if found.gap is not None:
        solution = "Objective against the LASSO solution on the same integer dictionary. "
    counted = len(activity.per_image[spec.output])
    active = np.count_nonzero(coder.codes(coder.signals(dataset.x_test[:counted])), axis=1)
    return [
        Panel(
            "Settling",
            figures_lca.descent(found),
            f"{solution}Measured on {len(found.error)} test images. Dotted: the steps it is given.",
        ),
        Panel(
            "Spikes per image",
            figures_lca.code_spikes(activity.per_image[spec.output], active),
            f"Spikes that the code sends, and units that end active, for each of {counted} test images.",
        ),
        Panel(
            "One image settles",
            figures.raster(activity),
            "Every spike of the first test image. Blue: the neuron's activation rose, orange: it fell. Between the "
            "spikes nothing is sent.",
        ),
        Panel(
            "Spikes per step",
            figures.spikes_per_step(activity),
            f"Mean over {counted} test images.",
        ),
    ]

"""The section of a report about a run of the sigma-delta family."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from neuro.artifact.run_folder import Artifact
from neuro.base.arrays import Reals
from neuro.data.sets import Dataset
from neuro.equilibrium.graded_network import GradedNetwork
from neuro.spec.neurons import Source
from neuro.spec.projection import Projection
from neuro.spec.sigma_delta import NetworkSpec
from neuro.spec.stack import unstack
from sim.evaluate import Evaluation
from sim.reports.figures import network as figures
from sim.reports.probes.coder import lone_coder
from sim.reports.probes.sigma_delta import Activity, TestResult, measure_test, watch_activity, watch_relaxation
from sim.reports.section import (
    FIELDS,
    FIELDS_BEHIND,
    HELD_OUT,
    OPERATIONS,
    Panel,
    Section,
    Table,
    accuracy_fact,
    provenance,
    speed_fact,
)

POPULATIONS = ("population", "neurons", "model", "payload unit", "box of the state", "spikes per inference")
PROJECTIONS = (
    "projection", "synapses", "weights", "at the limit", "local rule", "operations, presentation",
    "operations, free phase",
)  # fmt: skip

GRADED = (
    "Deployed as a graded network of stock processes (GradedReluVec, Dense), whose states are the messages; trained as "
    "a sigma-delta network with the same int8 weights and boxes open above. Panels and tables show the form it was "
    "trained in; the first two figures are the deployed form, measured."
)


STACKED = (
    "Behind a sparse coder, as one network: the coder settles first, the network behind it receives its spikes. The "
    "coder's atoms are fixed; only the network behind it learned from labels."
)


def sigma_delta_section(
    name: str, artifact: Artifact, spec: NetworkSpec, dataset: Dataset, evaluations: list[tuple[Evaluation, str]]
) -> Section:
    """Measure a run and return its section."""
    test = measure_test(spec, dataset)
    activity = watch_activity(spec, dataset, artifact.manifest["seed"])
    front, _ = unstack(spec)
    return Section(
        name=name,
        intro="" if front is None else STACKED,
        facts=_facts(artifact, test, front is not None),
        panels=_panels(artifact, spec, dataset, test, activity),
        tables=network_tables(spec, activity),
        evaluations=evaluations,
        provenance=provenance(artifact),
        check="events",
    )


def graded_section(
    name: str, artifact: Artifact, network: GradedNetwork, dataset: Dataset, evaluations: list[tuple[Evaluation, str]]
) -> Section:
    """Measure a graded network: the deployed form, and the sigma-delta form that it was trained in."""
    section = sigma_delta_section(name, artifact, network.spec, dataset, evaluations)
    test = measure_test(network, dataset)
    design, (value, meaning) = network.design, accuracy_fact(test)
    facts = [
        (value, f"{meaning}; graded, {design.free_steps} steps, on the chip backend"),
        (f"{100 * test.settled:.1f} %", "of test images at rest: no graded state moved by more than a unit"),
        *((number, f"sigma-delta form: {what}") for number, what in section.facts),
    ]
    return replace(section, intro=GRADED, facts=facts, check="chip")


def fields(spec: NetworkSpec) -> Reals:
    """Return the weights of the first layer, [pixels, hidden]; behind a front end through its atoms, into pixels."""
    front, back = unstack(spec)
    weights = back.weights_of(next(p for p in back.projections if p.source == back.input)).astype(np.float64)
    return weights if front is None else lone_coder(front).images @ weights


def network_tables(spec: NetworkSpec, activity: Activity) -> list[Table]:
    """Return the tables of populations and projections."""
    return [
        Table(POPULATIONS, [_population_row(spec, p.name, activity) for p in spec.populations]),
        Table(PROJECTIONS, [_projection_row(spec, p, activity) for p in spec.projections], OPERATIONS),
    ]


def _facts(artifact: Artifact, test: TestResult, stacked: bool) -> list[tuple[str, str]]:
    spikes = artifact.manifest["results"]["spikes_per_inference"]
    who = "front end, hidden and output" if stacked else "hidden and output"
    return [
        accuracy_fact(test),
        (f"{spikes:.1f}", f"spikes per inference, measured, {who}, free phase"),
        (f"{100 * test.settled:.1f} %", "of test images silent in the last step of the free phase"),
        speed_fact(artifact),
    ]


def _panels(
    artifact: Artifact, spec: NetworkSpec, dataset: Dataset, test: TestResult, activity: Activity
) -> list[Panel]:
    manifest = artifact.manifest
    relaxation = watch_relaxation(spec, dataset)
    measured = (test.accuracy.value, *test.accuracy.interval)
    return [
        Panel("Learning", figures.learning_curve(manifest["history"], manifest["best_epoch"], measured), HELD_OUT),
        Panel(
            "Settling",
            figures.energy_curve(relaxation),
            "Energy of the network in the free phase, per test image, relative to all states at zero: it falls, then "
            f"stays. Dashed: accuracy if the output were read at that step. {len(relaxation.energy)} test images.",
        ),
        Panel(
            "One image through the three phases",
            figures.raster(activity),
            "Every spike of the first test image. Blue: the neuron's activation rose, orange: it fell. Between the "
            "spikes nothing is sent; in the nudged phases the output is pushed towards, then away from, the target "
            "(or the reverse).",
            wide=True,
            picture=figures.picture(dataset.x_test[0]),
            notes=(f"true class {dataset.y_test[0]}", f"predicted {activity.first.predictions[0]}"),
        ),
        *_spike_panels(activity),
        Panel(
            "Receptive fields",
            figures.receptive_fields(fields(spec), spec.image_shape),
            FIELDS if unstack(spec)[0] is None else FIELDS_BEHIND,
        ),
        Panel("Confusion", figures.confusion(test.confusion), "Test images; row: true class."),
    ]


def _spike_panels(activity: Activity) -> list[Panel]:
    n_watched = len(next(iter(activity.per_image.values())))
    return [
        Panel(
            "Spikes per step",
            figures.spikes_per_step(activity),
            f"Mean over {n_watched} test images. The network is silent once it has settled.",
        ),
        Panel(
            "Spikes per inference",
            figures.spikes_per_inference(activity),
            f"Spikes in the free phase, per test image (of {n_watched}): {', '.join(activity.per_image)}.",
        ),
    ]


def _population_row(spec: NetworkSpec, name: str, activity: Activity) -> tuple[str, ...]:
    population = spec.population(name)
    neuron = population.neuron
    if isinstance(neuron, Source):
        kind = "source" if neuron.constant is None else f"always on, payload {neuron.constant}"
        return name, _times(population.shape), kind, f"2^-{neuron.activation_bits}", "", ""
    kind = "sigma-delta"
    if neuron.threshold:
        kind += f", {neuron.threshold_kind} threshold {neuron.threshold / neuron.one:.3g}"
    box = f"[{neuron.lower / neuron.one:g}, {neuron.upper / neuron.one:g}]"
    mean = f"{activity.per_image[name].mean():.1f}"
    return name, _times(population.shape), kind, f"2^-{neuron.activation_bits}", box, mean


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _projection_row(spec: NetworkSpec, projection: Projection, activity: Activity) -> tuple[str, ...]:
    original = spec.original_of(projection)
    weights = original.weights
    assert weights is not None  # check_spec
    rule = "fixed" if original is projection else f"transpose of {original.name}"
    if projection.rule is not None:
        rule = str(projection.rule)
    elif projection.sign < 0:
        rule = f"minus the {rule}"
    saturated = 100.0 * float((abs(weights.astype(int)) == projection.limit).mean())
    size = " x ".join(str(spec.population(name).size) for name in (projection.source, projection.target))
    if original.convolution is not None:
        size = f"kernel {_times(weights.shape)}, stride {_times(original.convolution.stride)}"
        size += f", sums of {_times(original.convolution.pool)}" if original.convolution.pooled else ""
    scale = f"{projection.weight_bits} bits x 2^-{projection.exponent}"
    operations = (f"{mean:,.1f}" for mean in activity.operations[projection.name])
    return projection.name, size, scale, f"{saturated:.1f} %", rule, *operations

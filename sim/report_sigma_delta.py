"""The section of a report about a run of the sigma-delta family."""

from __future__ import annotations

from dataclasses import replace

from neuro.artifact import Artifact
from neuro.data import Dataset
from neuro.graded_network import GradedNetwork
from neuro.neurons import Source
from neuro.spec import NetworkSpec
from sim import figures
from sim.evaluate import Evaluation
from sim.observe import Activity, TestResult, measure_test, watch_activity, watch_relaxation
from sim.report_page import (
    FIELDS,
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


def sigma_delta_section(
    name: str, artifact: Artifact, spec: NetworkSpec, dataset: Dataset, evaluations: list[tuple[Evaluation, str]]
) -> Section:
    """Measure a run and return its section."""
    test = measure_test(spec, dataset)
    activity = watch_activity(spec, dataset, artifact.manifest["seed"])
    return Section(
        name=name,
        intro="",
        facts=_facts(artifact, test),
        panels=_panels(artifact, spec, dataset, test, activity),
        tables=[
            Table(POPULATIONS, [_population_row(spec, p.name, activity) for p in spec.populations]),
            Table(PROJECTIONS, [_projection_row(spec, p.name, activity) for p in spec.projections], OPERATIONS),
        ],
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


def _facts(artifact: Artifact, test: TestResult) -> list[tuple[str, str]]:
    spikes = artifact.manifest["results"]["spikes_per_inference"]
    return [
        accuracy_fact(test),
        (f"{spikes:.1f}", "spikes per inference, measured, hidden and output, free phase"),
        (f"{100 * test.settled:.1f} %", "of test images silent in the last step of the free phase"),
        speed_fact(artifact),
    ]


def _panels(
    artifact: Artifact, spec: NetworkSpec, dataset: Dataset, test: TestResult, activity: Activity
) -> list[Panel]:
    manifest = artifact.manifest
    first = next(p for p in spec.projections if p.source == spec.input)
    measured = (test.accuracy.value, *test.accuracy.interval)
    return [
        Panel("Learning", figures.learning_curve(manifest["history"], manifest["best_epoch"], measured), HELD_OUT),
        Panel(
            "Settling",
            figures.energy_curve(watch_relaxation(spec, dataset)),
            "Energy of the network in the free phase, per test image, relative to all states at zero: it falls, then "
            "stays. Dashed: accuracy if the output were read at that step.",
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
        Panel(
            "Spikes per step",
            figures.spikes_per_step(activity),
            "Mean over test images. The network is silent once it has settled.",
        ),
        Panel(
            "Spikes per inference",
            figures.spikes_per_inference(activity),
            "Hidden and output spikes in the free phase, per test image.",
        ),
        Panel(
            "Receptive fields",
            figures.receptive_fields(spec.weights_of(first), spec.population(spec.input).shape),
            FIELDS,
        ),
        Panel("Confusion", figures.confusion(test.confusion), "Test images; row: true class."),
    ]


def _population_row(spec: NetworkSpec, name: str, activity: Activity) -> tuple[str, ...]:
    population = spec.population(name)
    neuron = population.neuron
    if isinstance(neuron, Source):
        kind = "source" if neuron.constant is None else f"always on, payload {neuron.constant}"
        return name, "x".join(map(str, population.shape)), kind, f"2^-{neuron.activation_bits}", "", ""
    box = f"[{neuron.lower / neuron.one:g}, {neuron.upper / neuron.one:g}]"
    mean = f"{activity.per_image[name].mean():.1f}"
    return name, str(population.size), "sigma-delta", f"2^-{neuron.activation_bits}", box, mean


def _projection_row(spec: NetworkSpec, name: str, activity: Activity) -> tuple[str, ...]:
    projection = spec.projection(name)
    weights = spec.weights_of(projection)
    rule = str(projection.rule) if projection.rule else f"transpose of {projection.transpose_of}"
    saturated = 100.0 * float((abs(weights.astype(int)) == projection.limit).mean())
    size = f"{weights.shape[0]} x {weights.shape[1]}"
    scale = f"{projection.weight_bits} bits x 2^-{projection.exponent}"
    operations = (f"{mean:,.1f}" for mean in activity.operations[name])
    return name, size, scale, f"{saturated:.1f} %", rule, *operations

"""One self-contained HTML page about finished runs. Says of every figure how it was obtained."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup

from neuro.artifact import Artifact, installed_versions
from neuro.data import Dataset
from neuro.files import write_atomically
from neuro.neurons import Source
from neuro.spec import NetworkSpec
from sim import figures
from sim.evaluate import Evaluation, data_of, load_run, read_results
from sim.observe import Activity, TestResult, measure_test, watch_activity, watch_relaxation
from sim.screen import equality_sentence


@dataclass(frozen=True)
class Section:
    """All that the template shows of one run. figures: SVG by name."""

    name: str
    facts: list[tuple[str, str]]
    figures: dict[str, Markup]
    populations: list[tuple[str, ...]]
    projections: list[tuple[str, ...]]
    evaluations: list[tuple[Evaluation, str]]
    provenance: list[tuple[str, str]]
    label: int
    prediction: int


def write_report(folders: Sequence[Path], path: Path) -> Path:
    """Write the page for the runs in `folders` to `path` and return it.

    Raises: UserError if a run or its data set cannot be read.
    """
    sections = [_section(folder) for folder in folders]
    environment = Environment(loader=PackageLoader("sim"), autoescape=select_autoescape(["html"]))
    page = environment.get_template("report.html").render(sections=sections, versions=installed_versions())
    write_atomically(path, page.encode())
    return path


def _section(folder: Path) -> Section:
    artifact = load_run(folder)
    dataset, spec = data_of(artifact), artifact.spec
    test = measure_test(spec, dataset)
    activity = watch_activity(spec, dataset, artifact.manifest["seed"])
    return Section(
        name=str(folder),
        facts=_facts(artifact, test),
        figures={name: Markup(svg) for name, svg in _figures(artifact, dataset, test, activity).items()},
        populations=[_population_row(spec, p.name, activity) for p in spec.populations],
        projections=[_projection_row(spec, p.name, activity) for p in spec.projections],
        evaluations=[(found, equality_sentence(found)) for found in _latest(read_results(folder, artifact))],
        provenance=_provenance(artifact),
        label=int(dataset.y_test[0]),
        prediction=int(activity.first.predictions[0]),
    )


def _figures(artifact: Artifact, dataset: Dataset, test: TestResult, activity: Activity) -> dict[str, str]:
    spec, manifest = artifact.spec, artifact.manifest
    first = next(p for p in spec.projections if p.source == spec.input)
    return {
        "learning": figures.learning_curve(
            manifest["history"], manifest["best_epoch"], (test.accuracy.value, *test.accuracy.interval)
        ),
        "energy": figures.energy_curve(watch_relaxation(spec, dataset)),
        "raster": figures.raster(spec, activity),
        "picture": figures.picture(dataset.x_test[0]),
        "per_step": figures.spikes_per_step(spec, activity),
        "per_inference": figures.spikes_per_inference(activity),
        "fields": figures.receptive_fields(spec.weights_of(first), spec.population(spec.input).shape),
        "confusion": figures.confusion(test.confusion),
    }


def _facts(artifact: Artifact, test: TestResult) -> list[tuple[str, str]]:
    low, high = test.accuracy.interval
    results = artifact.manifest["results"]
    return [
        (
            f"{test.accuracy.value:.4f}",
            f"test accuracy, measured; 95 % interval {low:.4f} to {high:.4f}, n = {test.n_images}",
        ),
        (f"{results['spikes_per_inference']:.1f}", "spikes per inference, measured, hidden and output, free phase"),
        (f"{100 * test.settled:.1f} %", "of test images silent in the last step of the free phase"),
        (f"{results['images_per_s']:,.0f}", "images per second while training, measured on the machine that trained"),
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


def _latest(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Return the newest evaluation of each kind."""
    newest = {(e.backend, e.check, e.accuracy.n): e for e in evaluations}
    return list(newest.values())


def _provenance(artifact: Artifact) -> list[tuple[str, str]]:
    manifest = artifact.manifest
    data = manifest["data"]
    rows = [
        ("data", f"{data['name']}: {data['n_train']} training images, {data['n_validation']} of them held out for "
                 f"validation, and {data['n_test']} test images"),
        ("data SHA-256", data["sha256"]),
        ("weights SHA-256", manifest["files"]["weights.npz"]),
        ("seed", str(manifest["seed"])),
        ("asked for", json.dumps(manifest["config"])),
        ("chosen", json.dumps(manifest["chosen"])),
        ("versions", json.dumps(manifest["versions"])),
    ]  # fmt: skip
    return rows

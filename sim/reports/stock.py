"""The section of a report about a run of the stock family."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from neuro.artifact.run_folder import Artifact
from neuro.base.metrics import Accuracy
from neuro.data.sets import Dataset
from neuro.stock.learning_engine import WEIGHT_RANGES
from neuro.stock.network import GATE, LABEL, RELAY, StockNetwork
from neuro.stock.processes import LIF, StockPopulation, StockProjection
from sim.backends.stock.session import learned_names
from sim.evaluate import Evaluation
from sim.reports.figures import network as figures
from sim.reports.probes.sigma_delta import Activity, TestResult, measure_test
from sim.reports.probes.stock import watch_stock_activity
from sim.reports.section import FIELDS, Panel, Section, Table, accuracy_fact, provenance, speed_fact
from sim.training.stock_recipe import STOCK_FINAL_RATE

HELD_OUT = (
    "The validation images are held out of the training set, and the best epoch (dotted) is chosen on them. The test "
    "set was never used for a choice."
)
FEW_IMAGES = (
    "Learned inside Lava, image by image: there are no epochs and no curve. Accuracies with 95 % intervals, measured "
    "on the chip backend."
)
RASTER = (
    "Every spike of the hidden, output and relay neurons for the first test image, with its teacher; no weight "
    "changes. Free: an inference. Nudged: the teacher excites the neuron of the true class, and the relay sends the "
    "output's own spikes back, inhibiting."
)
INTRO = (
    "Stock family: processes that Lava ships, rules of the chip's learning engine. Measured by the chip backend, which "
    "computes in the integers of Lava's fixed-point models; no chip was involved."
)
POPULATIONS = ("population", "neurons", "process", "parameters", "spikes, free", "spikes, whole sample")
POPULATIONS_NOTE = "Mean spikes per test image in the free slots, which are an inference, and in all slots of a sample."
PROJECTIONS = (
    "projection", "synapses", "scale", "largest |weight|", "at the limit", "operations, free",
    "operations, whole sample",
)  # fmt: skip
PROJECTIONS_NOTE = (
    "Synaptic operations: spikes sent times synapses reached, mean per test image, with the teacher; an inference "
    "needs those between input, hidden and output neurons only. At the limit: share of weights at an end of their "
    "range."
)
RULES = ("learns", "dw", "dt", "traces: impulse, decay in steps", "noise", "weight step")
SHOWN_OF_TEACHER = {LABEL: "teacher", GATE: "opens the relay", RELAY: "output spikes back, inhibiting"}


def stock_section(
    name: str, artifact: Artifact, network: StockNetwork, dataset: Dataset, evaluations: list[tuple[Evaluation, str]]
) -> Section:
    """Measure a run and return its section."""
    test = measure_test(network, dataset)
    activity = watch_stock_activity(network, dataset)
    learned = learned_names(network)
    return Section(
        name=name,
        intro=INTRO + _in_lava(artifact),
        facts=_facts(artifact, test),
        panels=_panels(artifact, network, dataset, test, activity),
        tables=[
            Table(POPULATIONS, [_population_row(p, activity) for p in network.populations], POPULATIONS_NOTE),
            Table(
                PROJECTIONS, [_projection_row(p, activity, learned) for p in network.projections if p.transmits],
                PROJECTIONS_NOTE,
            ),
            Table(RULES, [_rule_row(p) for p in network.plastic], _rules_note(artifact, network)),
        ],
        evaluations=evaluations,
        provenance=provenance(artifact),
        check="chip",
    )  # fmt: skip


def _learned_in_lava(artifact: Artifact) -> bool:
    return not artifact.manifest["history"]


def _in_lava(artifact: Artifact) -> str:
    """Return what to say of a run that learned inside Lava."""
    if not _learned_in_lava(artifact):
        return ""
    results = artifact.manifest["results"]
    found = results.get("differences", {})
    counted = ", ".join(f"{count} {kind}" for kind, count in found.items()) or "not compared"
    return (
        f" Learned inside Lava itself, {artifact.manifest['chosen'].get('images', 0)} images, without epochs. Compared "
        f"at the end with the same learning on the chip backend: {counted} differ."
    )


def _facts(artifact: Artifact, test: TestResult) -> list[tuple[str, str]]:
    facts = [
        accuracy_fact(test),
        (
            f"{test.spikes_per_inference:.1f}",
            "spikes per inference, measured, hidden and output, free slots, mean over the test set",
        ),
        (
            f"{100 * test.settled:.1f} %",
            "of test images with steady rates: every neuron as many spikes, +-1, in the last two quarters of the free "
            "slots",
        ),
    ]
    if not _learned_in_lava(artifact):
        return [*facts, speed_fact(artifact)]
    results: dict[str, Any] = artifact.manifest["results"]
    if "lava_s" not in results:
        return facts
    seconds = results["lava_s"] / max(artifact.manifest["chosen"].get("images", 1), 1)
    return [*facts, (f"{seconds:.1f} s", "per image learned inside Lava, measured, building the graph included")]


def _learning(artifact: Artifact, test: TestResult) -> Panel:
    manifest = artifact.manifest
    measured = (test.accuracy.value, *test.accuracy.interval)
    if not _learned_in_lava(artifact):
        curve = figures.learning_curve(manifest["history"], manifest["best_epoch"], measured)
        return Panel("Learning", curve, HELD_OUT)
    names = {"val_before": "validation, before", "val": "validation, after"}
    found = [
        (title, (value.value, *value.interval))
        for title, value in ((names[key], Accuracy(**manifest["results"][key])) for key in names
                             if key in manifest["results"])
    ]  # fmt: skip
    return Panel("Learning", figures.learned_images([*found, ("test, after", measured)]), FEW_IMAGES)


def _panels(
    artifact: Artifact, network: StockNetwork, dataset: Dataset, test: TestResult, activity: Activity
) -> list[Panel]:
    first = next(p for p in network.projections if p.transmits and p.source == network.input)
    watched = f"the first {len(next(iter(activity.per_image.values())))} test images"
    assert activity.accuracy is not None  # watch_stock_activity
    return [
        _learning(artifact, test),
        Panel(
            "Settling",
            figures.accuracy_curve(activity.accuracy),
            f"Accuracy over {watched} if the output spikes were counted up to that step only.",
        ),
        Panel(
            f"One image through its slots: {', '.join(network.schedule.slots)}",
            figures.raster(activity),
            RASTER,
            wide=True,
            picture=figures.picture(dataset.x_test[0]),
            notes=(f"true class {dataset.y_test[0]}", f"predicted {activity.first.predictions[0]}"),
        ),
        Panel(
            "Spikes per step",
            figures.spikes_per_step(activity),
            f"Mean over {watched}, through all slots with the teacher. Neurons are reset at the start only.",
        ),
        Panel(
            "Spikes per inference",
            figures.spikes_per_inference(activity),
            f"Hidden and output spikes in the free slots, per image, for {watched}.",
        ),
        Panel("Receptive fields", figures.receptive_fields(first.weights[:-1], network.pixels), FIELDS),
        Panel("Confusion", figures.confusion(test.confusion), "Test images; row: true class."),
    ]


def _population_row(population: StockPopulation, activity: Activity) -> tuple[str, ...]:
    neuron, name = population.neuron, population.name
    sent = activity.sent[name]
    counts = f"{sent[1]:,.1f}", f"{sent.sum():,.1f}"
    role = SHOWN_OF_TEACHER.get(name, "")
    if not isinstance(neuron, LIF):
        return name, "x".join(map(str, population.shape)), "RingBuffer", role or "pixels and a bias unit", *counts
    parts = [
        f"current decay {neuron.current_decay}, voltage decay {neuron.voltage_decay}, threshold {neuron.threshold}",
        f"reset every {neuron.reset_interval} steps" if neuron.reset_interval else "",
        role,
    ]
    process = "LIFReset" if neuron.reset_interval else "LIF"
    return name, str(population.size), process, "; ".join(filter(None, parts)), *counts


def _projection_row(projection: StockProjection, activity: Activity, learned: set[str]) -> tuple[str, ...]:
    weights = projection.weights.astype(int)
    free, whole = activity.operations[projection.name]
    return (
        projection.name,
        f"{weights.shape[0]} x {weights.shape[1]}",
        f"2^{projection.exponent}",
        str(np.abs(weights).max()),
        f"{100 * saturated_share(projection):.1f} %" if projection.name in learned else "fixed",
        f"{free:,.0f}",
        f"{whole:,.0f}",
    )


def saturated_share(projection: StockProjection) -> float:
    """Return the share of weights at an end of their range, as they transmit: even if of mixed sign."""
    lowest, highest = WEIGHT_RANGES[projection.sign_mode]
    step = 2 if projection.sign_mode == "mixed" else 1
    weights = projection.weights
    return float(((weights <= lowest) | (weights >= highest // step * step)).mean())


def _rule_row(projection: StockProjection) -> tuple[str, ...]:
    rule = projection.rule
    assert rule is not None  # plastic
    texts = rule.render()
    used = " ".join(texts.values())
    traces = (f"{name} {getattr(rule, name).impulse}, {getattr(rule, name).tau}" for name in ("x1", "x2", "y1", "y2")
              if name in used)  # fmt: skip
    return (
        projection.name, _spaced(texts.get("dw", "")), _spaced(texts.get("dt", "")), "; ".join(traces),
        projection.noise, str(projection.lsb),
    )  # fmt: skip


def _spaced(text: str) -> str:
    """Return the text of a rule with a space before every further product, where a line may break."""
    return re.sub(r"(?<=.)([+-]\d\*2\^)", r" \1", text)


def _rules_note(artifact: Artifact, network: StockNetwork) -> str:
    """Return what the texts of the rules mean."""
    text = f"Rule {network.rule}, as Lava's Loihi2FLearningRule takes it"
    if not _learned_in_lava(artifact):
        share = round(1 / STOCK_FINAL_RATE)
        text += f"; in the first epoch. The factor of dw falls to 1/{share} by the last, at least one step"
    if network.commit_every:
        text += f". A host copies what was learned into the transmitting synapses every {network.commit_every} images"
    return text + "."

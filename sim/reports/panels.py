"""The panels and facts of a page about a run, each one function; the section of a kind is a short list of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from matplotlib.axes import Axes

from neuro.base.arrays import Array
from neuro.base.metrics import Accuracy
from neuro.data.sets import Dataset
from sim.evaluate import Evaluation, equality_sentence
from sim.reports.figures import pictures, spikes
from sim.reports.figures.canvas import SHORT, WIDE, render
from sim.reports.probes.sigma_delta import Activity, TestResult
from sim.reports.section import Box, Fact, Panel, Table, code, marked

FIELDS = "Input weights of the hidden neurons with the largest weights (red positive, blue negative)."
COUNTS = (
    "Mean spikes of each output neuron in an inference, by true class; the neuron that spikes most is the answer. "
    "Measured on {n} test images."
)
BACKENDS = ("backend", "compared with", "result", "accuracy, measured")
PICTURE = (1.2, 1.2)  # inches
SQUARE = (4.2, 3.8)


def accuracy_fact(measured: Accuracy) -> Fact:
    """The test accuracy."""
    low, high = measured.interval
    meaning = f"test accuracy, measured; 95 % interval {low:.4f} to {high:.4f}, n = {measured.n}"
    return f"{measured.value:.4f}", meaning


def speed_fact(manifest: dict[str, Any]) -> Fact:
    """The training speed."""
    speed = manifest["results"]["images_per_s"]
    return f"{speed:,.0f}", "images per second while training, measured on the machine that trained"


def learning(draw: Callable[[Axes], None], caption: str) -> Panel:
    """How the run learned."""
    return Panel("Learning", render(draw), caption)


def settling(draw: Callable[[Axes], None], caption: str) -> Panel:
    """How an inference comes about."""
    return Panel("Settling", render(draw), caption)


def one_image(title: str, activity: Activity, dataset: Dataset, caption: str) -> Panel:
    """Every spike of the first test image, beside it."""
    return Panel(
        title,
        render(spikes.raster, activity.raster, size=WIDE),
        caption,
        wide=True,
        picture=render(pictures.picture, dataset.x_test[0], size=PICTURE),
        notes=(f"true class {dataset.y_test[0]}", f"predicted {activity.raster.prediction}"),
    )


def spikes_per_step(activity: Activity, caption: str) -> Panel:
    """Mean spikes by step."""
    figure = render(spikes.spikes_per_step, activity.per_step, activity.phases, size=SHORT)
    return Panel("Spikes per step", figure, caption)


def spikes_per_inference(activity: Activity, caption: str) -> Panel:
    """How many spikes an inference takes."""
    return Panel(
        "Spikes per inference",
        render(spikes.spikes_per_inference, [*activity.per_image.values()], size=SHORT),
        caption,
    )


def output_counts(activity: Activity) -> Panel:
    """Mean spikes of each output neuron by true class."""
    counts = activity.output_counts
    assert counts is not None  # spiking stock networks
    shares = counts / max(float(counts.max()), 1.0)
    drawn = render(pictures.matrix, counts.round(1), shares, "output neuron", "{:g}", size=SQUARE)
    return Panel("Output spikes by class", drawn, COUNTS.format(n=activity.n_images))


def receptive_fields(weights: Array, shape: tuple[int, ...], caption: str = FIELDS) -> Panel:
    """The first layer; weights of shape [pixels, hidden]."""
    size = pictures.fields_size(weights, shape)
    return Panel("Receptive fields", render(pictures.receptive_fields, weights, shape, size=size), caption)


def confusion(test: TestResult) -> Panel:
    """Which classes are taken for which."""
    found = test.confusion
    shares = found / found.sum(axis=1, keepdims=True).clip(min=1)
    drawn = render(pictures.matrix, found, shares, "predicted class", size=SQUARE)
    return Panel("Confusion", drawn, "Test images; row: true class.")


def backends(evaluations: list[Evaluation], name: str, check: str) -> Box:
    """What was found when the run was evaluated on backends; `check` is the one to compare others with."""
    title = "Does another backend compute the same?"
    if not evaluations:
        return Box(title, text="Not checked yet: " + code(f"settle evaluate {name} --backend lava --check {check}"))
    rows = [(e.backend, e.check or "-", _verdict(e), str(e.accuracy or "no classes")) for e in evaluations]
    return Box(title, [Table(BACKENDS, rows)])


def _verdict(evaluation: Evaluation) -> str:
    sentence, found = equality_sentence(evaluation), evaluation.differences
    return sentence if found is None else marked(sentence, found.total == 0)


def latest(evaluations: list[Evaluation]) -> list[Evaluation]:
    """The newest evaluation of each kind."""
    return list({(e.backend, e.check, e.n): e for e in evaluations}.values())

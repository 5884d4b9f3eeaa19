"""The panels and facts of a page about a run, each one function; the section of a kind is a short list of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from neuro.base.arrays import Array
from neuro.base.metrics import Accuracy
from neuro.data.sets import Dataset
from sim.evaluate import Evaluation, equality_sentence
from sim.reports.figures import pictures, spikes
from sim.reports.figures.canvas import NARROW, SHORT, WIDE, render, render_grid
from sim.reports.probes.sigma_delta import Activity, TestResult
from sim.reports.section import Box, Fact, Panel, Table, code, marked

FIELDS = "Input weights of the hidden neurons with the largest weights (red positive, blue negative)."
COUNTS = (
    "Mean spikes of each output neuron in an inference, by true class; the neuron that spikes most is the answer. "
    "Measured on {n} test images."
)
CONFUSION = "Test images, measured. Row: true class; shade: root of the share of its images. "
EVERY = "Bars: share of each class that is right, in percent."
WORST = "Bars: the {n} classes of which the smallest share is right, in percent."
WIDTHS = (1.0, pictures.BAR_WIDTH)
BACKENDS = ("backend", "compared with", "result", "accuracy, measured")
PICTURE = (1.0, 1.0)  # inches
MATRIX = (4.95, 3.4)


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
    numbers = np.array([dataset.y_test[0], activity.raster.prediction])
    named = [str(name) for name in dataset.preparation.classes.named(numbers)]
    return Panel(
        title,
        render(spikes.raster, activity.raster, size=WIDE),
        caption,
        wide=True,
        picture=render(pictures.picture, dataset.x_test[0], size=PICTURE),
        narrow=render(spikes.raster, activity.raster, size=NARROW),
        notes=tuple(map(" ".join, zip(("true class", "predicted"), named, strict=True))),
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
    drawn = render(pictures.matrix, counts.round(1), shares, "output neuron", "{:g}", size=MATRIX)
    return Panel("Output spikes by class", drawn, COUNTS.format(n=activity.n_images))


def receptive_fields(weights: Array, shape: tuple[int, ...], caption: str = FIELDS) -> Panel:
    """The first layer; weights of shape [pixels, hidden]."""
    size = pictures.fields_size(weights, shape)
    return Panel("Receptive fields", render(pictures.receptive_fields, weights, shape, size=size), caption)


def confusion(test: TestResult, dataset: Dataset) -> Panel:
    """Which classes are taken for which, and the share of each that is right."""
    found, names = test.confusion, class_names(dataset, len(test.confusion))
    drawn = render_grid(lambda grid: pictures.confusion(grid, found, names), MATRIX, 1, 2, width_ratios=WIDTHS)
    few = len(found) <= pictures.READABLE
    return Panel("Confusion", drawn, CONFUSION + (EVERY if few else WORST).format(n=pictures.WORST))


def class_names(dataset: Dataset, n_classes: int) -> list[str]:
    """What the classes are called in the data; empty if only their numbers are known."""
    names = dataset.preparation.classes.names
    return [shortened(str(name)) for name in names] if len(names) == n_classes else []


def shortened(name: str, most: int = 14) -> str:
    """A name that fits beside a figure."""
    return name if len(name) <= most else name[: most - 1] + "…"


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

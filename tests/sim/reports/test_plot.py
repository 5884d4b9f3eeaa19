"""Figures for notebooks: what is drawn is what the probes measure, for every kind of run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neuro.artifact.run_folder import Artifact
from neuro.base.errors import UserError
from neuro.data.sets import Dataset
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.protocol import get_backend, one_hot_targets
from sim.evaluate import load_run
from sim.reports import plot
from sim.reports.probes.sigma_delta import watch_relaxation
from sim.reports.probes.stock import watch_graded_relaxation

KINDS = ("finished", "stack", "finished_stock", "finished_graded", "finished_baseline", "dense", "second")
CLASSES = KINDS[:5]
CODERS = ("dense", "second", "stack")


@pytest.fixture(autouse=True)
def inline() -> Iterator[None]:
    """Figures are drawn off the screen, and closed."""
    before = pyplot.get_backend()
    pyplot.switch_backend("Agg")
    yield
    pyplot.close("all")
    pyplot.switch_backend(before)


@pytest.fixture
def artifact(request: pytest.FixtureRequest) -> Artifact:
    name: str = request.param
    return load_run(request.getfixturevalue("coders")[name] if name in CODERS else request.getfixturevalue(name))


def labelled(axes: Axes) -> bool:
    return bool(axes.get_xlabel() and axes.get_ylabel())


def points(axes: Axes) -> int:
    return sum(len(np.asarray(line.get_xdata())) for line in axes.lines if line.get_linestyle() == "None")


@pytest.mark.parametrize("artifact", KINDS, indirect=True)
def test_a_raster_has_a_dot_for_every_spike(artifact: Artifact, blob_data: Dataset) -> None:
    network, coder = artifact.spec, artifact.manifest["kind"] == "lca"
    axes = plot.raster(artifact, image=3)
    targets = (
        None if coder or artifact.manifest["kind"] == "slayer" else one_hot_targets(network, blob_data.y_test[3:4])
    )
    with get_backend(network.native_backend).open(network) as session:
        record = session.run(
            network.encoder.encode(blob_data.x_test[3:4]), targets, seed=artifact.manifest["seed"], first_image=3,
            keep_spikes=True,
        )  # fmt: skip
    assert record.spikes is not None
    names = [population.name for population in network.populations]
    shown = [names.index(label.get_text().split("\n")[0]) for label in axes.get_yticklabels()]
    assert points(axes) == np.isin(record.spikes.population, shown).sum() > 0
    assert len(shown) >= len(network.moving)
    steps = np.concatenate([np.asarray(line.get_xdata()) for line in axes.lines if line.get_linestyle() == "None"])
    assert steps.max() <= axes.get_xlim()[1]
    assert labelled(axes)


@pytest.mark.parametrize("artifact", KINDS, indirect=True)
def test_settling_is_drawn_of_every_kind(artifact: Artifact) -> None:
    axes = plot.energy(artifact, images=12)
    assert labelled(axes)
    assert "step" in axes.get_xlabel()
    drawn = np.asarray(axes.lines[0].get_ydata())
    assert np.isfinite(drawn).all()
    assert len(drawn) > 5


@pytest.mark.parametrize("artifact", ["finished", "finished_graded"], indirect=True)
def test_the_energy_drawn_is_the_energy_measured(artifact: Artifact, blob_data: Dataset) -> None:
    axes = plot.energy(artifact, images=12)
    network: Any = artifact.spec
    watch = watch_relaxation if isinstance(network, NetworkSpec) else watch_graded_relaxation
    found = watch(network, blob_data, 12)
    assert len(found.energy) == 12
    fall = np.median(found.energy - found.energy_at_rest[:, None], axis=0)
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [0.0, *fall])
    assert fall[-1] < 0
    right = axes.figure.axes[1]
    np.testing.assert_allclose(right.lines[0].get_ydata(), found.accuracy)
    assert right.get_ylabel() == "accuracy if read here"


@pytest.mark.parametrize(
    ("artifact", "count"),
    [("finished", 8), ("stack", 8), ("finished_stock", 8), ("finished_graded", 8), ("finished_baseline", 8),
     ("dense", 6), ("second", 4)],
    indirect=["artifact"],
)  # fmt: skip
def test_there_is_a_field_for_every_hidden_neuron_or_atom(artifact: Artifact, count: int) -> None:
    axes = plot.fields(artifact)
    assert len(axes.images) == count
    places = {tuple(image.get_extent()) for image in axes.images}
    assert len(places) == count
    assert "red positive" in axes.get_title()


def test_a_field_is_the_weights_of_its_neuron(finished: Path) -> None:
    artifact = load_run(finished)
    weights = artifact.spec.weights_of(artifact.spec.projection("input->hidden1")).astype(float)
    largest = np.argmax(np.linalg.norm(weights, axis=0))
    shown = np.asarray(plot.fields(artifact).images[0].get_array())
    np.testing.assert_array_equal(shown, weights[:, largest].reshape(4, 4))


@pytest.mark.parametrize("artifact", CLASSES, indirect=True)
def test_a_learning_curve_is_the_history(artifact: Artifact) -> None:
    axes = plot.learning_curve(artifact)
    history, test = artifact.manifest["history"], artifact.manifest["results"]["test"]
    drawn = {line.get_label(): line for line in axes.lines}
    validation = drawn["validation"]
    np.testing.assert_array_equal(validation.get_xdata(), [line["epoch"] for line in history])
    np.testing.assert_array_equal(validation.get_ydata(), [line["val_accuracy"] for line in history])
    point = axes.containers[0].lines[0]
    assert np.asarray(point.get_ydata()).tolist() == [test["n_correct"] / test["n"]]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "accuracy")


def test_a_coder_learns_its_objective(coders: dict[str, Path]) -> None:
    artifact = load_run(coders["dense"])
    axes = plot.learning_curve(artifact)
    told = [line["objective"] for line in artifact.manifest["history"]]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), told)
    assert axes.get_ylabel() == "objective per image"


def test_a_run_is_drawn_as_its_artifact_on_its_own_data(finished: Path, blob_data: Dataset) -> None:
    run = SimpleNamespace(folder=None, artifact=load_run(finished), dataset=blob_data)
    axes = Figure().subplots()
    assert plot.raster(run, ax=axes) is axes
    assert points(axes) == points(plot.raster(run.artifact))
    run.artifact.manifest["data"] = {**run.artifact.manifest["data"], "source": "gone.npz"}
    assert points(plot.raster(run)) == points(axes)
    with pytest.raises(UserError, match=r"gone\.npz"):
        plot.raster(run.artifact)


def test_given_axes_keep_their_figure_and_no_other_is_made(finished: Path) -> None:
    artifact = load_run(finished)
    grid = Figure().subplots(1, 4)
    for draw, axes in zip((plot.raster, plot.energy, plot.fields, plot.learning_curve), grid, strict=True):
        assert draw(artifact, ax=axes) is axes
    assert pyplot.get_fignums() == []
    plot.energy(artifact, images=5)
    assert len(pyplot.get_fignums()) == 1


def test_robust_accuracy_is_drawn_with_what_is_known_of_it() -> None:
    result = SimpleNamespace(clean=0.9, robust={0.05: 0.7, 0.1: 0.4})
    axes = plot.robustness(result)
    (line,) = axes.lines
    assert line.get_xydata().tolist() == [[0.0, 0.9], [0.05, 0.7], [0.1, 0.4]]
    assert len(axes.collections) == 0
    assert "linf" in axes.get_xlabel()
    result.intervals, result.by_attack = {0.05: (0.6, 0.8), 0.1: (0.3, 0.5)}, {"pgd-10": {0.05: 0.75}}
    axes = plot.robustness(result, ax=Figure().subplots())
    assert [line.get_label() for line in axes.lines] == ["pgd-10", "worst of all attacks"]
    assert len(axes.collections) == 2  # a band, and an interval at each point


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda run: plot.raster(run, image=90), r"image 90 outside 0\.\.89"),
        (lambda run: plot.raster(run, image=-1), r"image -1 outside"),
        (lambda run: plot.energy(run, images=0), "images 0: draw at least one"),
        (lambda _: plot.fields("runs/digits"), "no run and no artifact"),
    ],
)
def test_what_cannot_be_drawn_is_refused(call: Any, said: str, finished: Path) -> None:
    with pytest.raises(UserError, match=said):
        call(load_run(finished))


def test_what_the_first_figure_of_a_notebook_switches_on_stays_on(monkeypatch: pytest.MonkeyPatch) -> None:
    subplots = pyplot.subplots

    def as_in_a_notebook(**options: Any) -> Any:
        matplotlib.interactive(True)
        return subplots(**options)

    monkeypatch.setattr(pyplot, "subplots", as_in_a_notebook)
    monkeypatch.setitem(matplotlib.rcParams, "interactive", False)
    plot.robustness(SimpleNamespace(clean=0.9, robust={0.1: 0.4}))
    assert matplotlib.is_interactive()

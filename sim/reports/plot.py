"""Figures of a run for notebooks: each function draws on matplotlib axes, as the pages do, and returns them.

    axes = raster(run, image=3)
    figure, (left, right) = pyplot.subplots(1, 2)
    energy(run, images=200, ax=left)
    fields(run, ax=right)

A run is anything with a manifest: a loaded or a trained run, or an `Artifact`. Its data set is its `dataset` if it has
one, else what its manifest names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from neuro.artifact.run_folder import Artifact
from neuro.base.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sim.reports.subject import Subject


class RobustResult(Protocol):
    """What an attack found: accuracy on the clean images, and by eps under the worst of all attacks."""

    @property
    def clean(self) -> float:
        """Accuracy on the clean images."""
        ...

    @property
    def robust(self) -> Mapping[float, float]:
        """Accuracy under the worst of all attacks, by eps."""
        ...


def raster(run: Any, image: int = 0, ax: Axes | None = None) -> Axes:
    """Every spike of a test image through all phases, measured on the deployed integers.

    Args:   image, number of the test image.   ax: axes to draw on; None: new ones.
    Raises: UserError if there is no such image, or the data set cannot be found.
    """
    subject = _subject(run)
    n = len(subject.dataset.y_test)
    if not 0 <= image < n:
        raise UserError(f"image {image} outside 0..{n - 1}, the test set of {subject.dataset.name}")

    def draw(axes: Axes) -> None:
        subject.draw_raster(axes, image)
        axes.set_ylabel("neuron")

    return _drawn(draw, ax, (6.4, 3.6))


def energy(run: Any, images: int = 100, ax: Axes | None = None) -> Axes:
    """How an inference comes about, step by step, over the first test images, measured.

    Networks that settle: the energy (dimensionless) above all states at zero; coders: the objective above the LASSO
    solution; networks of spiking LIF neurons: accuracy if the output were read at that step.

    Args:   images, how many (at most those there are).   ax: axes to draw on; None: new ones.
    Raises: UserError if images is below 1, or the data set cannot be found.
    """
    if images < 1:
        raise UserError(f"images {images}: draw at least one")
    subject = _subject(run)
    return _drawn(lambda axes: subject.draw_settling(axes, images), ax)


def fields(run: Any, ax: Axes | None = None) -> Axes:
    """What a network looks for in an image: input weights of its hidden neurons, or the atoms of its dictionary.

    Red positive, blue negative, each on its own scale; the largest (atoms: those most used) first.
    """

    def draw(axes: Axes) -> None:
        subject.draw_fields(axes)
        axes.set_title("red positive, blue negative, each on its own scale", fontsize=8)

    subject = _subject(run)
    return _drawn(draw, ax, (6.4, 3.2))


def learning_curve(run: Any, ax: Axes | None = None) -> Axes:
    """How a run learned, by epoch: accuracy in training, on validation and test images; of coders, the objective."""
    return _drawn(_subject(run).draw_learning, ax)


def robustness(result: RobustResult, ax: Axes | None = None) -> Axes:
    """Robust accuracy against the size of the change, measured on the deployed integers.

    result: what an attack found; `by_attack` (accuracy by eps of each attack) and `intervals` (95 %, by eps) are drawn
    if it has them.
    """
    from sim.reports.figures.attack import robust_curves

    norm = str(getattr(getattr(result, "config", result), "norm", "linf"))
    lines, intervals = (getattr(result, name, None) or {} for name in ("by_attack", "intervals"))

    def draw(axes: Axes) -> None:
        robust_curves(axes, norm, result.clean, lines, result.robust, intervals)

    return _drawn(draw, ax, (5.2, 3.4))


def _subject(run: Any) -> Subject[Any]:
    from sim.evaluate import data_of
    from sim.reports.kinds import subject_of

    artifact = run if isinstance(run, Artifact) else getattr(run, "artifact", None)
    if not isinstance(artifact, Artifact):
        raise UserError(f"run {run!r}: no run and no artifact; give what settle.load or settle.train returned")
    dataset = getattr(run, "dataset", None)
    return subject_of(artifact, data_of(artifact) if dataset is None else dataset)


def _drawn(draw: Callable[[Axes], None], ax: Axes | None, size: tuple[float, float] = (5.2, 3.0)) -> Axes:
    """Draw on given axes in their style or, in ours, on those of a new figure that a notebook shows."""
    if ax is not None:
        draw(ax)
        return ax
    import matplotlib
    from matplotlib import pyplot

    from sim.reports.figures.canvas import STYLE

    with matplotlib.rc_context(STYLE):
        _, axes = pyplot.subplots(figsize=size, layout="constrained")
        draw(axes)
        interactive = matplotlib.is_interactive()  # a notebook's backend switches it on with the first figure
    matplotlib.interactive(interactive)
    return axes

"""A run of the sigma-delta family, and a graded one, which is trained in that form."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from neuro.base.arrays import Reals
from neuro.coding.fixed import is_linear
from neuro.spec.neurons import Source
from neuro.spec.projection import Projection
from neuro.spec.sigma_delta import NetworkSpec
from neuro.spec.stack import unstack
from sim.reports import panels
from sim.reports.equations import FACTORS, arrows, local_rule, power
from sim.reports.figures import curves, pictures
from sim.reports.panels import FIELDS, accuracy_fact, speed_fact
from sim.reports.probes.coder import lone_coder
from sim.reports.probes.raster import Phases
from sim.reports.probes.sigma_delta import (
    Activity,
    Relaxation,
    phases_of,
    watch_activity,
    watch_relaxation,
)
from sim.reports.section import Cell, Fact, Panel, Table
from sim.reports.subject import Subject

HELD_OUT = (
    "The validation images are held out of the training set; hyper-parameters and the best epoch (dotted) are chosen "
    "on them. The test set was never used for a choice."
)
FIELDS_BEHIND = (
    "Weights of the hidden neurons with the largest ones, drawn in the image: each code they read as its atom, times "
    "the weight (red positive, blue negative)."
)
FIELDS_FILTERED = (
    "Weights of the hidden neurons with the largest ones, drawn in the image through the front end {front}: what each "
    "unit that they read takes of it, times the weight (red positive, blue negative)."
)
SETTLING = (
    "Energy of the network in the free phase, per test image, relative to all states at zero: it falls, then stays. "
    "Dashed: accuracy if the output were read at that step. Line: median of {n} test "
    "images; shade: 10th to 90th percentile."
)
RASTER = (
    "Every spike of the first test image. Blue dots: an activation rose, orange squares: it fell. Between the spikes "
    "nothing is sent; in the nudged phases the output is pushed towards, then away from, the target (or the reverse)."
)
STACKED = (
    "Behind a sparse coder, as one network: the coder settles first, the network behind it receives its spikes. The "
    "coder's atoms are fixed; only the network behind it learned from labels."
)
RESAMPLED = "Behind samples of the image that do not learn, as one network: a population sends them once."
OPERATIONS = "Synaptic operations: synapses that spikes reached, mean per test image. "
POPULATIONS = ("population", "neurons", "model", "payload unit", "box of the state", "spikes per inference")
PROJECTIONS = (
    "projection", "synapses", "weights", "at the limit", "local rule", "operations, presentation",
    "operations, free phase",
)  # fmt: skip


class SigmaDeltaSubject(Subject[NetworkSpec]):
    """A network that settles by sigma-delta spikes, alone or behind a sparse coder."""

    @property
    def phases(self) -> Phases:
        """Free, then nudged."""
        return phases_of(self.network)

    @cached_property
    def activity(self) -> Activity:
        """Spikes and operations of the first test images through all phases."""
        return watch_activity(self.network, self.dataset, self.artifact.manifest["seed"])

    @cached_property
    def relaxation(self) -> Relaxation:
        """The free phase of the first test images."""
        return watch_relaxation(self.network, self.dataset)

    @cached_property
    def behind(self) -> bool:
        """Whether a sparse coder stands in front."""
        return unstack(self.network)[0] is not None

    def draw_settling(self, axes: Axes, images: int | None = None) -> None:
        """Draw the energy by step."""
        found = self.relaxation if images is None else watch_relaxation(self.network, self.dataset, images)
        curves.energy_curve(axes, found)

    def draw_fields(self, axes: Axes) -> None:
        """Draw the weights of the first layer, in the image."""
        pictures.receptive_fields(axes, fields(self.network), self.network.image_shape)

    def intro(self) -> str:
        """That there is a coder in front, if so."""
        front = unstack(self.network)[0]
        if front is not None and is_linear(front):
            return RESAMPLED
        return STACKED if self.behind else ""

    def facts(self) -> list[Fact]:
        """Accuracy, spikes, silence, speed."""
        manifest = self.artifact.manifest
        who = "front end, hidden and output" if self.behind else "hidden and output"
        spikes = manifest["results"]["spikes_per_inference"]
        return [
            accuracy_fact(self.test.accuracy),
            (f"{spikes:.1f}", f"spikes per inference, measured, {who}, free phase"),
            (f"{100 * self.test.settled:.1f} %", "of test images silent in the last step of the free phase"),
            speed_fact(manifest),
        ]

    def panels(self) -> list[Panel]:
        """How it learns and settles, its spikes, fields and errors."""
        activity, n = self.activity, self.activity.n_images
        caption = FIELDS_BEHIND if self.behind else FIELDS
        if self.network.encoder.fixed is not None:
            caption = FIELDS_FILTERED.format(front=self.network.encoder.fixed.text)
        return [
            panels.learning(self.draw_learning, HELD_OUT),
            panels.settling(self.draw_settling, SETTLING.format(n=len(self.relaxation.energy))),
            panels.one_image("One image through the three phases", activity, self.dataset, RASTER),
            panels.spikes_per_step(
                activity,
                f"Mean over {n} test images. The network is silent once it has settled.",
            ),
            panels.spikes_per_inference(
                activity, f"Spikes in the free phase, per test image (of {n}): {', '.join(activity.per_image)}."
            ),
            panels.receptive_fields(fields(self.network), self.network.image_shape, caption),
            panels.confusion(self.test, self.dataset),
        ]

    def tables(self) -> list[Table]:
        """Populations and projections."""
        return network_tables(self.network, self.activity)


def fields(spec: NetworkSpec) -> Reals:
    """The weights of the first layer, [pixels, hidden]; behind a front end through its atoms, into pixels."""
    front, back = unstack(spec)
    weights = back.weights_of(next(p for p in back.projections if p.source == back.input)).astype(np.float64)
    if spec.encoder.fixed is not None:
        return spec.encoder.fixed.fields @ weights
    if front is not None and is_linear(front):
        first = front.projections[0]
        return front.weights_of(first) * 2.0**-first.exponent @ weights
    return weights if front is None else lone_coder(front).images @ weights


def network_tables(spec: NetworkSpec, activity: Activity) -> list[Table]:
    """The tables of populations and projections."""
    return [
        Table(POPULATIONS, [_population_row(spec, p.name, activity) for p in spec.populations]),
        Table(PROJECTIONS, [_projection_row(spec, p, activity) for p in spec.projections], _note(spec)),
    ]


def _note(spec: NetworkSpec) -> Cell:
    return OPERATIONS + FACTORS if any(projection.rule is not None for projection in spec.projections) else OPERATIONS


def _population_row(spec: NetworkSpec, name: str, activity: Activity) -> tuple[Cell, ...]:
    population = spec.population(name)
    neuron = population.neuron
    unit = power(-neuron.activation_bits)
    if isinstance(neuron, Source):
        kind = "source" if neuron.constant is None else f"always on, payload {neuron.constant}"
        kind = f"generator, {neuron.window} steps" if neuron.window else kind
        return name, _times(population.shape), kind, unit, "", ""
    kind = "sigma-delta"
    if neuron.threshold:
        kind += f", {neuron.threshold_kind} threshold {neuron.threshold / neuron.one:.3g}"
    box = f"[{neuron.lower / neuron.one:g}, {neuron.upper / neuron.one:g}]"
    mean = f"{activity.per_image[name].mean():.1f}"
    return name, _times(population.shape), kind, unit, box, mean


def _times(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))


def _projection_row(spec: NetworkSpec, projection: Projection, activity: Activity) -> tuple[Cell, ...]:
    original = spec.original_of(projection)
    weights = original.weights
    assert weights is not None  # check_spec
    rule: Cell = "fixed" if original is projection else f"transpose of {arrows(original.name)}"
    if projection.rule is not None:
        rule = local_rule(projection.rule)
    elif projection.sign < 0:
        rule = f"minus the {rule}"
    saturated = 100.0 * float((abs(weights.astype(int)) == projection.limit).mean())
    size = " × ".join(str(spec.population(name).size) for name in (projection.source, projection.target))
    if original.convolution is not None:
        size = f"kernel {_times(weights.shape)}, stride {_times(original.convolution.stride)}"
        size += f", taps {_times(original.convolution.dilation)} apart" if original.convolution.averaged > 1 else ""
        size += f", sums of {_times(original.convolution.pool)}" if original.convolution.pooled else ""
    scale = Markup("{} bits × {}").format(projection.weight_bits, power(-projection.exponent))
    operations = (f"{mean:,.1f}" for mean in activity.operations[projection.name])
    return arrows(projection.name), size, scale, f"{saturated:.1f} %", rule, *operations

"""Measurements that a report shows of a sparse coder, alone or behind others. All measured, nothing modelled."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from neuro.base.arrays import Array, Int64, Integers, Reals
from neuro.coding.sigma_delta import CODE, INPUT, RESIDUAL, codes_of
from neuro.data.sets import Dataset
from neuro.front_ends.pixels import PixelEncoder
from neuro.spec.network import Network
from neuro.spec.schedule import Phase, Schedule
from neuro.spec.sigma_delta import NetworkSpec
from neuro.spec.stack import unstack
from sim.backends.protocol import get_backend
from sim.backends.record import Record
from sim.coding.measure import integer_dictionary, lasso_codes, objective, threshold_of
from sim.training.front_end import FrontEnd

SWEPT = (0.25, 0.5, 2**-0.5, 1.0, 2**0.5, 2.0, 4.0)  # thresholds, in units of the chosen one
SWEEP_IMAGES, DESCENT_IMAGES, SHOWN_IMAGES = 200, 20, 8
TINY = 1e-12
LARGEST_SHARE = 0.9  # a swept threshold may be that share of the box of a code


class Coding(ABC):
    """A coder as a page sees it: what it codes, its codes, and what its atoms add up to."""

    @property
    @abstractmethod
    def encoder(self) -> PixelEncoder:
        """The encoder of its signals."""

    @property
    @abstractmethod
    def n_atoms(self) -> int:
        """Atoms; of kernels, those of a position."""

    @property
    @abstractmethod
    def dictionary(self) -> Reals:
        """The deployed dictionary as a real matrix [N, K * positions]."""

    @property
    @abstractmethod
    def images(self) -> Reals:
        """What each unit of the code adds to an image, of shape [pixels, K * positions].

        In the units of the encoder: a pixel of 1 is 1, the offset is subtracted.
        """

    @abstractmethod
    def signals(self, images: Array) -> Integers:
        """The payloads of shape [B, N] that the coder is given for images of shape [B, ...]."""

    @abstractmethod
    def codes(self, payloads: Integers) -> Reals:
        """The real codes of shape [B, K * positions] of signals."""


@dataclass(frozen=True, eq=False)
class LoneCoder(Coding):
    """The last coder of a network, with populations "input", "residual" (if any) and "code"; `front`: all before it.

    Its signals are images as the encoder gives them or, behind a front end, codes as the coder learned them.
    """

    spec: NetworkSpec
    front: NetworkSpec | None

    @property
    def encoder(self) -> PixelEncoder:
        """The encoder of its signals."""
        return self.spec.encoder

    @property
    def n_atoms(self) -> int:
        """Atoms; of kernels, those of a position."""
        return self.spec.population(CODE).shape[-1]

    def signals(self, images: Array) -> Integers:
        """The payloads of shape [B, N] that the coder is given for images of shape [B, ...]."""
        return self.spec.encoder.encode(images) if self.front is None else FrontEnd(self.front).payloads(images)

    def codes(self, payloads: Integers) -> Reals:
        """The real codes of shape [B, K * positions] of signals."""
        return codes_of(self.spec, _run(self.spec, payloads).output_states)

    @cached_property
    def dictionary(self) -> Reals:
        """The deployed dictionary as a real matrix [N, K * positions]."""
        return integer_dictionary(self.spec)

    @cached_property
    def images(self) -> Reals:
        """See `Coding`: the dictionary, through those in front."""
        if self.front is None:
            return self.dictionary
        before = lone_coder(self.front)
        wider = self.spec.encoder.activation_bits - self.front.population(self.front.output).neuron.activation_bits
        return np.asarray(before.images @ self.dictionary * 2.0**wider)


def lone_coder(spec: NetworkSpec) -> LoneCoder:
    """Take the last coder out of a network."""
    front, back = unstack(spec)
    if front is not None:
        _, back = unstack(spec, FrontEnd(front).encoder.activation_bits)
    names = {p.name: RESIDUAL for p in back.populations} | {back.input: INPUT, back.output: CODE}
    links = {p.name: f"{names[p.source]}->{names[p.target]}" for p in back.projections}
    renamed = NetworkSpec(
        populations=tuple(replace(p, name=names[p.name]) for p in back.populations),
        projections=tuple(
            replace(p, name=links[p.name], source=names[p.source], target=names[p.target],
                    transpose_of=None if p.transpose_of is None else links[p.transpose_of])
            for p in back.projections
        ),
        schedule=back.schedule,
        input=INPUT,
        output=CODE,
        encoder=back.encoder,
    )  # fmt: skip
    return LoneCoder(renamed, front)


def with_threshold(spec: NetworkSpec, factor: float) -> NetworkSpec:
    """A lone coder with `factor` times its sparsity threshold."""
    unit = spec.unit(CODE)
    scaled = replace(unit, threshold=max(round(unit.threshold * factor), 1))
    populations = tuple(replace(p, neuron=scaled) if p.name == CODE else p for p in spec.populations)
    return replace(spec, populations=populations)


def _run(spec: NetworkSpec, payloads: Integers) -> Record:
    with get_backend("events").open(spec) as session:
        return session.run(payloads)


def relative_error(coder: Coding, payloads: Integers, codes: Reals) -> Reals:
    """The error |x - D a|^2 / |x|^2 of shape [B]; 0 where x is 0."""
    signals = payloads * 2.0**-coder.encoder.activation_bits
    power = np.square(signals).sum(axis=1)
    left = np.square(signals - codes @ coder.dictionary.T).sum(axis=1)
    return np.asarray(left / np.where(power > 0, power, 1.0))


@dataclass(frozen=True, eq=False)
class Sweep:
    """The same dictionary at several thresholds, means over n test images; arrays of shape [T].

    error: |x - D a|^2 / |x|^2.
    """

    n: int
    chosen: float
    thresholds: Reals
    active: Reals
    spikes: Reals
    error: Reals


def sweep_thresholds(coder: LoneCoder, payloads: Integers) -> Sweep:
    """Measure sparsity and reconstruction of signals of shape [B, N] at thresholds around the chosen one."""
    neuron, chosen = coder.spec.unit(CODE), threshold_of(coder.spec)
    rows = []
    for factor in SWEPT:
        if factor > 1 and factor * neuron.threshold > LARGEST_SHARE * neuron.upper:
            continue
        spec = with_threshold(coder.spec, factor)
        record = _run(spec, payloads)
        codes = codes_of(spec, record.output_states)
        active, sent = np.count_nonzero(codes, axis=1).mean(), record.spike_counts[CODE].sum(axis=1).mean()
        rows.append((threshold_of(spec), active, sent, relative_error(coder, payloads, codes).mean()))
    return Sweep(len(payloads), chosen, *np.array(rows).T)


@dataclass(frozen=True, eq=False)
class Descent:
    """How codes settle: after so many steps, arrays of shape [n, T].

    steps of shape [T], the last of them twice the `deployed` ones; error: |x - D a|^2 / |x|^2; gap: objective / that of
    the LASSO solution - 1, None with a hard threshold, which has none.
    """

    deployed: int
    steps: Int64
    error: Reals
    gap: Reals | None


def watch_descent(coder: LoneCoder, payloads: Integers, deployed: int) -> Descent:
    """Watch signals of shape [n, N] settle: one run, whose states are kept after several numbers of steps."""
    steps = watched_steps(deployed)
    phases = tuple(Phase(f"to step {end}", int(n)) for end, n in zip(steps, np.diff(steps, prepend=0), strict=True))
    spec = replace(coder.spec, schedule=Schedule(phases))
    with get_backend("events").open(spec) as session:
        record = session.run(payloads, np.zeros((len(payloads), spec.n_classes), np.int32), keep_states=True)
    assert record.states is not None  # asked for
    codes = [codes_of(spec, record.states[CODE][:, t]) for t in range(len(steps))]
    error, gap = np.stack([relative_error(coder, payloads, code) for code in codes], axis=1), None
    if not spec.unit(CODE).hard:
        solution = np.maximum(objective(spec, payloads, lasso_codes(spec, payloads)), TINY)
        gap = np.stack([objective(spec, payloads, code) / solution - 1 for code in codes], axis=1)
    return Descent(deployed, steps, error, gap)


def watched_steps(deployed: int) -> Int64:
    """Numbers of steps in powers of the root of 2, up to twice the deployed ones, those among them; of shape [T]."""
    doubling = 2.0 ** np.arange(0, np.log2(2 * deployed) + 0.5, 0.5)
    fewer = np.round(doubling[doubling < 2 * deployed]).astype(np.int64)
    return np.asarray(np.unique([*fewer, deployed, 2 * deployed]), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Examples:
    """Test images and what their codes make of them, pixels in 0..1, of shape [n, *image shape]; active units [n]."""

    images: Reals
    reconstructions: Reals
    active: Int64
    error: Reals


def show_examples(coder: Coding, encoder_spec: Network, dataset: Dataset) -> Examples:
    """Reconstruct the first test images. encoder_spec: the whole network, whose encoder sees the pixels."""
    shown = dataset.x_test[:SHOWN_IMAGES]
    payloads, encoder = coder.signals(shown), encoder_spec.encoder
    codes = coder.codes(payloads)
    pixels = encoder.pixels_of(codes @ coder.images.T, shown)
    images = shown.astype(np.float64) / (255.0 if shown.dtype == np.uint8 else 1.0)
    signals = encoder.encode(shown) * 2.0**-encoder.activation_bits
    left = np.square(signals - codes @ coder.images.T).sum(axis=1) / np.maximum(np.square(signals).sum(axis=1), TINY)
    return Examples(images, pixels.reshape(images.shape), np.count_nonzero(codes, axis=1), left)


def atom_pictures(coder: LoneCoder, image_shape: tuple[int, ...]) -> Reals:
    """The atoms as pictures of shape [K, ...]: whole images, kernels or, behind coders, their images.

    Of kernels behind a front end the one in the middle is taken, and its surroundings are cut off.
    """
    forward = coder.spec.projection("input->code" if "input->code" in coder.spec.projection_index else "residual->code")
    n_atoms = coder.spec.population(CODE).shape[-1]
    if coder.front is None:
        shape = image_shape if forward.convolution is None else (*forward.convolution.kernel, -1)
        assert forward.weights is not None  # no transpose
        return np.asarray(forward.weights.reshape(-1, n_atoms).T.reshape(n_atoms, *shape) * 2.0**-forward.exponent)
    middle = _middle(coder.spec.population(CODE).shape[:-1])
    columns = coder.images[:, middle * n_atoms : (middle + 1) * n_atoms]
    return _cropped(np.ascontiguousarray(columns.T).reshape(n_atoms, *image_shape))


def _middle(positions: tuple[int, ...]) -> int:
    return int(np.ravel_multi_index(tuple(n // 2 for n in positions), positions)) if positions else 0


def _cropped(pictures: Reals) -> Reals:
    """Cut off the border along two axes at which all pictures [K, h, w, ...] are zero."""
    if pictures.ndim < 3 or not pictures.any():
        return pictures
    for axis in (1, 2):
        used = np.flatnonzero(pictures.any(axis=tuple(a for a in range(pictures.ndim) if a != axis)))
        pictures = np.take(pictures, np.arange(used[0], used[-1] + 1), axis=axis)
    return pictures


def use_of_atoms(coder: Coding, payloads: Integers) -> Reals:
    """The share of signals (and positions) in which each atom is active, of shape [K]."""
    codes = coder.codes(payloads)
    return np.asarray((codes.reshape(-1, coder.n_atoms) != 0).mean(axis=0))

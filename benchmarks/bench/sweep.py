"""Sparse coders: energy and latency against sparsity, the question of the published Loihi 2 studies.

One trained coder, its sparsity threshold (lambda) moved over a range; at each threshold the deployed integers, the same
relaxation in floats for the same number of steps (torch, dense; and compiled, working for active units only), and the
chip, modelled. What the studies found on Loihi 2: time and energy fall as the threshold rises (Parpart et al. 2023,
ICONS, arXiv 2307.13762: "orders of magnitude more efficient and faster for large sparsity penalties"; Kasenbacher et
al. 2026, arXiv 2606.08584, kernels, against a GPU). Only their abstracts were at hand: data, sizes and thresholds here
are our own.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.bench.chip import modelled_row
from benchmarks.bench.config import CPU, CUDA, LOIHI, BenchConfig
from benchmarks.bench.contestants import NO_CUDA, has_cuda, place_of
from benchmarks.bench.rows import Row, empty_row
from benchmarks.bench.run import Meter, timed_rows, torch_devices, torch_threads
from benchmarks.tools.results_file import machine
from hardware.compile.compiler import compile_network
from hardware.energy.counts import count
from hardware.energy.estimate import estimate
from neuro.artifact.run_folder import SELF
from neuro.base.arrays import Floats, Images
from neuro.base.errors import UserError
from neuro.base.files import json_bytes, sha256
from neuro.base.quantities import Modelled, NotMeasurable
from neuro.base.shown import Lines, Shown
from neuro.coding.sigma_delta import CODE, codes_of
from neuro.data.sets import require_test_images
from neuro.spec.neurons import SigmaDelta
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.protocol import get_backend
from sim.coding.float_fast import encode_fast
from sim.coding.measure import integer_dictionary, threshold_of
from sim.evaluate import data_of, load_run
from sim.oracles.coding import Dynamics, encode
from sim.oracles.operators import ConvolutionalOperator, DenseOperator

CODING = "coding"
FACTORS = (0.5, 1.0, 2.0, 4.0, 8.0)  # of the coder's own threshold
COUNTED = 50  # test images whose operations and codes are counted
TIMED = 512  # test images that are timed
NO_CLASSES = NotMeasurable("a sparse coder has no classes")


@dataclass(frozen=True)
class Point:
    """What one threshold does, mean over n test images, and what it costs.

    active: units in use; spikes: sent by moving populations; synaptic: additions; error: |x - D a|^2 / |x|^2; dynamic:
    energy of an image on the chip without static power, J, which is what published studies compare.
    """

    threshold: float
    n: int
    active: float
    spikes: float
    synaptic: float
    error: float
    dynamic: Modelled
    rows: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        """All fields, as an object that `json` can write."""
        names = ("threshold", "n", "active", "spikes", "synaptic", "error")
        own = {name: getattr(self, name) for name in names}
        return {**own, "dynamic": self.dynamic.to_json(), "rows": [row.to_json() for row in self.rows]}


@dataclass(frozen=True, eq=False, repr=False)
class Sweep(Shown):
    """A finished sweep."""

    run: str
    points: tuple[Point, ...]
    content: dict[str, Any]

    def lines(self) -> Lines:
        """See `Shown`: what each threshold costs; all rows are fields of the points."""
        point_lines = (
            (f"threshold {point.threshold:.3g}", f"{point.spikes:.1f} spikes (counted), {point.dynamic}")
            for point in self.points
        )
        return [("run", self.run), *point_lines]

    def summary(self) -> dict[str, Any]:
        """The object that `settle bench --json` prints."""
        rows = [{"threshold": point.threshold, **row.summary()} for point in self.points for row in point.rows]
        return {"run": self.run, "rows": rows}


def with_threshold(spec: NetworkSpec, threshold: float) -> NetworkSpec:
    """A coder with another sparsity threshold, real. Raises: UserError if no code could exceed it."""
    populations = []
    for population in spec.populations:
        neuron = population.neuron
        if population.name == CODE and isinstance(neuron, SigmaDelta):
            population = replace(population, neuron=replace(neuron, threshold=max(round(threshold * neuron.one), 1)))
        populations.append(population)
    return replace(spec, populations=tuple(populations))


def sweep_run(
    folder: Path, config: BenchConfig, thresholds: tuple[float, ...] | None = None,
    on_part: Callable[[str], None] = lambda text: None,
) -> Sweep:  # fmt: skip
    """Sweep the threshold of a trained sparse coder. Writes nothing. Raises: UserError if the run is none."""
    artifact = load_run(folder)
    spec = artifact.spec
    if not isinstance(spec, NetworkSpec) or CODE not in spec.population_index or spec.output != CODE:
        raise UserError(f"run {folder}: is no sparse coder (settle train lca); thresholds are theirs")
    if thresholds is not None and not all(0 < value < np.inf for value in thresholds):
        raise UserError(f"--thresholds {','.join(map(str, thresholds))}: give positive numbers, e.g. 0.1,0.2,0.4")
    dataset = data_of(artifact)
    require_test_images(dataset, config.images)
    images = dataset.x_test[: config.images or TIMED]
    there = [name for name in config.devices if name == CPU or (name == CUDA and has_cuda())]
    meters = {device: Meter.of(device) for device in there}
    chosen = thresholds or tuple(factor * threshold_of(spec) for factor in FACTORS)
    with torch_threads(config.threads):
        points = tuple(point_at(with_threshold(spec, value), images, config, meters, on_part) for value in chosen)
        machinery = {**machine(), **torch_devices()}
    asked = {**asdict(config), "devices": list(config.devices), "thresholds": list(chosen)}
    content = {
        "kind": "each cell states its own: measured, modelled, not measurable",
        "run": str(folder),
        "run_manifest_sha256": artifact.manifest[SELF],
        "data": artifact.manifest["data"],
        "coder": {p.name: p.size for p in spec.populations} | {"steps": spec.schedule.phases[0].steps},
        "own threshold": threshold_of(spec),
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "config": asked,
        "config_sha256": sha256(json_bytes(asked, sort_keys=True)),
        "machine": machinery,
        "energy counters": {device: str(meter) for device, meter in meters.items()},
        "points": [point.to_json() for point in points],
    }
    return Sweep(str(folder), points, content)


def point_at(
    spec: NetworkSpec, images: Images, config: BenchConfig, meters: dict[str, Meter], on_part: Callable[[str], None]
) -> Point:
    """The work, error and cost of a coder at its threshold."""
    threshold = threshold_of(spec)
    payloads = spec.encoder.encode(images[:COUNTED])
    with get_backend("events").open(spec, threads=config.threads) as session:
        record = session.run(payloads, keep_spikes=True)
    codes = codes_of(spec, record.output_states)
    signals = payloads * 2.0**-spec.encoder.activation_bits
    lost = np.square(signals - codes @ integer_dictionary(spec).T).sum(axis=1) / np.square(signals).sum(axis=1)
    placement = compile_network(spec, learns=False).placement
    counts = count(spec, record, placement)
    priced = estimate(counts, config.constants)
    moved = [part for name, part in priced.parts.items() if name != "static"]
    rows: list[Row] = []
    for name, device, note, work in coders(spec, config.threads):
        if device not in config.devices:
            continue
        if work is None:
            rows.append(empty_row((name, device, note), CODING, NO_CUDA))
            continue
        on_part(f"threshold {threshold:.3g}: {name}, {device}")
        rows += timed_rows((name, device, note), CODING, NO_CLASSES, work, (images,), config.seconds, meters[device])
    if LOIHI in config.devices:
        said = f"{len(placement.cores)} cores; host traffic in neither energy nor latency"
        rows.append(modelled_row(priced, CODING, said, NO_CLASSES))
    return Point(
        threshold, len(payloads), float((codes != 0).sum(axis=1).mean()), record.spikes_per_inference(spec),
        counts.per_image()["synaptic"], float(lost.mean()), sum(moved[1:], start=moved[0]), tuple(rows),
    )  # fmt: skip


Coder = Callable[[Images], Floats]


def coders(spec: NetworkSpec, threads: int | None) -> Iterator[tuple[str, str, str, Coder | None]]:
    """Yield name, device, note and work of everything that codes images; None where its device is not there."""
    session = get_backend("events").open(spec, threads=threads)
    yield ("settle, events", CPU, "the deployed integers, event-driven, compiled",
           lambda images: codes_of(spec, session.run(spec.encoder.encode(images)).output_states))  # fmt: skip
    dynamics = float_dynamics(spec)
    steps = f"floats, {dynamics.max_steps} steps"
    operator = float_operator(spec, torch.device("cpu"))
    yield ("LCA, compiled", CPU, f"{steps}, work for active units only, one core",
           lambda images: encode_fast(operator, _signals(spec, images), dynamics).codes.numpy())  # fmt: skip
    for device in (CPU, CUDA):
        note = f"{steps}, dense, in torch; eager, no CUDA graphs"
        there = device == CPU or has_cuda()
        yield "LCA, torch", device, note, torch_coder(spec, place_of(device)) if there else None


def torch_coder(spec: NetworkSpec, device: torch.device) -> Coder:
    """The float relaxation on a device; codes are back on the host when it returns."""
    operator, dynamics = float_operator(spec, device), float_dynamics(spec)
    return lambda images: encode(operator, _signals(spec, images).to(device), dynamics).codes.cpu().numpy()


def float_dynamics(spec: NetworkSpec) -> Dynamics:
    """The relaxation of a coder in floats: same threshold, time constant and steps, never cut short."""
    neuron = spec.population(CODE).neuron
    if not isinstance(neuron, SigmaDelta):
        raise TypeError("float_dynamics: the code population of a coder is sigma-delta")
    tau = max(2**neuron.step_shift / neuron.step_multiplier, 1.0)
    steps = spec.schedule.phases[0].steps
    return Dynamics(threshold_of(spec), tau, neuron.lower < 0, neuron.hard, steps, None)


def float_operator(spec: NetworkSpec, device: torch.device) -> DenseOperator | ConvolutionalOperator:
    """The deployed dictionary in float32 on a device."""
    name = "input->code" if "input->code" in spec.projection_index else "residual->code"
    projection = spec.projection(name)
    if projection.convolution is None:
        return DenseOperator(torch.tensor(integer_dictionary(spec), dtype=torch.float32, device=device), torch.float32)
    kernel = torch.tensor(np.asarray(projection.weights) * 2.0**-projection.exponent, dtype=torch.float32)
    shape = spec.population(spec.input).shape
    return ConvolutionalOperator(kernel.to(device), projection.convolution, shape, torch.float32)


def _signals(spec: NetworkSpec, images: Images) -> torch.Tensor:
    """The input of a coder for images, float32 of shape [B, N]."""
    return torch.from_numpy(spec.encoder.encode(images).astype(np.float32) * 2.0**-spec.encoder.activation_bits)

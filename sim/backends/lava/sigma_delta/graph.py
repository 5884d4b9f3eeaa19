"""From a NetworkSpec to a graph of Lava processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from lava.magma.core.process.process import AbstractProcess
from lava.proc.dense.process import Dense
from lava.utils.weightutils import SignMode

from neuro.base.arrays import Int32, UInt32
from neuro.base.fixed_point import WEIGHT_BITS, weight_limit
from neuro.spec.graph import Population
from neuro.spec.neurons import SigmaDelta, Source
from neuro.spec.projection import Projection
from neuro.spec.schedule import CONSTANT
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.lava.units.processes import Recorder, Sender, SigmaDeltaUnit, SpikeGenerator

MESSAGE_BITS = 24  # width of a graded payload
LARGEST = weight_limit(WEIGHT_BITS)


@dataclass(frozen=True)
class Job:
    """What to run. payloads [B, N]; targets [B, K] or None for the free phase only; signs [B] of the first nudge; keys
    [B] of the images, for the spikes that an input generates.

    currents: by population [B, N], what is added to its input in nudged phases, with the sign of the nudge.
    """

    spec: NetworkSpec
    payloads: Int32
    targets: Int32 | None
    signs: Int32
    keys: UInt32
    currents: Mapping[str, Int32] = field(default_factory=dict)

    @property
    def n_phases(self) -> int:
        """Phases to run."""
        return 1 if self.targets is None else len(self.spec.schedule.phases)

    @property
    def period(self) -> int:
        """Steps per image, the presentation included."""
        return self.spec.schedule.ends[self.n_phases - 1] + 1


def record_path(folder: Path, population: int) -> Path:
    """File in which the Recorder of a population (by index) leaves its spikes and states."""
    return folder / f"record-{population}.npz"


def build_graph(job: Job, folder: Path) -> list[AbstractProcess]:
    """The connected processes of `job`; recorders write into `folder`, progress into folder/progress."""
    spec = job.spec
    neurons = {population.name: _neurons(job, population) for population in spec.populations}
    graph = list(neurons.values())
    for projection in spec.projections:
        for synapses in _synapses(spec, projection):
            neurons[projection.source].s_out.connect(synapses.s_in)
            synapses.a_out.connect(neurons[projection.target].a_in)
            graph.append(synapses)
    for name, guide in _guides(job).items():
        teacher = Sender(
            data=np.concatenate([guide, job.signs[:, None]], axis=1), period=job.period, name=f"teacher of {name}"
        )
        teacher.s_out.connect(neurons[name].guide_in)
        graph.append(teacher)
    for index, population in enumerate(spec.populations):
        recorder = _recorder(job, index, folder)
        neurons[population.name].s_out.connect(recorder.s_in)
        if isinstance(population.neuron, SigmaDelta):
            neurons[population.name].u_out.connect(recorder.u_in)
        graph.append(recorder)
    return graph


def _guides(job: Job) -> dict[str, Int32]:
    """What nudged populations are told of each image: the output its targets, others their currents."""
    return {} if job.targets is None else {job.spec.output: job.targets, **job.currents}


def _hold(job: Job, name: str) -> int:
    """When the population takes the force that it holds: see `SigmaDeltaUnit`."""
    if name not in _guides(job):
        return 0
    if name != job.spec.output:
        return -1
    return job.spec.schedule.ends[0] if job.spec.schedule.force == CONSTANT else 0


def _neurons(job: Job, population: Population) -> AbstractProcess:
    neuron, schedule = population.neuron, job.spec.schedule
    if isinstance(neuron, Source):
        if neuron.window:
            return SpikeGenerator(
                chances=job.payloads, keys=job.keys, window=neuron.window, period=job.period, name=population.name
            )
        shape = (len(job.payloads), population.size)
        data = job.payloads if neuron.constant is None else np.full(shape, neuron.constant)
        return Sender(data=data, period=job.period, name=population.name)
    steps = schedule.phase_of_step()[: job.period]
    nudged = population.name in _guides(job)
    return SigmaDeltaUnit(
        size=population.size,
        lower=neuron.lower,
        upper=neuron.upper,
        step_multiplier=neuron.step_multiplier,
        step_shift=neuron.step_shift,
        send_shift=neuron.send_shift,
        threshold=neuron.threshold,
        hard=neuron.hard,
        nudge=[schedule.phases[phase].nudge if nudged and phase >= 0 else 0 for phase in steps],
        nudge_multiplier=schedule.nudge_multiplier,
        nudge_shift=schedule.nudge_shift,
        parity=job.spec.parity[population.name],
        hold=_hold(job, population.name),
        name=population.name,
    )


def _synapses(spec: NetworkSpec, projection: Projection) -> list[Dense]:
    """Stock Dense processes, side by side, with the same arithmetic: one, of a pooled kernel as many as it takes.

    Mixed-sign weights of 8 bits live on the even integers of -256..254 in Lava, so int8 weights are doubled and the
    exponent lowered by one; the shift back is exact because every sum is even. Sums of several int8 weights (pooling)
    are shared among several processes.
    """
    remainder = spec.weights_of(projection).T.astype(np.int32)
    summands = [np.clip(remainder, -LARGEST, LARGEST)]
    while np.any(remainder := remainder - summands[-1]):
        summands.append(np.clip(remainder, -LARGEST, LARGEST))
    return [
        Dense(
            weights=2 * summand,
            weight_exp=spec.shift_of(projection) - 1,
            num_weight_bits=8,
            sign_mode=SignMode.MIXED,
            num_message_bits=MESSAGE_BITS,
            name=projection.name if index == 0 else f"{projection.name} + {index}",
        )
        for index, summand in enumerate(summands)
    ]


def _recorder(job: Job, index: int, folder: Path) -> Recorder:
    population = job.spec.populations[index]
    return Recorder(
        size=population.size,
        period=job.period,
        n_images=len(job.payloads),
        keep=job.spec.schedule.ends[: job.n_phases],
        path=str(record_path(folder, index)),
        progress=str(folder / "progress") if population.name == job.spec.output else "",
        name=f"record {population.name}",
    )

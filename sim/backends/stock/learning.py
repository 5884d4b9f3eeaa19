"""A stock network that learns while it runs: the neurons of the emulator, the learning engine beside them, stepwise.

Order within a step, as in Lava: neurons update and send; the spikes are weighed with the present weights, to arrive at
the next step; then every plastic projection learns from the spikes of its two ends.
Checked: tests/contract/test_stock.py, against Lava itself, every spike, state and weight equal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from neuro.base.arrays import Int16, Int32, Int64, Integers
from neuro.base.errors import UserError
from neuro.stock.learning_engine import EngineRule
from neuro.stock.processes import StockProjection, StockSpec, committed
from sim.backends.jit import jit
from sim.backends.stock.emulator import EmulatorPlan, StockRun, advance, deliver, make_emulator_plan
from sim.backends.stock.engine_kernels import Constants, EngineState, Noise, engine_step
from sim.backends.stock.learning_engine import NoiseSource, make_constants, make_engine_state, make_histories
from sim.backends.stock.segments import Commit, LearningRecord, Segment, check_segments, commit_targets


@jit
def learning_steps(
    plan: EmulatorPlan, engines: tuple[tuple[Constants, EngineState, Noise, Int32, Int32], ...], inputs: Int32,
    time: int, u: Int32, v: Int32, accumulated: Int32, sums: Int32, spikes: Int32, before: Int64, after: Int64,
) -> None:  # fmt: skip
    """Run T steps of one sequence, learning; shapes as in `emulator_steps`, `accumulated` goes on from the last call.

    engines: a tuple of (constants, state, noise, x_history, y_history) per plastic projection; before, after of shape
    [L]: population indices of their two ends.
    """
    for step in range(inputs.shape[0]):
        now = time + step + 1
        advance(plan, now, inputs[step], plan.bias, u, v, accumulated, spikes[step])
        deliver(plan, spikes[step], sums, accumulated)
        for k in range(len(engines)):
            constants, state, noise, x_history, y_history = engines[k]
            pre = spikes[step, plan.start[before[k]] : plan.start[before[k] + 1]]
            post = spikes[step, plan.start[after[k]] : plan.start[after[k] + 1]]
            engine_step(
                constants, state, pre, post, now, noise.rho_x[step], noise.rho_y[step], noise.rounding[step],
                noise.keys[step], x_history, y_history,
            )  # fmt: skip


class _Engine(NamedTuple):
    """The learning engine of one projection."""

    constants: Constants
    state: EngineState
    noise: NoiseSource
    histories: tuple[Int32, Int32]  # of the traces x and y over an epoch


class LearningEmulator:
    """One sequence of a stock network with plastic projections; `run` goes on where the last call stopped.

    time: steps done before, where the noise goes on; neurons, traces and messages start from zero all the same.
    """

    def __init__(self, spec: StockSpec, *, time: int = 0) -> None:
        plastic = [projection for projection in spec.projections if projection.rule is not None]
        if not plastic:
            raise UserError("learning chip: no projection has a rule; run it with emulate")
        if spec.biased:
            raise UserError("learning chip: biases set by the host are for networks that do not learn; drop `biased`")
        self.spec, self._plastic, self._time = spec, plastic, time
        self._plan = make_emulator_plan(spec)
        index = {population.name: i for i, population in enumerate(spec.populations)}
        self._before = np.array([index[p.source] for p in plastic], dtype=np.int64)
        self._after = np.array([index[p.target] for p in plastic], dtype=np.int64)
        self._engines = [self._engine(projection) for projection in plastic]
        n_neurons = int(self._plan.start[-1])
        self._u, self._v, self._accumulated, self._sums = (np.zeros(n_neurons, dtype=np.int32) for _ in range(4))

    def _engine(self, projection: StockProjection) -> _Engine:
        """The engine of one projection; its weights are those of the plan."""
        rule, shape = projection.rule, projection.weights.shape
        assert rule is not None  # plastic
        constants = make_constants(rule, projection.sign_mode, projection.noise, projection.lsb)
        state = make_engine_state(self._block(projection), np.full(shape, projection.tag))
        noise = NoiseSource(projection.noise_seed, rule.t_epoch, self._time)
        return _Engine(constants, state, noise, make_histories(rule, *shape))

    def set_rules(self, rules: Mapping[str, EngineRule]) -> None:
        """Switch the rules of some plastic projections, at any time: weights, tags, traces and noise go on.

        Raises: UserError if a projection does not learn, or if the new rule has another epoch.
        """
        by_name = {projection.name: index for index, projection in enumerate(self._plastic)}
        for name, rule in rules.items():
            if name not in by_name:
                raise UserError(f"learning chip: projection {name!r} does not learn; it has no rule to switch")
            projection, engine = self._plastic[by_name[name]], self._engines[by_name[name]]
            if projection.rule is not None and rule.t_epoch != projection.rule.t_epoch:
                raise UserError(f"learning chip: {name}: t_epoch cannot change from {projection.rule.t_epoch}")
            constants = make_constants(rule, projection.sign_mode, projection.noise, projection.lsb)
            self._engines[by_name[name]] = engine._replace(constants=constants)

    def set_weights(self, weights: Mapping[str, Integers]) -> None:
        """Go on from plastic weights as they were learned, odd ones too: a spec starts from those it transmits."""
        for projection, engine in zip(self._plastic, self._engines, strict=True):
            engine.state.weights[...] = weights[projection.name]

    def _block(self, projection: StockProjection) -> Int16:
        """The weights of a projection in the plan, not a copy."""
        block = self._plan.block[self.spec.projections.index(projection)]
        return self._plan.weights[block : block + projection.weights.size].reshape(projection.weights.shape)

    def run(self, inputs: Integers) -> StockRun:
        """Run T more steps, inputs of shape [T, n]; returns a record of one sequence, shapes [1, T, N] and [1, N]."""
        self.spec.check_inputs(inputs[None])
        spikes = np.zeros((len(inputs), len(self._u)), dtype=np.int32)
        engines = tuple(
            (engine.constants, engine.state, engine.noise.draw(self._time, len(inputs)), *engine.histories)
            for engine in self._engines
        )
        learning_steps(
            self._plan, engines, np.ascontiguousarray(inputs, dtype=np.int32), self._time, self._u, self._v,
            self._accumulated, self._sums, spikes, self._before, self._after,
        )  # fmt: skip
        self._time += len(inputs)
        ranges = {
            p.name: slice(self._plan.start[i], self._plan.start[i + 1]) for i, p in enumerate(self.spec.populations)
        }
        return StockRun(
            {name: spikes[None, :, where] for name, where in ranges.items()},
            {name: self._u[None, where].copy() for name, where in ranges.items()},
            {name: self._v[None, where].copy() for name, where in ranges.items()},
        )

    def commit(self, commit: Commit) -> None:
        """Copy the weights of a plastic projection into one that does not learn, as that transmits them."""
        target = next(projection for projection in self.spec.projections if projection.name == commit.target)
        weights = self.weights()[commit.source]
        oriented = weights.T if commit.transposed else weights
        self._block(target)[...] = committed(oriented, target.sign_mode, target.weight_bits)

    def weights(self) -> dict[str, Int16]:
        """A copy of the plastic weights by projection, of shape [N_source, N_target]."""
        return {p.name: engine.state.weights.copy() for p, engine in zip(self._plastic, self._engines, strict=True)}

    def still_weights(self) -> dict[str, Int16]:
        """A copy of the weights of projections that do not learn."""
        return {p.name: self._block(p).copy() for p in self.spec.projections if p.rule is None}

    def tags(self) -> dict[str, Int32]:
        """A copy of the tags of plastic projections."""
        return {p.name: engine.state.tags.copy() for p, engine in zip(self._plastic, self._engines, strict=True)}

    def traces(self) -> dict[str, dict[str, Int32]]:
        """A copy of the traces x1, x2 of shape [N_source] and y1, y2 of shape [N_target] by projection."""
        states = {p.name: engine.state for p, engine in zip(self._plastic, self._engines, strict=True)}
        return {
            name: {"x1": state.x[0].copy(), "x2": state.x[1].copy(), "y1": state.y[0].copy(), "y2": state.y[1].copy()}
            for name, state in states.items()
        }


def learn_in_emulator(
    spec: StockSpec, inputs: Integers, segments: Sequence[Segment], *, keep_spikes: bool = False
) -> LearningRecord:
    """Run one sequence, inputs of shape [T, n], in segments; see `sim.backends.stock.segments`.

    Raises: UserError if the segments do not fit the network or the inputs.
    """
    check_segments(spec, len(inputs), segments)
    emulator, done, spikes = LearningEmulator(spec), 0, []
    for segment in segments:
        emulator.set_rules(segment.rules)
        record = emulator.run(inputs[done : done + segment.steps])
        done += segment.steps
        for commit in segment.commits:
            emulator.commit(commit)
        if keep_spikes:
            spikes.append({name: values[0] for name, values in record.spikes.items()})
    still = emulator.still_weights()
    return LearningRecord(
        weights={**emulator.weights(), **{name: still[name] for name in commit_targets(segments)}},
        tags=emulator.tags(),
        traces=emulator.traces(),
        u={name: values[0] for name, values in record.u.items()},
        v={name: values[0] for name, values in record.v.items()},
        spikes={name: np.concatenate([part[name] for part in spikes]) for name in record.spikes} if keep_spikes else {},
    )

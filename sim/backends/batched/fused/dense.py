"""Dense networks on Triton kernels: all steps of a batch in one launch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from neuro.spec.projection import Projection
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.batched.fused.dense_kernels import drive_kernel, settle_kernel
from sim.backends.batched.fused.dense_learning import (
    commit_input_kernel,
    commit_kernel,
    move_kernel,
    occupied_kernel,
)
from sim.backends.batched.fused.dense_plan import K, Plan, padded
from sim.backends.batched.fused.resident import Matrix, Resident, ResidentNetwork
from sim.backends.batched.plasticity import Learner
from sim.backends.batched.record import Outcome

IMAGES = 16  # that a program settles, at most
HELD = 64 << 10  # bytes of weights that a program holds while it settles
FEW_IMAGES = 4  # for which four warps, which wait for each other less, are faster than eight
PROGRAMS = 128  # below as many, a program settles fewer images
ROWS = 128  # weights of the input onto a neuron that a program moves
TOGETHER = 32  # images, and neurons, whose moves a program writes
MOST, FEW = 256, 32  # images that a program of learning looks at together: with one column to move, or several


class DenseNetwork(ResidentNetwork):
    """A spec without convolutions on one device."""

    def __init__(
        self, spec: NetworkSpec, learners: Sequence[Learner], device: torch.device, batch_size: int = 1
    ) -> None:
        super().__init__(spec, learners, device, batch_size)
        self.plan = Plan(spec)
        self.matrices = {p.name: self._matrix(p) for p in spec.projections if p.weights is not None}
        self._rooms: dict[tuple[int, str], Tensor] = {}
        self._none = self.zeros(1)

    def _matrix(self, projection: Projection) -> Matrix:
        rows, columns = self.plan.width(projection.source), self.plan.width(projection.target)
        new = torch.zeros((rows, columns), dtype=torch.int8, device=self.device)
        matrix = Matrix(new, torch.zeros((columns, rows), dtype=torch.int8, device=self.device))
        matrix.load(torch.tensor(projection.weights, device=self.device))
        return matrix

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Set the weights of the named projections, integers on this device."""
        for name, values in weights.items():
            self.matrices[name].load(values)

    def _make_buffers(self, size: int) -> None:
        plan = self.plan
        self._drives = tuple(
            self.zeros(size, n) if fed else self._none for n, fed in zip(plan.padded, plan.fed, strict=True)
        )
        self._sent = tuple(
            tuple(
                self.zeros(size, n, kind=torch.int16 if wide else torch.int8)
                for n, wide in zip(plan.padded, plan.wide, strict=True)
            )
            for _ in range(2)
        )
        self._state = tuple(
            tuple(
                self.zeros(size, n) if kept else self._none
                for n, kept in zip(plan.padded, plan.kept_states, strict=True)
            )
            for _ in range(2)
        )  # fmt: skip

    def _launch_settling(
        self, lesson: Resident, outcome: Outcome, size: int, n_phases: int, nudged: bool, learns: bool
    ) -> None:
        plan, spec, schedule = self.plan, self.spec, self.spec.schedule
        for p, name in enumerate(plan.moving):
            if plan.fed[p]:
                self._launch_drive(lesson, name, self._drives[p], size)
        links = tuple(self._facing_sum(projection) for projection in plan.recurrent)
        held = sum(link.numel() for link in links) <= HELD
        images = min(IMAGES, max(2, 1 << (-(-size // PROGRAMS) - 1).bit_length()))
        settle_kernel[(-(-size // images),)](
            self.cursor, size, self._drives, links, lesson.targets, lesson.signs, outcome.counts, outcome.output,
            outcome.last_spike, outcome.nudged, *self._sent, *self._state,
            PADDED=plan.padded, WIDE=plan.wide, UNITS=plan.units, PARITIES=plan.parities, FED=plan.fed,
            INDEX=tuple(spec.population_index[name] for name in plan.moving),
            SOURCES=plan.sources, TARGETS=plan.targets, SCALES=tuple(plan.scale(p) for p in plan.recurrent),
            KEPT=plan.kept_states, OUTPUT=plan.output, CLASSES=spec.n_classes, POPULATIONS=len(spec.populations),
            PHASES=len(schedule.phases), ENDS=schedule.ends, NUDGES=tuple(p.nudge for p in schedule.phases),
            N_PHASES=n_phases, STRENGTH=schedule.nudge_multiplier, STRENGTH_SHIFT=schedule.nudge_shift,
            CONSTANT=plan.holds_force, PATIENCE=plan.patience, NUDGED=nudged, LEARNS=learns,
            HELD=held,
            IMAGES=images, num_warps=4 if held and images <= FEW_IMAGES else 8,
        )  # fmt: skip

    def _facing_sum(self, projection: Projection) -> Tensor:
        """The weights of `projection` as [target, source]."""
        matrix = self.matrices[self.spec.original_of(projection).name]
        return matrix.transposed if projection.transpose_of is None else matrix.straight

    def _launch_drive(self, lesson: Resident, name: str, into: Tensor, size: int) -> None:
        plan, width = self.plan, self.plan.width(name)
        inputs, constants = plan.from_input(name), plan.from_constants(name)
        images = neurons = 32 if size <= 512 else 64
        neurons = min(neurons, width)
        values: list[Any] = [plan.constant_of(p.source) for p in constants]
        drive_kernel[(-(-size // images), width // neurons)](
            self.cursor, size, lesson.inputs, tuple(self._facing_sum(p) for p in inputs),
            tuple(self.matrices[self.spec.original_of(p).name].straight for p in constants), into,
            N=lesson.inputs.shape[1], SCALES=tuple(plan.scale(p) for p in inputs),
            CONSTANT_SIZES=tuple(self.spec.population(p.source).size for p in constants),
            CONSTANT_VALUES=tuple(v * plan.scale(p) for v, p in zip(values, constants, strict=True)),
            WIDTHS=tuple(plan.width(p.source) for p in inputs), PADDED=width, IMAGES=images, NEURONS=neurons, K=K,
        )  # fmt: skip

    def _launch_commit(self, lesson: Resident, size: int, number: int) -> None:
        plan, moving, learner = self.plan, self.plan.moving, self.learners[number]
        projection, matrix = learner.projection, self.matrices[learner.projection.name]
        constant, post = plan.constant_of(projection.source), moving.index(projection.target)
        if constant == 0:
            return  # its changes are all zero
        if projection.source == self.spec.input:
            self._launch_commit_input(lesson, size, number)
            return
        pre = moving.index(projection.source) if projection.source in moving else post
        kept = self._state if learner.rule.uses_state_difference else self._sent
        n_pre, n_post = learner.synapses.shape
        rows, columns = (1, 32) if constant else (32, 1)
        grid = (-(-n_pre // rows), -(-n_post // columns))
        commit_kernel[grid](
            self.cursor, size, learner.full, matrix.straight, matrix.transposed,
            self._sent[0][pre], self._sent[1][pre], kept[0][post], kept[1][post], lesson.signs, lesson.keys,
            self.rates, self._room(number, "lists", grid[0] * grid[1] * FEW),
            N_PRE=n_pre, N_POST=n_post, PRE_WIDTH=plan.padded[pre], POST_WIDTH=plan.padded[post],
            PADDED_PRE=plan.width(projection.source), STREAM=learner.index, RATE=number, LIMIT=learner.limit,
            SHADOW=learner.shadow, CONSTANT=constant or 0, ROWS=rows, COLUMNS=columns, MOST=FEW, num_warps=1,
        )  # fmt: skip

    def _launch_commit_input(self, lesson: Resident, size: int, number: int) -> None:
        plan, learner = self.plan, self.learners[number]
        post, matrix = plan.moving.index(learner.projection.target), self.matrices[learner.projection.name]
        kept = self._state if learner.rule.uses_state_difference else self._sent
        n_pre, n_post = learner.synapses.shape
        rows = min(ROWS, padded(n_pre))
        blocks, several = -(-n_pre // rows), -(-size // TOGETHER)
        moves = self._room(number, "moves", n_post * self.size)
        occupied = self._room(number, "occupied", blocks * self.size, torch.int8)
        streams = self._room(number, "streams", self.size)
        move_kernel[(several, -(-n_post // TOGETHER))](
            self.cursor, size, kept[0][post], kept[1][post], lesson.signs, moves,
            N_POST=n_post, POST_WIDTH=plan.padded[post], BATCH=self.size, IMAGES=TOGETHER, COLUMNS=TOGETHER,
        )  # fmt: skip
        occupied_kernel[(several, blocks)](
            self.cursor, size, lesson.inputs, lesson.keys, occupied, streams,
            N_PRE=n_pre, BATCH=self.size, STREAM=learner.index, IMAGES=TOGETHER, ROWS=rows,
        )  # fmt: skip
        commit_input_kernel[(blocks, n_post)](
            self.cursor, size, learner.full, matrix.straight, matrix.transposed, lesson.inputs, moves, occupied,
            streams, self.rates, self._room(number, "lists", 3 * blocks * n_post * MOST),
            N_PRE=n_pre, N_POST=n_post, POST_WIDTH=plan.padded[post],
            PADDED_PRE=plan.width(learner.projection.source), BATCH=self.size, RATE=number, LIMIT=learner.limit,
            SHADOW=learner.shadow, ROWS=rows, MOST=MOST, num_warps=1,
        )  # fmt: skip

    def _room(self, number: int, what: str, count: int, kind: torch.dtype = torch.int32) -> Tensor:
        """Memory of a projection's own."""
        if (number, what) not in self._rooms or len(self._rooms[number, what]) < count:
            self._rooms[number, what] = self.zeros(count, kind=kind)
        return self._rooms[number, what]

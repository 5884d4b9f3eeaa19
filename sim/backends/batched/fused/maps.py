"""Networks of maps on Triton kernels: each step a few launches, all steps and phases of a batch one CUDA graph."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from neuro.base.errors import UserError
from neuro.spec.neurons import SigmaDelta, Source
from neuro.spec.projection import Projection
from neuro.spec.schedule import CONSTANT
from neuro.spec.sigma_delta import NetworkSpec
from sim.backends.batched.fused import maps_kernels as kernels
from sim.backends.batched.fused.limits import NARROW, patience, unit_numbers
from sim.backends.batched.fused.links import Link
from sim.backends.batched.fused.maps_plan import layouts
from sim.backends.batched.fused.resident import Resident, ResidentNetwork
from sim.backends.batched.memory import room
from sim.backends.batched.plasticity import Learner
from sim.backends.batched.record import Outcome

IN_FLIGHT = 512  # images, where nothing is learned
MEMORY = 16 << 30  # bytes that images in flight may take, about
PROGRAMS, SMALLEST = 256, 32  # programs of products, at least; but no tile is smaller than this
RELAXED = 2048  # neurons that a program moves, of one position and several images
MULTIPLIED = 128  # and that it multiplies with weights, at most
MOVED = 64  # weights that a program moves
CHANGES = 1 << 30  # bytes of changes of a projection
ROWS, COLUMNS = 32, 64  # weights of what a program learns. Of 64 rows Triton 3.6 adds up wrong sums on an H100


class MapsNetwork(ResidentNetwork):
    """A spec whose populations are maps, or flat, on one device."""

    def __init__(
        self, spec: NetworkSpec, learners: Sequence[Learner], device: torch.device, batch_size: int = 1
    ) -> None:
        super().__init__(spec, learners, device, batch_size)
        self.lying = layouts(spec)
        self.links = {p.name: Link(spec, p, self.lying, device) for p in spec.projections if p.weights is not None}
        self.units = {p.name: p.neuron for p in spec.populations if isinstance(p.neuron, SigmaDelta)}
        self.patience = patience(spec.parity[name] for name in self.units)
        self.changes: dict[int, Tensor] = {}

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """See `ResidentNetwork.load`."""
        for name, values in weights.items():
            self.links[name].load(values)

    def _bytes_per_image(self) -> int:
        neurons = sum(lying.positions * lying.width for lying in self.lying.values())
        arrived = sum(link.target.positions * link.target.width for link in self.links.values())
        returned = sum(link.n_windows * link.source.width for link in self.links.values())
        return 16 * neurons + 4 * arrived + 10 * returned

    def _most(self) -> int:
        """All rows of a buffer are computed: one that learns in batches runs in batches as large."""
        at_once = self.batch_size if self.batch_size > 1 else IN_FLIGHT
        return max(1, min(at_once, self._room() // self._bytes_per_image()))

    def _room(self) -> int:
        """Bytes that images in flight may take."""
        return room(self.device, MEMORY)

    def _make_buffers(self, size: int) -> None:
        if size * self._bytes_per_image() > self._room():
            needs, has = size * self._bytes_per_image() >> 20, self._room() >> 20
            raise UserError(
                f"batch of {size} images: it takes {needs} MiB of the device, at most {has}; lower batch_size"
            )
        self.multiplied = min(MULTIPLIED, max(16, 1 << (size - 1).bit_length()))
        self.batch = -(-size // self.multiplied) * self.multiplied
        self.reach = self.batch
        self.rows = torch.arange(self.batch, device=self.device)
        self.s, self.u, self.drive, self.spikes, self.last = {}, {}, {}, {}, {}
        self.held_s: dict[str, tuple[Tensor, Tensor]] = {}
        for population in self.spec.populations:
            name, lying = population.name, self.lying[population.name]
            shape = (lying.positions, self.batch, lying.width)
            kind = torch.int16 if lying.wide else torch.int8
            self.s[name] = self.zeros(*shape, kind=kind)
            if name in self.units:
                self.u[name] = self.zeros(*shape)
                self.drive[name] = self.zeros(*shape)
                blocks = lying.positions * (lying.width // lying.block)
                self.spikes[name], self.last[name] = self.zeros(blocks, self.batch), self.zeros(blocks, self.batch)
                self.held_s[name] = (self.zeros(*shape, kind=kind), self.zeros(*shape, kind=kind))
            elif isinstance(population.neuron, Source) and population.neuron.constant is not None:
                self.s[name][..., : lying.channels] = population.neuron.constant
        turned = {p.transpose_of for p in self.spec.projections if p.transpose_of is not None}
        for name, link in self.links.items():
            link.make_buffers(self.batch, name in turned, link.projection.source in self.units)
        width = self.lying[self.spec.output].width
        self.goal, self.held = self.zeros(self.batch, width), self.zeros(self.batch, width)
        self.signs = self.zeros(self.batch)
        self.changed = self.zeros(self.spec.schedule.last_step + 2)

    def _launch_settling(
        self, lesson: Resident, outcome: Outcome, size: int, n_phases: int, nudged: bool, learns: bool
    ) -> None:
        rows = self.rows + self.cursor
        self._show(lesson, rows, nudged)
        schedule = self.spec.schedule
        for phase in range(n_phases):
            begin = schedule.ends[phase] - schedule.phases[phase].steps
            for step in range(begin + 1, schedule.ends[phase] + 1):
                patience = self.patience if step - self.patience > begin else 0
                self._launch_step(step, patience, schedule.phases[phase].nudge if nudged else 0)
            self._note(outcome, rows, phase, nudged)
            moment = phase - (len(schedule.phases) - 2)
            if learns and moment >= 0:
                for name, held in self.held_s.items():
                    held[moment].copy_(self.s[name])

    def _show(self, lesson: Resident, rows: Tensor, nudged: bool) -> None:
        """Put images, targets and signs of a batch in place, and compute what the sources deliver."""
        spec, lying = self.spec, self.lying[self.spec.input]
        images = lesson.inputs.index_select(0, rows).view(self.batch, lying.positions, lying.channels)
        self.s[spec.input][..., : lying.channels] = images.transpose(0, 1)
        for values in (*self.u.values(), *self.drive.values(), *self.spikes.values(), *self.last.values()):
            values.zero_()
        for name in self.units:
            self.s[name].zero_()
        self.changed.zero_()
        if nudged:
            self.goal[:, : spec.n_classes] = lesson.targets.index_select(0, rows)
            self.signs.copy_(lesson.signs.index_select(0, rows))
        for projection in spec.projections:
            if projection.source not in self.units:
                self._deliver(0, 0, projection)
                arrived = self.links[projection.name].arrived
                self.drive[projection.target].add_(arrived, alpha=projection.sign << spec.shift_of(projection))

    def _launch_step(self, step: int, patience: int, nudge: int) -> None:
        spec = self.spec
        turn = [name for name in self.units if spec.parity[name] != 1 - step % 2]
        links: dict[str, list[Projection]] = {name: [] for name in turn}
        for projection in spec.projections:
            if projection.source in self.units and projection.target in links and step > 1:
                self._deliver(step, patience, projection)
                links[projection.target].append(projection)
        for name in turn:
            self._relax(name, links[name], step, patience, nudge)

    def _sum_windows(self, link: Link, values: Tensor, into: Tensor, step: int = 0, patience: int = 0) -> None:
        block = link.source.block
        images = self._relaxed(block)
        grid = (link.n_windows, self.batch // images, link.source.width // block)
        kernels.window_kernel[grid](
            self.changed, step, patience, values, link.summed.starts, link.summed.columns[0], into,
            BATCH=self.batch, CHANNELS=link.source.width, IMAGES=images, BLOCK=block,
        )  # fmt: skip

    def _deliver(self, step: int, patience: int, projection: Projection) -> None:
        """What the present values of its source deliver through `projection`."""
        link, values = self.links[self.spec.original_of(projection).name], self.s[projection.source]
        if projection.transpose_of is None:
            ends, table, weights, into, wide = (
                (link.source, link.target),
                link.forward,
                link.matrix.transposed,
                link.arrived,
                link.wide,
            )
            if link.sums is not None:
                self._sum_windows(link, values, link.sums, step, patience)
                values = link.sums
        else:
            assert link.returned is not None  # it has a transpose
            ends, table, weights, into, wide = (
                (link.target, link.source),
                link.backward,
                link.matrix.straight,
                link.returned,
                link.target.wide,
            )
        images, block = self._tile(len(into), ends[1].width)
        kernels.product_kernel[(len(into), self.batch // images, ends[1].width // block)](
            self.changed, step, patience, values, weights, table.starts, *table.columns, into,
            BATCH=self.batch, CHANNELS=ends[0].width, FEATURES=ends[1].width, WIDE=wide,
            IMAGES=images, BLOCK=block, K=math.gcd(ends[0].width, 128),
        )  # fmt: skip

    def _relax(self, name: str, links: list[Projection], step: int, patience: int, nudge: int) -> None:
        spec, lying, unit = self.spec, self.lying[name], self.units[name]
        through = [self.links[spec.original_of(p).name] for p in links]
        back = tuple(p.transpose_of is not None for p in links)
        arrived = tuple(link.returned if b else link.arrived for link, b in zip(through, back, strict=True))
        starts = tuple(link.spread.starts for link in through)
        places = tuple(link.spread.columns[0] for link in through)
        schedule = spec.schedule
        images = self._relaxed(lying.block)
        kernels.relax_kernel[(lying.positions, self.batch // images, lying.width // lying.block)](
            self.changed, step, patience, self.u[name], self.s[name], self.drive[name], arrived, starts, places,
            self.spikes[name], self.last[name], self.goal, self.held, self.signs, nudge,
            BATCH=self.batch, CHANNELS=lying.width, SCALES=tuple(p.sign << spec.shift_of(p) for p in links),
            GATHERED=back,
            UNIT=unit_numbers(unit),
            FED=any(p.target == name and p.source not in self.units for p in spec.projections),
            OUTPUT=name == spec.output, CONSTANT=schedule.force == CONSTANT, STRENGTH=schedule.nudge_multiplier,
            STRENGTH_SHIFT=schedule.nudge_shift, IMAGES=images, BLOCK=lying.block,
        )  # fmt: skip

    def _tile(self, positions: int, width: int) -> tuple[int, int]:
        """Images and channels that a program multiplies: fewer where large tiles would leave processors idle."""
        images, block = self.multiplied, math.gcd(width, 128)
        while positions * (self.batch // images) * (width // block) < PROGRAMS and max(images, block) > SMALLEST:
            images, block = (images // 2, block) if images >= block else (images, block // 2)
        return images, block

    def _relaxed(self, block: int) -> int:
        """Images that a program moves, or sums: a power of two that divides the batch."""
        return min(self.multiplied, max(16, RELAXED // block))

    def _note(self, outcome: Outcome, rows: Tensor, phase: int, nudged: bool) -> None:
        """Keep what is told of the phase that ends; after the free one, the force that is held."""
        spec, schedule = self.spec, self.spec.schedule
        output = self.u[spec.output][0]
        for name in self.units:
            counts = outcome.counts[:, spec.population_index[name], phase + 1]
            counts.index_copy_(0, rows, self.spikes[name].sum(0, dtype=torch.int32))
            self.spikes[name].zero_()
        if phase == 0:
            last = torch.stack([values.amax(0) for values in self.last.values()]).amax(0)
            outcome.last_spike.index_copy_(0, rows, last)
            outcome.output.index_copy_(0, rows, output[:, : spec.n_classes])
            self.held.copy_((self.goal - output) * schedule.nudge_multiplier >> schedule.nudge_shift)
        moment = phase - (len(schedule.phases) - 2)
        if nudged and moment >= 0:
            outcome.nudged[:, moment].index_copy_(0, rows, output[:, : spec.n_classes])

    def _launch_commit(self, lesson: Resident, size: int, number: int) -> None:
        learner = self.learners[number]
        projection, link = learner.projection, self.links[learner.projection.name]
        static = projection.source not in self.units
        before = (self.s[projection.source],) * 2 if static else self.held_s[projection.source]
        if link.sums is not None:
            if static:
                before = (link.sums, link.sums)
            else:
                for values, into in zip(before, link.held_sums, strict=True):
                    self._sum_windows(link, values, into)
                before = (link.held_sums[0], link.held_sums[1])
        after = self.held_s[projection.target]
        block, columns = math.gcd(link.source.width, ROWS), math.gcd(link.target.width, COLUMNS)
        grid = (link.n_taps, 0, (link.source.width // block) * (link.target.width // columns))
        n_pairs, n_weights = len(link.joined.columns[0]) // link.n_taps, learner.full.numel()
        post_wide = 2 * link.target.largest > NARROW if static else link.target.wide
        common = {"CHANNELS": link.source.channels, "FEATURES": link.target.channels, "SIZE": n_weights,
                  "PRE_WIDTH": link.source.width, "POST_WIDTH": link.target.width}  # fmt: skip
        changes = self._changes(number)
        for first in range(0, size, len(changes)):
            count = min(len(changes), size - first)
            kernels.change_kernel[(grid[0], count, grid[2])](
                first, changes, *before, *after, link.joined.starts, *link.joined.columns, self.signs,
                BATCH=self.batch, PRE_WIDE=link.wide, POST_WIDE=post_wide, STATIC=static, BLOCK=block, COLUMNS=columns,
                K=64 if n_pairs > 32 else 32, **common,
            )  # fmt: skip
            kernels.commit_kernel[(-(-n_weights // MOVED),)](
                self.cursor, first, count, changes, learner.full, link.matrix.straight, link.matrix.transposed,
                lesson.keys, self.rates, STREAM=learner.index, RATE=number, LIMIT=learner.limit, SHADOW=learner.shadow,
                BLOCK=MOVED, num_warps=1, **common,
            )  # fmt: skip

    def _changes(self, number: int) -> Tensor:
        """Room for the changes of all weights of a projection by some images: all of a batch, if they fit."""
        n_weights = self.learners[number].full.numel()
        count = min(self.batch, max(1, CHANGES // (4 * n_weights)))
        if number not in self.changes or len(self.changes[number]) < count:
            self.changes[number] = self.zeros(count, n_weights)
        return self.changes[number]

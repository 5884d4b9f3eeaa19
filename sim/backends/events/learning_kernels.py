"""Compiled training loops: simulate images, then let every synapse apply its rule; online, or in batches."""

from __future__ import annotations

from numba import prange

from neuro.base.arrays import Int16, Int32, UInt32
from sim.backends.events.kernels import simulate
from sim.backends.events.layout import Plan
from sim.backends.events.space import Outputs, Scratch, Trace
from sim.backends.events.synapse_kernels import Synapses, Workspace
from sim.backends.events.update_kernels import commit
from sim.backends.jit import jit, parallel_jit


@jit
def learn_online(
    plan: Plan, synapses: Synapses, payloads: Int16, targets: Int32, signs: Int32, keys: UInt32, scratch: Scratch,
    out: Outputs, trace: Trace, work: Workspace,
) -> None:  # fmt: skip
    """Train on one image after the other: each sees the weights its predecessors left."""
    for image in range(payloads.shape[0]):
        simulate(
            plan, synapses, payloads[image], targets[image], signs[image], plan.ends[-1], scratch, image, out,
            trace, 0, True, 0,
        )  # fmt: skip
        commit(plan, synapses, trace, 0, signs[image], keys[image], 0, 1, work)


@jit
def _one_thread(scratch: Scratch, work: Workspace, part: int) -> tuple[Scratch, Workspace]:
    """The `part`-th row of stacked scratch spaces and workspaces."""
    mine = Scratch(
        scratch.a[part], scratch.u[part], scratch.s[part], scratch.total[part], scratch.narrow[part],
        scratch.neuron[part], scratch.payload[part], scratch.n_events[part],
    )  # fmt: skip
    return mine, Workspace(
        work.x[part], work.y[part], work.y_trace[part], work.moved[part], work.value[part], work.sent[part],
        work.seen[part], work.noted[part], work.listed[part], work.step[part], work.delta[part], work.wide[part],
        work.wide_forward[part],
    )  # fmt: skip


@parallel_jit
def learn_in_batches(
    plan: Plan, synapses: Synapses, payloads: Int16, targets: Int32, signs: Int32, keys: UInt32, batch_size: int,
    threads: int, scratch: Scratch, out: Outputs, trace: Trace, work: Workspace,
) -> None:  # fmt: skip
    """Train in batches: the images of a batch see the same weights, then update them in their order.

    scratch and work are stacked, one row per thread. The result does not depend on the number of threads.
    """
    for start in range(0, payloads.shape[0], batch_size):
        count = min(batch_size, payloads.shape[0] - start)
        for thread in prange(threads):
            mine, _ = _one_thread(scratch, work, thread)
            for slot in range(count * thread // threads, count * (thread + 1) // threads):
                image = start + slot
                simulate(
                    plan, synapses, payloads[image], targets[image], signs[image], plan.ends[-1], mine, image,
                    out, trace, slot, True, 0,
                )  # fmt: skip
        for thread in prange(threads):
            _, mine_too = _one_thread(scratch, work, thread)
            for slot in range(count):
                commit(plan, synapses, trace, slot, signs[start + slot], keys[start + slot], thread, threads, mine_too)

"""Kernels of networks of maps: sums over windows, products with kernels, a step of a population, learning of a kernel.

Values lie position first: [positions, images, channels], channels padded with zeros. A program takes one position of
many images, so that all of them read the same neighbours and the same weights: what a position reads is a list, and
neither padding nor a stride costs anything. Values beyond int8 are held in 16 bits and multiplied in two halves.

After a silent step, two in even-odd order, the rest of a phase changes nothing: then every kernel ends at once. Whether
a step changed anything is told in `changed`, by step.
"""

from __future__ import annotations

import triton
import triton.language as tl

from sim.backends.batched.fused.arithmetic import activation, clip, mix32, moved, product, stream_key


@triton.jit
def _silent(changed, step, patience):
    """Whether the last `patience` steps changed nothing; 0 of them: never."""
    found = 0
    if patience > 0:
        for back in range(1, patience + 1):
            found += tl.load(changed + step - back)
    return (patience > 0) & (found == 0)


@triton.jit(do_not_specialize=["step", "patience"])
def window_kernel(
    changed, step, patience, values, starts, places, into,
    BATCH: tl.constexpr, CHANNELS: tl.constexpr, IMAGES: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Sums of values over the window of each position: [windows, BATCH, CHANNELS]."""
    if _silent(changed, step, patience):
        return
    window = tl.program_id(0)
    rows = tl.program_id(1) * IMAGES + tl.arange(0, IMAGES)
    columns = tl.program_id(2) * BLOCK + tl.arange(0, BLOCK)
    at = rows[:, None] * CHANNELS + columns[None, :]
    total = tl.zeros((IMAGES, BLOCK), dtype=tl.int32)
    for entry in range(tl.load(starts + window), tl.load(starts + window + 1)):
        place = tl.load(places + entry).to(tl.int64)
        total += tl.load(values + place * (BATCH * CHANNELS) + at).to(tl.int32)
    tl.store(into + window.to(tl.int64) * (BATCH * CHANNELS) + at, total.to(into.dtype.element_ty))


@triton.jit(do_not_specialize=["step", "patience"])
def product_kernel(
    changed, step, patience, values, weights, starts, places, taps, into,
    BATCH: tl.constexpr, CHANNELS: tl.constexpr, FEATURES: tl.constexpr, WIDE: tl.constexpr,
    IMAGES: tl.constexpr, BLOCK: tl.constexpr, K: tl.constexpr,
):  # fmt: skip
    """The sum over what a position reads of values @ weights of that tap, int32 [positions, BATCH, FEATURES].

    weights int8 [taps, FEATURES, CHANNELS]: contiguous along the sum.
    """
    if _silent(changed, step, patience):
        return
    position = tl.program_id(0)
    rows = tl.program_id(1) * IMAGES + tl.arange(0, IMAGES)
    columns = tl.program_id(2) * BLOCK + tl.arange(0, BLOCK)
    inner = tl.arange(0, K)
    total = tl.zeros((IMAGES, BLOCK), dtype=tl.int32)
    for entry in range(tl.load(starts + position), tl.load(starts + position + 1)):
        here = values + tl.load(places + entry).to(tl.int64) * (BATCH * CHANNELS)
        these = weights + tl.load(taps + entry) * (FEATURES * CHANNELS)
        for first in range(0, CHANNELS, K):
            a = tl.load(here + rows[:, None] * CHANNELS + (first + inner)[None, :])
            b = tl.load(these + columns[:, None] * CHANNELS + (first + inner)[None, :])
            total = product(a, tl.trans(b), total, WIDE, False)
    at = rows[:, None] * FEATURES + columns[None, :]
    tl.store(into + position.to(tl.int64) * (BATCH * FEATURES) + at, total)


@triton.jit(do_not_specialize=["step", "patience", "nudge"])
def relax_kernel(
    changed, step, patience, u, s, drive, arrived, starts, places, spikes, last, goal, held, signs, nudge,
    BATCH: tl.constexpr, CHANNELS: tl.constexpr, SCALES: tl.constexpr, GATHERED: tl.constexpr,
    UNIT: tl.constexpr, FED: tl.constexpr, OUTPUT: tl.constexpr, CONSTANT: tl.constexpr, STRENGTH: tl.constexpr,
    STRENGTH_SHIFT: tl.constexpr, IMAGES: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One step of a population: u and s [positions, BATCH, CHANNELS] in place; spikes counted by position and image.

    arrived: int32 sums, of each position, or GATHERED: of windows, of which a position adds up those that hold it.
    """
    if _silent(changed, step, patience):
        return
    position = tl.program_id(0)
    rows = tl.program_id(1) * IMAGES + tl.arange(0, IMAGES)
    columns = tl.program_id(2) * BLOCK + tl.arange(0, BLOCK)
    within = rows[:, None] * CHANNELS + columns[None, :]
    at = position.to(tl.int64) * (BATCH * CHANNELS) + within
    total = tl.zeros((IMAGES, BLOCK), dtype=tl.int32)
    if FED:
        total = tl.load(drive + at)
    for link in tl.static_range(len(SCALES)):
        if GATHERED[link]:
            for entry in range(tl.load(starts[link] + position), tl.load(starts[link] + position + 1)):
                place = tl.load(places[link] + entry).to(tl.int64)
                total += tl.load(arrived[link] + place * (BATCH * CHANNELS) + within) * SCALES[link]
        else:
            total += tl.load(arrived[link] + at) * SCALES[link]
    before = tl.load(u + at)
    if OUTPUT:
        if nudge != 0:
            sign = tl.load(signs + rows) * nudge
            if CONSTANT:
                total += tl.load(held + within) * sign[:, None]
            else:
                total += (((tl.load(goal + within) - before) * STRENGTH) >> STRENGTH_SHIFT) * sign[:, None]
    new = moved(before, total, UNIT[0], UNIT[1], UNIT[2], UNIT[3])
    sent = activation(new, UNIT[4], UNIT[5], UNIT[6])
    spike = (sent != tl.load(s + at).to(tl.int32)).to(tl.int32)
    tl.store(u + at, new)
    tl.store(s + at, sent.to(s.dtype.element_ty))
    count = tl.sum(spike, axis=1)
    owned = (position * tl.num_programs(2) + tl.program_id(2)) * BATCH + rows
    tl.store(spikes + owned, tl.load(spikes + owned) + count)
    tl.store(last + owned, step, mask=count > 0)
    differs = tl.max(tl.max(((new != before).to(tl.int32) | spike), axis=1), axis=0)
    if differs != 0:
        tl.store(changed + step, 1)  # all that store it store the same


@triton.jit(do_not_specialize=["first"])
def change_kernel(
    first, changes, first_pre, second_pre, first_post, second_post, starts, places, positions, signs,
    BATCH: tl.constexpr, CHANNELS: tl.constexpr, FEATURES: tl.constexpr, SIZE: tl.constexpr, PRE_WIDTH: tl.constexpr,
    POST_WIDTH: tl.constexpr, PRE_WIDE: tl.constexpr, POST_WIDE: tl.constexpr, STATIC: tl.constexpr,
    BLOCK: tl.constexpr, COLUMNS: tl.constexpr, K: tl.constexpr,
):  # fmt: skip
    """The exact change, int32 [images, SIZE], of BLOCK x COLUMNS weights of one tap for one image of a batch."""
    tap, local = tl.program_id(0), tl.program_id(1)
    blocks: tl.constexpr = PRE_WIDTH // BLOCK
    rows = (tl.program_id(2) % blocks) * BLOCK + tl.arange(0, BLOCK)
    columns = (tl.program_id(2) // blocks) * COLUMNS + tl.arange(0, COLUMNS)
    image = first + local
    begin, end = tl.load(starts + tap), tl.load(starts + tap + 1)
    change = tl.zeros((BLOCK, COLUMNS), dtype=tl.int32)
    for entry in range(begin, end, K):
        entries = entry + tl.arange(0, K)
        exists = entries < end
        place = tl.load(places + entries, mask=exists, other=0).to(tl.int64)
        position = tl.load(positions + entries, mask=exists, other=0).to(tl.int64)
        pre = (place * BATCH + image)[:, None] * PRE_WIDTH + rows[None, :]
        post = (position * BATCH + image)[:, None] * POST_WIDTH + columns[None, :]
        x = tl.load(first_pre + pre, mask=exists[:, None], other=0)
        y = tl.load(first_post + post, mask=exists[:, None], other=0)
        z = tl.load(second_post + post, mask=exists[:, None], other=0)
        if STATIC:
            move = y.to(tl.int16) - z.to(tl.int16)
            if not POST_WIDE:
                move = move.to(tl.int8)
            change = product(tl.trans(x), move, change, PRE_WIDE, POST_WIDE)
        else:
            change = product(tl.trans(x), y, change, PRE_WIDE, POST_WIDE)
            w = tl.load(second_pre + pre, mask=exists[:, None], other=0)
            change -= product(tl.trans(w), z, tl.zeros_like(change), PRE_WIDE, POST_WIDE)
    index = (tap * CHANNELS + rows)[:, None] * FEATURES + columns[None, :]
    inside = (rows < CHANNELS)[:, None] & (columns < FEATURES)[None, :]
    tl.store(changes + local.to(tl.int64) * SIZE + index, change * tl.load(signs + image), mask=inside)


@triton.jit(do_not_specialize=["first"])
def commit_kernel(
    cursor, first, n_images, changes, full, straight, transposed, keys, rates,
    CHANNELS: tl.constexpr, FEATURES: tl.constexpr, SIZE: tl.constexpr, PRE_WIDTH: tl.constexpr,
    POST_WIDTH: tl.constexpr, STREAM: tl.constexpr, RATE: tl.constexpr, LIMIT: tl.constexpr, SHADOW: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Images from `first` on, n_images, move BLOCK weights one after the other, each by its rounded change.

    full int32 [SIZE] = [taps, CHANNELS, FEATURES]; straight and transposed int8 [taps, PRE_WIDTH, POST_WIDTH] and
    [taps, POST_WIDTH, PRE_WIDTH], what synapses transmit.
    """
    index = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = index < SIZE
    weights = tl.load(full + index, mask=inside, other=0)
    gain, down = tl.load(rates + 2 * RATE), tl.load(rates + 2 * RATE + 1)
    low = ((1 << down) - 1).to(tl.uint32)
    here = keys + tl.load(cursor).to(tl.int64) + first
    theirs = changes + index
    for image in tl.range(0, n_images, loop_unroll_factor=4):
        change = tl.load(theirs, mask=inside, other=0)
        theirs += SIZE
        stream = stream_key(tl.load(here + image), STREAM)
        bits = mix32(stream + index.to(tl.uint32)) & low
        step = (change * gain + bits.to(tl.int32)) >> down
        weights = clip(weights + clip(step, -2 * LIMIT, 2 * LIMIT), -LIMIT, LIMIT)
    tl.store(full + index, weights, mask=inside)
    shown = ((weights + ((1 << SHADOW) >> 1)) >> SHADOW).to(tl.int8)
    tap, row, column = index // (CHANNELS * FEATURES), index // FEATURES % CHANNELS, index % FEATURES
    tl.store(straight + (tap * PRE_WIDTH + row) * POST_WIDTH + column, shown, mask=inside)
    tl.store(transposed + (tap * POST_WIDTH + column) * PRE_WIDTH + row, shown, mask=inside)

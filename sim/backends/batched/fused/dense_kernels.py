"""The kernels: what sources deliver, all steps of a few images, and the learning of one projection.

Every program owns what it writes and loops in the order of the images; nothing is added up in floats, and nothing
depends on the order in which programs run.

Matrices lie in memory twice, padded with zeros to the sizes that the kernels take: as [source, target] and transposed,
so that a product always reads along the sum.
"""

from __future__ import annotations

import triton
import triton.language as tl

from sim.backends.batched.fused.arithmetic import activation, clip, mix32, moved, product, stream_key


@triton.jit
def drive_kernel(
    cursor, n_images, inputs, matrices, constants, into,
    N: tl.constexpr, SCALES: tl.constexpr, CONSTANT_SIZES: tl.constexpr, CONSTANT_VALUES: tl.constexpr,
    WIDTHS: tl.constexpr, PADDED: tl.constexpr, IMAGES: tl.constexpr, NEURONS: tl.constexpr, K: tl.constexpr,
):  # fmt: skip
    """What the sources deliver to one population: into int32 [B, PADDED] = sum of inputs @ W << shift, and constants.

    inputs int8 [n, N], read from image `cursor` on; matrices int8 [PADDED, width], one for each projection of the
    input; constants int8 [size, PADDED], one for each of a constant source.
    """
    rows = tl.program_id(0) * IMAGES + tl.arange(0, IMAGES)
    columns = tl.program_id(1) * NEURONS + tl.arange(0, NEURONS)
    first = tl.load(cursor).to(tl.int64)
    here = rows < n_images
    total = tl.zeros((IMAGES, NEURONS), dtype=tl.int32)
    for link in tl.static_range(len(WIDTHS)):
        part = tl.zeros((IMAGES, NEURONS), dtype=tl.int32)
        for start in range(0, N, K):
            taps = start + tl.arange(0, K)
            read = inputs + (first + rows[:, None]) * N + taps[None, :]
            values = tl.load(read, mask=here[:, None] & (taps < N)[None, :], other=0)
            weights = tl.load(matrices[link] + columns[:, None] * WIDTHS[link] + taps[None, :])
            part = tl.dot(values, tl.trans(weights), part, out_dtype=tl.int32)
        total += part * SCALES[link]
    for source in tl.static_range(len(CONSTANT_SIZES)):
        row = tl.zeros((NEURONS,), dtype=tl.int32)
        for index in range(CONSTANT_SIZES[source]):
            row += tl.load(constants[source] + index * PADDED + columns).to(tl.int32)
        total += (row * CONSTANT_VALUES[source])[None, :]
    tl.store(into + rows[:, None].to(tl.int64) * PADDED + columns[None, :], total, mask=here[:, None])


@triton.jit
def _zeros(ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """A block of int32 zeros."""
    return tl.zeros((ROWS, COLUMNS), dtype=tl.int32)


@triton.jit
def _narrowed(values, WIDE: tl.constexpr):
    """Payloads as they are held."""
    if WIDE:
        return values.to(tl.int16)
    else:
        return values.to(tl.int8)


@triton.jit
def _range(N: tl.constexpr):
    """0..N-1."""
    return tl.arange(0, N)


@triton.jit
def _within(rows, WIDTH: tl.constexpr):
    """Where the values of some rows lie in a contiguous matrix."""
    return rows[:, None] * WIDTH + tl.arange(0, WIDTH)[None, :]


@triton.jit
def _block(matrix, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """All of a contiguous matrix."""
    return tl.load(matrix + _within(tl.arange(0, ROWS), COLUMNS))


@triton.jit
def _step(
    step, u, s, seen, drives, matrices, force,
    PADDED: tl.constexpr, WIDE: tl.constexpr, UNITS: tl.constexpr, PARITIES: tl.constexpr, SOURCES: tl.constexpr,
    TARGETS: tl.constexpr, SCALES: tl.constexpr, OUTPUT: tl.constexpr, IMAGES: tl.constexpr,
):  # fmt: skip
    """One step of all populations: their new u, s and spikes seen; and whether anything changed."""
    next_u, next_s, next_seen = (), (), ()
    changed = 0
    for p in tl.static_range(len(PADDED)):
        total = drives[p]
        for link in tl.static_range(len(SOURCES)):
            if TARGETS[link] == p:
                weights = _block(matrices[link], PADDED[p], PADDED[SOURCES[link]])
                sent = product(
                    s[SOURCES[link]], tl.trans(weights), _zeros(IMAGES, PADDED[p]), WIDE[SOURCES[link]], False
                )
                total += sent * SCALES[link]
        if p == OUTPUT:
            total += force
        new = moved(u[p], total, UNITS[p][0], UNITS[p][1], UNITS[p][2], UNITS[p][3])
        if PARITIES[p] >= 0:
            new = tl.where(step % 2 == PARITIES[p], new, u[p])
        sent = activation(new, UNITS[p][4], UNITS[p][5], UNITS[p][6])
        spike = sent != s[p].to(tl.int32)
        changed |= tl.max(tl.max((spike | (new != u[p])).to(tl.int32), axis=1), axis=0)
        next_seen = next_seen + (tl.where(spike, ((seen[p] & 0xFFFF) + 1) | (step << 16), seen[p]),)
        next_u = next_u + (new,)
        next_s = next_s + (_narrowed(sent, WIDE[p]),)
    return next_u, next_s, next_seen, changed


@triton.jit
def settle_kernel(
    cursor, n_images, drives_at, matrices, targets, signs, counts, output, last_spike, nudged,
    first_sent, second_sent, first_state, second_state,
    PADDED: tl.constexpr, WIDE: tl.constexpr, UNITS: tl.constexpr, PARITIES: tl.constexpr, FED: tl.constexpr,
    INDEX: tl.constexpr, SOURCES: tl.constexpr, TARGETS: tl.constexpr, SCALES: tl.constexpr, KEPT: tl.constexpr,
    OUTPUT: tl.constexpr, CLASSES: tl.constexpr, POPULATIONS: tl.constexpr, PHASES: tl.constexpr, ENDS: tl.constexpr,
    NUDGES: tl.constexpr, N_PHASES: tl.constexpr, STRENGTH: tl.constexpr, STRENGTH_SHIFT: tl.constexpr,
    CONSTANT: tl.constexpr, PATIENCE: tl.constexpr, NUDGED: tl.constexpr, LEARNS: tl.constexpr, IMAGES: tl.constexpr,
):  # fmt: skip
    """All steps of IMAGES images. A phase ends when PATIENCE steps in a row changed nothing: nor will any other.

    u, s and what a population sees of itself stay in registers: the step of its last spike in the upper, the number of
    its spikes in the lower 16 bits.
    """
    rows = tl.program_id(0) * IMAGES + tl.arange(0, IMAGES)
    here = rows < n_images
    image = tl.load(cursor).to(tl.int64) + rows
    rows = rows.to(tl.int64)
    classes = _range(PADDED[OUTPUT])
    is_class = here[:, None] & (classes < CLASSES)[None, :]
    u, s, drives = (), (), ()
    for p in tl.static_range(len(PADDED)):
        drive = _zeros(IMAGES, PADDED[p])
        if FED[p]:
            drive = tl.load(drives_at[p] + _within(rows, PADDED[p]), mask=here[:, None], other=0)
        drives = drives + (drive,)
        u = u + (_zeros(IMAGES, PADDED[p]),)
        s = s + (_narrowed(_zeros(IMAGES, PADDED[p]), WIDE[p]),)
    goal = _zeros(IMAGES, PADDED[OUTPUT])
    held = _zeros(IMAGES, PADDED[OUTPUT])
    sign = tl.zeros((IMAGES,), dtype=tl.int32)
    if NUDGED:
        goal = tl.load(targets + image[:, None] * CLASSES + classes[None, :], mask=is_class, other=0)
        sign = tl.load(signs + image, mask=here, other=1)
    for phase in tl.static_range(N_PHASES):
        seen = ()
        for p in tl.static_range(len(PADDED)):
            seen = seen + (_zeros(IMAGES, PADDED[p]),)
        step = 1 if phase == 0 else ENDS[phase - 1] + 1
        quiet = 0
        while (step <= ENDS[phase]) & (quiet < PATIENCE):
            force = _zeros(IMAGES, PADDED[OUTPUT])
            if NUDGES[phase] != 0:
                if CONSTANT:
                    force = held * (sign * NUDGES[phase])[:, None]
                else:
                    force = (((goal - u[OUTPUT]) * STRENGTH) >> STRENGTH_SHIFT) * (sign * NUDGES[phase])[:, None]
            u, s, seen, changed = _step(
                step, u, s, seen, drives, matrices, force,
                PADDED, WIDE, UNITS, PARITIES, SOURCES, TARGETS, SCALES, OUTPUT, IMAGES,
            )  # fmt: skip
            quiet = tl.where(changed != 0, 0, quiet + 1)
            step += 1
        if phase == 0:
            held = ((goal - u[OUTPUT]) * STRENGTH) >> STRENGTH_SHIFT
            tl.store(output + image[:, None] * CLASSES + classes[None, :], u[OUTPUT], mask=is_class)
            last = tl.zeros((IMAGES,), dtype=tl.int32)
            for p in tl.static_range(len(PADDED)):
                last = tl.maximum(last, tl.max(seen[p] >> 16, axis=1))
            tl.store(last_spike + image, last, mask=here)
        for p in tl.static_range(len(PADDED)):
            spikes = tl.sum(seen[p] & 0xFFFF, axis=1)
            tl.store(counts + (image * POPULATIONS + INDEX[p]) * (1 + PHASES) + phase + 1, spikes, mask=here)
        if NUDGED and phase >= PHASES - 2:
            at = nudged + (image[:, None] * 2 + (phase - (PHASES - 2))) * CLASSES + classes[None, :]
            tl.store(at, u[OUTPUT], mask=is_class)
        if LEARNS and phase >= PHASES - 2:
            for p in tl.static_range(len(PADDED)):
                at = _within(rows, PADDED[p])
                if phase == PHASES - 2:
                    tl.store(first_sent[p] + at, s[p], mask=here[:, None])
                    if KEPT[p]:
                        tl.store(first_state[p] + at, u[p], mask=here[:, None])
                else:
                    tl.store(second_sent[p] + at, s[p], mask=here[:, None])
                    if KEPT[p]:
                        tl.store(second_state[p] + at, u[p], mask=here[:, None])


@triton.jit
def commit_kernel(
    cursor, n_images, full, matrix, transposed, inputs, first_pre, second_pre, first_post, second_post,
    signs, keys, rates, moments,
    N_PRE: tl.constexpr, N_POST: tl.constexpr, PRE_WIDTH: tl.constexpr, POST_WIDTH: tl.constexpr,
    PADDED_PRE: tl.constexpr, STREAM: tl.constexpr, RATE: tl.constexpr, LIMIT: tl.constexpr, SHADOW: tl.constexpr,
    FROM_INPUT: tl.constexpr, CONSTANT: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, MOST: tl.constexpr,
):  # fmt: skip
    """The images of a batch move ROWS x COLUMNS weights one after the other; the saturated ends are written back.

    full int32 [N_PRE, N_POST]; matrix int8 [PADDED_PRE, POST_WIDTH] and its transpose, what synapses transmit.
    The pre factor is the input, a CONSTANT that is not 0, or s at both moments. Images for which nothing moved are
    left out: MOST is at least the number of images, and `moments` holds room for MOST of each program.
    """
    program = tl.program_id(0) * tl.num_programs(1) + tl.program_id(1)
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    columns = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    first = tl.load(cursor).to(tl.int64)
    is_row, is_column = rows < N_PRE, columns < N_POST
    inside = is_row[:, None] & is_column[None, :]
    index = rows[:, None] * N_POST + columns[None, :]
    weights = tl.load(full + index, mask=inside, other=0)
    gain, down = tl.load(rates + 2 * RATE), tl.load(rates + 2 * RATE + 1)
    low = ((1 << down) - 1).to(tl.uint32)
    static: tl.constexpr = FROM_INPUT or CONSTANT != 0

    mine = moments + program * MOST
    for block in range(0, n_images, MOST):
        images = block + tl.arange(0, MOST)
        exists = images < n_images
        at_post = images[:, None] * POST_WIDTH + columns[None, :]
        post_mask = exists[:, None] & is_column[None, :]
        post_move = tl.load(first_post + at_post, mask=post_mask, other=0).to(tl.int32)
        post_move -= tl.load(second_post + at_post, mask=post_mask, other=0).to(tl.int32)
        active = tl.max((post_move != 0).to(tl.int32), axis=1)
        if not static:
            at_pre = images[:, None] * PRE_WIDTH + rows[None, :]
            pre_mask = exists[:, None] & is_row[None, :]
            pre_move = tl.load(first_pre + at_pre, mask=pre_mask, other=0).to(tl.int32)
            pre_move -= tl.load(second_pre + at_pre, mask=pre_mask, other=0).to(tl.int32)
            active = tl.maximum(active, tl.max((pre_move != 0).to(tl.int32), axis=1))
        n_active = tl.sum(active, axis=0)
        tl.store(mine + tl.cumsum(active, axis=0) - 1, images, mask=active != 0)
        tl.debug_barrier()
        for k in tl.range(0, n_active, loop_unroll_factor=4):
            image = tl.load(mine + k)
            sign = tl.load(signs + first + image)
            stream = stream_key(tl.load(keys + first + image), STREAM)
            post = image * POST_WIDTH + columns
            post_first = tl.load(first_post + post, mask=is_column, other=0).to(tl.int32)
            post_second = tl.load(second_post + post, mask=is_column, other=0).to(tl.int32)
            if CONSTANT != 0:
                change = tl.zeros((ROWS, COLUMNS), dtype=tl.int32) + CONSTANT * (post_first - post_second)[None, :]
            elif FROM_INPUT:
                pre = tl.load(inputs + (first + image) * N_PRE + rows, mask=is_row, other=0).to(tl.int32)
                change = pre[:, None] * (post_first - post_second)[None, :]
            else:
                pre_at = image * PRE_WIDTH + rows
                pre = tl.load(first_pre + pre_at, mask=is_row, other=0).to(tl.int32)
                pre_second = tl.load(second_pre + pre_at, mask=is_row, other=0).to(tl.int32)
                change = pre[:, None] * post_first[None, :]
                change -= pre_second[:, None] * post_second[None, :]
            bits = mix32(stream + index.to(tl.uint32)) & low
            step = (change * (sign * gain) + bits.to(tl.int32)) >> down
            weights = clip(weights + clip(step, -2 * LIMIT, 2 * LIMIT), -LIMIT, LIMIT)
        tl.debug_barrier()  # before the next block overwrites the list
    tl.store(full + index, weights, mask=inside)
    shown = ((weights + ((1 << SHADOW) >> 1)) >> SHADOW).to(tl.int8)
    tl.store(matrix + rows[:, None] * POST_WIDTH + columns[None, :], shown, mask=inside)
    tl.store(transposed + columns[None, :] * PADDED_PRE + rows[:, None], shown, mask=inside)
